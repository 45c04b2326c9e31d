"""The safe rule: a schedule that always exists, whatever is wrong with the inputs.

It trusts nothing but the facts of the site. Batteries stand idle, except that the forming
ones close the balance while islanded; gensets run while islanded, as far as their minimum up
and down times let them where their state is known; solar and wind are held to
a safe share of their rating, so that no voltage rises unseen; no critical load is dropped.
"""

from __future__ import annotations

import dataclasses
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import xarray as xr

from dispatch.plan import Floats, PlanInput, empty_schedule
from grid.site import Genset

Bools: TypeAlias = npt.NDArray[np.bool_]

SAFE_SHARE = 0.5
"""Share of its rating that a plant may give at most when nobody has checked the plan."""

FALLBACK_STEPS = 4
"""Length of the schedule when no input says how long it should be."""

_NUMBER_LIMIT = 1e9


def _known(value: object, shape: tuple[int, ...]) -> Floats:
    """Return `value` as floats of `shape`, NaN wherever it cannot be trusted."""
    unknown = np.full(shape, np.nan)
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        return unknown
    if array.shape != shape:
        return unknown
    return np.where(np.isfinite(array) & (array >= 0.0) & (array < _NUMBER_LIMIT), array, np.nan)


def _whole(value: object, low: int, high: int, otherwise: int) -> int:
    if isinstance(value, (int, np.integer)) and low <= value <= high:
        return int(value)
    return otherwise


def _length(plan_input: PlanInput) -> int:
    for name in ("demand_kw", "grid_available", "buy_price", "sell_price", "reserve_kw"):
        series = getattr(plan_input, name)
        if isinstance(series, np.ndarray) and series.ndim == 1 and series.size:
            return series.size
    return FALLBACK_STEPS


def safe(plan_input: PlanInput, share: float = SAFE_SHARE) -> xr.Dataset:
    """Return the schedule of the safe rule; never raises for the values of an input.

    Parameters
    ----------
    plan_input : PlanInput
        With facts of the site; any series and state in it may be NaN, missing or misshapen.
        While it is not known whether the grid is there, it is taken to be.
    share : float
        Of its rating that each plant may give: what the network carries without any load.

    Returns
    -------
    xarray.Dataset
        As in :class:`dispatch.plan.Plan`. Flows that depend on what is not known are 0, an
        unknown stored energy is NaN, and ``limit_kw`` of solar and wind is always set.
    """
    plan_input = dataclasses.replace(
        plan_input,
        start_s=_whole(plan_input.start_s, 0, 2**40, 0),
        interval_s=_whole(plan_input.interval_s, 1, 86_400, 900),
    )
    n = _length(plan_input)
    schedule = empty_schedule(plan_input, n)
    demand = _known(plan_input.demand_kw, (n,))
    # NaN != 0: an unknown grid counts as available
    islanded = _known(plan_input.grid_available, (n,)) == 0.0
    _gensets(plan_input, schedule, demand, islanded)
    _plants(plan_input, schedule, demand, islanded, share)
    _close(plan_input, schedule, demand, islanded)
    return schedule


def _gensets(plan_input: PlanInput, schedule: xr.Dataset, demand: Floats, islanded: Bools) -> None:
    """Run gensets while islanded, on what of the demand is left, at least their least load."""
    left = np.where(np.isnan(demand), 0.0, demand)
    rows = plan_input.rows("genset")
    on = _known(plan_input.genset_on, (len(plan_input.genset),))
    held = _known(plan_input.genset_intervals_in_state, (len(plan_input.genset),))
    for i, genset in enumerate(plan_input.genset):
        running = islanded
        if on[i] in (0.0, 1.0) and not np.isnan(held[i]):
            running = _running(genset, islanded, bool(on[i]), int(held[i]))
        # one that only runs on beside the grid gives its least load
        wanted = np.where(islanded, left, 0.0)
        output = np.where(running, np.clip(wanted, genset.min_power_kw, genset.power_kw), 0.0)
        schedule["on"].values[rows.start + i] = running
        schedule["produce_kw"].values[rows.start + i] = output
        left = np.clip(left - output, 0.0, None)


def _running(genset: Genset, islanded: Bools, on: bool, held: int) -> Bools:
    """Return when `genset` runs that has been `on`, or off, for `held` steps: while islanded,
    each change only after its minimum time."""
    running = islanded.copy()
    for t, wanted in enumerate(islanded.tolist()):
        least = genset.min_up_intervals if on else genset.min_down_intervals
        if wanted != on and held >= least:
            on, held = wanted, 0
        running[t] = on
        held += 1
    return running


def _plants(
    plan_input: PlanInput, schedule: xr.Dataset, demand: Floats, islanded: Bools, safe_share: float
) -> None:
    """Hold plants to their safe share; while islanded to what the gensets leave to serve."""
    n = len(demand)
    rating = {
        kind: np.array([plant.power_kw for plant in getattr(plan_input, kind)], dtype=np.float64)
        for kind in ("solar", "wind")
    }
    whole = safe_share * sum(float(power.sum()) for power in rating.values())
    running = schedule["produce_kw"].values[plan_input.rows("genset")].sum(axis=0)
    left = np.clip(np.where(np.isnan(demand), 0.0, demand) - running, 0.0, None)
    share = np.full(n, safe_share)
    if whole > 0.0:
        share = np.where(islanded, safe_share * np.minimum(1.0, left / whole), share)
    for kind, power in rating.items():
        rows = plan_input.rows(kind)
        available = _known(getattr(plan_input, f"{kind}_available_kw"), (len(power), n))
        available = np.where(np.isnan(available), 0.0, available)
        limit = power[:, np.newaxis] * share
        produced = np.minimum(available, limit)
        schedule["limit_kw"].values[rows] = limit
        schedule["produce_kw"].values[rows] = produced
        schedule["curtail_kw"].values[rows] = available - produced


def _close(plan_input: PlanInput, schedule: xr.Dataset, demand: Floats, islanded: Bools) -> None:
    """Close the balance: with the grid, or with forming batteries and then sheddable load."""
    n, h = len(demand), plan_input.interval_s / 3600.0
    energy = _known(plan_input.battery_energy_kwh, (len(plan_input.battery),))
    sheddable = _known(plan_input.sheddable_kw, (len(plan_input.shedding), n))
    sheddable = np.where(np.isnan(sheddable), 0.0, sheddable)
    net = demand - schedule["produce_kw"].values.sum(axis=0)
    grid = plan_input.grid
    for t in range(n):
        missing = float(net[t])
        if np.isnan(missing):
            schedule["energy_kwh"].values[plan_input.rows("battery"), t] = energy
            continue
        if islanded[t]:
            missing = _form(plan_input, schedule, t, h, energy, missing)
            missing = _shed(plan_input, schedule, t, sheddable[:, t], missing)
        else:
            schedule["import_kw"].values[t] = min(max(missing, 0.0), grid.import_limit_kw)
            schedule["export_kw"].values[t] = min(max(-missing, 0.0), grid.export_limit_kw)
            missing -= schedule["import_kw"].values[t]
        schedule["unserved_kw"].values[t] = max(missing, 0.0)
        schedule["energy_kwh"].values[plan_input.rows("battery"), t] = energy


def _form(
    plan_input: PlanInput, schedule: xr.Dataset, t: int, h: float, energy: Floats, missing: float
) -> float:
    """Let forming batteries give or take what is missing; return what remains missing."""
    for i, battery in enumerate(plan_input.battery):
        if not battery.forming or np.isnan(energy[i]):
            continue
        takes, gives = battery.headroom_kw(float(energy[i]), h)
        give = min(max(missing, 0.0), gives)
        take = min(max(-missing, 0.0), takes)
        schedule["discharge_kw"].values[i, t] = give
        schedule["charge_kw"].values[i, t] = take
        energy[i] = battery.after_kwh(float(energy[i]), take, give, h)
        missing += take - give
    return missing


def _shed(
    plan_input: PlanInput, schedule: xr.Dataset, t: int, sheddable: Floats, missing: float
) -> float:
    """Shed what groups may lose for what is missing; return what remains missing."""
    rows = plan_input.rows("shedding")
    for row, available in zip(range(rows.start, rows.stop), sheddable, strict=True):
        shed = min(max(missing, 0.0), float(available))
        if shed > 0.0:
            schedule["shed_kw"].values[row, t] = shed
            schedule["limit_kw"].values[row, t] = available - shed
            missing -= shed
    return missing
