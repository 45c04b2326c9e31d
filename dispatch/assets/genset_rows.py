"""The rows of gensets, as :mod:`dispatch.assets.genset` says them in prose."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pyomo.environ as pyo

from dispatch.assets.genset_facts import has_ramps, kinds_of, ramp_of, segments_of, start_kinds
from dispatch.plan import Floats, PlanInput
from grid.site import Genset


def rows(model: Any, plan_input: PlanInput, side: Mapping[str, Floats]) -> None:
    """Put the constraints of every genset into a Pyomo model."""
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
        most, first = ramp_of(facts[g][1], "up", h)
        moved = m.output[g, t] - (m.output[g, t - 1] + most * m.on[g, t - 1] if t else 0.0)
        return moved - first * m.start[g, t] <= to("ramp_up", g, t)

    def ramp_down(m: Any, g: str, t: int) -> Any:
        most, last = ramp_of(facts[g][1], "down", h)
        moved = (m.output[g, t - 1] if t else 0.0) - m.output[g, t]
        return moved - most * m.on[g, t] - last * m.stop[g, t] <= to("ramp_down", g, t)

    rules = [change, up_time, down_time, rating, least_load]
    if has_ramps(plan_input):
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
    kinds = range(kinds_of(plan_input))
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
    for number in range(segments_of(plan_input)):

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
