"""Plan: build the model, solve it, check the answer, and say why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from dispatch import highs
from dispatch.check import check_input, check_plan, cut_excess
from dispatch.check_cost import check_cost
from dispatch.cost import day_cost
from dispatch.curtailment import share_out
from dispatch.diagnose import diagnose
from dispatch.explain import SMALL, Duals, explain
from dispatch.extras import Pairs, cut_scale
from dispatch.in_force import rest
from dispatch.kept import explained, settle
from dispatch.plan import (
    NEW_PLAN,
    Floats,
    InfeasiblePlan,
    Plan,
    PlanInput,
    empty_schedule,
)
from dispatch.problem import Answer, Problem
from dispatch.statement import Statement, statement
from dispatch.steady import steady, tolerance
from dispatch.template import patched
from grid.errors import SolverError

BOTH_KW = 1e-6
"""Power in both directions at once from which an either-or is added."""

EITHER_ROUNDS = 6
"""Rounds of adding either-ors where they are broken, before they are added everywhere."""

DIGITS = 9
"""Decimals kept of each flow, so that rounding of the last bit is not a change of plan."""


def solve(
    plan_input: PlanInput,
    *,
    gap: float = 1e-3,
    nodes: int = 2000,
    optimise: Callable[..., Answer] = highs.optimise,
    in_force: Plan | None = None,
) -> Plan:
    """Return the cheapest schedule within `gap`, or one that stays near the plan in force.

    Stores are first allowed to run both ways at once, which only a negative price makes
    attractive; where the answer does so, a binary forbids it and the plan is solved again.

    Parameters
    ----------
    plan_input : PlanInput
    gap : float
        Relative distance to the proven optimum at which to stop.
    nodes : int
        Branch-and-bound nodes after which to stop with the best found.
    optimise : callable
        :func:`dispatch.highs.optimise`, which knows of no other plan, or that of a
        :class:`dispatch.rolling.Rolling`.
    in_force : Plan, optional
        What the devices follow until now. Of the schedules that cost next to nothing more than the
        cheapest, the one nearest to it is returned (:mod:`dispatch.steady`); `gap` of the plan and
        its reasons say what that costs, marginal prices are those of the cheapest.

    Raises
    ------
    BadInputError
        Before any model is built, naming the field, position, value and limit.
    InfeasiblePlan
        Naming which rule cannot be kept, when, and by how many kW.
    SolverError
        When HiGHS fails, or its answer breaks a rule of :func:`dispatch.check.check_plan`,
        or what it minimised is not the cost (:func:`dispatch.check_cost.check_cost`).
    """
    check_input(plan_input)
    before = None if in_force is None else rest(plan_input, in_force)
    found = optimum(plan_input, gap=gap, nodes=nodes, optimise=optimise)
    if found.schedule is None:
        raise InfeasiblePlan(diagnose(plan_input, found.pairs, nodes=nodes))
    share_out(plan_input, found.schedule)
    plan = _plan(plan_input, found.problem, found.answer, found.schedule)
    if in_force is None or before is None:
        return plan
    return _near(found, plan, in_force, before, nodes)


@dataclass(frozen=True, eq=False)
class Optimum:
    """What HiGHS found for a checked input.

    Attributes
    ----------
    stated : Statement
    problem : Problem
    answer : Answer
    schedule : xarray.Dataset or None
        Without prices; None when there is none.
    pairs : frozenset of (str, int)
        Where an either-or was added.
    """

    stated: Statement
    problem: Problem
    answer: Answer
    schedule: xr.Dataset | None
    pairs: Pairs


def optimum(
    plan_input: PlanInput,
    *,
    gap: float,
    nodes: int,
    optimise: Callable[..., Answer] = highs.optimise,
) -> Optimum:
    """Return the cheapest schedule of a checked input, not yet checked and without its reasons."""
    pairs: Pairs = frozenset()
    rounds = 0
    while True:
        stated = statement(plan_input, pairs)
        problem = patched(stated)
        answer = optimise(problem, gap=gap, nodes=nodes, small=not pairs)
        if answer.status == "infeasible":
            return Optimum(stated, problem, answer, None, pairs)
        _must_be_numbers(problem, answer)
        schedule = schedule_of(plan_input, problem, answer)
        broken = both_ways(plan_input, schedule) - pairs
        if not broken:
            return Optimum(stated, problem, answer, schedule, pairs)
        rounds += 1
        pairs |= widened(broken, rounds, plan_input.n)


def _near(found: Optimum, cheapest: Plan, in_force: Plan, before: xr.Dataset, nodes: int) -> Plan:
    """Return the plan nearest to that in force; the cheapest where none is nearer."""
    plan_input, problem = found.stated.plan_input, found.problem
    allowed = tolerance(day_cost(plan_input, cheapest.schedule))
    for one_way in (False, True):
        answer = steady(
            found.stated, problem, found.answer, before,
            allowed=allowed, nodes=nodes, one_way=one_way,
        )  # fmt: skip
        if answer is found.answer:
            return cheapest
        try:
            _must_be_numbers(problem, answer)
            schedule = schedule_of(plan_input, problem, answer)
            if both_ways(plan_input, schedule):
                continue
            settle(plan_input, schedule, before)
            share_out(plan_input, schedule)
            plan = _plan(plan_input, problem, answer, schedule)
        except SolverError:
            # refused as any plan would be: the cheapest has been judged and stands
            return cheapest
        reasons = explained(
            plan_input,
            plan.reasons,
            schedule,
            cheapest.schedule,
            before,
            planned_s=in_force.start_s,
            saving=plan.gap * abs(answer.objective),
        )
        return replace(plan, reasons=reasons)
    return cheapest


def _plan(plan_input: PlanInput, problem: Problem, answer: Answer, schedule: xr.Dataset) -> Plan:
    duals = _duals(plan_input, problem, answer)
    schedule["marginal_price"].values[:] = np.round(duals.price, DIGITS)
    schedule["energy_price"].values[plan_input.rows("battery")] = np.round(duals.stored, DIGITS)
    tight = np.abs(cut_excess(plan_input, schedule)) < SMALL
    cost = day_cost(plan_input, schedule)
    plan = Plan(
        status=answer.status,
        source=NEW_PLAN,
        start_s=plan_input.start_s,
        interval_s=plan_input.interval_s,
        objective=cost.total,
        gap=answer.gap,
        schedule=schedule,
        reasons=explain(plan_input, schedule, duals),
        binding_cuts=tuple(
            (cut.step, cut.name)
            for cut, is_tight in zip(plan_input.cuts, tight, strict=True)
            if is_tight
        ),
        cut_prices=tuple(
            (
                cut.step,
                cut.name,
                float(dual) / cut_scale(cut.coefficient.values()) / plan_input.hours,
            )
            for cut, dual in zip(plan_input.cuts, duals.cut, strict=True)
            if dual > 0.0
        ),
    )
    violations = [
        *check_plan(plan_input, plan),
        *check_cost(plan_input, schedule, cost, answer.objective),
    ]
    if violations:
        raise SolverError("HiGHS called a broken plan optimal: " + "; ".join(violations))
    return plan


def _must_be_numbers(problem: Problem, answer: Answer) -> None:
    """Refuse an answer with a value that is not finite, or a binary that is not whole."""
    columns = answer.columns
    finite = np.isfinite(columns)
    whole = np.where(finite, columns, 0.0)
    off = problem.binary & (np.abs(whole - np.round(whole)) > highs.INTEGRALITY)
    for wrong, what in ((~finite, "finite"), (off, "0 or 1")):
        if wrong.any():
            at = int(wrong.argmax())
            name = next(n for n, p in problem.column.items() if p.first <= at < p.first + p.size)
            raise SolverError(f"HiGHS returned {columns[at]:.6g} for {name}, must be {what}")


def schedule_of(plan_input: PlanInput, problem: Problem, answer: Answer) -> xr.Dataset:
    """Return the schedule that an answer is, without prices."""
    n = plan_input.n
    schedule = empty_schedule(plan_input)

    def of(name: str) -> Floats:
        return problem.values(answer, name)

    def put(name: str, kind: str, variable: str, high: Floats | float = np.inf) -> None:
        flows = of(variable).reshape(-1, n)
        rows = plan_input.rows(kind)
        schedule[name].values[rows] = _within(flows, high)

    rating = np.array([[battery.power_kw] for battery in plan_input.battery]).reshape(-1, 1)
    put("charge_kw", "battery", "charge", rating)
    put("discharge_kw", "battery", "discharge", rating)
    put("energy_kwh", "battery", "energy")
    put("produce_kw", "genset", "output")
    put("shed_kw", "shedding", "shed", plan_input.sheddable_kw)
    if plan_input.charger:
        put("charge_kw", "charger", "ev_charge")
        put("discharge_kw", "charger", "ev_discharge")
        put("energy_kwh", "charger", "ev_energy")
        put("missed_kwh", "charger", "ev_missed")
    if plan_input.flexible:
        put("charge_kw", "flexible", "flexible")
        schedule["energy_kwh"].values[plan_input.rows("flexible")] = np.round(
            of("flexible_energy").reshape(-1, n), DIGITS
        )
        put("missed_kwh", "flexible", "flexible_missed")
    if plan_input.heat:
        put("boiler_kw", "heat", "heat_boiler")
        put("energy_kwh", "heat", "heat_stored")
        put("missed_kwh", "heat", "heat_missed")
    for kind, available in (
        ("solar", plan_input.solar_available_kw),
        ("wind", plan_input.wind_available_kw),
    ):
        rows = plan_input.rows(kind)
        put("produce_kw", kind, kind, available)
        produced = schedule["produce_kw"].values[rows]
        withheld = np.round(available - produced, DIGITS)
        schedule["curtail_kw"].values[rows] = np.where(withheld > BOTH_KW, withheld, 0.0)
        schedule["limit_kw"].values[rows] = np.where(withheld > BOTH_KW, produced, np.nan)
    shed = plan_input.rows("shedding")
    withheld = schedule["shed_kw"].values[shed]
    served = plan_input.sheddable_kw - withheld
    schedule["limit_kw"].values[shed] = np.where(withheld > BOTH_KW, served, np.nan)
    schedule["on"].values[plan_input.rows("genset")] = np.round(of("on")).reshape(-1, n) == 1.0
    for name in ("import_kw", "export_kw"):
        schedule[name].values[:] = _within(of(name))
    if "short_up" in problem.column:
        short = np.maximum(of("short_up"), of("short_down"))
        schedule["reserve_short_kw"].values[:] = _within(short)
    return schedule


def _within(flows: Floats, high: Floats | float = np.inf) -> Floats:
    """Return `flows` without what HiGHS may leave outside their bounds, 1e-7 kW; more than that
    stays, for the check to find."""
    inside = np.clip(flows, 0.0, high)
    kept: Floats = np.where(np.abs(flows - inside) < BOTH_KW, inside, flows)
    # adding 0 turns -0.0 into 0.0
    return np.round(kept, DIGITS) + 0.0


def widened(broken: Pairs, rounds: int, n: int) -> Pairs:
    """Return where an either-or is added: where it was broken, and after many rounds throughout."""
    if rounds <= EITHER_ROUNDS:
        return broken
    return frozenset((asset, t) for asset, _ in broken for t in range(n))


def both_ways(plan_input: PlanInput, schedule: xr.Dataset) -> Pairs:
    """Return the (asset, step) at which power flows both ways at once."""
    both = np.minimum(schedule["charge_kw"].values, schedule["discharge_kw"].values) > BOTH_KW
    grid = np.minimum(schedule["import_kw"].values, schedule["export_kw"].values) > BOTH_KW
    ids = plan_input.asset_ids
    return frozenset(
        [(ids[a], int(t)) for a, t in np.argwhere(both)]
        + [(plan_input.grid.id, int(t)) for t in np.flatnonzero(grid)]
    )


def _duals(plan_input: PlanInput, problem: Problem, answer: Answer) -> Duals:
    price = problem.duals(answer, "balance") / plan_input.hours
    stored = -problem.duals(answer, "dynamics").reshape(-1, plan_input.n)
    return Duals(price, stored, np.maximum(0.0, -problem.duals(answer, "cut")))
