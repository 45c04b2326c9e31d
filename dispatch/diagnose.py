"""What keeps an input from having a schedule, found by letting its rules give way."""

from __future__ import annotations

import numpy as np

from dispatch import highs
from dispatch.explain import SMALL
from dispatch.extras import Pairs
from dispatch.plan import Floats, PlanInput, Reason, Value
from dispatch.reasons import bus_of, reason
from dispatch.statement import statement
from dispatch.template import patched


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
