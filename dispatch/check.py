"""What a plan must satisfy, said a second time without the solver.

:func:`check_plan` recomputes every rule of the finished schedule with numpy from the input
alone; it shares no code with the model. :func:`check_input` comes before the model.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import xarray as xr

from dispatch.check_base import TOLERANCE_KW, column, worst
from dispatch.check_devices import emissions, gensets, stores
from dispatch.check_flexible import TOLERANCE, excesses
from dispatch.check_headroom import reserve_missing, reserve_short, survival_missing
from dispatch.inputs import check_input
from dispatch.plan import ASSET_COLUMNS, COMMUNITY_COLUMNS, Floats, LinearCut, Plan, PlanInput

__all__ = [
    "TOLERANCE_KW", "check_input", "check_plan", "cut_excess", "reserve_missing",
    "reserve_short", "survival_missing",
]  # fmt: skip


def check_plan(plan_input: PlanInput, plan: Plan) -> list[str]:
    """Return every rule that the schedule breaks, recomputed from the input; none when sound."""
    return [message for part in _RULES for message in part(plan_input, plan)]


def _shape(plan_input: PlanInput, plan: Plan) -> Iterator[str]:
    ids = tuple(str(asset) for asset in plan.schedule["asset"].values)
    if ids != plan_input.asset_ids:
        yield f"schedule has assets {ids}, must be {plan_input.asset_ids}"
    if plan.schedule.sizes["interval"] != plan_input.n:
        yield f"schedule has {plan.schedule.sizes['interval']} steps, must be {plan_input.n}"
    if (plan.start_s, plan.interval_s) != (plan_input.start_s, plan_input.interval_s):
        yield f"schedule starts at {plan.start_s}, must be {plan_input.start_s}"


def _finite(plan_input: PlanInput, plan: Plan) -> Iterator[str]:
    for name in (*ASSET_COLUMNS, *COMMUNITY_COLUMNS):
        values = plan.schedule[name].values
        if name == "limit_kw":
            values = values[~np.isnan(values)]
        if not np.isfinite(values).all():
            yield f"{name} has a value that is not finite"
        elif (values < -TOLERANCE_KW).any():
            yield f"{name} is {values.min():.6g} kW, must not be negative"
    if not np.isfinite(column(plan_input, plan, "battery", "energy_kwh")).all():
        yield "energy_kwh of a battery is not finite"


def _limits(plan_input: PlanInput, plan: Plan) -> Iterator[str]:
    def at_most(asset: str, name: str, values: Floats, limit: Floats | float) -> Iterator[str]:
        excess = np.asarray(values - limit)
        yield from worst(
            plan_input, asset, f"{name} is above its limit", excess, "kW", TOLERANCE_KW
        )

    for name in ("charge_kw", "discharge_kw"):
        for battery, row in zip(
            plan_input.battery, column(plan_input, plan, "battery", name), strict=True
        ):
            yield from at_most(battery.id, name, row, battery.power_kw)
    for kind, available in (
        ("solar", plan_input.solar_available_kw),
        ("wind", plan_input.wind_available_kw),
    ):
        produced = column(plan_input, plan, kind, "produce_kw")
        withheld = column(plan_input, plan, kind, "curtail_kw")
        for i, plant in enumerate(getattr(plan_input, kind)):
            yield from at_most(plant.id, "produce_kw", produced[i], available[i])
            # only that the column says the same: what holds the plant is its limit
            off = np.abs(produced[i] + withheld[i] - available[i])
            yield from at_most(plant.id, "produce_kw + curtail_kw against available", off, 0.0)
        yield from _obeyed(plan_input, plan, kind, "produce_kw", produced, available)
    shed = column(plan_input, plan, "shedding", "shed_kw")
    for i, group in enumerate(plan_input.shedding):
        yield from at_most(group.id, "shed_kw", shed[i], plan_input.sheddable_kw[i])
    served = plan_input.sheddable_kw - shed
    yield from _obeyed(plan_input, plan, "shedding", "shed_kw", served, plan_input.sheddable_kw)
    open_ = plan_input.grid_available.astype(np.float64)
    grid = plan_input.grid
    bought, sold = plan.schedule["import_kw"].values, plan.schedule["export_kw"].values
    yield from at_most(grid.id, "import_kw", bought, grid.import_limit_kw * open_)
    yield from at_most(grid.id, "export_kw", sold, grid.export_limit_kw * open_)


def _obeyed(
    plan_input: PlanInput, plan: Plan, kind: str, name: str, flow: Floats, most: Floats
) -> Iterator[str]:
    """Yield where `flow` (asset, step) is not all of `most` that the limit sent lets through."""
    limit = column(plan_input, plan, kind, "limit_kw")
    off = np.abs(flow - np.where(np.isnan(limit), most, np.minimum(limit, most)))
    what = f"{name} does not follow from its limit"
    for asset, row in zip(getattr(plan_input, kind), off, strict=True):
        yield from worst(plan_input, asset.id, what, row, "kW", TOLERANCE_KW)


def _injected(s: xr.Dataset) -> Floats:
    """Return what each asset gives less what it takes, shape (asset, step), kW."""
    net: Floats = (
        s["discharge_kw"].values
        - s["charge_kw"].values
        + s["produce_kw"].values
        + s["shed_kw"].values
    )
    return net


def _balance(plan_input: PlanInput, plan: Plan) -> Iterator[str]:
    s = plan.schedule
    supply = _injected(s).sum(axis=0) + s["import_kw"].values - s["export_kw"].values
    off = np.abs(supply - plan_input.demand_kw)
    yield from worst(plan_input, "balance", "does not close", off, "kW", TOLERANCE_KW)
    yield from worst(
        plan_input, "load", "is not served", s["unserved_kw"].values, "kW", TOLERANCE_KW
    )


def _either(plan_input: PlanInput, plan: Plan) -> Iterator[str]:
    s = plan.schedule
    both = np.minimum(s["charge_kw"].values, s["discharge_kw"].values)
    for asset, row in zip(plan_input.asset_ids, both, strict=True):
        yield from worst(
            plan_input, asset, "charges and discharges at once", row, "kW", TOLERANCE_KW
        )
    both = np.minimum(s["import_kw"].values, s["export_kw"].values)
    yield from worst(
        plan_input, plan_input.grid.id, "imports and exports at once", both, "kW", TOLERANCE_KW
    )


def cut_excess(
    plan_input: PlanInput, schedule: xr.Dataset, cuts: Sequence[LinearCut] | None = None
) -> Floats:
    """Return by how many kW of its strongest asset each cut is broken (negative: room)."""
    cuts = plan_input.cuts if cuts is None else cuts
    # lists: picking one number from an array takes longer than the sum
    net = dict(zip(plan_input.asset_ids, _injected(schedule).tolist(), strict=True))
    net[plan_input.grid.id] = (schedule["import_kw"].values - schedule["export_kw"].values).tolist()
    excess = np.empty(len(cuts))
    for i, cut in enumerate(cuts):
        step, coefficients = cut.step, cut.coefficient
        total = math.fsum([c * net[asset][step] for asset, c in coefficients.items()])
        excess[i] = (total - cut.limit_kw) / max(map(abs, coefficients.values()))
    return excess


def _cuts_hold(plan_input: PlanInput, plan: Plan) -> Iterator[str]:
    for cut, excess in zip(plan_input.cuts, cut_excess(plan_input, plan.schedule), strict=True):
        if excess > TOLERANCE_KW:
            yield f"cut {cut.name} {plan_input.label(cut.step)} is broken by {excess:.6g} kW"


def _movable(plan_input: PlanInput, plan: Plan) -> Iterator[str]:
    for asset, what, excess, unit in excesses(plan_input, plan):
        yield from worst(plan_input, asset, what, excess, unit, TOLERANCE)


def _reserve(plan_input: PlanInput, plan: Plan) -> Iterator[str]:
    """Yield where the headroom missing while islanded is not what the plan says."""
    stated = plan.schedule["reserve_short_kw"].values
    off = reserve_short(plan_input, plan.schedule) - stated
    for what, excess in (("shorter", off), ("less short", -off)):
        yield from worst(
            plan_input, "reserve", f"is {what} than stated", excess, "kW", TOLERANCE_KW
        )


_RULES = (
    _shape,
    _finite,
    _limits,
    _balance,
    stores,
    gensets,
    _movable,
    emissions,
    _either,
    _cuts_hold,
    _reserve,
)
