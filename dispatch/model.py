r"""The one Pyomo model: every asset, the balance, the reserve and the network's cuts.

Power balances in each step; demand includes the estimated losses:

.. math:: \sum_a (\text{injected}_{a,t} - \text{absorbed}_{a,t}) = D_t

While islanded the forming batteries :math:`F` keep headroom :math:`r_t` both ways, in power
and in energy for one more step, because they alone carry what the forecast missed. Where it
cannot be kept it is short by :math:`\sigma` at `RESERVE_PENALTY_PER_KWH`:

.. math:: \sum_F (P - d + c) + \sigma^+ \ge r \qquad \sum_F (P - c + d) + \sigma^- \ge r

.. math:: \sum_F \tfrac{\eta^d}{h} (e - \underline e) + \sigma^+ \ge r \qquad
          \sum_F \tfrac{1}{h \eta^c} (\overline e - e) + \sigma^- \ge r

Without a forming battery the running gensets carry it:
:math:`\sum_g (P u - p) + \sigma^+ \ge r` and :math:`\sum_g (p - \underline P u) + \sigma^- \ge r`.

Each cut bounds a weighted sum of injections in one step. Its row is scaled to a largest
coefficient of 1, so that tolerances and shortfalls are in kW.

An elastic model has no cost but its violations: how many kW each rule must give way.
"""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo
from pyomo.common.gc_manager import PauseGC
from pyomo.core.expr.numeric_expr import LinearExpression

from dispatch.assets import REGISTRY
from dispatch.assets.terms import Pairs, Terms
from dispatch.cost import RESERVE_PENALTY_PER_KWH
from dispatch.plan import PlanInput


def build(plan_input: PlanInput, pairs: Pairs = frozenset(), *, elastic: bool = False) -> Any:
    """Return the Pyomo model of a checked input.

    Parameters
    ----------
    plan_input : PlanInput
    pairs : frozenset of (str, int)
        Asset (or grid) and step at which doing both directions at once is excluded by a binary.
    elastic : bool
        Let the balance, the cuts and the end energy give way, and minimise by how much.

    Returns
    -------
    pyomo.environ.ConcreteModel
        With objective ``cost`` in currency; in kW when `elastic`.
    """
    with PauseGC():
        model = pyo.ConcreteModel()
        model.elastic = elastic
        model.STEP = pyo.RangeSet(0, plan_input.n - 1)
        terms = Terms()
        for kind in REGISTRY.values():
            terms.join(kind.add(model, plan_input, pairs))
        give = _elastic(model, plan_input) if elastic else []
        _balance(model, plan_input, terms)
        _reserve(model, plan_input, terms)
        _cuts(model, plan_input, terms)
        if elastic:
            _end_energy(model, plan_input)
            model.cost = pyo.Objective(expr=_linear(give))
        else:
            model.cost = pyo.Objective(expr=_linear(terms.cost, terms.constant))
    return model


def _linear(pairs: list[tuple[float, Any]], constant: float = 0.0) -> Any:
    return LinearExpression(
        constant=constant,
        linear_coefs=[coefficient for coefficient, _ in pairs],
        linear_vars=[variable for _, variable in pairs],
    )


def _elastic(model: Any, plan_input: PlanInput) -> list[tuple[float, Any]]:
    model.short = pyo.Var(model.STEP, domain=pyo.NonNegativeReals)
    model.surplus = pyo.Var(model.STEP, domain=pyo.NonNegativeReals)
    model.over = pyo.Var(range(len(plan_input.cuts)), domain=pyo.NonNegativeReals)
    model.end_short = pyo.Var(model.BATTERY, domain=pyo.NonNegativeReals)
    parts = (model.short, model.surplus, model.over, model.end_short)
    return [(1.0, variable) for part in parts for variable in part.values()]


def _balance(model: Any, plan_input: PlanInput, terms: Terms) -> None:
    flows: dict[int, list[tuple[float, Any]]] = {t: [] for t in range(plan_input.n)}
    for (_, t), pairs in terms.injection.items():
        flows[t].extend(pairs)
    if model.elastic:
        for t, pairs in flows.items():
            pairs += [(1.0, model.short[t]), (-1.0, model.surplus[t])]
    model.balance = pyo.Constraint(
        model.STEP, rule=lambda m, t: _linear(flows[t]) == float(plan_input.demand_kw[t])
    )


def _reserve(model: Any, plan_input: PlanInput, terms: Terms) -> None:
    islanded = [
        t
        for t in range(plan_input.n)
        if not plan_input.grid_available[t] and plan_input.reserve_kw[t] > 0.0
    ]
    if not islanded:
        return
    h, need = plan_input.hours, plan_input.reserve_kw
    model.ISLANDED = pyo.Set(initialize=islanded)
    model.short_up = pyo.Var(model.ISLANDED, domain=pyo.NonNegativeReals)
    model.short_down = pyo.Var(model.ISLANDED, domain=pyo.NonNegativeReals)
    for t in islanded:
        terms.cost.append((h * RESERVE_PENALTY_PER_KWH, model.short_up[t]))
        terms.cost.append((h * RESERVE_PENALTY_PER_KWH, model.short_down[t]))
    forming = [battery for battery in plan_input.battery if battery.forming]

    def up(m: Any, t: int) -> Any:
        if forming:
            room = sum(b.power_kw - m.discharge[b.id, t] + m.charge[b.id, t] for b in forming)
        else:
            room = sum(g.power_kw * m.on[g.id, t] - m.output[g.id, t] for g in plan_input.genset)
        return room + m.short_up[t] >= float(need[t])

    def down(m: Any, t: int) -> Any:
        if forming:
            room = sum(b.power_kw - m.charge[b.id, t] + m.discharge[b.id, t] for b in forming)
        else:
            room = sum(
                m.output[g.id, t] - g.min_power_kw * m.on[g.id, t] for g in plan_input.genset
            )
        return room + m.short_down[t] >= float(need[t])

    model.reserve_up = pyo.Constraint(model.ISLANDED, rule=up)
    model.reserve_down = pyo.Constraint(model.ISLANDED, rule=down)
    if forming:
        model.reserve_stored = pyo.Constraint(
            model.ISLANDED,
            rule=lambda m, t: (
                sum(
                    b.discharge_efficiency / h * (m.energy[b.id, t] - b.min_energy_kwh)
                    for b in forming
                )
                + m.short_up[t]
                >= float(need[t])
            ),
        )
        model.reserve_room = pyo.Constraint(
            model.ISLANDED,
            rule=lambda m, t: (
                sum((b.energy_kwh - m.energy[b.id, t]) / (h * b.charge_efficiency) for b in forming)
                + m.short_down[t]
                >= float(need[t])
            ),
        )


def _cuts(model: Any, plan_input: PlanInput, terms: Terms) -> None:
    def row(m: Any, c: int) -> Any:
        cut = plan_input.cuts[c]
        scale = cut_scale(cut.coefficient.values())
        weighted = [
            (sign * coefficient / scale, variable)
            for asset, coefficient in cut.coefficient.items()
            for sign, variable in terms.injection[asset, cut.step]
        ]
        if m.elastic:
            weighted.append((-1.0, m.over[c]))
        return _linear(weighted) <= cut.limit_kw / scale

    if plan_input.cuts:
        model.cut = pyo.Constraint(range(len(plan_input.cuts)), rule=row)


def cut_scale(coefficients: Any) -> float:
    """Return the largest magnitude of a cut's coefficients."""
    return max(abs(float(value)) for value in coefficients)


def _end_energy(model: Any, plan_input: PlanInput) -> None:
    least = plan_input.end_energy_min_kwh
    if least is None:
        return
    last, h = plan_input.n - 1, plan_input.hours
    row = {battery.id: i for i, battery in enumerate(plan_input.battery)}
    model.end_energy = pyo.Constraint(
        model.BATTERY,
        rule=lambda m, b: m.energy[b, last] + h * m.end_short[b] >= float(least[row[b]]),
    )
