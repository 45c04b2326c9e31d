"""Threads share commits, and none is told that its write was kept before it was."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import event

from grid.errors import BadInputError, StoreError
from grid.store import Store, Transaction, control, market
from grid.store.group_commit import GroupCommit
from trading.accounts import MARKET, SUPPLIER, Posting, PostingKind

THREADS, EACH = 8, 25


def _post(tx: Transaction, number: int) -> None:
    market.put_settlement(
        tx,
        start_s=900 * number,
        version=1,
        cycle_s=0,
        state="provisional",
        residual_wh=0,
        content={},
        postings=[Posting(MARKET, SUPPLIER, number, 1, PostingKind.SALE)],
        month="2026-05",
    )


@contextmanager
def _commits(store: Store) -> Iterator[list[int]]:
    """Yield a list that grows with each commit."""
    seen: list[int] = []

    def commit(connection: object) -> None:
        seen.append(1)

    event.listen(store.engine, "commit", commit)
    yield seen
    event.remove(store.engine, "commit", commit)


def test_writers_at_once_share_commits_and_every_posting_is_kept(store: Store) -> None:
    group = GroupCommit(store)

    def post(thread: int) -> None:
        for number in range(thread * EACH, (thread + 1) * EACH):
            with group.write() as tx:
                _post(tx, number)

    with _commits(store) as commits, ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(post, range(THREADS)))
    with store.read() as tx:
        assert len(market.postings(tx)) == THREADS * EACH
    assert len(commits) < THREADS * EACH / 2


def test_nobody_is_told_before_the_commit_returned(store: Store) -> None:
    group, let, told = GroupCommit(store), threading.Event(), threading.Semaphore(0)

    @event.listens_for(store.engine, "commit")
    def commit(connection: object) -> None:
        assert let.wait(10)

    def post(number: int) -> None:
        with group.write() as tx:
            _post(tx, number)
        told.release()

    with ThreadPoolExecutor(3) as threads:
        threads.map(post, range(3))
        assert not told.acquire(timeout=0.3)
        let.set()
    assert told.acquire(timeout=5)


def test_a_writer_alone_waits_for_nobody(store: Store) -> None:
    group = GroupCommit(store)
    with _commits(store) as commits:
        for number in range(5):
            with group.write() as tx:
                _post(tx, number)
            with store.read() as tx:
                assert len(market.postings(tx)) == number + 1
    assert len(commits) >= 5


def _crowd(group: GroupCommit, bodies: dict[str, object]) -> dict[str, str]:
    """Let the writers of `bodies` into one group; return what each was told."""
    first, rest = threading.Event(), dict(bodies)
    came: dict[str, str] = {}

    def write(name: str, body: object) -> None:
        try:
            with group.write() as tx:
                if name == "first":
                    # Until all the others stand in the queue.
                    while group._queue < len(rest) - 1:
                        first.wait(0.001)
                body(tx)
            came[name] = "kept"
        except (BadInputError, StoreError) as error:
            came[name] = f"{type(error).__name__}: {error}"

    threads = [threading.Thread(target=write, args=one) for one in rest.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return came


def _refuse(tx: Transaction) -> None:
    _post(tx, 7)
    raise BadInputError("no")


def test_what_one_writer_did_wrong_undoes_nothing_of_the_others(store: Store) -> None:
    group = GroupCommit(store)
    with store.write() as tx:
        _post(tx, 3)
    with _commits(store) as commits:
        came = _crowd(
            group,
            {
                "first": lambda tx: _post(tx, 1),
                "bad": _refuse,
                "twice": lambda tx: _post(tx, 3),
                "last": lambda tx: _post(tx, 4),
            },
        )
    assert (came["first"], came["last"], came["bad"]) == ("kept", "kept", "BadInputError: no")
    assert came["twice"].startswith("StoreError: the store failed")
    assert len(commits) == 1
    with store.read() as tx:
        assert [start_s // 900 for start_s, _, _ in market.postings(tx)] == [1, 3, 4]


def _end_all(tx: Transaction) -> None:
    """End the whole transaction, as SQLite does when the disk is full."""
    tx.connection.driver_connection.rollback()
    raise BadInputError("the disk is full")


def test_when_the_whole_transaction_is_lost_all_its_writers_are_told(store: Store) -> None:
    group = GroupCommit(store)
    came = _crowd(
        group,
        {"first": lambda tx: _post(tx, 1), "lost": _end_all, "last": lambda tx: _post(tx, 2)},
    )
    assert came.pop("lost") == "BadInputError: the disk is full"
    kept = {name for name, told in came.items() if told == "kept"}
    with store.read() as tx:
        stored = {start_s // 900 for start_s, _, _ in market.postings(tx)}
    # Who came after the loss had a transaction of its own.
    assert stored == {{"first": 1, "last": 2}[name] for name in kept}
    assert "first" not in kept
    with group.write() as tx:
        control.put_meta(tx, "goes", "on")


def test_a_store_that_is_read_only_says_so(store: Store) -> None:
    group = GroupCommit(store)
    store._refuse("a test says so")
    with pytest.raises(StoreError, match="read-only: a test says so"), group.write():
        pass
