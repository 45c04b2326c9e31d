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

Output moves by its ramps, and at a start or before a stop by what it may give then (in the form
of Morales-España, Latorre and Ramos, 2013). Before the first step stands what it gave last:

.. math:: p_{g,t} - p_{g,t-1} \le R^+ u_{g,t-1} + S^+ s_{g,t} \qquad
          p_{g,t-1} - p_{g,t} \le R^- u_{g,t} + S^- z_{g,t}

Each start is of one kind :math:`k`, by how long it stood: at least :math:`T_k` and less than
:math:`T_{k+1}` steps. What stood before the window counts in :math:`a_{k,t} \in \{0, 1\}`:

.. math:: \sum_k \delta_{g,k,t} = s_{g,t} \qquad
          \delta_{g,k,t} \le a_{k,t} + \sum_{i=T_k}^{T_{k+1}-1} z_{g,t-i}

Above each segment's lower end the output has a part that costs more; costs rise, so that the
part is no larger than it must be. Fuel at hand runs down:

.. math:: w_{g,j,t} \ge p_{g,t} - P_{g,j} \qquad
          q_{g,t} = q_{g,t-1} - h\,p_{g,t} \ge 0

.. math:: \text{cost}\; h \sum_t \big(f_g\,p_{g,t} + \sum_j (f_{g,j} - f_{g,j-1})\,w_{g,j,t}
          + n_g\,u_{g,t} + \kappa\,\epsilon_g\,p_{g,t}\big)
          + \sum_t \big(\sum_k c_{g,k}\,\delta_{g,k,t} + d_g\,z_{g,t}\big)
"""

from __future__ import annotations

import numpy as np

from dispatch.assets.genset_facts import (
    has_ramps,
    kinds_of,
    ramp_of,
    segment_of,
    segments_of,
    start_kinds,
)
from dispatch.assets.genset_rows import rows
from dispatch.assets.terms import AssetKind, Attribute, Blocks, Flows, Sides, block, by_asset
from dispatch.plan import Floats, PlanInput, currency, per_kwh

ATTRIBUTES = (
    Attribute("power_kw", "float", "kW", "Rating P."),
    Attribute("min_power_kw", "float", "kW", "Least load while running."),
    Attribute("fuel", "int", "nano-currency/Wh", "Per energy produced, f."),
    Attribute("no_load_per_hour", "int", "nano-currency", "Per hour running, n."),
    Attribute("start", "int", "nano-currency", "Per start, c."),
    Attribute("min_up_intervals", "int", "steps", "Minimum up time U."),
    Attribute("min_down_intervals", "int", "steps", "Minimum down time D."),
    Attribute("island_required", "bool", "", "Runs whenever islanded: fault current."),
    Attribute("stop", "int", "nano-currency", "Per stop, d."),
    Attribute("fuel_segment", "tuple", "kW, nano-currency/Wh", "Above P_j a Wh costs f_j."),
    Attribute("cold_start", "tuple", "steps, nano-currency", "After T_k a start costs c_k."),
    Attribute("ramp_up_kw_per_hour", "float", "kW/h", "Most that output rises, R+."),
    Attribute("ramp_down_kw_per_hour", "float", "kW/h", "Most that output falls, R-."),
    Attribute("start_kw", "float", "kW", "Most in the first step after a start, S+."),
    Attribute("stop_kw", "float", "kW", "Most in the last step before a stop, S-."),
    Attribute("co2_g_per_kwh", "float", "g/kWh", "Emitted per energy produced, ε."),
    Attribute("co2_price_per_kg", "float", "currency/kg", "Price of emissions, κ."),
    Attribute("genset_output_kw", "array (genset,)", "kW", "Output before the first step."),
    Attribute("genset_fuel_kwh", "array (genset,)", "kWh", "What the fuel at hand can produce, q."),
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
    carbon = plan_input.co2_price_per_kg / 1e3
    fuel = by_asset([per_kwh(g.fuel) + carbon * g.co2_g_per_kwh for g in gensets])
    running = by_asset([currency(g.no_load_per_hour) for g in gensets])
    kinds = kinds_of(plan_input)
    start = by_asset([0.0 if kinds else currency(g.start) for g in gensets])
    stop = by_asset([currency(g.stop) for g in gensets])
    made = {
        "on": block(shape, low=least, high=most, cost=h * running, binary=True),
        "start": block(shape, high=1.0, cost=start),
        "stop": block(shape, high=1.0, cost=stop),
        "output": block(shape, high=by_asset([g.power_kw for g in gensets]), cost=h * fuel),
    }
    for kind in range(kinds):
        known = [start_kinds(g)[kind : kind + 1] for g in gensets]
        high = by_asset([float(bool(one)) for one in known])
        cost = by_asset([one[0][1] if one else 0.0 for one in known])
        made[f"start_kind_{kind}"] = block(shape, high=high, cost=cost)
    for number in range(segments_of(plan_input)):
        dearer = by_asset([segment_of(g, number)[1] for g in gensets])
        made[f"above_{number}"] = block(shape, cost=h * dearer)
    if plan_input.genset_fuel_kwh is not None:
        made["fuel_left"] = block(shape)
    return made


def _sides(plan_input: PlanInput) -> Sides:
    gensets, h = plan_input.genset, plan_input.hours
    shape = (len(gensets), plan_input.n)
    on = np.asarray(plan_input.genset_on, dtype=np.float64)
    before = np.zeros(shape)
    before[:, 0] = on
    nothing = np.zeros(shape)
    made = {
        "change": before,
        "up_time": nothing,
        "down_time": np.ones(shape),
        "rating": nothing,
        "least_load": nothing,
    }
    if has_ramps(plan_input):
        rise, fall = np.zeros(shape), np.zeros(shape)
        given = plan_input.genset_output_kw
        for row, genset in enumerate(gensets):
            if given is None:
                rise[row, 0] = fall[row, 0] = genset.power_kw
            else:
                output = float(given[row])
                rise[row, 0] = output + on[row] * ramp_of(genset, "up", h)[0]
                fall[row, 0] = -output
        made |= {"ramp_up": rise, "ramp_down": fall}
    kinds = kinds_of(plan_input)
    if kinds:
        made["start_of_a_kind"] = nothing
    for kind in range(kinds):
        made[f"stood_{kind}"] = _stood(plan_input, kind)
    for number in range(segments_of(plan_input)):
        made[f"segment_{number}"] = np.broadcast_to(
            by_asset([segment_of(g, number)[0] for g in gensets]), shape
        )
    if plan_input.genset_fuel_kwh is not None:
        stock = np.zeros(shape)
        stock[:, 0] = plan_input.genset_fuel_kwh
        made["stock"] = stock
    return made


def _stood(plan_input: PlanInput, kind: int) -> Floats:
    """Return where a start may be of a kind for having stood since before the window."""
    step = np.arange(plan_input.n)
    allowed = np.zeros((len(plan_input.genset), plan_input.n))
    for row, genset in enumerate(plan_input.genset):
        known = start_kinds(genset)
        if kind >= len(known) - 1:
            # the dearest kind needs no leave
            allowed[row] = 1.0
        elif not plan_input.genset_on[row]:
            stood = int(plan_input.genset_intervals_in_state[row]) + step
            allowed[row] = (known[kind][0] <= stood) & (stood < known[kind + 1][0])
    return allowed


def _flows(plan_input: PlanInput) -> Flows:
    return {g.id: ((1.0, "output"),) for g in plan_input.genset}


def _memory(plan_input: PlanInput) -> int:
    times = [
        max(g.min_up_intervals, g.min_down_intervals, start_kinds(g)[-1][0])
        for g in plan_input.genset
    ]
    return max(1, *times) if times else 0


KIND = AssetKind("genset", ATTRIBUTES, _blocks, _flows, _sides, rows, _memory)
