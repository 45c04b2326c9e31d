"""Headroom of a plan, computed from its schedule: for what was not foreseen, and for an outage."""

from __future__ import annotations

import numpy as np
import xarray as xr

from dispatch.plan import Floats, PlanInput
from grid.site import Battery


def reserve_short(plan_input: PlanInput, schedule: xr.Dataset) -> Floats:
    """Return the headroom missing in each islanded step, the worse of both directions, kW."""
    up, down = reserve_missing(plan_input, schedule)
    return np.maximum(up, down)


def reserve_missing(plan_input: PlanInput, schedule: xr.Dataset) -> tuple[Floats, Floats]:
    """Return the headroom missing in each islanded step, upwards and downwards, kW."""
    h = plan_input.hours
    up, down = np.zeros(plan_input.n), np.zeros(plan_input.n)
    stored, room = np.full((2, plan_input.n), np.inf)
    forming = [i for i, battery in enumerate(plan_input.battery) if battery.forming]
    if forming:
        stored, room = np.zeros((2, plan_input.n))
        charge, discharge, energy = (
            schedule[name].values[plan_input.rows("battery")]
            for name in ("charge_kw", "discharge_kw", "energy_kwh")
        )
        for i in forming:
            battery = plan_input.battery[i]
            up += battery.power_kw - discharge[i] + charge[i]
            down += battery.power_kw - charge[i] + discharge[i]
            stored += (energy[i] - battery.min_energy_kwh) * battery.discharge_efficiency / h
            room += (battery.energy_kwh - energy[i]) / (battery.charge_efficiency * h)
    else:
        running = schedule["on"].values[plan_input.rows("genset")].astype(np.float64)
        output = schedule["produce_kw"].values[plan_input.rows("genset")]
        for i, genset in enumerate(plan_input.genset):
            up += genset.power_kw * running[i] - output[i]
            down += output[i] - genset.min_power_kw * running[i]
    islanded = ~plan_input.grid_available & (plan_input.reserve_kw > 0.0)
    need = np.where(islanded, plan_input.reserve_kw, -np.inf)
    return (
        np.maximum(0.0, need - np.minimum(up, stored)),
        np.maximum(0.0, need - np.minimum(down, room)),
    )


def survival_missing(plan_input: PlanInput, schedule: xr.Dataset) -> Floats:
    """Return what is stored too little after each step for critical load to outlive it, kWh.

    Found by trying: an outage begins after each step in which the network is there, and the forming
    batteries share the load.
    """
    missing = np.zeros(plan_input.n)
    if plan_input.critical_kw is None or not plan_input.survive_steps:
        return missing
    forming = [i for i, battery in enumerate(plan_input.battery) if battery.forming]
    known = tuple(plan_input.battery[i] for i in forming)
    energy = schedule["energy_kwh"].values[plan_input.rows("battery")][forming]
    ahead = np.append(
        plan_input.critical_kw, np.full(plan_input.survive_steps, plan_input.critical_kw[-1])
    )
    power = np.array([battery.power_kw for battery in known])
    for t in np.flatnonzero(plan_input.grid_available).tolist():
        left = _ready_kwh(known, energy[:, t]) / plan_input.hours
        for load in ahead[t + 1 : t + 1 + plan_input.survive_steps]:
            given = _shared(float(load), power, left)
            missing[t] += max(0.0, float(load) - float(given.sum())) * plan_input.hours
            left = left - given
    return missing


def _ready_kwh(batteries: tuple[Battery, ...], energy_kwh: Floats) -> Floats:
    """Return what each battery can still deliver."""
    least = np.array([battery.min_energy_kwh for battery in batteries])
    kept = np.array([battery.discharge_efficiency for battery in batteries])
    ready: Floats = np.clip((energy_kwh - least) * kept, 0.0, None)
    return ready


def _shared(load: float, power: Floats, left: Floats) -> Floats:
    """Share a load, kW: who could go on longest at full power gives first.

    No other way serves more of a load that is not known ahead (Evans, Tindemans and Angeli,
    IEEE Trans. Power Syst. 33(5), 2018, doi:10.1109/TPWRS.2018.2806482).
    """
    most = np.minimum(power, left)
    if float(most.sum()) <= load:
        return most
    if len(most) == 1:
        return np.array([load])
    lasts = left / np.maximum(power, 1e-9)
    low, high = 0.0, float(lasts.max())
    for _ in range(60):
        level = (low + high) / 2.0
        given = float(np.clip((lasts - level) * power, 0.0, most).sum())
        low, high = (level, high) if given > load else (low, level)
    return np.clip((lasts - low) * power, 0.0, most)
