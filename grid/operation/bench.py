"""Rows of the benchmark: what the ledger and its postings take to be on disk."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

from grid.benchmark import Error, Progress, Row, Timing, alternate, faster, per_second
from grid.operation import record
from grid.store import Store, Transaction, log, market
from grid.store.bench import BareLog
from grid.store.group_commit import GroupCommit
from trading.accounts import MARKET, SUPPLIER, Posting, PostingKind
from trading.bench import ORIGIN, START_S, readings_body
from trading.ledger import merkle
from trading.ledger.entry import Kind, genesis

PER_COMMIT = 1_000
POSTINGS, WRITERS = 100, 8

Bodies = Sequence[dict[str, Any]]


def rows(*, quick: bool, progress: Progress) -> Iterator[Row]:
    """Yield the rows, as they are measured.

    Parameters
    ----------
    quick : bool
        Few entries.
    """
    count, rounds = (50, 2) if quick else (5 * PER_COMMIT, 3)
    progress(f"trading: appending {count:,} entries")
    with tempfile.TemporaryDirectory() as directory:
        yield from _entries(Path(directory), count, rounds)
    progress("trading: posting, each commit on disk")
    settlements = 3 if quick else 100
    with tempfile.TemporaryDirectory() as directory:
        yield _settlements(Path(directory), settlements, rounds)
    with tempfile.TemporaryDirectory() as directory:
        yield _writers(Path(directory), settlements // 2 * WRITERS, rounds)


def _entries(directory: Path, count: int, rounds: int) -> Iterator[Row]:
    """Yield the rows of entries that are made, and of entries that are ready to be stored."""
    bodies = [readings_body(number) for number in range(count)]
    folders = [directory / str(number) for number in range(2 * rounds + 1)]
    stores = [_begun(folder) for folder in folders]
    # the first is not timed: it gives the bytes that are stored again
    _write(stores[-1], bodies)
    with stores[-1].read() as tx:
        ready = [tuple(row.values()) for row in reversed(log.listed(tx, limit=count))]
    bare = [BareLog(folder / "bare.sqlite3") for folder in folders]
    written_ns, appended_ns, theirs_ns = alternate(
        rounds,
        lambda turn: _write(stores[turn], bodies),
        lambda turn: _append(stores[rounds + turn], ready),
        lambda turn: bare[turn].insert(ready, PER_COMMIT),
    )
    want = bare[0].contents()
    commits = f"{min(count, PER_COMMIT):,} a commit, fsync"
    size = sum(map(len, want)) // count
    named = (
        ("ledger, append", stores[rounds], appended_ns, "encoded entries", faster(Fraction(7, 10))),
        ("ledger, write", stores[0], written_ns, "entries, chained and encoded,", None),
    )
    for name, store, ns, what, reach in named:
        with store.read() as tx:
            stored = list(log.entries(tx, start=1))
        differ = sum(a != b for a, b in zip(stored, want, strict=True))
        yield Row(
            craft="trading",
            name=name,
            work=f"{count:,} {what} of {size} bytes, hashed, {commits}",
            unit="entries",
            taken=f"best of {rounds}",
            ours=Timing(count, ns),
            peer="bare SQLite insert of the same bytes",
            theirs=Timing(count, theirs_ns),
            reach=reach,
            error=Error(differ, "entries that differ", 0, "the peer's rows"),
        )
    for store in stores:
        store.close()


def _settlements(directory: Path, count: int, rounds: int) -> Row:
    """Return the row of settlements, each in a commit of its own."""
    stores = [_begun(directory / str(number)) for number in range(2 * rounds)]

    def settle(store: Store, each: int) -> None:
        for number in range(count):
            with store.write() as tx:
                _settle(tx, number, each)

    ours_ns, theirs_ns = alternate(
        rounds,
        lambda turn: settle(stores[turn], POSTINGS),
        lambda turn: settle(stores[rounds + turn], 1),
    )
    lost = count * POSTINGS - _posted(stores[0])
    for store in stores:
        store.close()
    return Row(
        craft="trading",
        name="ledger, settlements",
        work=f"{count} settlements of {POSTINGS} postings, each with a commit and fsync",
        unit="postings",
        taken=f"best of {rounds}",
        ours=Timing(count * POSTINGS, ours_ns),
        peer="the same of 1 posting",
        theirs=Timing(count, theirs_ns),
        reach=per_second(300),
        error=Error(lost, "postings lost", 0, "what was acknowledged"),
    )


def _writers(directory: Path, count: int, rounds: int) -> Row:
    """Return the row of threads that each wait for their one posting to be on disk."""
    stores = [_begun(directory / str(number)) for number in range(2 * rounds)]

    def write(writing: GroupCommit | Store) -> None:
        def one(writer: int) -> None:
            for number in range(writer, count, WRITERS):
                with writing.write() as tx:
                    _settle(tx, number, 1)

        with ThreadPoolExecutor(WRITERS) as threads:
            list(threads.map(one, range(WRITERS)))

    ours_ns, theirs_ns = alternate(
        rounds,
        lambda turn: write(GroupCommit(stores[turn])),
        lambda turn: write(stores[rounds + turn]),
    )
    lost = count - _posted(stores[0])
    for store in stores:
        store.close()
    return Row(
        craft="trading",
        name="ledger, writers at once",
        work=f"{count} postings of {WRITERS} threads, each acknowledged after fsync",
        unit="postings",
        taken=f"best of {rounds}",
        ours=Timing(count, ours_ns),
        peer="a commit for each",
        theirs=Timing(count, theirs_ns),
        reach=per_second(300),
        error=Error(lost, "postings lost", 0, "what was acknowledged"),
    )


def _settle(tx: Transaction, number: int, postings: int) -> None:
    market.put_settlement(
        tx,
        start_s=START_S + 900 * number,
        version=1,
        cycle_s=START_S,
        state="provisional",
        residual_wh=0,
        content={},
        postings=[Posting(MARKET, SUPPLIER, 84_000, 1, PostingKind.SALE)] * postings,
        month="2026-03",
    )


def _posted(store: Store) -> int:
    with store.read() as tx:
        return len(market.postings(tx))


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


def _write(store: Store, bodies: Bodies) -> None:
    for first in range(0, len(bodies), PER_COMMIT):
        with store.write() as tx:
            for body in bodies[first : first + PER_COMMIT]:
                record.append(tx, Kind.READINGS, START_S, START_S, body)


def _append(store: Store, ready: Sequence[tuple[Any, ...]]) -> None:
    for first in range(0, len(ready), PER_COMMIT):
        with store.write() as tx:
            log.append_all(
                tx,
                [
                    (sequence, kind, label, cycle_s, content, merkle.leaf_hash(content))
                    for sequence, kind, label, cycle_s, content, _ in ready[
                        first : first + PER_COMMIT
                    ]
                ],
            )
