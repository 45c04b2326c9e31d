"""Plan: build the model, solve it, check the answer, and say why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from dispatch import highs
from dispatch.check import check_input, check_plan, cut_excess
from dispatch.check_cost import check_cost
from dispatch.cost import day_cost
from dispatch.explain import SMALL, Duals, explain
from dispatch.extras import Pairs, cut_scale
from dispatch.plan import (
    NEW_PLAN,
    Floats,
    InfeasiblePlan,
    Plan,
    PlanInput,
    Reason,
    Value,
    empty_schedule,
)
from dispatch.problem import Answer, Problem
from dispatch.reasons import bus_of, reason
from dispatch.statement import statement
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
) -> Plan:
    """Return the cheapest schedule within `gap`.

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
    found = optimum(plan_input, gap=gap, nodes=nodes, optimise=optimise)
    if found.schedule is None:
        raise InfeasiblePlan(diagnose(plan_input, found.pairs, nodes=nodes))
    return _plan(plan_input, found.problem, found.answer, found.schedule)


@dataclass(frozen=True, eq=False)
class Optimum:
    """What HiGHS found for a checked input.

    Attributes
    ----------
    problem : Problem
    answer : Answer
    schedule : xarray.Dataset or None
        Without prices; None when there is none.
    pairs : frozenset of (str, int)
        Where an either-or was added.
    """

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
        problem = patched(statement(plan_input, pairs))
        answer = optimise(problem, gap=gap, nodes=nodes, small=not pairs)
        if answer.status == "infeasible":
            return Optimum(problem, answer, None, pairs)
        schedule = schedule_of(plan_input, problem, answer)
        broken = both_ways(plan_input, schedule) - pairs
        if not broken:
            return Optimum(problem, answer, schedule, pairs)
        rounds += 1
        pairs |= widened(broken, rounds, plan_input.n)


def _plan(plan_input: PlanInput, problem: Problem, answer: Answer, schedule: xr.Dataset) -> Plan:
    duals = _duals(plan_input, problem, answer)
    schedule["marginal_price"].values[:] = np.round(duals.price, DIGITS)
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
    stored = -problem.duals(answer, "dynamics").reshape(-1, plan_input.n)[:, 0]
    return Duals(price, stored, np.maximum(0.0, -problem.duals(answer, "cut")))


def diagnose(
    plan_input: PlanInput, pairs: Pairs = frozenset(), *, nodes: int = 2000
) -> tuple[Reason, ...]:
    """Return what keeps a checked input from having a schedule, in operator's words.

    The rules that can give way do so by as little as possible in sum; what they give is what
    is missing.
    """
    problem = patched(statement(plan_input, pairs, elastic=True))
    answer = highs.optimise(problem, gap=1e-6, nodes=nodes)
    if answer.status == "infeasible":
        return ()
    reasons = [
        *_spans(plan_input, problem.values(answer, "short"), "infeasible.supply"),
        *_spans(plan_input, problem.values(answer, "surplus"), "infeasible.surplus"),
    ]
    for cut, over in zip(plan_input.cuts, problem.values(answer, "over"), strict=True):
        if over > SMALL:
            params = {"cut": cut.name, "bus": bus_of(cut.name), "at": plan_input.label(cut.step)}
            reasons.append(reason("plan", "infeasible.cut", short_kw=float(over), **params))
    at = plan_input.label(plan_input.n)
    ends = problem.values(answer, "end_short")
    for battery, short in zip(plan_input.battery if ends.size else (), ends, strict=True):
        if short > SMALL:
            missing = float(short) * plan_input.hours
            reasons.append(
                reason(
                    "plan",
                    "infeasible.end_energy",
                    battery=battery.id,
                    short_kwh=missing,
                    at=at,
                )
            )
    return tuple(reasons)


def _spans(plan_input: PlanInput, short_kw: Floats, code: str) -> list[Reason]:
    """Return one reason per run of steps in which `short_kw` is above nothing."""
    edges = np.diff(np.concatenate([[False], short_kw > SMALL, [False]]).astype(np.int8))
    reasons = []
    for start, end in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True):
        connected = bool(plan_input.grid_available[start:end].any())
        grid = plan_input.grid
        limit = grid.import_limit_kw if code == "infeasible.supply" else grid.export_limit_kw
        params: dict[str, Value] = {
            "at": plan_input.label(int(start)),
            "until": plan_input.label(int(end)),
            "short_kw": float(short_kw[start:end].max()),
            "where": f"grid limit {limit:g} kW" if connected else "islanded",
        }
        if code == "infeasible.supply":
            worst = int(start) + int(short_kw[start:end].argmax())
            demand = float(plan_input.demand_kw[worst])
            params["worst"], params["demand_kw"] = plan_input.label(worst), demand
            params["most_kw"] = demand - float(short_kw[worst])
        reasons.append(reason("plan", code, **params))
    return reasons
