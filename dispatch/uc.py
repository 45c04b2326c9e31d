"""Solve a unit-commitment problem, check the answer, and say what is missing when there is none."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dispatch import highs
from dispatch.commitment import Commitment, CommitmentProblem
from dispatch.plan import Floats
from dispatch.problem import Answer
from dispatch.uc_check import check
from dispatch.uc_cost import COST_UNIT
from dispatch.uc_model import build
from dispatch.uc_search import search
from grid.errors import SolverError

SMALL_MW = 1e-6
DIGITS = 9

_TOLD = 5


class InfeasibleCommitment(SolverError):  # noqa: N818 - a verdict on a problem
    """No commitment serves demand and reserve; the message has hours, MW and limit."""


def solve(problem: CommitmentProblem, *, gap: float = 1e-3, nodes: int = 10_000) -> Commitment:
    """Return the cheapest commitment within `gap`.

    Parameters
    ----------
    problem : CommitmentProblem
    gap : float
        Relative distance to the proven optimum at which to stop.
    nodes : int
        Branch-and-bound nodes after which to stop with the best found.

    Raises
    ------
    InfeasibleCommitment
        Naming in which hours demand or reserve cannot be met, and by how many MW.
    SolverError
        When HiGHS fails, or its answer breaks a rule of :func:`dispatch.uc_check.check`.
    """
    model = build(problem)
    compiled = highs.compiled(model)
    answer = search(compiled, _states(problem, model, compiled), gap=gap, nodes=nodes)
    if answer.status == "infeasible":
        raise InfeasibleCommitment(missing(problem, nodes=nodes))
    found = _commitment(problem, model, compiled, answer)
    broken = check(problem, found)
    if broken:
        raise SolverError("HiGHS called a broken commitment optimal: " + "; ".join(broken[:_TOLD]))
    return found


def _states(
    problem: CommitmentProblem, model: Any, compiled: highs.Compiled
) -> npt.NDArray[np.int32]:
    columns = [compiled.column[id(state)] for state in model.on.values()]
    return np.array(columns, dtype=np.int32).reshape(-1, problem.n)


def _commitment(
    problem: CommitmentProblem, model: Any, compiled: highs.Compiled, answer: Answer
) -> Commitment:
    n = problem.n

    def values(variable: Any) -> Floats:
        return compiled.values(answer, variable).reshape(-1, n)

    on = np.round(values(model.on)) == 1.0
    least = np.array([unit.min_mw for unit in problem.thermal]).reshape(-1, 1)
    output: Floats = np.where(on, _tidy(values(model.above)) + least, 0.0)
    reserve = np.zeros_like(output)
    kept = list(model.KEPT)
    if kept:
        reserve[:, kept] = _tidy(compiled.values(answer, model.reserve).reshape(-1, len(kept)))
    renewable = _tidy(values(model.renewable))
    return Commitment(
        answer.status,
        answer.objective * COST_UNIT,
        answer.gap,
        on,
        output.round(DIGITS),
        reserve,
        renewable,
    )


def _tidy(flows: Floats) -> Floats:
    """Return `flows` without the negative traces that HiGHS may leave; more than those stays."""
    kept: Floats = np.where((flows < 0.0) & (flows > -SMALL_MW), 0.0, flows)
    # adding 0 turns -0.0 into 0.0
    return kept.round(DIGITS) + 0.0


def missing(problem: CommitmentProblem, *, nodes: int = 10_000) -> str:
    """Return in words what keeps a problem from having a commitment.

    Demand and reserve give way by as few MW as they can; what they give is missing.
    """
    model = build(problem, elastic=True)
    compiled = highs.compiled(model)
    answer = search(compiled, _states(problem, model, compiled), gap=1e-4, nodes=nodes)
    if answer.status == "infeasible":
        return "the generators' own limits contradict each other whatever the demand"
    told = []
    for variable, hours, needed, text in (
        (model.short, range(problem.n), problem.demand_mw, "MW of a demand of {:g} MW unserved"),
        (model.surplus, range(problem.n), problem.demand_mw, "MW above a demand of {:g} MW"),
        (model.bare, list(model.KEPT), problem.reserve_mw, "MW of a reserve of {:g} MW not kept"),
    ):
        for t, mw in zip(hours, compiled.values(answer, variable), strict=True):
            if mw > SMALL_MW:
                told.append(f"hour {t + 1}: {mw:.3f} {text.format(needed[t])}")
    more = f"; and {len(told) - _TOLD} more" if len(told) > _TOLD else ""
    return "no commitment: " + "; ".join(told[:_TOLD]) + more


def facts(problem: CommitmentProblem, found: Commitment) -> dict[str, Any]:
    """Return a commitment as plain lists by generator, for a file."""
    thermal = zip(problem.thermal, found.on, found.output_mw, found.reserve_mw, strict=True)
    renewable = zip(problem.renewable, found.renewable_mw, strict=True)
    return {
        "status": found.status,
        "cost": found.cost,
        "gap": found.gap,
        "thermal_generators": {
            unit.name: {
                "on": on.astype(int).tolist(),
                "output_mw": output.tolist(),
                "reserve_mw": reserve.tolist(),
            }
            for unit, on, output, reserve in thermal
        },
        "renewable_generators": {
            plant.name: {"output_mw": output.tolist()} for plant, output in renewable
        },
    }
