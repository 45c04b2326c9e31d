r"""Genset: runs or stands, burns fuel, and must not be switched too often.

While running it produces between its least load and its rating:

.. math:: \underline P_g\,u_{g,t} \le p_{g,t} \le P_g\,u_{g,t} \qquad u_{g,t} \in \{0,1\}

A change of state is a start or a stop:

.. math:: u_{g,t} - u_{g,t-1} = s_{g,t} - z_{g,t} \qquad 0 \le s, z \le 1

After a start it runs for its minimum up time, after a stop it stands for its minimum down
time (Rajan and Takriti, 2005):

.. math:: \sum_{\tau=t-U_g+1}^{t} s_{g,\tau} \le u_{g,t} \qquad
          \sum_{\tau=t-D_g+1}^{t} z_{g,\tau} \le 1 - u_{g,t}

What began before the window holds inside it: with :math:`k` steps in its state,
:math:`u_{g,t}` is fixed to that state for the first :math:`U_g - k` or :math:`D_g - k` steps.

One that an island requires runs while the public network is away, unless its minimum
down time forbids it: :math:`u_{g,t} = 1`.

.. math:: \text{cost}\; h \sum_t (f_g\,p_{g,t} + n_g\,u_{g,t}) + \sum_t c_g\,s_{g,t}
"""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from dispatch.assets.terms import AssetKind, Attribute, Pairs, Terms
from dispatch.plan import PlanInput, currency, per_kwh
from grid.site import Genset

ATTRIBUTES = (
    Attribute("power_kw", "float", "kW", "Rating P."),
    Attribute("min_power_kw", "float", "kW", "Least load while running."),
    Attribute("fuel", "int", "nano-currency/Wh", "Per energy produced, f."),
    Attribute("no_load_per_hour", "int", "nano-currency", "Per hour running, n."),
    Attribute("start", "int", "nano-currency", "Per start, c."),
    Attribute("min_up_intervals", "int", "steps", "Minimum up time U."),
    Attribute("min_down_intervals", "int", "steps", "Minimum down time D."),
    Attribute("island_required", "bool", "", "Runs whenever islanded: fault current."),
    Attribute("genset_on", "array (genset,)", "bool", "Running before the first step."),
    Attribute("genset_intervals_in_state", "array (genset,)", "steps", "Since it last changed, k."),
)


def forced_steps(plan_input: PlanInput, row: int) -> int:
    """Return for how many first steps genset `row` cannot change its state."""
    genset = plan_input.genset[row]
    least = genset.min_up_intervals if plan_input.genset_on[row] else genset.min_down_intervals
    return max(0, least - int(plan_input.genset_intervals_in_state[row]))


def add(model: Any, plan_input: PlanInput, pairs: Pairs) -> Terms:
    """Add commitment and output of every genset; return their terms."""
    gensets: dict[str, Genset] = {genset.id: genset for genset in plan_input.genset}
    rank: dict[str, int] = {genset.id: i for i, genset in enumerate(plan_input.genset)}
    forced = {g: forced_steps(plan_input, i) for g, i in rank.items()}
    model.GENSET = pyo.Set(initialize=list(gensets))

    def state(_: Any, g: str, t: int) -> tuple[float, float]:
        if t < forced[g]:
            held = float(plan_input.genset_on[rank[g]])
            return (held, held)
        if gensets[g].island_required and not plan_input.grid_available[t]:
            return (1.0, 1.0)
        return (0.0, 1.0)

    def change(m: Any, g: str, t: int) -> Any:
        before = m.on[g, t - 1] if t else float(plan_input.genset_on[rank[g]])
        return m.on[g, t] - before == m.start[g, t] - m.stop[g, t]

    def up_time(m: Any, g: str, t: int) -> Any:
        first = max(0, t - gensets[g].min_up_intervals + 1)
        return sum(m.start[g, k] for k in range(first, t + 1)) <= m.on[g, t]

    def down_time(m: Any, g: str, t: int) -> Any:
        first = max(0, t - gensets[g].min_down_intervals + 1)
        return sum(m.stop[g, k] for k in range(first, t + 1)) <= 1 - m.on[g, t]

    model.on = pyo.Var(model.GENSET, model.STEP, domain=pyo.Binary, bounds=state)
    model.start = pyo.Var(model.GENSET, model.STEP, bounds=(0.0, 1.0))
    model.stop = pyo.Var(model.GENSET, model.STEP, bounds=(0.0, 1.0))
    model.output = pyo.Var(
        model.GENSET, model.STEP, bounds=lambda m, g, t: (0.0, gensets[g].power_kw)
    )
    model.change = pyo.Constraint(model.GENSET, model.STEP, rule=change)
    model.up_time = pyo.Constraint(model.GENSET, model.STEP, rule=up_time)
    model.down_time = pyo.Constraint(model.GENSET, model.STEP, rule=down_time)
    model.rating = pyo.Constraint(
        model.GENSET,
        model.STEP,
        rule=lambda m, g, t: m.output[g, t] <= gensets[g].power_kw * m.on[g, t],
    )
    model.least_load = pyo.Constraint(
        model.GENSET,
        model.STEP,
        rule=lambda m, g, t: m.output[g, t] >= gensets[g].min_power_kw * m.on[g, t],
    )
    return _terms(model, plan_input)


def _terms(model: Any, plan_input: PlanInput) -> Terms:
    terms = Terms()
    h = plan_input.hours
    for genset in plan_input.genset:
        g = genset.id
        for t in range(plan_input.n):
            terms.injection[g, t] = [(1.0, model.output[g, t])]
            terms.cost.append((h * per_kwh(genset.fuel), model.output[g, t]))
            terms.cost.append((h * currency(genset.no_load_per_hour), model.on[g, t]))
            terms.cost.append((currency(genset.start), model.start[g, t]))
    return terms


KIND = AssetKind("genset", ATTRIBUTES, add)
