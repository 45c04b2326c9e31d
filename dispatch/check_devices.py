"""What stores and gensets of a plan must satisfy, said a second time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from dispatch.check_base import TOLERANCE_KW, TOLERANCE_KWH, column, worst
from dispatch.plan import Floats, Plan, PlanInput


def stores(plan_input: PlanInput, plan: Plan) -> Iterator[str]:
    """Yield what is broken."""
    charge, discharge, energy = (
        column(plan_input, plan, "battery", name)
        for name in ("charge_kw", "discharge_kw", "energy_kwh")
    )
    h = plan_input.hours
    before = np.concatenate([plan_input.battery_energy_kwh[:, None], energy[:, :-1]], axis=1)
    for i, battery in enumerate(plan_input.battery):
        kept = (1.0 - battery.standing_loss_percent_per_day / 100.0) ** (h / 24.0)
        gained = charge[i] * battery.charge_efficiency - discharge[i] / battery.discharge_efficiency
        expected = kept * before[i] + h * gained
        target = 0.0 if plan_input.energy_target_kwh is None else plan_input.energy_target_kwh[i]
        for what, excess in (
            ("energy_kwh does not follow from its flows", np.abs(energy[i] - expected)),
            ("energy_kwh is above its capacity", energy[i] - battery.energy_kwh),
            ("energy_kwh is below its least", battery.min_energy_kwh - energy[i]),
            ("energy_kwh is below its target", target - energy[i]),
        ):
            yield from worst(plan_input, battery.id, what, excess, "kWh", TOLERANCE_KWH)
        for name, power, end, begin, at_end in (
            (
                "charge_kw",
                charge[i],
                battery.energy_kwh,
                battery.taper_energy_kwh,
                battery.taper_power_kw,
            ),
            (
                "discharge_kw",
                discharge[i],
                battery.min_energy_kwh,
                battery.fade_energy_kwh,
                battery.fade_power_kw,
            ),
        ):
            if begin is None or at_end is None:
                continue
            way = 1 if begin < end else -1
            kwh, kw = (begin, end)[::way], (battery.power_kw, at_end)[::way]
            most = np.interp(before[i], np.array(kwh), np.array(kw))
            what = f"{name} is above what its stored energy lets through"
            yield from worst(plan_input, battery.id, what, power - most, "kW", TOLERANCE_KW)
        if plan_input.end_energy_min_kwh is not None:
            short = float(plan_input.end_energy_min_kwh[i] - energy[i, -1])
            if short > TOLERANCE_KWH:
                yield f"{battery.id} ends {short:.6g} kWh below its target"


def gensets(plan_input: PlanInput, plan: Plan) -> Iterator[str]:
    """Yield what is broken."""
    running = plan.schedule["on"].values[plan_input.rows("genset")]
    output = column(plan_input, plan, "genset", "produce_kw")
    for i, genset in enumerate(plan_input.genset):
        on = running[i].astype(np.float64)
        for what, excess in (
            ("produce_kw is above its rating", output[i] - genset.power_kw * on),
            ("produce_kw is below its least load", genset.min_power_kw * on - output[i]),
        ):
            yield from worst(plan_input, genset.id, what, excess, "kW", TOLERANCE_KW)
        state = bool(plan_input.genset_on[i])
        held = int(plan_input.genset_intervals_in_state[i])
        for t, now in enumerate(running[i]):
            if bool(now) == state:
                held += 1
                continue
            least = genset.min_up_intervals if state else genset.min_down_intervals
            if held < least:
                verb = "stops" if state else "starts"
                yield f"{genset.id} {plan_input.label(t)} {verb} after {held} of {least} steps"
            state, held = bool(now), 1
        yield from _moves(plan_input, i, running[i], output[i])
        if plan_input.genset_fuel_kwh is not None:
            burnt = plan_input.hours * np.cumsum(output[i]) - plan_input.genset_fuel_kwh[i]
            what = "burns more fuel than there is"
            yield from worst(plan_input, genset.id, what, burnt, "kWh", TOLERANCE_KWH)
        if genset.island_required:
            absent = ~running[i] & ~plan_input.grid_available
            if not plan_input.genset_on[i]:
                stood = int(plan_input.genset_intervals_in_state[i])
                absent[: max(0, genset.min_down_intervals - stood)] = False
            for step in np.flatnonzero(absent):
                when = plan_input.label(int(step))
                yield f"{genset.id} {when} stands while the island requires it"


def _moves(
    plan_input: PlanInput, row: int, running: npt.NDArray[np.bool_], output: Floats
) -> Iterator[str]:
    """Yield where output moves faster than it may."""
    genset, h = plan_input.genset[row], plan_input.hours
    given = plan_input.genset_output_kw
    was = np.append(bool(plan_input.genset_on[row]), running[:-1])
    before = np.append(output[0] if given is None else given[row], output[:-1])
    free = given is None
    for way, moved, fresh, ramp, edge in (
        ("rises", output - before, running & ~was, genset.ramp_up_kw_per_hour, genset.start_kw),
        ("falls", before - output, was & ~running, genset.ramp_down_kw_per_hour, genset.stop_kw),
    ):
        usual = genset.power_kw if ramp is None else ramp * h
        most = np.where(fresh, genset.power_kw if edge is None else edge, usual)
        excess = moved - most
        if free:
            excess[0] = 0.0
        yield from worst(
            plan_input, genset.id, f"produce_kw {way} too fast", excess, "kW", TOLERANCE_KW
        )


def emissions(plan_input: PlanInput, plan: Plan) -> Iterator[str]:
    """Yield what is broken."""
    if plan_input.co2_cap_kg is None:
        return
    grams = plan_input.grid.co2_g_per_kwh * plan.schedule["import_kw"].values
    for genset, output in zip(
        plan_input.genset, column(plan_input, plan, "genset", "produce_kw"), strict=True
    ):
        grams = grams + genset.co2_g_per_kwh * output
    excess = plan_input.hours / 1e3 * np.cumsum(grams) - plan_input.co2_cap_kg
    yield from worst(plan_input, "emissions", "are above their cap", excess, "kg", TOLERANCE_KWH)
