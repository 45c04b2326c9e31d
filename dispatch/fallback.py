"""What to follow when there is no new plan: the last good plan, else the safe rule.

The last good plan is followed only where its step for now still holds with the state of now.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Hashable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import xarray as xr

from dispatch.assets.genset import forced_steps
from dispatch.check import TOLERANCE_KW, cut_excess, reserve_short
from dispatch.plan import LAST_GOOD_PLAN, SAFE_RULE, Floats, Plan, PlanInput, Reason
from dispatch.reasons import reason
from dispatch.safe import SAFE_SHARE, safe
from grid import interval

_Columns: TypeAlias = dict[Hashable, npt.NDArray[Any]]


def fallback(
    last_good: Plan | None,
    at_s: int,
    plan_input: PlanInput,
    *,
    why: str = "there is no new plan",
    safe_share: float = SAFE_SHARE,
) -> Plan:
    """Return what to follow from `at_s` on without a new plan; never raises.

    Parameters
    ----------
    last_good : Plan or None
        The last plan that was solved and checked.
    at_s : int
        Start of the step to send, seconds UTC; the start of `plan_input`.
    plan_input : PlanInput
        The state of now; any value in it may be wrong.
    why : str
        Why there is no new plan, for the reasons.
    safe_share : float
        As :func:`dispatch.safe.safe` takes it.

    Returns
    -------
    Plan
        With source ``"last good plan"`` and the rest of that plan, its first step closed with
        the demand of now; or ``"safe rule"``. Every reason says so.
    """
    unfit = "there is no last good plan"
    if last_good is not None:
        try:
            schedule, unfit = _shifted(last_good, at_s, plan_input)
        except (
            TypeError,
            ValueError,
            KeyError,
            IndexError,
            AttributeError,
            OverflowError,
        ) as error:
            schedule, unfit = None, f"the last good plan does not fit: {error}"
        if schedule is not None:
            since = interval.label(last_good.start_s)
            return Plan(
                "reused",
                LAST_GOOD_PLAN,
                at_s,
                last_good.interval_s,
                math.nan,
                last_good.gap,
                schedule,
                _reasons(plan_input, "fallback.last_good", planned_at=since, why=why),
            )
    schedule = safe(plan_input, safe_share)
    return Plan(
        "rule",
        SAFE_RULE,
        at_s,
        int(plan_input.interval_s) if isinstance(plan_input.interval_s, int) else 900,
        math.nan,
        math.nan,
        schedule,
        _reasons(plan_input, "fallback.safe", why=f"{why}; {unfit}"),
    )


def _reasons(plan_input: PlanInput, code: str, **params: str) -> tuple[Reason, ...]:
    subjects = (*plan_input.asset_ids, plan_input.grid.id, "plan")
    return tuple(reason(subject, code, **params) for subject in subjects)


def _shifted(last_good: Plan, at_s: int, plan_input: PlanInput) -> tuple[xr.Dataset | None, str]:
    """Return the rest of the plan with its first step fitted to now, or why it does not fit."""
    late, rest = divmod(at_s - last_good.start_s, last_good.interval_s)
    steps = last_good.schedule.sizes["interval"]
    if plan_input.start_s != at_s or plan_input.interval_s != last_good.interval_s:
        return None, "the last good plan has other steps"
    if rest or not 0 <= late < steps:
        return None, f"the last good plan of {steps} steps does not cover this one"
    if tuple(last_good.schedule["asset"].values) != plan_input.asset_ids:
        return None, "the last good plan has other assets"
    schedule = last_good.schedule.isel(interval=slice(late, None)).copy(deep=True)
    unfit = _fit(plan_input, schedule)
    return (None if unfit else schedule), unfit


def _fit(plan_input: PlanInput, schedule: xr.Dataset) -> str:
    """Fit the first step of `schedule` to the state of now, in place; return what forbids it."""
    first = {name: schedule[name].values for name in schedule.data_vars}
    demand = float(plan_input.demand_kw[0])
    energy = np.array(plan_input.battery_energy_kwh, dtype=np.float64)
    if not (math.isfinite(demand) and demand >= 0.0 and np.isfinite(energy).all()):
        return "demand or stored energy of now is not known"
    for row, battery in enumerate(plan_input.battery):
        if not battery.min_energy_kwh <= energy[row] <= battery.energy_kwh:
            return f"{battery.id} holds {energy[row]} kWh, outside its limits"
    rows = plan_input.rows("genset")
    for i, row in enumerate(range(rows.start, rows.stop)):
        genset, runs = plan_input.genset[i], bool(first["on"][row, 0])
        forced = forced_steps(plan_input, i) > 0
        if forced and runs != bool(plan_input.genset_on[i]):
            return f"{genset.id} may not change its state yet"
        required = genset.island_required and not bool(plan_input.grid_available[0])
        if required and not runs and not forced:
            return f"{genset.id} would stand while the island requires it"
    for kind in ("solar", "wind"):
        available = np.asarray(getattr(plan_input, f"{kind}_available_kw"))[:, 0]
        rows = plan_input.rows(kind)
        limit, planned = first["limit_kw"][rows, 0], first["produce_kw"][rows, 0]
        # without a limit a plant gives what there is, more or less than was planned
        produced = np.where(np.isnan(limit), available, np.minimum(planned, available))
        if not np.isfinite(produced).all():
            return f"what {kind} can give now is not known"
        first["produce_kw"][rows, 0] = produced
        first["curtail_kw"][rows, 0] = available - produced
    rows = plan_input.rows("shedding")
    sheddable = np.asarray(plan_input.sheddable_kw)[:, 0]
    first["shed_kw"][rows, 0] = np.minimum(first["shed_kw"][rows, 0], sheddable)
    _clip_stores(plan_input, first, energy)
    return (
        _close(plan_input, first, energy, demand)
        or _reserve(plan_input, schedule)
        or _cuts(plan_input, schedule)
    )


def _clip_stores(plan_input: PlanInput, first: _Columns, energy: Floats) -> None:
    """Hold each battery to what it can still take and give."""
    for row, b in enumerate(plan_input.battery):
        takes, gives = b.headroom_kw(float(energy[row]), plan_input.hours)
        first["charge_kw"][row, 0] = min(first["charge_kw"][row, 0], takes)
        first["discharge_kw"][row, 0] = min(first["discharge_kw"][row, 0], gives)


def _close(plan_input: PlanInput, first: _Columns, energy: Floats, demand: float) -> str:
    """Close the balance of now with the grid, or with forming batteries while islanded."""
    h = plan_input.hours
    given = sum(
        float(first[name][:, 0].sum()) for name in ("discharge_kw", "produce_kw", "shed_kw")
    )
    net = demand - given + float(first["charge_kw"][:, 0].sum())
    drawn = fed = 0.0
    if bool(plan_input.grid_available[0]):
        drawn, fed = max(net, 0.0), max(-net, 0.0)
        if drawn > plan_input.grid.import_limit_kw + TOLERANCE_KW:
            return f"import would be {drawn:.1f} kW of {plan_input.grid.import_limit_kw:g} kW"
        if fed > plan_input.grid.export_limit_kw + TOLERANCE_KW:
            return f"export would be {fed:.1f} kW of {plan_input.grid.export_limit_kw:g} kW"
    else:
        for row, b in enumerate(plan_input.battery):
            if not b.forming:
                continue
            flow = float(first["discharge_kw"][row, 0] - first["charge_kw"][row, 0])
            takes, gives = b.headroom_kw(float(energy[row]), h)
            wanted = min(max(flow + net, -takes), gives)
            first["discharge_kw"][row, 0], first["charge_kw"][row, 0] = (
                max(wanted, 0.0),
                max(-wanted, 0.0),
            )
            net -= wanted - flow
        if abs(net) > TOLERANCE_KW:
            return f"the forming batteries lack {net:.1f} kW"
    first["import_kw"][0], first["export_kw"][0] = drawn, fed
    for row, b in enumerate(plan_input.battery):
        flows = float(first["charge_kw"][row, 0]), float(first["discharge_kw"][row, 0])
        first["energy_kwh"][row, 0] = b.after_kwh(float(energy[row]), *flows, h)
    return ""


def _reserve(plan_input: PlanInput, schedule: xr.Dataset) -> str:
    """Return by how much the fitted step falls short of the reserve of now, or ``""``."""
    schedule["reserve_short_kw"].values[0] = 0.0
    if bool(plan_input.grid_available[0]):
        return ""
    reserve = float(plan_input.reserve_kw[0])
    if not (math.isfinite(reserve) and reserve >= 0.0):
        return "the reserve of now is not known"
    now = dataclasses.replace(
        plan_input,
        demand_kw=plan_input.demand_kw[:1],
        grid_available=np.array([False]),
        reserve_kw=np.array([reserve]),
    )
    short = float(reserve_short(now, schedule.isel(interval=[0]))[0])
    if short > TOLERANCE_KW:
        return f"the reserve would be short by {short:.1f} kW of {reserve:.1f} kW"
    return ""


def _cuts(plan_input: PlanInput, schedule: xr.Dataset) -> str:
    """Return the first cut of now that the fitted step breaks, or ``""``."""
    now = [cut for cut in plan_input.cuts if cut.step == 0]
    for cut, excess in zip(now, cut_excess(plan_input, schedule, now), strict=True):
        if not excess <= TOLERANCE_KW:
            return f"{cut.name} would be broken by {excess:.3g} kW"
    return ""
