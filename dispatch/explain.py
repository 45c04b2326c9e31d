"""Why a plan does what it does, as codes with parameters, and in English.

The prices compared are the plan's own: the marginal price of a kWh now, and the worth of a
stored kWh, both duals of the plan with its on/off decisions held. The console translates
`code` and `params`; :data:`dispatch.reasons.TEXT` is the English and the list of all codes.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from dispatch.asked import short_reasons
from dispatch.check import survival_missing
from dispatch.explain_supply import of_battery, of_genset, of_plant
from dispatch.explain_use import missed, of_charger, of_flexible, of_heat, of_shedding
from dispatch.first_step import SMALL, Duals, First
from dispatch.plan import PlanInput, Reason
from dispatch.reasons import TEXT, bus_of, reason

__all__ = ["SMALL", "TEXT", "Duals", "bus_of", "explain", "reason"]


def explain(plan_input: PlanInput, schedule: xr.Dataset, duals: Duals) -> tuple[Reason, ...]:
    """Return a reason for each asset's first step, for the grid's, and for the plan.

    Parameters
    ----------
    plan_input : PlanInput
    schedule : xarray.Dataset
        As in :class:`dispatch.plan.Plan`.
    duals : Duals
    """
    first = First(plan_input, schedule, duals)
    reasons = [
        *(of_battery(first, asset, i) for i, asset in enumerate(plan_input.battery)),
        *(of_plant(first, asset) for asset in plan_input.solar),
        *(of_plant(first, asset) for asset in plan_input.wind),
        *(of_genset(first, asset, i) for i, asset in enumerate(plan_input.genset)),
        *(of_shedding(first, asset) for asset in plan_input.shedding),
        *(of_charger(first, asset, i) for i, asset in enumerate(plan_input.charger)),
        *(of_flexible(first, asset) for asset in plan_input.flexible),
        *(of_heat(first, tank) for tank in plan_input.heat),
        _grid(first),
        *missed(first),
        *short_reasons(plan_input, schedule, SMALL),
    ]
    short = schedule["reserve_short_kw"].values
    if float(short.max()) > SMALL:
        t = int(np.flatnonzero(short > SMALL)[0])
        reasons.append(
            reason(
                "plan",
                "reserve.short",
                short_kw=float(short.max()),
                at=plan_input.label(t),
                reserve_kw=float(plan_input.reserve_kw[t]),
            )
        )
    missing = survival_missing(plan_input, schedule)
    if float(missing.max()) > SMALL:
        t = int(missing.argmax())
        reasons.append(
            reason(
                "plan",
                "survival.short",
                hours=plan_input.survive_steps * plan_input.hours,
                at=plan_input.label(t + 1),
                short_kwh=float(missing[t]),
            )
        )
    return tuple(reasons)


def _grid(first: First) -> Reason:
    g = first.input.grid.id
    if first.islanded:
        return reason(g, "grid.outage")
    drawn, fed = first.community("import_kw"), first.community("export_kw")
    if drawn > SMALL:
        if first.import_full:
            return reason(g, "grid.import_limit", power_kw=drawn)
        price = float(first.input.buy_price[0])
        return reason(g, "grid.import", power_kw=drawn, price_now=price)
    if fed > SMALL:
        if first.export_full:
            return reason(g, "grid.export_limit", power_kw=fed)
        price = float(first.input.sell_price[0])
        return reason(g, "grid.export", power_kw=fed, price_now=price)
    return reason(g, "grid.none")
