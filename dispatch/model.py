"""The one Pyomo model: every asset's rows, the balance, the reserve, and the objective.

:mod:`dispatch.statement` has the numbers and says in prose what they mean. Plans are solved from
:mod:`dispatch.template`, which compiles a few steps of this model and unrolls them.
"""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo
from pyomo.common.gc_manager import PauseGC

from dispatch.assets import REGISTRY
from dispatch.assets.terms import linear
from dispatch.extras import Extras, Pairs
from dispatch.plan import PlanInput
from dispatch.statement import Statement, statement
from dispatch.survival import others
from grid.site import Battery


def build(plan_input: PlanInput, pairs: Pairs = frozenset(), *, elastic: bool = False) -> Any:
    """Return the Pyomo model of a checked input; as :func:`dispatch.statement.statement`.

    Returns
    -------
    pyomo.environ.ConcreteModel
        With objective ``cost`` in currency; in kW when `elastic`.
    """
    return stated(statement(plan_input, pairs, elastic=elastic))


def stated(problem: Statement) -> Any:
    """Return the Pyomo model of a problem."""
    given = problem.plan_input
    with PauseGC():
        model = pyo.ConcreteModel()
        model.STEP = pyo.RangeSet(0, given.n - 1)
        _variables(model, problem)
        for kind in REGISTRY.values():
            kind.rows(model, given, problem.sides)
        _balance(model, problem)
        if "short_up" in problem.blocks:
            _reserve(model, problem)
        if "co2_left" in problem.blocks:
            _emitted(model, problem)
        if "survival_short" in problem.blocks:
            _survival(model, problem)
        _extras(model, problem.extras)
        model.cost = pyo.Objective(expr=linear(_costs(model, problem), problem.constant))
    return model


def owners(plan_input: PlanInput) -> dict[str, tuple[str, ...]]:
    """Return the asset ids of each name of variables or rows that has one for each asset."""
    owned: dict[str, tuple[str, ...]] = {}
    for name, kind in REGISTRY.items():
        if name != "grid":
            ids = tuple(asset.id for asset in getattr(plan_input, name))
            owned.update(dict.fromkeys([*kind.blocks(plan_input), *kind.sides(plan_input)], ids))
    return owned


def _variables(model: Any, problem: Statement) -> None:
    ids = owners(problem.plan_input)
    for name, one in problem.blocks.items():
        domain = pyo.Binary if one.binary else pyo.Reals
        low, high = one.low.tolist(), one.high.tolist()
        if name in ids:
            row = {asset: i for i, asset in enumerate(ids[name])}
            made = pyo.Var(
                list(row), model.STEP, domain=domain,
                bounds=lambda m, a, t, at=row, low=low, high=high: (low[at[a]][t], high[at[a]][t]),
            )  # fmt: skip
        else:
            made = pyo.Var(
                model.STEP, domain=domain,
                bounds=lambda m, t, low=low, high=high: (low[t], high[t]),
            )  # fmt: skip
        model.add_component(name, made)


def _costs(model: Any, problem: Statement) -> list[tuple[float, Any]]:
    pairs: list[tuple[float, Any]] = []
    for name, one in problem.blocks.items():
        variables = getattr(model, name).values()
        known = zip(one.cost.ravel().tolist(), variables, strict=True)
        pairs += [(cost, variable) for cost, variable in known if cost]
    for column in problem.extras.columns:
        if column.cost:
            pairs.append((column.cost, getattr(model, column.name)[column.index]))
    return pairs


def _balance(model: Any, problem: Statement) -> None:
    given, grid = problem.plan_input, problem.plan_input.grid.id

    def balance(m: Any, t: int) -> Any:
        pairs = [
            (sign, getattr(m, name)[t] if asset == grid else getattr(m, name)[asset, t])
            for asset, flows in problem.flows.items()
            for sign, name in flows
        ]
        if problem.elastic:
            pairs += [(1.0, m.short[t]), (-1.0, m.surplus[t])]
        return linear(pairs) == float(problem.sides["balance"][t])

    model.balance = pyo.Constraint(range(given.n), rule=balance)


def _reserve(model: Any, problem: Statement) -> None:
    given, h, side = problem.plan_input, problem.plan_input.hours, problem.sides
    forming = [battery for battery in given.battery if battery.forming]

    def up(m: Any, t: int) -> Any:
        if forming:
            room = sum(m.charge[b.id, t] - m.discharge[b.id, t] for b in forming)
        else:
            room = sum(g.power_kw * m.on[g.id, t] - m.output[g.id, t] for g in given.genset)
        return room + m.short_up[t] >= float(side["reserve_up"][t])

    def down(m: Any, t: int) -> Any:
        if forming:
            room = sum(m.discharge[b.id, t] - m.charge[b.id, t] for b in forming)
        else:
            room = sum(m.output[g.id, t] - g.min_power_kw * m.on[g.id, t] for g in given.genset)
        return room + m.short_down[t] >= float(side["reserve_down"][t])

    def stored(m: Any, t: int) -> Any:
        lasts = sum(b.discharge_efficiency / h * m.energy[b.id, t] for b in forming)
        return lasts + m.short_up[t] >= float(side["reserve_stored"][t])

    def room(m: Any, t: int) -> Any:
        takes = sum(m.energy[b.id, t] / (h * b.charge_efficiency) for b in forming)
        return m.short_down[t] - takes >= float(side["reserve_room"][t])

    model.reserve_up = pyo.Constraint(model.STEP, rule=up)
    model.reserve_down = pyo.Constraint(model.STEP, rule=down)
    if forming:
        model.reserve_stored = pyo.Constraint(model.STEP, rule=stored)
        model.reserve_room = pyo.Constraint(model.STEP, rule=room)


def _emitted(model: Any, problem: Statement) -> None:
    given, h = problem.plan_input, problem.plan_input.hours / 1e3

    def emitted(m: Any, t: int) -> Any:
        spent = sum(g.co2_g_per_kwh * m.output[g.id, t] for g in given.genset)
        spent += given.grid.co2_g_per_kwh * m.import_kw[t]
        left = m.co2_left[t] - (m.co2_left[t - 1] if t else 0.0)
        return left + h * spent == float(problem.sides["emitted"][t])

    model.emitted = pyo.Constraint(model.STEP, rule=emitted)


def _survival(model: Any, problem: Statement) -> None:
    for name, kept in others(problem.plan_input).items():

        def outlives(m: Any, t: int, name: str = name, kept: tuple[Battery, ...] = kept) -> Any:
            lasts = sum(b.discharge_efficiency * m.energy[b.id, t] for b in kept)
            return lasts + m.survival_short[t] >= float(problem.sides[name][t])

        model.add_component(name, pyo.Constraint(model.STEP, rule=outlives))


def _extras(model: Any, extras: Extras) -> None:
    by_name: dict[str, dict[Any, Any]] = {}
    for column in extras.columns:
        by_name.setdefault(column.name, {})[column.index] = column
    for name, columns in by_name.items():
        binary = next(iter(columns.values())).binary
        made = pyo.Var(
            list(columns),
            domain=pyo.Binary if binary else pyo.NonNegativeReals,
            bounds=lambda m, *index, columns=columns: (0.0, columns[index].high),
        )
        model.add_component(name, made)
    rows: dict[str, dict[Any, Any]] = {}
    for row in extras.rows:
        rows.setdefault(row.name, {})[row.index] = row

    def rule(m: Any, row: Any) -> Any:
        body = linear((c, getattr(m, name)[index]) for c, name, index in row.terms)
        return body >= row.low if row.high == float("inf") else body <= row.high

    for name, known in rows.items():
        made = pyo.Constraint(
            list(known), rule=lambda m, *index, known=known: rule(m, known[index])
        )
        model.add_component(name, made)
