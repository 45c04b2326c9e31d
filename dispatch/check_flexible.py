"""What vehicles, flexible loads and heat of a plan must satisfy, said a second time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dispatch.plan import Floats, Plan, PlanInput

TOLERANCE = 1e-5
"""kW or kWh."""

Excess = tuple[str, str, Floats, str]
"""Asset, what is wrong, by how much in each step, and its unit."""


def excesses(plan_input: PlanInput, plan: Plan) -> Iterator[Excess]:
    """Yield what vehicles, flexible loads and heat break, and by how much; at most 0 if sound."""
    yield from _vehicles(plan_input, plan)
    yield from _flexible(plan_input, plan)
    yield from _heat(plan_input, plan)


def _vehicles(plan_input: PlanInput, plan: Plan) -> Iterator[Excess]:
    if not plan_input.charger:
        return
    h = plan_input.hours
    charge, discharge, energy, missed = (
        plan.schedule[name].values[plan_input.rows("charger")]
        for name in ("charge_kw", "discharge_kw", "energy_kwh", "missed_kwh")
    )
    there = np.asarray(plan_input.ev_connected, dtype=np.float64)
    brought, target = np.asarray(plan_input.ev_arrival_kwh), np.asarray(plan_input.ev_target_kwh)
    now = np.asarray(plan_input.ev_energy_kwh)
    for i, one in enumerate(plan_input.charger):
        before = np.append(now[i], energy[i, :-1])
        gained = one.charge_efficiency * charge[i] - discharge[i] / one.discharge_efficiency
        stays = there[i] * (before + brought[i] + h * gained)
        for what, excess, unit in (
            ("charge_kw is above its limit", charge[i] - one.power_kw * there[i], "kW"),
            ("discharge_kw is above its limit", discharge[i] - one.discharge_kw * there[i], "kW"),
            ("energy_kwh does not follow from its flows", np.abs(energy[i] - stays), "kWh"),
            ("energy_kwh is above its capacity", energy[i] - one.energy_kwh, "kWh"),
            ("misses more than stated", target[i] - energy[i] - missed[i], "kWh"),
        ):
            yield str(one.id), what, excess, unit


def _flexible(plan_input: PlanInput, plan: Plan) -> Iterator[Excess]:
    if not plan_input.flexible:
        return
    h = plan_input.hours
    taken, stored, missed = (
        plan.schedule[name].values[plan_input.rows("flexible")]
        for name in ("charge_kw", "energy_kwh", "missed_kwh")
    )
    need, low = np.asarray(plan_input.flexible_need_kw), np.asarray(plan_input.flexible_low_kwh)
    high, now = np.asarray(plan_input.flexible_high_kwh), np.asarray(plan_input.flexible_energy_kwh)
    for i, one in enumerate(plan_input.flexible):
        kept = (1.0 - one.standing_loss_percent_per_hour / 100.0) ** h
        follows = kept * np.append(now[i], stored[i, :-1]) + h * (one.gain * taken[i] - need[i])
        for what, excess, unit in (
            ("charge_kw is above its limit", taken[i] - one.power_kw, "kW"),
            ("energy_kwh does not follow from its flows", np.abs(stored[i] - follows), "kWh"),
            ("energy_kwh is above its corridor", stored[i] - high[i], "kWh"),
            ("misses more than stated", low[i] - stored[i] - missed[i], "kWh"),
        ):
            yield str(one.id), what, excess, unit


def _heat(plan_input: PlanInput, plan: Plan) -> Iterator[Excess]:
    """Yield what tanks break: the heat that comes and goes leaves no more than can be, nor less."""
    if not plan_input.heat:
        return
    h = plan_input.hours
    boiler, stored, missed = (
        plan.schedule[name].values[plan_input.rows("heat")]
        for name in ("boiler_kw", "energy_kwh", "missed_kwh")
    )
    output = plan.schedule["produce_kw"].values[plan_input.rows("genset")]
    gensets = [str(one.id) for one in plan_input.genset]
    need, now = np.asarray(plan_input.heat_need_kw), np.asarray(plan_input.heat_energy_kwh)
    for i, tank in enumerate(plan_input.heat):
        kept = (1.0 - tank.standing_loss_percent_per_hour / 100.0) ** h
        waste = tank.heat_per_kwh * output[gensets.index(str(tank.genset))]
        most = kept * np.append(now[i], stored[i, :-1]) + h * (waste + boiler[i] - need[i])
        for what, excess, unit in (
            ("boiler_kw is above its limit", boiler[i] - tank.boiler_kw, "kW"),
            ("energy_kwh is above its capacity", stored[i] - tank.energy_kwh, "kWh"),
            ("energy_kwh is below nothing", -stored[i], "kWh"),
            ("holds more heat than came", stored[i] - most - missed[i], "kWh"),
        ):
            yield str(tank.id), what, excess, unit
