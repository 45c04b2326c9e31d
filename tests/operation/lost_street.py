"""A street whose ledger lost entries while it lived, and what its new log tells."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from grid.operation import log_loss
from grid.store import (
    Store,
    control,
    log,
)
from tests.operation.month_site import STEP_S, Month
from trading.replay.derivation import replay
from trading.replay.difference import Difference
from trading.replay.log import Record, records

LOST = 3
"""So many cycles are lost."""


def lose(street: Month, at_s: int, live: Callable[[int, int], None]) -> int:
    """Let the store be what it was before three cycles, and a new log follow; return its cycle.

    `live` runs the cycles between two instants.
    """
    room, path = street.room, street.room.directory / "khazri.sqlite3"
    with room.store.write() as tx:
        control.put_meta(tx, "clock_s", str(at_s))
    with room.store.read() as tx:
        size = log.size(tx)
    room.store.close()
    shutil.copy(path, path.with_suffix(".old"))
    room.store = Store.at(room.directory)
    next_s = at_s + LOST * STEP_S
    live(at_s, next_s)
    last = room.signer.last()
    assert last is not None
    room.store.close()
    for one in room.directory.glob(f"{path.name}*"):
        one.unlink()
    path.with_suffix(".old").rename(path)
    room.store = Store.at(room.directory)
    log_loss.accept(
        room.store, street.site, room.signer, None,
        lost=last.size - size, reason="burnt", user="anna", now_s=next_s,
    )  # fmt: skip
    return next_s


def told_of(folder: Path) -> list[Record]:
    """Return the facts of the export ``new`` in a folder."""
    return list(records(folder / "new", size_of(folder / "new")))


def difference_of(told: list[Record]) -> Difference:
    """Return the difference that a replay finds, which there must be."""
    found = replay(told).difference
    assert found is not None
    return found


def size_of(folder: Path) -> int:
    """Return the size that the checkpoint of an export tells."""
    return int((folder / "checkpoint").read_text().split("\n")[1])
