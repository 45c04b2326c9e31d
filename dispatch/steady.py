r"""Of the schedules that cost next to nothing more than the optimum, the one nearest to the plan
in force.

Many schedules of a day cost the same or nearly so, and a forecast that moves by a percent brings
another of them. So a second problem is solved on the rows of the first: with the optimum
:math:`z`, the tolerance :math:`\theta` and what the plan in force has in step :math:`t`,
:math:`\hat x_{j,t}`,

.. math:: \min \sum_{j,t} \tfrac{1}{1+t}\,|x_{j,t} - \hat x_{j,t}| \qquad
          c^\top x \le z + \theta \qquad
          h \sum_{\text{plants}} p \ge h \sum_{\text{plants}} p^\ast - \theta / b

The last row keeps what costs nothing from being withheld for nothing: by no more energy than
:math:`\theta` buys at the dearest price :math:`b`. Where the plan in force as a whole costs at
most `WHOLE` times the tolerance, nothing moves. Else commitment goes first: that in force where
it is cheap enough, or the nearest to it; then flows. Then each set-point of the first step that
moved is put back where it was, if what is kept so far can stay; those that remain moved are
forced. Last, with all that is kept held, the rest is what costs least.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, replace

import highspy
import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import xarray as xr

from dispatch import highs
from dispatch.cost import DayCost
from dispatch.in_force import EITHER, Targets, directions, targets
from dispatch.moves import SAME_KW, Moves
from dispatch.plan import Floats
from dispatch.problem import COST_SCALE, Answer, Numbers, Problem
from dispatch.statement import Statement
from grid.errors import SolverError

SHARE = 3e-4
"""Share of what is bought, sold, burnt and worn that steadiness may cost: a third of the gap at
which plans stop by default, and far less than what a forecast is off by."""

WHOLE = 1.5
"""Times the tolerance that a plan may cost in which nothing moves: one that was brought just
within it is not moved again by the losses and the Wh that a little time changes."""

LEAST = 1e-3
"""Currency that it may cost in any case: a tenth of the smallest coin, which no bill shows."""

_NODES = 200
"""Most nodes of the search for the nearest commitment; the optimum's stays where they end."""

_ROUNDING = 1e-6
"""Currency and kWh that a solver's tolerance may leave over."""


@dataclass(frozen=True, eq=False)
class _Task:
    """A problem with its optimum and what is to be kept."""

    stated: Statement
    problem: Problem
    best: Answer
    goal: Targets
    allowed: float
    nodes: int

    @property
    def plants(self) -> Floats:
        """Coefficient of each column in what the plants give, kWh."""
        row = np.zeros(len(self.problem.binary))
        for name in ("solar", "wind"):
            place = self.problem.column.get(name)
            if place is not None:
                row[place.first : place.first + place.size] = self.stated.plan_input.hours
        return row

    @property
    def least_kwh(self) -> float:
        """What the plants must give."""
        given = self.stated.plan_input
        dearest = float(max(np.abs(given.buy_price).max(), np.abs(given.sell_price).max()))
        slack = self.allowed / dearest if dearest > 0.0 else 0.0
        return float(self.plants @ self.best.columns) - slack

    def cheap(self, answer: Answer) -> bool:
        """Return whether an answer is one of those that cost next to nothing more."""
        if answer.status == "infeasible":
            return False
        dear = answer.objective > self.best.objective + self.allowed + 2 * _ROUNDING
        return not dear and float(self.plants @ answer.columns) >= self.least_kwh - 2 * _ROUNDING


def tolerance(cost: DayCost) -> float:
    """Return by how much a steady plan may be dearer than the optimum of `cost`, currency."""
    at_stake: float = sum(map(abs, astuple(cost)))
    return max(SHARE * at_stake, LEAST)


def steady(
    stated: Statement,
    problem: Problem,
    best: Answer,
    in_force: xr.Dataset,
    *,
    allowed: float,
    nodes: int,
    one_way: bool = False,
) -> Answer:
    """Return the answer nearest to the plan in force; `best` itself where none is nearer.

    Parameters
    ----------
    stated, problem
        As it was solved for `best`.
    best : Answer
        The optimum.
    in_force : xarray.Dataset
        Of :func:`dispatch.in_force.rest`.
    allowed : float
        By how much it may be dearer, currency (:func:`tolerance`).
    one_way : bool
        Let a store flow only the way it flows in the optimum, in force where it is idle there: what
        must not be withheld is wasted in stores otherwise, where nothing else keeps it.

    Returns
    -------
    Answer
        With the duals of the optimum, and the gap to what was proven for it.
    """
    goal = targets(stated.plan_input, problem, in_force)
    if one_way:
        problem = _one_way(problem, best, goal)
        goal = targets(stated.plan_input, problem, in_force)
    task = _Task(stated, problem, best, goal, allowed, nodes)
    try:
        found = _all_kept(replace(task, allowed=WHOLE * allowed))
        if found is None:
            found = _nearest(task, _commitment(task))
    except SolverError:
        # what was found without it stands
        return best
    if found is None:
        return best
    return replace(best, objective=found.objective, columns=found.columns, gap=_gap(best, found))


def _one_way(problem: Problem, best: Answer, goal: Targets) -> Problem:
    """Return the problem with one way of each store shut in each step."""
    wanted = best.columns.copy()
    wanted[goal.flow] = goal.flow_kw
    high = problem.numbers.high.copy()
    for pair in EITHER.values():
        places = [problem.column.get(name) for name in pair]
        if places[0] is None or places[1] is None:
            continue
        one, other = (slice(place.first, place.first + place.size) for place in places if place)
        way = best.columns[one] - best.columns[other]
        way = np.where(np.abs(way) > SAME_KW, way, wanted[one] - wanted[other])
        high[other] = np.where(way >= 0.0, 0.0, high[other])
        high[one] = np.where(way < 0.0, 0.0, high[one])
    return replace(problem, numbers=replace(problem.numbers, high=high), form=None)


def _gap(best: Answer, found: Answer) -> float:
    """Return the relative distance to what the search for the optimum proved."""
    if abs(found.objective - best.objective) <= _ROUNDING:
        return best.gap
    bound = best.objective - best.gap * abs(best.objective)
    return max(0.0, found.objective - bound) / max(abs(found.objective), 1e-6)


def _held(problem: Problem, at: npt.NDArray[np.int64], values: Floats) -> Problem:
    """Return the problem with some columns at given values."""
    low, high = problem.numbers.low.copy(), problem.numbers.high.copy()
    low[at] = high[at] = values
    return replace(problem, numbers=replace(problem.numbers, low=low, high=high), form=None)


def _all_kept(task: _Task) -> Answer | None:
    """Return the answer in which no set-point moves, if it is cheap."""
    goal, numbers = task.goal, task.problem.numbers
    # what was rounded needs a little room, and HiGHS calls one so narrow infeasible at times
    for room_kw in (0.0, SAME_KW):
        low, high = numbers.low.copy(), numbers.high.copy()
        low[goal.flow] = np.maximum(low[goal.flow], goal.flow_kw - room_kw)
        high[goal.flow] = np.minimum(high[goal.flow], goal.flow_kw + room_kw)
        kept = replace(task.problem, numbers=replace(numbers, low=low, high=high), form=None)
        answer = _optimum(_held(kept, goal.on, goal.state), task.nodes)
        if task.cheap(answer):
            return answer
    return None


def _optimum(problem: Problem, nodes: int) -> Answer:
    """Return the answer of a problem in which much is held; infeasible where HiGHS finds none."""
    try:
        return highs.optimise(problem, gap=1e-6, nodes=nodes)
    except SolverError:
        return highs.INFEASIBLE


def _commitment(task: _Task) -> Floats:
    """Return the binaries to hold: in force where they are cheap, else the nearest to it.

    Returns
    -------
    float (column,)
        Whole at each binary.
    """
    binary, goal = task.problem.binary, task.goal
    own = np.where(binary, np.round(task.best.columns), 0.0)
    if not binary.any():
        return own
    wanted = task.best.columns.copy()
    wanted[goal.flow] = goal.flow_kw
    _close(task, wanted)
    either, way = directions(task.stated, task.problem, wanted)
    if not either.size and np.array_equal(own[goal.on], goal.state):
        return own
    sets = [(np.append(goal.on, either), np.append(goal.state, way))]
    if either.size:
        sets.append((goal.on, goal.state))
    for at, values in sets:
        answer = _optimum(_held(task.problem, at, values), _NODES)
        if task.cheap(answer):
            return np.where(binary, np.round(answer.columns), 0.0)
    nearest = _nearest_states(task) if goal.on.size else None
    return own if nearest is None else nearest


def _close(task: _Task, wanted: Floats) -> None:
    """Let the grid take what is over in each step, so that its direction is known."""
    given = task.stated.plan_input
    net = np.asarray(given.demand_kw, dtype=np.float64).copy()
    for asset, flows in task.stated.flows.items():
        if asset == given.grid.id:
            continue
        for sign, name in flows:
            place = task.problem.column[name]
            at = place.at((asset, 0))
            net -= sign * wanted[at : at + given.n]
    for name, values in (("import_kw", net), ("export_kw", -net)):
        at = task.problem.column[name].at((0,))
        wanted[at : at + given.n] = np.clip(values, 0.0, None)


def _nearest_states(task: _Task) -> Floats | None:
    """Return binaries with the least weighted changes of gensets' states, if any are found."""
    problem, goal = task.problem, task.goal
    cost = np.zeros(len(problem.binary))
    cost[goal.on] = np.where(goal.state > 0.5, -goal.state_weight, goal.state_weight)
    search = _bounded(task, problem, cost, float(goal.state_weight @ goal.state))
    solver = highs.solver_of(search.lp, 0.0, _NODES)
    columns: npt.NDArray[np.int32] = np.arange(len(cost), dtype=np.int32)
    highs.must(solver.setSolution(len(cost), columns, task.best.columns), "a first answer")
    if highs.verdict(solver) == "infeasible":
        return None
    where, chosen = highs.commitment(search, solver)
    found = np.zeros(len(cost))
    found[where] = chosen
    return found


def _bounded(task: _Task, problem: Problem, cost: Floats, offset: float) -> Problem:
    """Return a problem of another objective, with what it may cost and must give as rows."""
    numbers = problem.numbers
    rows = sp.csr_array(np.vstack([numbers.cost, task.plants]))
    most = (task.best.objective + task.allowed) * COST_SCALE - numbers.offset
    return replace(
        problem,
        numbers=Numbers(
            cost,
            numbers.low,
            numbers.high,
            np.append(numbers.row_low, [-highspy.kHighsInf, task.least_kwh - _ROUNDING]),
            np.append(numbers.row_high, [most, highspy.kHighsInf]),
            offset,
        ),
        start=np.append(problem.start, problem.start[-1] + rows.indptr[1:]).astype(np.int32),
        index=np.append(problem.index, rows.indices).astype(np.int32),
        value=np.append(problem.value, rows.data),
        form=None,
    )


def _nearest(task: _Task, binaries: Floats) -> Answer | None:
    """Return the nearest answer of one commitment, set-points that need not move put back."""
    chosen = np.flatnonzero(task.problem.binary)
    fixed = replace(
        _held(task.problem, chosen, binaries[chosen]),
        binary=np.zeros_like(task.problem.binary),
    )
    moved = _moved(task, fixed)
    if moved is None:
        return None
    goal = task.goal
    low, high = fixed.numbers.low.copy(), fixed.numbers.high.copy()
    # within the moves that were needed, the cheapest
    least, most = np.minimum(moved, 0.0) - SAME_KW, np.maximum(moved, 0.0) + SAME_KW
    low[goal.flow] = np.maximum(low[goal.flow], goal.flow_kw + least)
    high[goal.flow] = np.minimum(high[goal.flow], goal.flow_kw + most)
    boxed = replace(fixed, numbers=replace(fixed.numbers, low=low, high=high))
    numbers = boxed.numbers
    wider = replace(task, allowed=task.allowed + _ROUNDING)
    last = _bounded(wider, boxed, numbers.cost, numbers.offset)
    answer = highs.optimise(last, gap=0.0, nodes=0)
    return answer if wider.cheap(answer) else None


def _moved(task: _Task, fixed: Problem) -> Floats | None:
    """Return by how much each flow moves at least, kW, (target,); None when none is cheap.

    What even the optimum keeps in the first step is kept, so that no more set-points move than
    with it; then each that moved is put back, if what is kept so far can stay.
    """
    goal = task.goal
    limited = _bounded(task, fixed, np.zeros(len(fixed.binary)), 0.0)
    moves = Moves(limited, goal)
    first = np.flatnonzero(goal.first)
    off_kw = np.abs(task.best.columns[goal.flow] - goal.flow_kw)
    still = first[off_kw[first] <= SAME_KW]
    moves.hold(still)
    moved = moves.least()
    if moved is None:
        moves.release(still)
        moved = moves.least()
    if moved is None:
        return None
    moves.hold(first[moved[first] == 0.0])
    gone = first[moved[first] != 0.0]
    for number in gone[np.argsort(np.abs(moved[gone]), kind="stable")]:
        moves.hold(number)
        found = moves.least()
        if found is None:
            moves.release(number)
        else:
            moved = found
    return moved
