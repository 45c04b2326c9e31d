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

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyomo.environ as pyo

from dispatch.assets.terms import AssetKind, Attribute, Blocks, Flows, Sides, block, by_asset
from dispatch.plan import Floats, PlanInput, currency, per_kwh
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


def _blocks(plan_input: PlanInput) -> Blocks:
    gensets, n, h = plan_input.genset, plan_input.n, plan_input.hours
    shape = (len(gensets), n)
    least, most = np.zeros(shape), np.ones(shape)
    for row, genset in enumerate(gensets):
        forced = forced_steps(plan_input, row)
        if genset.island_required:
            least[row] = ~plan_input.grid_available
        least[row, :forced] = most[row, :forced] = float(plan_input.genset_on[row])
    fuel = by_asset([per_kwh(g.fuel) for g in gensets])
    running = by_asset([currency(g.no_load_per_hour) for g in gensets])
    start = by_asset([currency(g.start) for g in gensets])
    return {
        "on": block(shape, low=least, high=most, cost=h * running, binary=True),
        "start": block(shape, high=1.0, cost=start),
        "stop": block(shape, high=1.0),
        "output": block(shape, high=by_asset([g.power_kw for g in gensets]), cost=h * fuel),
    }


def _sides(plan_input: PlanInput) -> Sides:
    shape = (len(plan_input.genset), plan_input.n)
    before = np.zeros(shape)
    before[:, 0] = plan_input.genset_on
    nothing = np.zeros(shape)
    return {
        "change": before,
        "up_time": nothing,
        "down_time": np.ones(shape),
        "rating": nothing,
        "least_load": nothing,
    }


def _rows(model: Any, plan_input: PlanInput, side: Mapping[str, Floats]) -> None:
    facts: dict[str, tuple[int, Genset]] = {g.id: (i, g) for i, g in enumerate(plan_input.genset)}

    def to(name: str, g: str, t: int) -> float:
        return float(side[name][facts[g][0], t])

    def change(m: Any, g: str, t: int) -> Any:
        risen = m.on[g, t] - m.on[g, t - 1] if t else m.on[g, t]
        return risen - m.start[g, t] + m.stop[g, t] == to("change", g, t)

    def up_time(m: Any, g: str, t: int) -> Any:
        first = max(0, t - facts[g][1].min_up_intervals + 1)
        begun = sum(m.start[g, k] for k in range(first, t + 1))
        return begun - m.on[g, t] <= to("up_time", g, t)

    def down_time(m: Any, g: str, t: int) -> Any:
        first = max(0, t - facts[g][1].min_down_intervals + 1)
        ended = sum(m.stop[g, k] for k in range(first, t + 1))
        return ended + m.on[g, t] <= to("down_time", g, t)

    def rating(m: Any, g: str, t: int) -> Any:
        return m.output[g, t] - facts[g][1].power_kw * m.on[g, t] <= to("rating", g, t)

    def least_load(m: Any, g: str, t: int) -> Any:
        return m.output[g, t] - facts[g][1].min_power_kw * m.on[g, t] >= to("least_load", g, t)

    for rule in (change, up_time, down_time, rating, least_load):
        model.add_component(rule.__name__, pyo.Constraint(list(facts), model.STEP, rule=rule))


def _flows(plan_input: PlanInput) -> Flows:
    return {g.id: ((1.0, "output"),) for g in plan_input.genset}


def _memory(plan_input: PlanInput) -> int:
    times = [max(g.min_up_intervals, g.min_down_intervals) for g in plan_input.genset]
    return max(1, *times) if times else 0


KIND = AssetKind("genset", ATTRIBUTES, _blocks, _flows, _sides, _rows, _memory)
