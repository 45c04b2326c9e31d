"""Solve a fleet here, or on the workers of a dask scheduler, into one store.

A worker that is lost costs nothing but time: dask gives its batches to others, and what a batch
gives does not depend on who solves it. This process alone writes.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from grid.errors import GridError, PeerError
from networks.fleet.fleet import BATCH, Fleet
from networks.fleet.jobs import Outcome, refused, solve
from networks.fleet.store import Store

if TYPE_CHECKING:
    from distributed import Client, Future

_LOOK_S = 1.0
_AHEAD = 3
"""Batches that a worker has with it: enough that it never waits for this process."""


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes
    ----------
    done, count : int
        Feeders, of all runs into the store.
    refused : int
        Of those done, how many could not be solved.
    workers : int
        Processes that solve now.
    lost : int
        Workers that are gone since the last report.
    """

    done: int
    count: int
    refused: int
    workers: int
    lost: int = 0


Tell = Callable[[Progress], None]


def run(
    store: Store, *, client: Client | None = None, batch: int = BATCH, tell: Tell | None = None
) -> None:
    """Solve the feeders that the store does not have yet.

    Parameters
    ----------
    store : Store
    client : distributed.Client, optional
        Of the scheduler whose workers solve; this process solves when not given.
    batch : int
        Feeders of a task.
    tell : callable, optional
        Is told of progress after each batch, and each second while none arrives.

    Raises
    ------
    BadInputError
        When a worker's series differ from those of the plan.
    PeerError
        When the scheduler is gone or a worker failed otherwise. What is done stays in the store.
    """
    say = tell or (lambda _: None)
    work = store.fleet.batches(store.pending.tolist(), size=batch)
    if client is None:
        for numbers in work:
            store.write(solve(store.fleet.batch(numbers)))
            say(_progress(store, workers=1))
        return
    _Spread(store, client, work, say).run()


def _progress(store: Store, *, workers: int, lost: int = 0) -> Progress:
    done = store.fleet.count - len(store.pending)
    return Progress(done, store.fleet.count, store.refused, workers, lost)


class _Spread:
    """Batches on workers, a few ahead of each, written as they come."""

    def __init__(
        self, store: Store, client: Client, work: Iterator[tuple[int, ...]], say: Tell
    ) -> None:
        self._store = store
        self._fleet: Fleet = store.fleet
        self._client = client
        self._work = work
        self._say = say
        self._sent: dict[Future[Any], tuple[int, ...]] = {}
        self._back: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()
        self._workers: set[str] = set()

    def run(self) -> None:
        try:
            self._fill()
            while self._sent:
                try:
                    future = self._back.get(timeout=_LOOK_S)
                except queue.Empty:
                    self._look()
                    continue
                numbers = self._sent.pop(future)
                self._store.write(self._outcomes(future, numbers))
                self._look()
                self._fill()
        finally:
            for future in self._sent:
                future.cancel()  # type: ignore[no-untyped-call]

    def _fill(self) -> None:
        ahead = _AHEAD * max(1, sum(self._threads().values()))
        while len(self._sent) < ahead:
            numbers = next(self._work, None)
            if numbers is None:
                return
            self._send(numbers)

    def _send(self, numbers: tuple[int, ...]) -> None:
        # Not by content: another run on the same scheduler may have the same numbers.
        future = self._client.submit(solve, self._fleet.batch(numbers), pure=False)
        self._sent[future] = numbers
        future.add_done_callback(self._back.put)  # type: ignore[no-untyped-call]

    def _threads(self) -> dict[str, int]:
        """Return the threads of each worker, by its address."""
        try:
            known: dict[str, int] = self._client.nthreads()  # type: ignore[no-untyped-call]
        except OSError as error:
            raise self._gone() from error
        return known

    def _look(self) -> None:
        now = set(self._threads())
        lost = len(self._workers - now)
        self._workers = now
        self._say(_progress(self._store, workers=len(now), lost=lost))

    def _gone(self) -> PeerError:
        return PeerError(
            f"the scheduler is gone with {len(self._store.pending)} of {self._fleet.count} "
            "feeders to do; what is done is kept"
        )

    def _outcomes(self, future: Future[Any], numbers: tuple[int, ...]) -> list[Outcome]:
        from distributed import KilledWorker

        if future.status == "finished":
            solved: list[Outcome] = future.result()
            return solved
        if future.status != "error":
            raise self._gone()
        error = future.exception()  # type: ignore[no-untyped-call]
        if isinstance(error, GridError):
            raise error
        if not isinstance(error, KilledWorker):
            raise PeerError(f"feeders {numbers}: a worker failed: {error!r}") from error
        if len(numbers) == 1:
            text = f"{error.allowed_failures + 1} workers died while they solved it"
            return [refused(numbers[0], "fleet.killed", text)]
        # One of them may be what kills workers: each is tried alone.
        for number in numbers:
            self._send((number,))
        return []
