"""From a Pyomo model to HiGHS and back, each step of the way checked.

The model is compiled to a sparse matrix and handed over in one call; a plan never reads or
writes a file. One thread, a fixed seed, no clock: HiGHS stops by gap and node limit only,
so that the same input gives the same answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import highspy
import numpy as np
import numpy.typing as npt
from pyomo.common.gc_manager import PauseGC
from pyomo.repn.plugins.standard_form import LinearStandardFormCompiler

from dispatch.plan import Floats
from dispatch.problem import COST_SCALE, Answer, Problem
from grid.errors import SolverError

INFEASIBLE = Answer("infeasible", np.inf, np.nan, np.empty(0), np.empty(0))

INTEGRALITY = 1e-5
"""Largest distance of a binary from 0 or 1 that is taken for rounding."""


_DUAL_SIMPLEX, _PRIMAL_SIMPLEX = 1, 4

_SMALL_SEARCH: dict[str, bool | int | float | str] = {
    # heuristics that solve smaller problems, and restarts, take most of the time of a
    # day with one genset, and find nothing there that rounding and branching do not
    "mip_heuristic_run_rins": False,
    "mip_heuristic_run_rens": False,
    "mip_heuristic_run_root_reduced_cost": False,
    "mip_heuristic_run_feasibility_jump": False,
    "mip_allow_restart": False,
    # the rows are few and tight as they are
    "presolve": "off",
}


@dataclass(frozen=True, eq=False)
class Compiled:
    """A model as arrays, and where its Pyomo variables and constraints stand in them."""

    lp: Any
    column: dict[int, int]
    row: dict[int, int]
    binary: npt.NDArray[np.bool_]

    def values(self, answer: Answer, variable: Any) -> Floats:
        """Return the values of a Pyomo variable in the order of its index.

        What stands in no row has its lower bound.
        """
        return np.array(
            [
                float(part.lb or 0.0) if at is None else float(answer.columns[at])
                for part, at in ((one, self.column.get(id(one))) for one in variable.values())
            ]
        )


def compiled(model: Any) -> Compiled:
    """Return `model` as a HiGHS problem."""
    with PauseGC():
        form = LinearStandardFormCompiler().write(model, mixed_form=True)
    lp = highspy.HighsLp()
    rows, columns = form.A.shape
    lp.num_row_, lp.num_col_ = rows, columns
    lp.offset_ = float(form.c_offset[0]) * COST_SCALE
    lp.col_cost_ = np.asarray(form.c.todense()).ravel() * COST_SCALE
    infinity = highspy.kHighsInf
    bounds = [variable.bounds for variable in form.columns]
    lp.col_lower_ = np.array([-infinity if low is None else low for low, _ in bounds])
    lp.col_upper_ = np.array([infinity if high is None else high for _, high in bounds])
    side = np.array([kind for _, kind in form.rows])
    rhs = np.asarray(form.rhs, dtype=np.float64)
    lp.row_lower_ = np.where(side == 1, -infinity, rhs)
    lp.row_upper_ = np.where(side == -1, infinity, rhs)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_ = form.A.indptr
    lp.a_matrix_.index_ = form.A.indices
    lp.a_matrix_.value_ = form.A.data
    binary = np.array([variable.is_binary() for variable in form.columns], dtype=np.bool_)
    if binary.any():
        kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
        lp.integrality_ = [kinds[int(is_binary)] for is_binary in binary]
    return Compiled(
        lp,
        {id(variable): i for i, variable in enumerate(form.columns)},
        {id(entry.constraint): i for i, entry in enumerate(form.rows)},
        binary,
    )


def must(status: Any, what: str) -> None:
    """Raise when HiGHS does not take what it was told."""
    if status != highspy.HighsStatus.kOk:
        raise SolverError(f"HiGHS answered {status.name} to {what}")


def solver_of(lp: Any, gap: float, nodes: int, *, small: bool = True) -> Any:
    """Return a solver that holds `lp`."""
    solver: Any = highspy.Highs()  # type: ignore[no-untyped-call]  # highspy has no types
    options: dict[str, bool | int | float | str] = {
        "output_flag": False,
        "threads": 1,
        "parallel": "off",
        "random_seed": 0,
        "solver": "simplex",
        "mip_rel_gap": gap,
        "mip_abs_gap": 1e-6,
        "mip_max_nodes": nodes,
        **(_SMALL_SEARCH if small else {}),
    }
    for name, value in options.items():
        must(solver.setOptionValue(name, value), f"option {name}")
    must(solver.passModel(lp), "passModel")
    return solver


def optimise(problem: Compiled | Problem, *, gap: float, nodes: int, small: bool = True) -> Answer:
    """Solve `problem`; then hold its binaries and solve again for exact flows and duals.

    With `small` its binaries are few enough to find good values without smaller searches.

    Raises
    ------
    SolverError
        When HiGHS fails, answers outside its statuses, or calls a fraction an integer.
    """
    solver = solver_of(problem.lp, gap, nodes, small=small)
    status = verdict(solver)
    if status == "infeasible":
        return INFEASIBLE
    if not problem.binary.any():
        return Answer(status, 0.0, *flows(solver))
    where, chosen = commitment(problem, solver)
    held = solver_of(problem.lp, 0.0, 0)
    continuous = np.full(len(where), highspy.HighsVarType.kContinuous)
    must(held.changeColsIntegrality(len(where), where, continuous), "integrality")
    must(held.changeColsBounds(len(where), where, chosen, chosen), "bounds")
    return Answer(status, float(solver.getInfo().mip_gap), *held_flows(held))


def run(solver: Any) -> None:
    """Run a solver to its end.

    The dual simplex perturbs costs, and may be left with a reduced cost of the wrong sign when it
    takes them back; it then knows no status, and the primal simplex starts anew.

    Raises
    ------
    SolverError
        When HiGHS fails.
    """
    if solver.run() == highspy.HighsStatus.kError:
        raise SolverError("HiGHS failed to run")
    if solver.getModelStatus() != highspy.HighsModelStatus.kUnknown:
        return
    must(solver.clearSolver(), "clearSolver")
    must(solver.setOptionValue("simplex_strategy", _PRIMAL_SIMPLEX), "simplex_strategy")
    status = solver.run()
    must(solver.setOptionValue("simplex_strategy", _DUAL_SIMPLEX), "simplex_strategy")
    if status == highspy.HighsStatus.kError:
        raise SolverError("HiGHS failed to run")


def verdict(solver: Any) -> str:
    """Run a solver and return the status of :class:`dispatch.problem.Answer`.

    Raises
    ------
    SolverError
        When HiGHS fails, or stops without a plan.
    """
    run(solver)
    status = solver.getModelStatus()
    if status in (
        highspy.HighsModelStatus.kInfeasible,
        highspy.HighsModelStatus.kUnboundedOrInfeasible,
    ):
        return "infeasible"
    found = solver.getInfo().primal_solution_status
    feasible = found == highspy.SolutionStatus.kSolutionStatusFeasible
    if status == highspy.HighsModelStatus.kOptimal and feasible:
        return "optimal"
    if status == highspy.HighsModelStatus.kSolutionLimit and feasible:
        return "limit"
    raise SolverError(f"HiGHS stopped without a plan: {solver.modelStatusToString(status)}")


def commitment(problem: Compiled | Problem, solver: Any) -> tuple[npt.NDArray[np.int32], Floats]:
    """Return the columns of the binaries and their values, whole.

    Raises
    ------
    SolverError
        When HiGHS calls a fraction an integer.
    """
    where = np.flatnonzero(problem.binary).astype(np.int32)
    found = np.array(solver.getSolution().col_value)[where]
    chosen = np.round(found)
    if np.abs(found - chosen).max() > INTEGRALITY:
        raise SolverError("HiGHS returned a fraction for a binary")
    return where, chosen


def held_flows(solver: Any) -> tuple[float, Floats, Floats]:
    """Run a linear problem with the binaries held; return its :func:`flows`.

    Raises
    ------
    SolverError
        When it has no solution.
    """
    run(solver)
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        raise SolverError("the flows of the chosen commitment could not be solved")
    return flows(solver)


def flows(solver: Any) -> tuple[float, Floats, Floats]:
    """Return objective, columns and duals of a linear problem that is solved."""
    objective = float(solver.getInfo().objective_function_value) / COST_SCALE
    solution = solver.getSolution()
    return objective, np.array(solution.col_value), np.array(solution.row_dual) / COST_SCALE
