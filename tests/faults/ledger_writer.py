"""A process that settles intervals and signs checkpoints in a store, and says what it acknowledged.

    python ledger_writer.py STORE_FOLDER FIRST COUNT [--synchronous NORMAL] [--early] …

Each settlement, with its postings and its ledger entries, is one transaction; every few of them a
checkpoint of what was committed is signed and stored in another. What others may rely on is
written to ``marks`` beside the store: ``entries N`` once N entries are on disk, and
``checkpoint N`` once the note of that size may be shown.
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sqlalchemy import event

from grid import interval
from grid.store import Store, Transaction, disk, log, market
from grid.store.group_commit import GroupCommit
from grid.store.schema import metadata
from trading.accounts import COMMUNITY, MARKET, Posting, PostingKind
from trading.ledger import checkpoint, entry, merkle, note

ORIGIN = "khazri/durability"
SIGNER = note.signer(ORIGIN, bytes(range(32)))
START_S = 1_774_742_400
TOUCHED = {"ledger_entry", "opening", "checkpoint", "settlement", "posting", "meta"}
CHECKPOINT_EVERY = 4
UNUSED = 10**6
"""The number of an interval that no run settles."""


def begin(store: Store) -> None:
    """Write the genesis.

    Tables that no settlement touches are dropped first: an image of a power cut is read sooner.
    """
    with store.write() as tx:
        for table in reversed(metadata.sorted_tables):
            if table.name not in TOUCHED:
                table.drop(tx)
        _append(tx, entry.genesis(ORIGIN, SIGNER.key.encode()))


def _append(tx: Transaction, one: entry.Entry) -> None:
    log.append(
        tx,
        sequence=one.sequence,
        kind=str(one.kind),
        label=one.interval,
        cycle_s=START_S,
        content=one.encode(),
        leaf_hash=one.leaf_hash,
    )


def settle(store: Store | GroupCommit, number: int) -> int:
    """Settle interval `number` with one to five entries; return how many the ledger has then."""
    start_s = START_S + 900 * number
    lines = [
        Posting(MARKET, COMMUNITY, number * 1_000 + part, part, PostingKind.SALE)
        for part in range(1 + number % 9)
    ]
    with store.write() as tx:
        last = entry.decode(log.last_content(tx) or b"")
        for part in range(5 if number % 7 == 0 else 1):
            digests = [f"{number:056x}{i:08x}" for i in range(number * 5 % 17)]
            body = {"commitments": digests, "part": part, "state": "provisional", "version": 0}
            last = entry.following(last, entry.Kind.SETTLEMENT, interval.label(start_s), body)
            _append(tx, last)
        market.put_settlement(
            tx,
            start_s=start_s,
            version=1,
            cycle_s=start_s,
            state="provisional",
            residual_wh=0,
            content={"entries": last.sequence + 1},
            postings=lines,
            month="2026-03",
        )
    return last.sequence + 1


def sign(store: Store) -> int:
    """Sign what is committed, and store the note; return its size."""
    with store.read() as tx:
        leaves = log.leaf_hashes(tx)
    signed = checkpoint.sign(
        checkpoint.Checkpoint(ORIGIN, len(leaves), merkle.root(leaves)), SIGNER
    )
    with store.write() as tx:
        log.put_checkpoint(tx, len(leaves), START_S, signed)
    return len(leaves)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("first", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("--synchronous", default="FULL")
    parser.add_argument("--early", type=int, default=0, help="entries acknowledged unwritten")
    parser.add_argument("--unsigned-early", action="store_true", help="notes shown unwritten")
    parser.add_argument("--threads", type=int, default=1, help="they share commits")
    parser.add_argument("--journal-bytes", type=int, default=4 << 20)
    parser.add_argument("--reopen-every", type=int, default=10**9)
    return parser.parse_args()


def _opened(options: argparse.Namespace) -> Store:
    store = Store.at(options.folder)
    if options.synchronous != "FULL":
        store.close()

        @event.listens_for(store.engine, "connect")
        def connect(connection: object, record: object) -> None:
            connection.execute(f"PRAGMA synchronous={options.synchronous}")

    return store


def _run(
    store: Store,
    writing: Store | GroupCommit,
    numbers: range,
    marks: int,
    options: argparse.Namespace,
) -> None:
    for number in numbers:
        size = settle(writing, number)
        os.write(marks, b"entries %d\n" % (size + options.early))
        if number % CHECKPOINT_EVERY == 0:
            if options.unsigned_early:
                os.write(marks, b"checkpoint %d\n" % size)
            os.write(marks, b"checkpoint %d\n" % sign(store))


def _run_threads(store: Store, numbers: range, marks: int, options: argparse.Namespace) -> None:
    group = GroupCommit(store)
    with ThreadPoolExecutor(options.threads) as threads:
        shares = [numbers[start :: options.threads] for start in range(options.threads)]
        for done in [threads.submit(_run, store, group, one, marks, options) for one in shares]:
            done.result()


def main() -> None:
    """Settle, sign, tell."""
    options = _options()
    disk._JOURNAL_BYTES = options.journal_bytes
    marks = os.open(options.folder / "marks", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    end = options.first + options.count
    for first in range(options.first, end, options.reopen_every):
        store = _opened(options)
        numbers = range(first, min(first + options.reopen_every, end))
        if options.threads == 1:
            _run(store, store, numbers, marks, options)
        else:
            _run_threads(store, numbers, marks, options)
        if numbers[-1] + 1 < end:
            store.close()
    os._exit(0)


if __name__ == "__main__":
    main()
