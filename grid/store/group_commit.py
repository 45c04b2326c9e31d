"""Commits that the threads of a process share: a sync of the disk is the dearest part of a write.

Who writes takes a turn in the transaction that is open, and is told that it was kept only when
that transaction was committed. The last in the queue commits, for all: alone, a writer waits for
nobody.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from sqlalchemy import NestedTransaction
from sqlalchemy.exc import DBAPIError

from grid.errors import StoreError
from grid.store.engine import Store, Transaction, translated

_MOST = 200
_LOST_S = 1.0


class _Group:
    """One open transaction, and what became of it."""

    def __init__(self, store: Store) -> None:
        self._stack = ExitStack()
        self.tx = self._stack.enter_context(store.write())
        self.members = 0
        self.failure: Exception | None = None
        self.done = threading.Event()

    def end(self) -> None:
        """Commit, or undo all when one of the members left no transaction to commit."""
        try:
            if self.failure is None:
                self._stack.close()
            else:
                self._stack.__exit__(type(self.failure), self.failure, None)
        except Exception as error:
            self.failure = error
        finally:
            self.done.set()


class GroupCommit:
    """Write transactions of many threads, committed together.

    Parameters
    ----------
    store : Store
        Its own :meth:`~grid.store.Store.write` may be used beside this.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._turn = threading.Lock()
        self._counting = threading.Lock()
        self._queue = 0
        self._group: _Group | None = None

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """Yield a transaction in which nobody else writes; it is on disk when the block is left.

        What the block raises undoes what it wrote, and nothing of the others.

        Raises
        ------
        StoreError
            When the database fails or refuses, or another's failure took the whole
            transaction with it: then nothing of it was kept.
        """
        with self._my_turn():
            group = self._group = self._group or _Group(self._store)
            try:
                with translated(), _undone_alone(group):
                    yield group.tx
            finally:
                group.members += 1
                if self._queue == 0 or group.members >= _MOST or group.failure is not None:
                    self._end(group)
        # Whoever was to commit may have been interrupted in the queue.
        while not group.done.wait(_LOST_S):
            with self._turn:
                if not group.done.is_set():
                    self._end(group)
        if group.failure is not None:
            raise StoreError(f"the shared commit failed: {group.failure}") from group.failure

    @contextmanager
    def _my_turn(self) -> Iterator[None]:
        with self._counting:
            self._queue += 1
        try:
            self._turn.acquire()
        finally:
            with self._counting:
                self._queue -= 1
        try:
            yield
        finally:
            self._turn.release()

    def _end(self, group: _Group) -> None:
        self._group = None
        group.end()


@contextmanager
def _undone_alone(group: _Group) -> Iterator[None]:
    """Undo what a block wrote when it fails; the group goes on unless that fails, too."""
    savepoint = group.tx.begin_nested()
    try:
        yield
    except BaseException:
        _finish(group, savepoint, keep=False)
        raise
    _finish(group, savepoint, keep=True)


def _finish(group: _Group, savepoint: NestedTransaction, *, keep: bool) -> None:
    try:
        if keep:
            savepoint.commit()
        else:
            savepoint.rollback()
    except DBAPIError as error:
        # A full or failing disk ends the whole transaction, and its savepoints.
        group.failure = error
