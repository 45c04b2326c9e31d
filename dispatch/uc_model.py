r"""Unit commitment after the pglib-uc benchmark: which generators run, and at what output.

Generator :math:`g` in hour :math:`t` is on, starts or stops; :math:`p` is its output above its
minimum and :math:`r` the reserve it keeps above that:

.. math:: u_{g,t} - u_{g,t-1} = v_{g,t} - w_{g,t} \qquad u \in \{0,1\} \quad 0 \le v, w \le 1

Minimum up and down times (Rajan and Takriti, 2005); what began before the first hour holds
inside, and a generator that must run is never off:

.. math:: \sum_{i=t-U_g+1}^{t} v_{g,i} \le u_{g,t} \qquad
          \sum_{i=t-D_g+1}^{t} w_{g,i} \le 1 - u_{g,t}

Output ends at the start-up ramp :math:`S^u` in its first hour and at the shut-down ramp
:math:`S^d` in its last (Morales-España, Latorre and Ramos, 2013). With a minimum up time of two
hours or more these are two hours, and one row holds both:

.. math:: p_{g,t} + r_{g,t} \le (\overline P_g - \underline P_g)\,u_{g,t}
          - (\overline P_g - S^u_g)^+ v_{g,t} - (\overline P_g - S^d_g)^+ w_{g,t+1}

Between two hours the output changes within its ramps, the reserve held included:

.. math:: p_{g,t} + r_{g,t} - p_{g,t-1} \le R^u_g \qquad p_{g,t-1} - p_{g,t} \le R^d_g

Demand is met exactly and the reserve at least:

.. math:: \sum_g (p_{g,t} + \underline P_g u_{g,t}) + \sum_w p_{w,t} = D_t \qquad
          \sum_g r_{g,t} \ge R_t

What it costs is stated in :mod:`dispatch.uc_cost`.
"""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo
from pyomo.common.gc_manager import PauseGC

from dispatch.assets.terms import Attribute, linear
from dispatch.commitment import CommitmentProblem, Thermal
from dispatch.uc_cost import Pairs, production, starts

ATTRIBUTES = (
    Attribute("must_run", "bool", "", "Never off."),
    Attribute("min_mw", "float", "MW", "Least output while on."),
    Attribute("max_mw", "float", "MW", "Most output."),
    Attribute("ramp_up_mw", "float", "MW", "Rise from hour to hour, R^u."),
    Attribute("ramp_down_mw", "float", "MW", "Fall from hour to hour, R^d."),
    Attribute("start_mw", "float", "MW", "Most output in the first hour on, S^u."),
    Attribute("stop_mw", "float", "MW", "Most output in the last hour on, S^d."),
    Attribute("up_hours", "int", "h", "Minimum up time U."),
    Attribute("down_hours", "int", "h", "Minimum down time D."),
    Attribute("on", "bool", "", "On before the first hour."),
    Attribute("output_mw", "float", "MW", "Output before the first hour."),
    Attribute("hours_in_state", "int", "h", "Since it last changed."),
    Attribute("start", "list of (lag, cost)", "h, currency", "Categories T and K, hottest first."),
    Attribute("points", "list of (mw, cost)", "MW, currency/h", "Production cost P and C, convex."),
)

SLACK_MW = 1e-9

DEMAND_WEIGHT = 10.0
"""What a MW of demand weighs beside a MW of reserve where both cannot be had."""


def build(problem: CommitmentProblem, *, elastic: bool = False) -> Any:
    """Return the Pyomo model of a problem.

    Parameters
    ----------
    problem : CommitmentProblem
    elastic : bool
        Let demand and reserve give way by as few MW as they can, the reserve before the demand.

    Returns
    -------
    pyomo.environ.ConcreteModel
        With objective ``cost`` in thousands of the file's currency; in weighted MW when `elastic`.
    """
    with PauseGC():
        model = pyo.ConcreteModel()
        model.HOUR = pyo.RangeSet(0, problem.n - 1)
        model.THERMAL = pyo.RangeSet(0, len(problem.thermal) - 1)
        _columns(model, problem)
        cost: Pairs = []
        _states(model, problem)
        _outputs(model, problem)
        cost += production(model, problem)
        cost += starts(model, problem)
        give = _system(model, problem, elastic=elastic)
        model.cost = pyo.Objective(expr=linear(give if elastic else cost))
    return model


def _columns(model: Any, problem: CommitmentProblem) -> None:
    units = problem.thermal

    def state(_: Any, g: int, t: int) -> tuple[float, float]:
        unit = units[g]
        if t < unit.held_hours:
            return (float(unit.on), float(unit.on))
        return (float(unit.must_run), 1.0)

    def above(_: Any, g: int, t: int) -> tuple[float, float]:
        return (0.0, units[g].max_mw - units[g].min_mw)

    model.on = pyo.Var(model.THERMAL, model.HOUR, domain=pyo.Binary, bounds=state)
    model.start = pyo.Var(model.THERMAL, model.HOUR, bounds=(0.0, 1.0))
    model.stop = pyo.Var(model.THERMAL, model.HOUR, bounds=(0.0, 1.0))
    model.above = pyo.Var(model.THERMAL, model.HOUR, bounds=above)
    kept = [t for t in range(problem.n) if problem.reserve_mw[t] > 0.0]
    model.KEPT = pyo.Set(initialize=kept)
    model.reserve = pyo.Var(model.THERMAL, model.KEPT, bounds=above)
    model.renewable = pyo.Var(
        pyo.RangeSet(0, len(problem.renewable) - 1),
        model.HOUR,
        bounds=lambda m, w, t: (
            float(problem.renewable[w].min_mw[t]),
            float(problem.renewable[w].max_mw[t]),
        ),
    )
    for g, unit in enumerate(units):
        # above its shut-down ramp before the first hour, it cannot stop in it
        if unit.on and unit.output_mw > unit.stop_mw + SLACK_MW:
            model.stop[g, 0].setub(0.0)


def _states(model: Any, problem: CommitmentProblem) -> None:
    n = problem.n
    model.change = pyo.ConstraintList()
    model.up_time = pyo.ConstraintList()
    model.down_time = pyo.ConstraintList()
    for g, unit in enumerate(problem.thermal):
        up, down = min(unit.up_hours, n), min(unit.down_hours, n)
        for t in range(n):
            on, start, stop = model.on[g, t], model.start[g, t], model.stop[g, t]
            pairs = [(1.0, on), (-1.0, start), (1.0, stop)]
            if t:
                pairs.append((-1.0, model.on[g, t - 1]))
            model.change.add(linear(pairs) == (0.0 if t else float(unit.on)))
            started = [(1.0, model.start[g, i]) for i in range(max(0, t - up + 1), t + 1)]
            model.up_time.add(linear([*started, (-1.0, on)]) <= 0.0)
            stopped = [(1.0, model.stop[g, i]) for i in range(max(0, t - down + 1), t + 1)]
            model.down_time.add(linear([*stopped, (1.0, on)]) <= 1.0)


def _held(model: Any, g: int, t: int) -> Pairs:
    """Return output above minimum with the reserve on top of it."""
    pairs = [(1.0, model.above[g, t])]
    if t in model.KEPT:
        pairs.append((1.0, model.reserve[g, t]))
    return pairs


def _outputs(model: Any, problem: CommitmentProblem) -> None:
    model.rating = pyo.ConstraintList()
    model.ramp_up = pyo.ConstraintList()
    model.ramp_down = pyo.ConstraintList()
    for g, unit in enumerate(problem.thermal):
        room = unit.max_mw - unit.min_mw
        for t in range(problem.n):
            first, last = _edges(model, unit, g, t, problem.n)
            body = [*_held(model, g, t), (-room, model.on[g, t])]
            if unit.up_hours > 1:
                model.rating.add(linear([*body, *first, *last]) <= 0.0)
            else:
                model.rating.add(linear([*body, *first]) <= 0.0)
                if last:
                    model.rating.add(linear([*body, *last]) <= 0.0)
            _ramps(model, unit, g, t)


def _edges(model: Any, unit: Thermal, g: int, t: int, n: int) -> tuple[Pairs, Pairs]:
    first = max(0.0, unit.max_mw - unit.start_mw)
    last = max(0.0, unit.max_mw - unit.stop_mw)
    return (
        [(first, model.start[g, t])] if first else [],
        [(last, model.stop[g, t + 1])] if last and t + 1 < n else [],
    )


def _ramps(model: Any, unit: Thermal, g: int, t: int) -> None:
    room = unit.max_mw - unit.min_mw
    if unit.ramp_up_mw < room:
        if t:
            change = [*_held(model, g, t), (-1.0, model.above[g, t - 1])]
            model.ramp_up.add(linear(change) <= unit.ramp_up_mw)
        else:
            model.ramp_up.add(linear(_held(model, g, 0)) <= unit.ramp_up_mw + unit.above_mw)
    if unit.ramp_down_mw < room:
        if t:
            change = [(1.0, model.above[g, t - 1]), (-1.0, model.above[g, t])]
            model.ramp_down.add(linear(change) <= unit.ramp_down_mw)
        else:
            change = [(-1.0, model.above[g, 0])]
            model.ramp_down.add(linear(change) <= unit.ramp_down_mw - unit.above_mw)


def _system(model: Any, problem: CommitmentProblem, *, elastic: bool) -> Pairs:
    """Add demand and reserve; return what they give when `elastic`."""
    model.balance = pyo.ConstraintList()
    model.spinning = pyo.ConstraintList()
    give: Pairs = []
    if elastic:
        model.short = pyo.Var(model.HOUR, domain=pyo.NonNegativeReals)
        model.surplus = pyo.Var(model.HOUR, domain=pyo.NonNegativeReals)
        model.bare = pyo.Var(model.KEPT, domain=pyo.NonNegativeReals)
        for part in (model.short, model.surplus):
            give += [(DEMAND_WEIGHT, variable) for variable in part.values()]
        give += [(1.0, variable) for variable in model.bare.values()]
    for t in range(problem.n):
        pairs: Pairs = []
        for g, unit in enumerate(problem.thermal):
            pairs += [(1.0, model.above[g, t]), (unit.min_mw, model.on[g, t])]
        pairs += [(1.0, model.renewable[w, t]) for w in range(len(problem.renewable))]
        if elastic:
            pairs += [(1.0, model.short[t]), (-1.0, model.surplus[t])]
        model.balance.add(linear(pairs) == float(problem.demand_mw[t]))
    for t in model.KEPT:
        kept = [(1.0, model.reserve[g, t]) for g in range(len(problem.thermal))]
        if elastic:
            kept.append((1.0, model.bare[t]))
        model.spinning.add(linear(kept) >= float(problem.reserve_mw[t]))
    return give
