"""What a plan is made from: the forecast, prices, and what the devices said last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from dispatch.plan import (
    PlanInput,
    per_kwh,
)
from grid import interval
from grid.errors import Finding, Severity
from grid.operation import charging_plan, flexible_plan
from grid.operation.market import prices_at
from grid.operation.room import Room
from grid.site import Asset, Battery, Charger, Genset, Shedding, Site
from grid.store import Transaction, datasets, field, series

Floats = npt.NDArray[np.float64]


HEAD_SHARE = 0.99
"""Share of the connection's limits that plans use: losses are known only after the flow."""

STALE_S = 4 * 3600
"""For how long a device that is silent counts as it was when it last answered."""


def plan_input(room: Room, tx: Transaction, at_s: int) -> tuple[PlanInput, xr.Dataset]:
    """Return what the plan from `at_s` depends on, and the forecast it came from."""
    ahead = datasets.require_dataset(tx, "forecast", at_s)
    return planned_from(room, tx, at_s, ahead), ahead


def planned_from(room: Room, tx: Transaction, at_s: int, ahead: xr.Dataset) -> PlanInput:
    """Return the input of a plan from the state at `at_s` and the means of `ahead`."""
    site = room.site
    n = ahead.sizes["interval"]
    starts = at_s + site.interval_s * np.arange(n)
    mean = ahead["mean_kw"]
    prices = np.array([prices_at(room, int(s)) for s in starts]).reshape(n, 2)
    states = field.last_device_states(tx, at_s, since_s=at_s - STALE_S)
    batteries, stored = _stores(site.battery, states)
    loads = mean.sel(series=[f"load:{name}" for name in room.points]).values
    total = loads.sum(axis=0)
    return PlanInput(
        start_s=at_s,
        interval_s=site.interval_s,
        battery=batteries,
        solar=site.solar,
        wind=site.wind,
        genset=site.genset,
        shedding=site.shedding,
        grid=replace(
            site.grid,
            import_limit_kw=HEAD_SHARE * site.grid.import_limit_kw,
            export_limit_kw=HEAD_SHARE * site.grid.export_limit_kw,
        ),
        demand_kw=total,
        solar_available_kw=_rows(mean, site.solar, n),
        wind_available_kw=_rows(mean, site.wind, n),
        sheddable_kw=np.array(
            [
                one.share * loads[[room.row[p] for p in one.usage_points]].sum(axis=0)
                for one in site.shedding
            ]
        ).reshape(-1, n),
        buy_price=np.array([per_kwh(int(price)) for price in prices[:, 0]]),
        sell_price=np.array([per_kwh(int(price)) for price in prices[:, 1]]),
        end_value_per_kwh=end_value(room),
        grid_available=room.grid_available(starts),
        battery_energy_kwh=stored,
        genset_on=np.array(
            [g.id in states and bool(states[g.id]["running"]) for g in site.genset], np.bool_
        ),
        genset_intervals_in_state=np.array(
            [_in_state(room, tx, g, at_s) for g in site.genset], np.int64
        ),
        reserve_kw=total * site.operation.critical_reserve_percent / 100.0,
        peak_kw=peak_kw(tx, site, room.head, at_s) if site.grid.demand_charge else 0.0,
        **charging_plan.planned(room, tx, at_s, n, states),
        **flexible_plan.planned(room, tx, at_s, n, states),
    )


def firm_kw(given: PlanInput, group: Shedding) -> Floats:
    """Return the load of a group that may not be withheld, kW (step,)."""
    if group.share == 1.0:
        return np.zeros(given.n)
    row = [one.id for one in given.shedding].index(group.id)
    firm: Floats = given.sheddable_kw[row] * (1.0 - group.share) / group.share
    return firm


def peak_kw(tx: Transaction, site: Site, head: str, at_s: int) -> float:
    """Return the highest import of the civil month until `at_s`, kW; 0 without a demand charge.

    Parameters
    ----------
    head : str
        The feeder-head meter.
    """
    first_s, _ = interval.month_bounds(at_s, site.time_zone)
    if not site.grid.demand_charge or at_s <= first_s:
        return 0.0
    stored = series.get_intervals(
        tx, [head], first_s, at_s, time_zone=site.time_zone, registers=["import_wh"]
    )
    # what is missing is below 0
    most_wh = max(0, int(stored["import_wh"].values.max(initial=0)))
    return most_wh * 3.6 / site.interval_s


def end_value(room: Room) -> float:
    """Return the stated worth of a kWh left in a battery: what filling it again costs at best."""
    return min(per_kwh(step.buy) for step in room.site.grid.price)


def _rows(mean: xr.DataArray, plants: tuple[Asset, ...], n: int) -> Floats:
    rows = []
    for plant in plants:
        rating_kw = getattr(plant, "power_kw", np.inf)
        rows.append(np.minimum(mean.sel(series=plant.id).values, rating_kw))
    return np.array(rows).reshape(-1, n)


def _stores(
    batteries: tuple[Battery, ...], states: Mapping[str, Any]
) -> tuple[tuple[Battery, ...], Floats]:
    """Return the batteries as they can be planned with, and what each holds, kWh.

    One of which nothing is known for hours is planned as out of service, with no power either
    way: a community is not left without a plan because one of its batteries is away.
    """
    usable, stored = [], []
    for battery in batteries:
        energy_wh = states[battery.id]["energy_wh"] if battery.id in states else None
        low = battery.min_energy_kwh
        if energy_wh is None:
            usable.append(replace(battery, power_kw=0.0, forming=False))
            stored.append(low)
        else:
            usable.append(battery)
            stored.append(min(max(energy_wh / 1000, low), battery.energy_kwh))
    return tuple(usable), np.array(stored, dtype=np.float64)


def stale(room: Room, tx: Transaction, at_s: int) -> list[Finding]:
    """Return a finding for each store, genset and charge point whose state of now is not known."""
    now = field.device_states(tx, at_s)
    last = field.last_device_states(tx, at_s, since_s=at_s - STALE_S)
    findings = []
    watched: tuple[Battery | Genset | Charger, ...] = (
        *room.site.battery,
        *room.site.genset,
        *room.site.charger,
    )
    for asset in watched:
        if asset.id in now:
            continue
        since = interval.label(last[asset.id]["at_s"]) if asset.id in last else None
        what = (
            f"is taken as it was at {since}"
            if since
            else "has not answered for hours and is planned as out of service"
        )
        findings.append(
            Finding(
                "device.stale",
                str(asset.id),
                interval.label(at_s),
                Severity.WARNING if since else Severity.ALARM,
                f"{asset.id} {interval.label(at_s)} does not say its state: it {what}; "
                "look at its connection",
            )
        )
    return findings


def _in_state(room: Room, tx: Transaction, genset: Genset, at_s: int) -> int:
    """Return for how many intervals a genset has been on, or off, up to `at_s`."""
    most = max(genset.min_up_intervals, genset.min_down_intervals)
    runs = field.was_running(tx, genset.id, at_s - most * room.site.interval_s, at_s)
    if not runs:
        return most
    count = 0
    while count < len(runs) and runs[-1 - count] == runs[-1]:
        count += 1
    return most if count == len(runs) else count
