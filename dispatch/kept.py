"""A steady plan's schedule beside the plan in force, and the words for what it kept."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import xarray as xr

from dispatch.in_force import kept_limits
from dispatch.plan import PlanInput, Reason
from dispatch.reasons import reason
from grid import interval

MOVED_KW = 5e-4
"""Below this a set-point counts as kept: devices are told whole W."""

_EXACT = 1e-6
_SETPOINTS = ("charge_kw", "discharge_kw", "produce_kw", "limit_kw", "on")
_FLOWS = ("charge_kw", "discharge_kw", "produce_kw", "shed_kw")
_LIMITED = ("solar", "wind", "shedding")


def settle(plan_input: PlanInput, schedule: xr.Dataset, in_force: xr.Dataset) -> None:
    """Give a schedule the limits that it kept, and the digits of what did not change, in place.

    A plant whose limit is kept is told it though the sun gives less than it allows.
    """
    steps = in_force.sizes["interval"]
    for kind, name in (
        ("solar", "solar_available_kw"),
        ("wind", "wind_available_kw"),
        ("shedding", "sheddable_kw"),
    ):
        rows = plan_input.rows(kind)
        most = np.asarray(getattr(plan_input, name), dtype=np.float64)[:, :steps]
        if kind == "shedding":
            flow = most - schedule["shed_kw"].values[rows, :steps]
        else:
            flow = schedule["produce_kw"].values[rows, :steps]
        old = in_force["limit_kw"].values[rows]
        kept = np.abs(flow - kept_limits(plan_input, in_force, kind, most)) < _EXACT
        limit = schedule["limit_kw"].values[rows, :steps]
        limit[...] = np.where(kept & ~np.isnan(old), old, limit)
    for key, column in schedule.data_vars.items():
        name = str(key)
        if name in ("limit_kw", "on", "marginal_price", "energy_price"):
            continue
        new, before = column.values[..., :steps], in_force[name].values
        new[...] = np.where(np.abs(new - before) < _EXACT, before, new)


def moved(
    plan_input: PlanInput, schedule: xr.Dataset, other: xr.Dataset
) -> set[tuple[str, str, int]]:
    """Return the (asset, column, step) at which two schedules of an input send other set-points.

    What a plant gives and what a group is served follow from their limits; a forming battery has
    no set-point while islanded. Steps that only one schedule has are left out.
    """
    steps = min(schedule.sizes["interval"], other.sizes["interval"])
    dark = ~plan_input.grid_available[:steps]
    limited = {one.id for kind in _LIMITED for one in getattr(plan_input, kind)}
    forming = {one.id for one in plan_input.battery if one.forming}
    ids = plan_input.asset_ids
    found = set()
    for name in _SETPOINTS:
        one, two = (np.asarray(s[name].values[:, :steps], np.float64) for s in (schedule, other))
        same = (np.isnan(one) & np.isnan(two)) | (np.abs(one - two) <= MOVED_KW)
        for row, t in np.argwhere(~same).tolist():
            sent = (ids[row] in limited) == (name == "limit_kw")
            if sent and not (ids[row] in forming and dark[t]):
                found.add((ids[row], name, t))
    return found


def explained(
    plan_input: PlanInput,
    reasons: Sequence[Reason],
    schedule: xr.Dataset,
    optimum: xr.Dataset,
    in_force: xr.Dataset,
    *,
    planned_s: int,
    saving: float,
) -> tuple[Reason, ...]:
    """Return reasons in which those of set-points that differ from the optimum's say why.

    Parameters
    ----------
    reasons : sequence of Reason
        Of :func:`dispatch.explain.explain`.
    planned_s : int
        When the plan in force was made, seconds UTC.
    saving : float
        What the optimum could save at most, currency.
    """

    off, new = (
        {asset for asset, _, step in moved(plan_input, schedule, one) if step == 0}
        for one in (optimum, in_force)
    )
    told = []
    for one in reasons:
        if one.subject in off and one.code not in ("vehicle.misses", "flexible.misses"):
            row = plan_input.asset_ids.index(one.subject)
            flows = [float(schedule[name].values[row, 0]) for name in _FLOWS]
            code = "kept.near" if one.subject in new else "kept.plan"
            one = reason(
                one.subject,
                code,
                power_kw=max(flows),
                planned_at=interval.label(planned_s),
                saving=math.ceil(saving * 1e4) / 1e4,
            )
        told.append(one)
    return tuple(told)
