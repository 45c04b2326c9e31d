"""The linear problem of least moves: by how much flows leave what the plan in force has."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from dispatch import highs
from dispatch.in_force import Columns, Targets
from dispatch.plan import Floats
from dispatch.problem import Numbers, Problem

SAME_KW = 5e-8
"""Below this a flow did not move: what HiGHS takes for kept, and no device can tell."""


class Moves:
    """Solves for the least weighted sum of moves, one time after the other with others held.

    Each column of a target becomes its value in force and a move up, and beside it stands a
    move down; so the absolute value needs no rows of its own.

    Parameters
    ----------
    problem : Problem
        Without a cost of its own; its binaries are held.
    goal : Targets
    """

    def __init__(self, problem: Problem, goal: Targets) -> None:
        numbers, size = problem.numbers, len(problem.binary)
        shape = (len(problem.start) - 1, size)
        matrix = sp.csr_array((problem.value, problem.index, problem.start), shape)
        down = matrix[:, goal.flow]
        base = down @ goal.flow_kw
        whole = sp.csr_array(sp.hstack([matrix, -down]))
        nothing = np.zeros(len(goal.flow))
        low, high = numbers.low.copy(), numbers.high.copy()
        self._down = goal.flow_kw - low[goal.flow]
        self._up = high[goal.flow] - goal.flow_kw
        low[goal.flow], high[goal.flow] = 0.0, self._up
        cost = np.zeros(size)
        cost[goal.flow] = goal.weight
        moved = replace(
            problem,
            numbers=Numbers(
                np.append(cost, goal.weight),
                np.append(low, nothing),
                np.append(high, self._down),
                numbers.row_low - base,
                numbers.row_high - base,
                0.0,
            ),
            start=whole.indptr.astype(np.int32),
            index=whole.indices.astype(np.int32),
            value=whole.data,
            binary=np.zeros(size + len(goal.flow), np.bool_),
            form=None,
        )
        self._at = goal.flow
        self._size = size
        self._solver = highs.solver_of(moved.lp, 0.0, 0)

    def hold(self, targets: Columns | np.int64) -> None:
        """Let targets stay at what is in force."""
        at = np.atleast_1d(targets)
        self._bound(at, np.zeros(len(at)), np.zeros(len(at)))

    def release(self, targets: Columns | np.int64) -> None:
        """Let targets move again."""
        at = np.atleast_1d(targets)
        self._bound(at, self._up[at], self._down[at])

    def _bound(self, targets: Columns, up_kw: Floats, down_kw: Floats) -> None:
        at: npt.NDArray[np.int32] = np.append(self._at[targets], self._size + targets).astype(
            np.int32
        )
        most = np.append(up_kw, down_kw)
        highs.must(
            self._solver.changeColsBounds(len(at), at, np.zeros(len(at)), most), "bounds of moves"
        )

    def least(self) -> Floats | None:
        """Return the moves, kW, up above 0, (target,); None when something held cannot be."""
        if highs.verdict(self._solver) == "infeasible":
            return None
        values = np.array(self._solver.getSolution().col_value)
        moved: Floats = values[self._at] - values[self._size :]
        return np.where(np.abs(moved) > SAME_KW, moved, 0.0)
