"""The folder of a fleet's plans, and the run that fills it.

``fleet.json`` says which problems there are, ``quantities.npy`` has a row of float64 for each plan,
``schedules.npy`` the SHA-256 of its schedule, ``done.npy`` a byte, ``findings.json`` what has no
plan and why. The process that runs alone writes; a byte is written after what it stands for, so a
killed run goes on where it was, and any order of workers gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dispatch.fleet.jobs import QUANTITIES, Batch, Outcome, refused, solve
from dispatch.fleet.problems import BATCH, Fleet
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
from grid.fleet.spread import Tell, Work, spread

if TYPE_CHECKING:
    from grid.fleet.spread import Client

FORMAT = 1
SOLVED, REFUSED = 1, 2
FINDINGS = "findings.json"
_ARRAYS = ("quantities", "schedules", "done")


class Store:
    """A fleet's plans, open for writing by this process alone.

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
        self.directory, self.fleet = directory, fleet
        directory.mkdir(parents=True, exist_ok=True)
        refuse_foreign(directory, {FACTS, FINDINGS, LOCK, *(f"{name}.npy" for name in _ARRAYS)})
        self._lock = locked(directory)
        try:
            facts = facts_of(fleet)
            if (directory / FACTS).exists():
                refuse_other(directory, facts)
            else:
                _create(directory, fleet.count)
                # Written last: without it nothing has begun.
                replace(directory / FACTS, facts)
            self._quantities, self._schedules, self._done = (
                open_array(directory, name, mode="r+") for name in _ARRAYS
            )
            self._findings = read_findings(directory, self._done)
        except BaseException:
            self._lock.close()
            raise

    @property
    def count(self) -> int:
        """How many problems there are."""
        return self.fleet.count

    @property
    def pending(self) -> npt.NDArray[np.int64]:
        """Numbers of the problems that are not done."""
        return np.flatnonzero(self._done == PENDING).astype(np.int64)

    @property
    def refused(self) -> int:
        """How many problems have no plan."""
        return int((self._done == REFUSED).sum())

    def write(self, outcomes: Iterable[Outcome]) -> None:
        """Keep outcomes; they are on disk when this returns."""
        given = list(outcomes)
        for one in given:
            if one.values is not None:
                self._quantities[one.number] = one.values
                self._schedules[one.number] = np.frombuffer(one.digest, np.uint8)
        self._quantities.flush()
        self._schedules.flush()
        found = {one.number: [asdict(f) for f in one.findings] for one in given if one.findings}
        if found:
            self._findings |= found
            rows = {str(number): self._findings[number] for number in sorted(self._findings)}
            replace(self.directory / FINDINGS, rows)
        for one in given:
            self._done[one.number] = REFUSED if one.values is None else SOLVED
        self._done.flush()

    def close(self) -> None:
        """Let others write."""
        for array in (self._quantities, self._schedules, self._done):
            array.flush()
        self._lock.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def run(store: Store, *, client: Client | None = None, tell: Tell | None = None) -> None:
    """Plan the problems that the store does not have yet.

    Parameters
    ----------
    store : Store
    client : distributed.Client, optional
        Of the scheduler whose workers plan; this process plans when not given.
    tell : callable, optional
        Is told of progress.

    Raises
    ------
    PeerError
        When the scheduler is gone or a worker failed otherwise. What is done stays in the store.
    """
    fleet = store.fleet

    def batch(numbers: tuple[int, ...]) -> Batch:
        return Batch(tuple(map(fleet.problem, numbers)), fleet.gap, fleet.nodes)

    work = Work("problems", solve, batch, refused)
    spread(store, work, _batches(store.pending.tolist()), client=client, tell=tell)


def _batches(numbers: list[int]) -> Iterator[tuple[int, ...]]:
    for first in range(0, len(numbers), BATCH):
        yield tuple(numbers[first : first + BATCH])


def facts_of(fleet: Fleet) -> dict[str, Any]:
    """Return what makes two runs the same fleet."""
    from importlib.metadata import version

    return {
        "format": FORMAT,
        "khazri": version("khazri"),
        "problems": fleet.count,
        "seed": fleet.seed,
        "gap": fleet.gap,
        "nodes": fleet.nodes,
        "quantities": list(QUANTITIES),
        "names": [name for name, _ in fleet.files],
        "sources": fleet.digests,
    }


def results(directory: Path) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.uint8]]:
    """Return the quantities (problem, quantity), NaN without a plan, and how far each is."""
    return np.array(open_array(directory, "quantities")), np.array(open_array(directory, "done"))


def read_findings(directory: Path, done: Any) -> dict[int, list[dict[str, Any]]]:
    """Return by number what was found of the problems that are done."""
    path = directory / FINDINGS
    if not path.exists():
        return {}
    known = read_json(path)
    return {int(n): rows for n, rows in known.items() if done[int(n)] != PENDING}


def _create(directory: Path, count: int) -> None:
    shapes: dict[str, tuple[tuple[int, ...], Any, float]] = {
        "quantities": ((count, len(QUANTITIES)), np.float64, np.nan),
        "schedules": ((count, 32), np.uint8, 0),
        "done": ((count,), np.uint8, PENDING),
    }
    for name, (shape, dtype, value) in shapes.items():
        made = np.lib.format.open_memmap(
            directory / f"{name}.npy", mode="w+", dtype=dtype, shape=shape
        )
        made[:] = value
        made.flush()
