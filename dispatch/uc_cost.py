r"""What a schedule of :mod:`dispatch.uc_model` costs: mixtures of points, categories of starts.

The convex production cost is a mixture of its points (Sridhar, Linderoth and Luedtke, 2013),
the first of which takes what the others leave:

.. math:: p_{g,t} = \sum_{l>1} (P^l_g - P^1_g)\,\lambda^l_{g,t} \qquad
          \sum_{l>1} \lambda^l_{g,t} \le u_{g,t}

A start of category :math:`s` needs a stop as long ago as the category says; the coldest is
always possible and takes what the others leave. Before hour :math:`T^{s+1}` a category is out
when the standing before the first hour is already too long:

.. math:: \delta^s_{g,t} \le \sum_{i=T^s_g}^{T^{s+1}_g-1} w_{g,t-i} \quad (t \ge T^{s+1}_g)
          \qquad \sum_{s<S} \delta^s_{g,t} \le v_{g,t}

.. math:: \text{cost}\; \sum_{g,t} \Big( C^1_g u_{g,t} + \sum_{l>1} (C^l_g - C^1_g)\lambda^l_{g,t}
          + K^S_g v_{g,t} - \sum_{s<S} (K^S_g - K^s_g)\,\delta^s_{g,t} \Big)
"""

from __future__ import annotations

from typing import Any, TypeAlias

import pyomo.environ as pyo

from dispatch.assets.terms import linear
from dispatch.commitment import CommitmentProblem, Thermal

COST_UNIT = 1000.0
"""The objective is in thousands: systems of this size cost millions, and HiGHS sees it scaled."""

Pairs: TypeAlias = list[tuple[float, Any]]


def production(model: Any, problem: CommitmentProblem) -> Pairs:
    """Add the mixtures of three points and more; return the cost of output."""
    cost: Pairs = []
    # one point has no room above, two are a straight line: neither needs a mixture
    index = [
        (g, i)
        for g, unit in enumerate(problem.thermal)
        for i in range(1, len(unit.points))
        if len(unit.points) > 2
    ]
    model.PART = pyo.Set(initialize=index, dimen=2)
    model.part = pyo.Var(model.PART, model.HOUR, bounds=(0.0, 1.0))
    model.mixture = pyo.ConstraintList()
    for g, unit in enumerate(problem.thermal):
        base, *rest = unit.points
        for t in range(problem.n):
            cost.append((base.cost / COST_UNIT, model.on[g, t]))
            if len(rest) == 1:
                slope = (rest[0].cost - base.cost) / (rest[0].mw - base.mw)
                cost.append((slope / COST_UNIT, model.above[g, t]))
            elif rest:
                parts = [(model.part[g, i + 1, t], point) for i, point in enumerate(rest)]
                output = [(point.mw - base.mw, part) for part, point in parts]
                model.mixture.add(linear([*output, (-1.0, model.above[g, t])]) == 0.0)
                share = [(1.0, part) for part, _ in parts]
                model.mixture.add(linear([*share, (-1.0, model.on[g, t])]) <= 0.0)
                cost += [((point.cost - base.cost) / COST_UNIT, part) for part, point in parts]
    return cost


def too_long(unit: Thermal, s: int, hour: int) -> bool:
    """Return whether the benchmark calls a start of category `s` too warm for `hour` (from 1).

    The standing counts from before the first hour even where the generator ran in between; so
    the benchmark has it.
    """
    later = unit.start[s + 1].lag
    stood = 0 if unit.on else unit.hours_in_state
    return max(1, later - stood + 1) <= hour <= later - 1


def starts(model: Any, problem: CommitmentProblem) -> Pairs:
    """Add the categories of starts but the coldest; return the cost of starting."""
    cost: Pairs = []
    index = [
        (g, s, t)
        for g, unit in enumerate(problem.thermal)
        for s in range(len(unit.start) - 1)
        for t in range(problem.n)
        if not too_long(unit, s, t + 1)
    ]
    model.WARM = pyo.Set(initialize=index, dimen=3)
    model.warm = pyo.Var(model.WARM, bounds=(0.0, 1.0))
    model.stood = pyo.ConstraintList()
    model.category = pyo.ConstraintList()
    warm: dict[tuple[int, int], Pairs] = {}
    for g, s, t in index:
        category, later = problem.thermal[g].start[s : s + 2]
        chosen = model.warm[g, s, t]
        warm.setdefault((g, t), []).append((1.0, chosen))
        cost.append(((category.cost - problem.thermal[g].start[-1].cost) / COST_UNIT, chosen))
        if t + 1 >= later.lag:
            stops = [(-1.0, model.stop[g, t - i]) for i in range(category.lag, later.lag)]
            model.stood.add(linear([(1.0, chosen), *stops]) <= 0.0)
    for (g, t), chosen in warm.items():
        model.category.add(linear([*chosen, (-1.0, model.start[g, t])]) <= 0.0)
    for g, unit in enumerate(problem.thermal):
        coldest = unit.start[-1].cost / COST_UNIT
        cost += [(coldest, model.start[g, t]) for t in range(problem.n)]
    return cost
