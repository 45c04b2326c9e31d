"""Rows of the benchmark: appending to the ledger as a cycle does, and as little as can be."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from grid.benchmark import Error, Progress, Row, Timing, alternate, faster
from grid.operation import record
from grid.store import Store, log
from grid.store.bench import BareLog
from trading.bench import ORIGIN, START_S, readings_body
from trading.ledger.entry import Kind, genesis

PER_COMMIT = 1_000


def rows(*, quick: bool, progress: Progress) -> Iterator[Row]:
    """Yield the rows, as they are measured.

    Parameters
    ----------
    quick : bool
        Few entries.
    """
    count, rounds = (50, 2) if quick else (5 * PER_COMMIT, 3)
    progress(f"trading: appending {count:,} entries")
    bodies = [readings_body(number) for number in range(count)]
    with tempfile.TemporaryDirectory() as directory:
        folders = [Path(directory) / str(number) for number in range(rounds + 1)]
        stores = [_begun(folder) for folder in folders]
        # the first is not timed: it gives the bytes that the peer inserts
        _append(stores[-1], bodies)
        with stores[-1].read() as tx:
            entries = [tuple(row.values()) for row in reversed(log.listed(tx, limit=count))]
        bare = [BareLog(folder / "bare.sqlite3") for folder in folders]
        ours_ns, theirs_ns = alternate(
            rounds,
            lambda turn: _append(stores[turn], bodies),
            lambda turn: bare[turn].insert(entries, PER_COMMIT),
        )
        with stores[0].read() as tx:
            stored = list(log.entries(tx, start=1))
        differ = sum(a != b for a, b in zip(stored, bare[0].contents(), strict=True))
        for store in stores:
            store.close()
    size = sum(map(len, stored)) // count
    yield Row(
        craft="trading",
        name="ledger, append",
        work=f"{count:,} entries of {size} bytes, {min(count, PER_COMMIT):,} a commit, fsync",
        unit="entries",
        taken=f"best of {rounds}",
        ours=Timing(count, ours_ns),
        peer="bare SQLite insert of the same bytes",
        theirs=Timing(count, theirs_ns),
        reach=faster(Fraction(7, 10)),
        error=Error(differ, "entries that differ", 0, "the peer's rows"),
    )


def _begun(folder: Path) -> Store:
    store = Store.at(folder, create=True)
    first = genesis(ORIGIN, ORIGIN + "+0+0")
    with store.write() as tx:
        log.append(
            tx,
            sequence=0,
            kind=str(first.kind),
            label="",
            cycle_s=START_S,
            content=first.encode(),
            leaf_hash=first.leaf_hash,
        )
    return store


def _append(store: Store, bodies: Sequence[dict[str, Any]]) -> None:
    for first in range(0, len(bodies), PER_COMMIT):
        with store.write() as tx:
            for body in bodies[first : first + PER_COMMIT]:
                record.append(tx, Kind.READINGS, START_S, START_S, body)
