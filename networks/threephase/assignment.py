"""Putting a network's own loads and plants on phases, from a table that says where they are."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from grid.errors import BadInputError
from networks.threephase.evidence import HYPOTHESES, SHARE
from networks.threephase.model import ThreePhaseModel

COLUMNS = ("bus", "phase")
_MAX_BYTES = 4_000_000


def read_phases(path: Path) -> dict[int, str]:
    """Return the phase by bus of a CSV file with the columns ``bus,phase``.

    The phase is ``a``, ``b``, ``c``, or ``abc`` for a third in each.

    Raises
    ------
    BadInputError
        Naming the file and line that is wrong, or a bus that is given twice.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise BadInputError(f"phases {path} is larger than {_MAX_BYTES} bytes")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadInputError(f"phases {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise BadInputError(f"phases {path}: not UTF-8") from error
    rows = csv.reader(text.splitlines())
    header = tuple(cell.strip() for cell in next(rows, []))
    if header != COLUMNS:
        raise BadInputError(f"phases {path} line 1: columns must be {','.join(COLUMNS)}")
    found: dict[int, str] = {}
    for row in rows:
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        at = f"phases {path} line {rows.line_num}"
        if len(cells) != 2 or not (cells[0].isascii() and cells[0].isdecimal()):
            raise BadInputError(f"{at}: must be a bus index and a phase")
        bus, phase = int(cells[0][:12]), cells[1].lower()
        if phase not in HYPOTHESES:
            raise BadInputError(f"{at}: phase {cells[1]!r} must be {', '.join(HYPOTHESES)}")
        if bus in found:
            raise BadInputError(f"{at}: bus {bus} is given twice")
        found[bus] = phase
    return found


def on_phases(model: ThreePhaseModel, phases: Mapping[int, str]) -> ThreePhaseModel:
    """Return `model` with all wye loads and plants of some buses moved to a phase.

    Raises
    ------
    BadInputError
        Naming a bus that the network has not, or that carries no load or plant.
    """
    wye = model.nominal_wye.copy()
    for bus, phase in phases.items():
        position = model.position(bus)
        total = wye[:, position].sum(axis=1)
        if not np.any(total):
            raise BadInputError(
                f"{model.bus_label(position)}: has no load or plant to put on phase {phase}"
            )
        wye[:, position] = total[:, None] * SHARE[HYPOTHESES.index(phase)]
    return replace(model, nominal_wye=wye)
