"""A fleet's results as one dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from grid.errors import BadInputError, Finding
from grid.fleet.folder import FACTS, open_array, read_json
from grid.fleet.results import PENDING, SOLVED, read_findings
from networks.fleet.jobs import QUANTITIES

STATES = ("pending", "solved", "refused")


def read(directory: Path) -> xr.Dataset:
    """Return the results of a folder, whole or not yet.

    Returns
    -------
    xarray.Dataset
        (feeder,): the quantities of :data:`networks.fleet.jobs.QUANTITIES` with their units, NaN
        where a feeder is not solved; instants are datetime64, NaT there; `state`, a position in
        :data:`STATES`; `source`, the base; `bus_count`. (feeder_bus,): `vm_pu_minimum` and
        `vm_pu_maximum` of each bus of each feeder, one feeder after the other (the contiguous
        ragged array of the CF conventions 1.11, 9.3.3), with the coordinates `feeder_of_bus` and
        `bus`.

    Raises
    ------
    BadInputError
        When it has no fleet in it.
    StoreError
        When a file is damaged.
    """
    if not (directory / FACTS).exists():
        raise BadInputError(f"{directory} has no results of a fleet in it")
    facts = read_json(directory / FACTS)
    quantities, buses, done = (
        np.array(open_array(directory, name)) for name in ("quantities", "buses", "done")
    )
    # What was written of a feeder that is not done counts for nothing.
    quantities[done != SOLVED] = np.nan
    count, bases = int(facts["feeders"]), facts["sources"]
    turn = np.arange(count) % len(bases)
    sizes = np.array([len(one["bus"]) for one in bases], dtype=np.int64)[turn]
    of_bus = np.repeat(np.arange(count, dtype=np.int64), sizes)
    buses[done[of_bus] != SOLVED] = np.nan
    variables: dict[str, Any] = {}
    for column, (name, unit) in enumerate(QUANTITIES.items()):
        variables[name.removesuffix("_s")] = _variable(name, quantities[:, column], unit)
    variables["state"] = ("feeder", done.astype(np.int8), {"flag_meanings": " ".join(STATES)})
    variables["bus_count"] = ("feeder", sizes, {"sample_dimension": "feeder_bus"})
    for column, name in enumerate(("vm_pu_minimum", "vm_pu_maximum")):
        variables[name] = ("feeder_bus", buses[:, column], {"units": "1"})
    coordinates = {
        "feeder": np.arange(count),
        "source": ("feeder", np.array([one["source"] for one in bases])[turn]),
        "feeder_of_bus": ("feeder_bus", of_bus),
        "bus": ("feeder_bus", np.concatenate([bases[number]["bus"] for number in turn])),
    }
    told = {"seed": str(facts["seed"]), "khazri": facts["khazri"]}
    return xr.Dataset(variables, coordinates, told)


def _variable(name: str, values: Any, unit: str) -> xr.Variable:
    if not name.endswith("_at_s"):
        return xr.Variable(("feeder",), values, {"units": unit} if unit else None)
    known = np.isfinite(values)
    whole = np.where(known, values, 0.0).astype(np.int64).astype("datetime64[s]")
    whole[~known] = np.datetime64("NaT")
    return xr.Variable(("feeder",), whole)


def findings(directory: Path) -> list[Finding]:
    """Return what was found on the feeders that are done, by number.

    Raises
    ------
    StoreError
        When a file is damaged.
    """
    done = open_array(directory, "done")
    found = read_findings(directory, done)
    return [one for number in sorted(found) for one in found[number]]


def unfinished(directory: Path) -> int:
    """Return how many feeders are not done."""
    return int((open_array(directory, "done") == PENDING).sum())
