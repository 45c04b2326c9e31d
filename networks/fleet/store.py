"""The one store of a fleet's results: a folder that a killed run leaves and a later one resumes.

``fleet.json`` says what the fleet is. ``quantities.npy`` has a row of float64 for each feeder,
``buses.npy`` the lowest and highest voltage of each bus of each feeder, one feeder after the
other, ``done.npy`` a byte for each feeder, ``findings.json`` what was found. All have their size
from the start. The planner alone writes; a feeder's byte is written after its values are on disk,
so that what is half written is not done. Any order of writing gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from grid.errors import Finding, Severity
from grid.fleet.folder import (
    FACTS,
    LOCK,
    PENDING,
    locked,
    open_array,
    read_json,
    refuse_foreign,
    refuse_other,
    replace,
)
from networks.equipment import Int
from networks.fleet.fleet import Fleet
from networks.fleet.jobs import QUANTITIES, Outcome

FORMAT = 1
SOLVED, REFUSED = 1, 2
FINDINGS = "findings.json"
_ARRAYS = ("quantities", "buses", "done")

__all__ = [
    "FACTS", "FINDINGS", "FORMAT", "LOCK", "PENDING", "REFUSED", "SOLVED", "Store", "edges",
    "facts_of", "open_array", "read_findings", "read_json",
]  # fmt: skip


class Store:
    """A fleet's results, open for writing by this process alone.

    Parameters
    ----------
    directory : Path
        Made when it is not there.
    fleet : Fleet

    Raises
    ------
    BadInputError
        The folder has something else in it, another fleet's results, or another run writing.
    StoreError
        A file in it is damaged.
    """

    def __init__(self, directory: Path, fleet: Fleet) -> None:
        self.directory = directory
        self.fleet = fleet
        self._edge = edges(fleet)
        directory.mkdir(parents=True, exist_ok=True)
        refuse_foreign(directory, {FACTS, FINDINGS, LOCK, *(f"{name}.npy" for name in _ARRAYS)})
        self._lock = locked(directory)
        try:
            facts = facts_of(fleet)
            if (directory / FACTS).exists():
                refuse_other(directory, facts)
            else:
                _create(directory, fleet, int(self._edge[-1]))
                # Written last: without it nothing has begun.
                replace(directory / FACTS, facts)
            self._quantities, self._buses, self._done = (
                open_array(directory, name, mode="r+") for name in _ARRAYS
            )
            self._findings = read_findings(directory, self._done)
        except BaseException:
            self._lock.close()
            raise

    @property
    def count(self) -> int:
        """How many feeders there are."""
        return self.fleet.count

    @property
    def pending(self) -> Int:
        """Numbers of the feeders that are not done."""
        return np.flatnonzero(self._done == PENDING).astype(np.int64)

    @property
    def refused(self) -> int:
        """How many feeders could not be solved."""
        return int((self._done == REFUSED).sum())

    def write(self, outcomes: Iterable[Outcome]) -> None:
        """Keep outcomes; they are on disk when this returns."""
        given = list(outcomes)
        for one in given:
            if one.values is not None and one.bus_pu is not None:
                self._quantities[one.number] = one.values
                self._buses[self._edge[one.number] : self._edge[one.number + 1]] = one.bus_pu
        self._quantities.flush()
        self._buses.flush()
        found = {one.number: list(one.findings) for one in given if one.findings}
        if found:
            self._findings |= found
            rows = {str(number): self._findings[number] for number in sorted(self._findings)}
            texts = {number: [asdict(one) for one in some] for number, some in rows.items()}
            replace(self.directory / FINDINGS, texts)
        for one in given:
            self._done[one.number] = REFUSED if one.values is None else SOLVED
        self._done.flush()

    def close(self) -> None:
        """Let others write."""
        for array in (self._quantities, self._buses, self._done):
            array.flush()
        self._lock.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def facts_of(fleet: Fleet) -> dict[str, Any]:
    """Return what makes two runs the same fleet."""
    from importlib.metadata import version

    return {
        "format": FORMAT,
        "khazri": version("khazri"),
        "feeders": fleet.count,
        "seed": fleet.seed,
        "limits": asdict(fleet.limits),
        "quantities": list(QUANTITIES),
        "sources": [
            {"source": one.source, "digest": one.digest, "bus": one.equipment.bus.tolist()}
            for one in fleet.bases
        ],
    }


def edges(fleet: Fleet) -> Int:
    """Return where the buses of each feeder begin, and where the last one's end, (feeder + 1,)."""
    sizes = [len(fleet.bus(number)) for number in range(len(fleet.bases))]
    counts = np.resize(np.array(sizes, dtype=np.int64), fleet.count)
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(counts)])


def read_findings(directory: Path, done: Any) -> dict[int, list[Finding]]:
    """Return the findings of the feeders that are done, by number."""
    path = directory / FINDINGS
    if not path.exists():
        return {}
    return {
        int(number): [Finding(**{**row, "severity": Severity(row["severity"])}) for row in rows]
        for number, rows in read_json(path).items()
        if done[int(number)] != PENDING
    }


def _create(directory: Path, fleet: Fleet, buses: int) -> None:
    shapes: dict[str, tuple[tuple[int, ...], Any, float]] = {
        "quantities": ((fleet.count, len(QUANTITIES)), np.float64, np.nan),
        "buses": ((buses, 2), np.float64, np.nan),
        "done": ((fleet.count,), np.uint8, PENDING),
    }
    for name, (shape, dtype, value) in shapes.items():
        path = directory / f"{name}.npy"
        made = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
        made[:] = value
        made.flush()
