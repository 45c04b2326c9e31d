"""The store of a fleet of plans (:mod:`grid.fleet.results`), and the run that fills it.

``quantities.npy`` has a row of float64 for each plan, ``schedules.npy`` the SHA-256 of its
schedule.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dispatch.fleet.jobs import QUANTITIES, Batch, Outcome, refused, solve
from dispatch.fleet.problems import BATCH, Fleet
from grid.fleet.folder import open_array
from grid.fleet.results import REFUSED, SOLVED, Results
from grid.fleet.spread import Tell, Work, spread

if TYPE_CHECKING:
    from grid.fleet.spread import Client

FORMAT = 1


class Store(Results):
    """A fleet's plans, open for writing by this process alone.

    Parameters
    ----------
    directory : Path
        Made when it is not there.
    fleet : Fleet

    Raises
    ------
    BadInputError, StoreError
        As :class:`grid.fleet.results.Results` does.
    """

    def __init__(self, directory: Path, fleet: Fleet) -> None:
        self.fleet = fleet
        shapes: dict[str, tuple[tuple[int, ...], Any, float]] = {
            "quantities": ((fleet.count, len(QUANTITIES)), np.float64, np.nan),
            "schedules": ((fleet.count, 32), np.uint8, 0),
        }
        super().__init__(directory, fleet.count, facts_of(fleet), shapes)

    def write(self, outcomes: Iterable[Outcome]) -> None:
        """Keep outcomes; they are on disk when this returns."""
        given = list(outcomes)
        for one in given:
            if one.values is not None:
                self.array["quantities"][one.number] = one.values
                self.array["schedules"][one.number] = np.frombuffer(one.digest, np.uint8)
        states = {one.number: REFUSED if one.values is None else SOLVED for one in given}
        self.keep(states, {one.number: one.findings for one in given})


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
