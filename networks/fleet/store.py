"""The store of a fleet of feeders (:mod:`grid.fleet.results`): a year of each.

``quantities.npy`` has a row of float64 for each feeder, ``buses.npy`` the lowest and highest
voltage of each bus of each feeder, one feeder after the other.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from grid.fleet.results import REFUSED, SOLVED, Results
from networks.equipment import Int
from networks.fleet.fleet import Fleet
from networks.fleet.jobs import QUANTITIES, Outcome

FORMAT = 1


class Store(Results):
    """A fleet's results, open for writing by this process alone.

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
        self.fleet, self._edge = fleet, edges(fleet)
        shapes = {
            "quantities": ((fleet.count, len(QUANTITIES)), np.float64, np.nan),
            "buses": ((int(self._edge[-1]), 2), np.float64, np.nan),
        }
        super().__init__(directory, fleet.count, facts_of(fleet), shapes)

    def write(self, outcomes: Iterable[Outcome]) -> None:
        """Keep outcomes; they are on disk when this returns."""
        given = list(outcomes)
        for one in given:
            if one.values is not None and one.bus_pu is not None:
                self.array["quantities"][one.number] = one.values
                buses = slice(self._edge[one.number], self._edge[one.number + 1])
                self.array["buses"][buses] = one.bus_pu
        states = {one.number: REFUSED if one.values is None else SOLVED for one in given}
        self.keep(states, {one.number: one.findings for one in given})


def facts_of(fleet: Fleet) -> dict[str, Any]:
    """Return what makes two runs the same fleet."""
    from importlib.metadata import version

    return {
        "format": FORMAT,
        "khazri": version("khazri"),
        "feeders": fleet.count,
        "seed": fleet.seed,
        "limits": asdict(fleet.limits),
        "quantities": list(QUANTITIES),
        "sources": [
            {"source": one.source, "digest": one.digest, "bus": one.equipment.bus.tolist()}
            for one in fleet.bases
        ],
    }


def edges(fleet: Fleet) -> Int:
    """Return where the buses of each feeder begin, and where the last one's end, (feeder + 1,)."""
    sizes = [len(fleet.bus(number)) for number in range(len(fleet.bases))]
    counts = np.resize(np.array(sizes, dtype=np.int64), fleet.count)
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(counts)])
