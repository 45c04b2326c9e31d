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

from collections.abc import Callable, Mapping
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


def _ramps(plan_input: PlanInput) -> bool:
    return any(
        value is not None
        for g in plan_input.genset
        for value in (g.ramp_up_kw_per_hour, g.ramp_down_kw_per_hour, g.start_kw, g.stop_kw)
    )


def start_kinds(genset: Genset) -> list[tuple[int, float]]:
    """Return from how many steps of standing on a start costs how much, currency."""
    cold = [(one.after_intervals, currency(one.start)) for one in genset.cold_start]
    return [(0, currency(genset.start)), *cold]


def _kinds(plan_input: PlanInput) -> int:
    """Return how many kinds of starts there are; 0 when each genset has one."""
    most = max((len(start_kinds(g)) for g in plan_input.genset), default=0)
    return most if most > 1 else 0


def _segments(plan_input: PlanInput) -> int:
    return max((len(g.fuel_segment) for g in plan_input.genset), default=0)


def _segment(genset: Genset, number: int) -> tuple[float, float]:
    """Return the lower end of a segment, kW, and by how much it is dearer, currency/kWh."""
    if number >= len(genset.fuel_segment):
        return genset.power_kw, 0.0
    before = genset.fuel_segment[number - 1].fuel if number else genset.fuel
    one = genset.fuel_segment[number]
    return one.from_kw, per_kwh(one.fuel) - per_kwh(before)


def _ramp(genset: Genset, way: str, hours: float) -> tuple[float, float]:
    """Return what output may move by while running, and at a start or stop, kW."""
    ramp = getattr(genset, f"ramp_{way}_kw_per_hour")
    edge = genset.start_kw if way == "up" else genset.stop_kw
    power = genset.power_kw
    return power if ramp is None else ramp * hours, power if edge is None else edge


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
    kinds = _kinds(plan_input)
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
    for number in range(_segments(plan_input)):
        dearer = by_asset([_segment(g, number)[1] for g in gensets])
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
    if _ramps(plan_input):
        rise, fall = np.zeros(shape), np.zeros(shape)
        given = plan_input.genset_output_kw
        for row, genset in enumerate(gensets):
            if given is None:
                rise[row, 0] = fall[row, 0] = genset.power_kw
            else:
                output = float(given[row])
                rise[row, 0] = output + on[row] * _ramp(genset, "up", h)[0]
                fall[row, 0] = -output
        made |= {"ramp_up": rise, "ramp_down": fall}
    kinds = _kinds(plan_input)
    if kinds:
        made["start_of_a_kind"] = nothing
    for kind in range(kinds):
        made[f"stood_{kind}"] = _stood(plan_input, kind)
    for number in range(_segments(plan_input)):
        made[f"segment_{number}"] = np.broadcast_to(
            by_asset([_segment(g, number)[0] for g in gensets]), shape
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


def _rows(model: Any, plan_input: PlanInput, side: Mapping[str, Floats]) -> None:
    h = plan_input.hours
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

    def ramp_up(m: Any, g: str, t: int) -> Any:
        most, first = _ramp(facts[g][1], "up", h)
        moved = m.output[g, t] - (m.output[g, t - 1] + most * m.on[g, t - 1] if t else 0.0)
        return moved - first * m.start[g, t] <= to("ramp_up", g, t)

    def ramp_down(m: Any, g: str, t: int) -> Any:
        most, last = _ramp(facts[g][1], "down", h)
        moved = (m.output[g, t - 1] if t else 0.0) - m.output[g, t]
        return moved - most * m.on[g, t] - last * m.stop[g, t] <= to("ramp_down", g, t)

    rules = [change, up_time, down_time, rating, least_load]
    if _ramps(plan_input):
        rules += [ramp_up, ramp_down]
    for rule in rules:
        model.add_component(rule.__name__, pyo.Constraint(list(facts), model.STEP, rule=rule))
    _start_rows(model, plan_input, facts, to)
    _fuel_rows(model, plan_input, facts, to)


def _start_rows(
    model: Any,
    plan_input: PlanInput,
    facts: dict[str, tuple[int, Genset]],
    to: Callable[[str, str, int], float],
) -> None:
    kinds = range(_kinds(plan_input))
    if not kinds:
        return

    def of_a_kind(m: Any, g: str, t: int) -> Any:
        each = sum(getattr(m, f"start_kind_{kind}")[g, t] for kind in kinds)
        return each - m.start[g, t] == to("start_of_a_kind", g, t)

    model.start_of_a_kind = pyo.Constraint(list(facts), model.STEP, rule=of_a_kind)
    for kind in kinds:

        def stood(m: Any, g: str, t: int, kind: int = kind) -> Any:
            known = start_kinds(facts[g][1])
            ended: Any = 0.0
            if kind < len(known) - 1:
                since = range(max(1, known[kind][0]), known[kind + 1][0])
                ended = sum(m.stop[g, t - i] for i in since if t >= i)
            return getattr(m, f"start_kind_{kind}")[g, t] - ended <= to(f"stood_{kind}", g, t)

        model.add_component(f"stood_{kind}", pyo.Constraint(list(facts), model.STEP, rule=stood))


def _fuel_rows(
    model: Any,
    plan_input: PlanInput,
    facts: dict[str, tuple[int, Genset]],
    to: Callable[[str, str, int], float],
) -> None:
    for number in range(_segments(plan_input)):

        def above(m: Any, g: str, t: int, name: str = f"above_{number}", n: int = number) -> Any:
            return m.output[g, t] - getattr(m, name)[g, t] <= to(f"segment_{n}", g, t)

        model.add_component(
            f"segment_{number}", pyo.Constraint(list(facts), model.STEP, rule=above)
        )
    if plan_input.genset_fuel_kwh is None:
        return

    def stock(m: Any, g: str, t: int) -> Any:
        kept = m.fuel_left[g, t] - (m.fuel_left[g, t - 1] if t else 0.0)
        return kept + plan_input.hours * m.output[g, t] == to("stock", g, t)

    model.stock = pyo.Constraint(list(facts), model.STEP, rule=stock)


def _flows(plan_input: PlanInput) -> Flows:
    return {g.id: ((1.0, "output"),) for g in plan_input.genset}


def _memory(plan_input: PlanInput) -> int:
    times = [
        max(g.min_up_intervals, g.min_down_intervals, start_kinds(g)[-1][0])
        for g in plan_input.genset
    ]
    return max(1, *times) if times else 0


KIND = AssetKind("genset", ATTRIBUTES, _blocks, _flows, _sides, _rows, _memory)
