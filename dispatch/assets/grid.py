r"""Grid: the connection to the public network at the feeder head.

.. math:: 0 \le i_t \le I\,a_t \qquad 0 \le x_t \le X\,a_t \qquad a_t = 0 \text{ while islanded}

.. math:: \text{cost}\; h \sum_t ((b_t + \kappa\,\epsilon)\,i_t - q_t\,x_t) + D\,(y_{n-1} - y_{-1})

The demand charge :math:`D` is on the highest import of the billing period, of which
:math:`y_{-1}` has been met before:

.. math:: y_t \ge y_{t-1} \qquad y_t \ge i_t

One meter nets what passes it, so the community never imports and exports at once. Where
selling pays more than buying costs, an optimum would; there (`pairs`) the either-or is added,
with :math:`I` and :math:`X` no larger than what could flow at all:

.. math:: i_t \le I\,m_t \qquad x_t \le X\,(1 - m_t) \qquad m_t \in \{0,1\}

Where somebody asks for less, at most :math:`L_t` of import with a margin :math:`\mu_t`, that gives
way at a price :math:`\pi` when it must (export likewise). So a plan is never without a schedule,
and what it lacks is spread over the margins of many steps before one breaks the limit:

.. math:: i_t - \nu_t - \sigma_t \le L_t - \mu_t \qquad 0 \le \nu_t \le \mu_t
          \qquad \text{cost}\; h\,\pi\,(\tfrac12\,\nu_t + \sigma_t)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyomo.environ as pyo

from dispatch.asked import NEAR_SHARE
from dispatch.assets.terms import IMPORT_PER_KWH, AssetKind, Attribute, Blocks, Flows, Sides, block
from dispatch.plan import Floats, PlanInput, currency

ATTRIBUTES = (
    Attribute("import_limit_kw", "float", "kW", "Most that may be drawn, I; by step, L."),
    Attribute("export_limit_kw", "float", "kW", "Most that may be fed in, X; by step, L."),
    Attribute("buy_price", "array (step,)", "currency/kWh", "Paid per energy drawn, b."),
    Attribute("sell_price", "array (step,)", "currency/kWh", "Received per energy fed in, q."),
    Attribute("demand_charge", "int", "nano-currency/kW", "On the highest import, D."),
    Attribute("peak_kw", "float", "kW", "Highest import until now."),
    Attribute("co2_g_per_kwh", "float", "g/kWh", "Emitted per energy drawn, ε."),
    Attribute("co2_price_per_kg", "float", "currency/kg", "Price of emissions, κ."),
    Attribute("grid_available", "array (step,)", "bool", "False while islanded, a."),
    Attribute("limit_margin_kw", "array (step,)", "kW", "Kept below what is asked for, μ."),
    Attribute("limit_penalty_per_kwh", "float", "currency/kWh", "Above what is asked for, π."),
)

_ASKED = ("import", "export")


def _blocks(plan_input: PlanInput) -> Blocks:
    grid, h, n = plan_input.grid, plan_input.hours, plan_input.n
    open_ = np.asarray(plan_input.grid_available, dtype=np.float64)
    carbon = plan_input.co2_price_per_kg / 1e3 * grid.co2_g_per_kwh
    buy = plan_input.buy_price + carbon + IMPORT_PER_KWH
    made = {
        "import_kw": block((n,), high=grid.import_limit_kw * open_, cost=h * buy),
        "export_kw": block(
            (n,), high=grid.export_limit_kw * open_, cost=-h * plan_input.sell_price
        ),
    }
    if grid.demand_charge:
        last = np.zeros(n)
        last[-1] = currency(grid.demand_charge)
        made["peak"] = block((n,), cost=last)
    penalty = h * plan_input.limit_penalty_per_kwh
    for way in _ASKED:
        if getattr(plan_input, f"{way}_limit_kw") is not None:
            near = block((n,), high=_margin(plan_input, way), cost=NEAR_SHARE * penalty)
            made[f"{way}_near"], made[f"{way}_over"] = near, block((n,), cost=penalty)
    return made


def _margin(plan_input: PlanInput, way: str) -> Floats:
    """Return how far below an asked limit a plan stays, which is not below nothing."""
    limit: Floats = getattr(plan_input, f"{way}_limit_kw")
    margin = plan_input.limit_margin_kw
    return np.zeros(plan_input.n) if margin is None else np.minimum(margin, limit)


def _sides(plan_input: PlanInput) -> Sides:
    sides: Sides = {}
    if plan_input.grid.demand_charge:
        before = np.zeros(plan_input.n)
        before[0] = plan_input.peak_kw
        sides = {"peak_stays": before, "peak_covers": np.zeros(plan_input.n)}
    for way in _ASKED:
        limit = getattr(plan_input, f"{way}_limit_kw")
        if limit is not None:
            sides[f"{way}_asked"] = limit - _margin(plan_input, way)
    return sides


def _rows(model: Any, plan_input: PlanInput, side: Mapping[str, Floats]) -> None:
    if plan_input.grid.demand_charge:
        _peak_rows(model, side)
    for way in _ASKED:
        if f"{way}_asked" not in side:
            continue

        def asked(m: Any, t: int, way: str = way) -> Any:
            given_way = getattr(m, f"{way}_near")[t] + getattr(m, f"{way}_over")[t]
            return getattr(m, f"{way}_kw")[t] - given_way <= float(side[f"{way}_asked"][t])

        model.add_component(f"{way}_asked", pyo.Constraint(model.STEP, rule=asked))


def _peak_rows(model: Any, side: Mapping[str, Floats]) -> None:

    def stays(m: Any, t: int) -> Any:
        return m.peak[t] - (m.peak[t - 1] if t else 0.0) >= float(side["peak_stays"][t])

    def covers(m: Any, t: int) -> Any:
        return m.peak[t] - m.import_kw[t] >= float(side["peak_covers"][t])

    model.peak_stays = pyo.Constraint(model.STEP, rule=stays)
    model.peak_covers = pyo.Constraint(model.STEP, rule=covers)


def _flows(plan_input: PlanInput) -> Flows:
    return {plan_input.grid.id: ((1.0, "import_kw"), (-1.0, "export_kw"))}


def most(plan_input: PlanInput) -> tuple[Floats, Floats]:
    """Return what could be drawn and fed in each step at the very most, kW.

    The tighter these are, the less a solver has to branch.
    """
    stores = sum(battery.power_kw for battery in plan_input.battery)
    gensets = sum(genset.power_kw for genset in plan_input.genset)
    plants = plan_input.solar_available_kw.sum(axis=0) + plan_input.wind_available_kw.sum(axis=0)
    drawn = np.minimum(plan_input.grid.import_limit_kw, plan_input.demand_kw + stores)
    fed = np.minimum(plan_input.grid.export_limit_kw, plants + stores + gensets)
    return drawn, fed


KIND = AssetKind(
    "grid",
    ATTRIBUTES,
    _blocks,
    _flows,
    _sides,
    _rows,
    memory=lambda plan_input: 1 if plan_input.grid.demand_charge else 0,
    constant=lambda plan_input: -currency(plan_input.grid.demand_charge) * plan_input.peak_kw,
)
