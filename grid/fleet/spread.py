"""Work through many pieces here, or on the workers of a dask scheduler, into one store.

A worker that is lost costs nothing but time: dask gives its batches to others, and what a batch
gives does not depend on who solves it. This process alone writes.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from grid.errors import GridError, PeerError

if TYPE_CHECKING:
    from distributed import Client as Client
    from distributed import Future

_LOOK_S = 1.0
_AHEAD = 3
"""Batches that a worker has with it: enough that it never waits for this process."""


T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes
    ----------
    done, count : int
        Pieces, of all runs into the store.
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


class Kept(Protocol[T_contra]):
    """Where outcomes are kept; what is written is on disk when `write` returns."""

    @property
    def count(self) -> int:
        """Return how many pieces there are."""

    @property
    def pending(self) -> npt.NDArray[np.int64]:
        """Return the numbers of those that are not done."""

    @property
    def refused(self) -> int:
        """Return how many of those done could not be solved."""

    def write(self, outcomes: Iterable[T_contra]) -> None:
        """Keep outcomes."""


@dataclass(frozen=True)
class Work(Generic[T]):
    """What is done with numbered pieces.

    Attributes
    ----------
    name : str
        What pieces are called, as in "feeders".
    solve : callable
        From what `batch` gives to the outcomes of its pieces; runs on workers.
    batch : callable
        What a worker needs for some numbers.
    refused : callable
        The outcome of a number that could not be solved, from a code and a message.
    """

    name: str
    solve: Callable[[Any], list[T]]
    batch: Callable[[tuple[int, ...]], Any]
    refused: Callable[[int, str, str], T]


def spread(
    kept: Kept[T],
    work: Work[T],
    batches: Iterator[tuple[int, ...]],
    *,
    client: Client | None = None,
    tell: Tell | None = None,
) -> None:
    """Work through batches of what is not done yet.

    Parameters
    ----------
    kept : Kept
    work : Work
    batches : iterator of tuple of int
    client : distributed.Client, optional
        Of the scheduler whose workers solve; this process solves when not given.
    tell : callable, optional
        Is told of progress after each batch, and each second while none arrives.

    Raises
    ------
    PeerError
        When the scheduler is gone or a worker failed otherwise. What is done stays in the store.
    GridError
        As `work.solve` raises it.
    """
    say = tell or (lambda _: None)
    if client is None:
        for numbers in batches:
            kept.write(work.solve(work.batch(numbers)))
            say(_progress(kept, workers=1))
        return
    _Spread(kept, work, client, batches, say).run()


def _progress(kept: Kept[Any], *, workers: int, lost: int = 0) -> Progress:
    done = kept.count - len(kept.pending)
    return Progress(done, kept.count, kept.refused, workers, lost)


class _Spread(Generic[T]):
    """Batches on workers, a few ahead of each, written as they come."""

    def __init__(
        self,
        kept: Kept[T],
        work: Work[T],
        client: Client,
        batches: Iterator[tuple[int, ...]],
        say: Tell,
    ) -> None:
        self._kept = kept
        self._work = work
        self._client = client
        self._batches = batches
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
                self._kept.write(self._outcomes(future, numbers))
                self._look()
                self._fill()
        finally:
            for future in self._sent:
                future.cancel()  # type: ignore[no-untyped-call]  # dask has no types

    def _fill(self) -> None:
        ahead = _AHEAD * max(1, sum(self._threads().values()))
        while len(self._sent) < ahead:
            numbers = next(self._batches, None)
            if numbers is None:
                return
            self._send(numbers)

    def _send(self, numbers: tuple[int, ...]) -> None:
        # Not by content: another run on the same scheduler may have the same numbers.
        future = self._client.submit(self._work.solve, self._work.batch(numbers), pure=False)
        self._sent[future] = numbers
        future.add_done_callback(self._back.put)  # type: ignore[no-untyped-call]  # dask has no types

    def _threads(self) -> dict[str, int]:
        """Return the threads of each worker, by its address."""
        try:
            known: dict[str, int] = self._client.nthreads()  # type: ignore[no-untyped-call]  # dask has no types
        except OSError as error:
            raise self._gone() from error
        return known

    def _look(self) -> None:
        now = set(self._threads())
        lost = len(self._workers - now)
        self._workers = now
        self._say(_progress(self._kept, workers=len(now), lost=lost))

    def _gone(self) -> PeerError:
        return PeerError(
            f"the scheduler is gone with {len(self._kept.pending)} of {self._kept.count} "
            f"{self._work.name} to do; what is done is kept"
        )

    def _outcomes(self, future: Future[Any], numbers: tuple[int, ...]) -> list[T]:
        from distributed import KilledWorker

        if future.status == "finished":
            solved: list[T] = future.result()
            return solved
        if future.status != "error":
            raise self._gone()
        error = future.exception()  # type: ignore[no-untyped-call]  # dask has no types
        if isinstance(error, GridError):
            raise error
        if not isinstance(error, KilledWorker):
            raise PeerError(f"{self._work.name} {numbers}: a worker failed: {error!r}") from error
        if len(numbers) == 1:
            text = f"{error.allowed_failures + 1} workers died while they solved it"
            return [self._work.refused(numbers[0], "fleet.killed", text)]
        # One of them may be what kills workers: each is tried alone.
        for number in numbers:
            self._send((number,))
        return []
