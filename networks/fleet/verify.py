"""pandapower as the judge of drawn feeders: its own net, with the feeder's lines and loads."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import xarray as xr

from grid.errors import SolverError
from networks.equipment import Float
from networks.fleet.base import series
from networks.fleet.feeder import loads, network
from networks.fleet.fleet import Fleet
from networks.flow.judge import TOLERANCE_MVA
from networks.flow.solve import flow
from networks.injection import INPUTS
from networks.topology import connect


@dataclass(frozen=True)
class Verdict:
    """How a drawn feeder compares.

    Attributes
    ----------
    number : int
    gap_pu : float
        Largest difference of a bus voltage from ``runpp``; infinite where one side says dead and
        the other does not, or where a voltage is beyond what the store says of the year.
    """

    number: int
    gap_pu: float


def verify(
    fleet: Fleet, results: xr.Dataset, *, feeders: int, steps: int = 4, seed: int
) -> list[Verdict]:
    """Compare drawn intervals of drawn feeders with ``runpp``.

    The intervals are drawn, and those of the feeder's lowest and highest voltage.

    Parameters
    ----------
    results : xarray.Dataset
        From :func:`networks.fleet.results.read`.

    Raises
    ------
    SolverError
        When ``runpp`` does not converge.
    """
    draw = np.random.default_rng(seed)
    known = np.flatnonzero(results["vm_pu_lowest"].notnull())
    chosen = np.sort(draw.choice(known, min(feeders, len(known)), replace=False))
    # One base after the other, so that each is read once.
    ordered = sorted(chosen.tolist(), key=lambda number: (number % len(fleet.bases), number))
    return [_judged(fleet, results, number, steps, draw) for number in ordered]


def _judged(
    fleet: Fleet, results: xr.Dataset, number: int, steps: int, draw: np.random.Generator
) -> Verdict:
    one, origin = fleet.feeder(number), fleet.base(number)
    year = series(one.source)
    told = results.isel(feeder=number)
    extremes = [
        int(np.searchsorted(year.starts, told[name].values.astype("datetime64[s]")))
        for name in ("vm_pu_lowest_at", "vm_pu_highest_at")
    ]
    at = np.array([*extremes, *draw.choice(len(year.starts), steps, replace=False)])
    model = network(one, origin.equipment)
    wide = {name: np.zeros((len(at), len(model.bus))) for name in INPUTS}
    place = [model.position(int(bus)) for bus in year.bus]
    for name, values in zip(INPUTS, loads(one, year, at), strict=True):
        wide[name][:, place] = values
    ours = flow(
        model,
        *wide.values(),
        starts=year.starts[at],
        grid_available=np.ones(len(at), dtype=np.bool_),
        forming_bus=None,
    )["vm_pu"].to_numpy()
    theirs = _runpp(fleet, number, wide)
    if (np.isnan(ours) != np.isnan(theirs)).any():
        return Verdict(number, float("inf"))
    gaps = (
        float(np.nanmax(np.abs(ours - theirs))),
        abs(float(np.nanmin(theirs[0])) - float(told["vm_pu_lowest"])),
        abs(float(np.nanmax(theirs[1])) - float(told["vm_pu_highest"])),
    )
    return Verdict(number, max(gaps))


def _runpp(fleet: Fleet, number: int, inputs: dict[str, Float]) -> Float:
    """Return the voltages (interval, bus) by pandapower, from its own lines made longer."""
    import pandapower as pp

    equipment = fleet.base(number).equipment
    net = connect(equipment).pandapower_net()
    net.line["length_km"] *= fleet.feeder(number).line_length_factor
    for table in ("load", "sgen", "storage"):
        net[table] = net[table].drop(index=net[table].index)
    pp.create_loads(net, equipment.bus, p_mw=0.0, q_mvar=0.0)
    found = np.empty_like(inputs["absorbed_kw"])
    for step in range(len(found)):
        net.load["p_mw"] = (inputs["absorbed_kw"] - inputs["injected_kw"])[step] * 1e-3
        net.load["q_mvar"] = (inputs["absorbed_kvar"] - inputs["injected_kvar"])[step] * 1e-3
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                pp.runpp(
                    net,
                    tolerance_mva=TOLERANCE_MVA,
                    max_iteration=50,
                    calculate_voltage_angles=True,
                    numba=False,
                )
        except pp.LoadflowNotConverged as error:
            raise SolverError(f"feeder {number}: runpp does not converge") from error
        found[step] = net.res_bus["vm_pu"].to_numpy()
    return found
