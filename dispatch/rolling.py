"""A horizon that rolls: one HiGHS goes on from where its last solution ended.

Only numbers change from roll to roll (:mod:`dispatch.template`), so the last basis is near the
next optimum, and the last commitment, moved on, is a first answer of the search. Where a plan
goes on from depends on what was solved before; a control room that may be started again at any
time solves each plan from nothing instead.
"""

from __future__ import annotations

from typing import Any

import highspy
import numpy as np
import numpy.typing as npt

from dispatch.highs import (
    INFEASIBLE,
    commitment,
    flows,
    held_flows,
    must,
    optimise,
    solver_of,
    verdict,
)
from dispatch.plan import Floats
from dispatch.problem import Answer, Problem


class Rolling:
    """Solves problems of one template one after the other, each from the last."""

    def __init__(self) -> None:
        self._form: object = None
        self._flows: Any = None
        self._search: Any = None
        self._chosen: Floats | None = None

    def optimise(
        self, problem: Problem, *, gap: float, nodes: int, small: bool = True, moved: int = 1
    ) -> Answer:
        """Return what :func:`dispatch.highs.optimise` does.

        Parameters
        ----------
        moved : int
            Steps by which the horizon moved since the last problem.
        """
        if problem.form is None:
            return optimise(problem, gap=gap, nodes=nodes, small=small)
        if problem.form is not self._form:
            self._open(problem, gap, nodes, small=small)
        if self._search is None:
            _patch(self._flows, problem)
            status = verdict(self._flows)
            return (
                INFEASIBLE if status == "infeasible" else Answer(status, 0.0, *flows(self._flows))
            )
        _patch(self._search, problem)
        where = np.flatnonzero(problem.binary).astype(np.int32)
        if self._chosen is not None:
            low, high = problem.numbers.low[where], problem.numbers.high[where]
            hint = np.clip(_shifted(problem, self._chosen, moved)[where], low, high)
            must(self._search.setSolution(len(where), where, hint), "a first answer")
        status = verdict(self._search)
        if status == "infeasible":
            self._chosen = None
            return INFEASIBLE
        where, chosen = commitment(problem, self._search)
        self._chosen = np.zeros(len(problem.binary))
        self._chosen[where] = chosen
        _patch(self._flows, problem)
        must(self._flows.changeColsBounds(len(where), where, chosen, chosen), "bounds")
        return Answer(status, float(self._search.getInfo().mip_gap), *held_flows(self._flows))

    def _open(self, problem: Problem, gap: float, nodes: int, *, small: bool) -> None:
        self._form, self._chosen = problem.form, None
        where = np.flatnonzero(problem.binary).astype(np.int32)
        self._flows = solver_of(problem.lp, 0.0, 0)
        self._search = solver_of(problem.lp, gap, nodes, small=small) if where.size else None
        if where.size:
            continuous = np.full(len(where), highspy.HighsVarType.kContinuous)
            must(self._flows.changeColsIntegrality(len(where), where, continuous), "integrality")


def _patch(solver: Any, problem: Problem) -> None:
    numbers = problem.numbers
    columns: npt.NDArray[np.int32] = np.arange(len(numbers.low), dtype=np.int32)
    rows: npt.NDArray[np.int32] = np.arange(len(numbers.row_low), dtype=np.int32)
    must(solver.changeColsCost(len(columns), columns, numbers.cost), "costs")
    must(solver.changeColsBounds(len(columns), columns, numbers.low, numbers.high), "bounds")
    must(solver.changeRowsBounds(len(rows), rows, numbers.row_low, numbers.row_high), "sides")
    must(solver.changeObjectiveOffset(numbers.offset), "offset")


def _shifted(problem: Problem, values: Floats, moved: int) -> Floats:
    """Return the values of the columns, moved towards the start; the last step's stay."""
    shifted = values.copy()
    for place in problem.column.values():
        part = slice(place.first, place.first + place.size)
        by_step = values[part].reshape(-1, place.steps)
        step = np.minimum(np.arange(place.steps) + moved, place.steps - 1)
        shifted[part] = by_step[:, step].ravel()
    return shifted
