"""How long critical load outlives the loss of the public network, and what is missing to it.

Critical are the usage points that the site file marks so and those with medical loads. Their load
is the mean of its forecast. It is carried by the batteries that can form an island and by nothing
else, so that it holds without sun, wind and fuel.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil

import numpy as np
import numpy.typing as npt
import xarray as xr

from dispatch.check_headroom import survival_missing
from dispatch.plan import PlanInput
from dispatch.survival import lasting_h
from grid import interval
from grid.errors import Finding, Severity
from grid.operation.medical_loads import medical
from grid.operation.room import Room
from grid.site import Battery
from grid.store import Transaction

Floats = npt.NDArray[np.float64]

MOST_H = 48.0
"""Hours that are looked ahead: what lasts longer is said to last so long."""

LASTS = "lasts_h"
"""Column of a stored plan, hours by interval; there where critical load and a battery are."""

_SHORT_KWH = 0.05
_DAY_H = 24.0


def critical_points(room: Room, tx: Transaction) -> list[str]:
    """Return the usage points whose load is to outlive an outage, in the order of the site."""
    ill = medical(tx, room.site)
    return [str(one.id) for one in room.site.usage_point if one.critical or str(one.id) in ill]


def critical_kw(room: Room, tx: Transaction, ahead: xr.Dataset) -> Floats:
    """Return the critical load of each step of a forecast, kW (step,)."""
    names = [f"load:{point}" for point in critical_points(room, tx)]
    load: Floats = ahead["mean_kw"].sel(series=names).values.sum(axis=0)
    return load


def asked(room: Room, given: PlanInput, load: Floats) -> PlanInput:
    """Return the input of a plan that keeps what `load` needs for the site's hours.

    What the forming batteries could not give however full they were is not asked of the plan:
    :func:`short` tells of it.
    """
    forming = _forming(given)
    if not room.site.operation.survive_h or not forming:
        return given
    most_kw = sum(battery.power_kw for battery in forming)
    return replace(given, critical_kw=np.minimum(load, most_kw), survive_steps=_steps(room))


def told(
    room: Room, given: PlanInput, load: Floats, schedule: xr.Dataset
) -> tuple[xr.Dataset, list[Finding]]:
    """Return a schedule with how long critical load lasts, and what is missing to it."""
    lasts = lasting(given, load, schedule)
    plain = schedule.drop_vars(LASTS, errors="ignore")
    return plain if lasts is None else plain.assign({LASTS: lasts}), short(
        room, given, load, schedule
    )


def lasting(given: PlanInput, load: Floats, schedule: xr.Dataset) -> xr.DataArray | None:
    """Return how long critical load would last if the network were lost as a step begins, hours.

    Beyond the plan the last day of the forecast is repeated.

    Returns
    -------
    xarray.DataArray or None
        Dim (interval) as the schedule; None without critical load or a battery that forms.
    """
    forming, held = _forming(given), _held(given, schedule)
    if not forming or not load.any() or not np.isfinite(held).all():
        return None
    day = load[-ceil(_DAY_H / given.hours) :]
    most = ceil(MOST_H / given.hours)
    ahead = np.concatenate([load, np.tile(day, ceil(most / len(day)))])
    hours = [
        lasting_h(forming, held[:, step], ahead[step : step + most], given.hours)
        for step in range(schedule.sizes["interval"])
    ]
    return xr.DataArray(np.array(hours), dims="interval", attrs={"units": "h"})


def short(room: Room, given: PlanInput, load: Floats, schedule: xr.Dataset) -> list[Finding]:
    """Return what is missing to the hours that the site asks for, at the worst step of a plan.

    It is an alarm when it would be missing now, a warning when it will be later on.
    """
    hours, when = room.site.operation.survive_h, interval.label(given.start_s)
    if not hours or not load.any():
        return []
    forming = _forming(given)
    if not forming:
        text = f"plan {when}: no battery that forms an island answers: critical load of "
        text += f"{load[0]:.1f} kW would be dark at once, it is to last {hours:g} h"
        return [Finding("survival.short", "plan", when, Severity.ALARM, text)]
    n = schedule.sizes["interval"]
    now = replace(
        given,
        demand_kw=given.demand_kw[:n],
        grid_available=given.grid_available[:n],
        critical_kw=load,
        survive_steps=_steps(room),
    )
    missing = survival_missing(now, schedule)
    if not float(missing.max(initial=0.0)) > _SHORT_KWH:
        return []
    step = int(missing.argmax())
    severity = Severity.ALARM if missing[0] > _SHORT_KWH else Severity.WARNING
    text = f"plan {when}: {_told(now, schedule, step)}, {missing[step]:.1f} kWh are missing"
    return [Finding("survival.short", "plan", when, severity, text)]


def _told(now: PlanInput, schedule: xr.Dataset, step: int) -> str:
    """Return what an outage after a step needs, and what there would be."""
    assert now.critical_kw is not None
    ahead = now.critical_kw[step + 1 : step + 1 + now.survive_steps]
    ahead = np.append(ahead, np.full(now.survive_steps - len(ahead), now.critical_kw[-1]))
    forming = _forming(now)
    rows = [row for row, battery in enumerate(now.battery) if battery.forming]
    energy = schedule["energy_kwh"].values[now.rows("battery")][rows, step]
    names = " and ".join(str(battery.id) for battery in forming)
    need_kwh, hours = float(ahead.sum()) * now.hours, now.survive_steps * now.hours
    have = _above_floor(forming, energy)
    most = _above_floor(forming, np.array([battery.energy_kwh for battery in forming]))
    text = (
        f"if the network were lost at {now.label(step + 1)}, critical load of {ahead.mean():.1f} "
        f"kW for {hours:g} h needs {need_kwh:.1f} kWh; above its floor {names} gives {have:.1f} "
        f"kWh then and can give {most:.1f} kWh"
    )
    most_kw = sum(battery.power_kw for battery in forming)
    if float(ahead.max()) > most_kw:
        text += f", at most {most_kw:.1f} kW of up to {ahead.max():.1f} kW"
    return text


def _above_floor(batteries: tuple[Battery, ...], energy_kwh: Floats) -> float:
    return sum(
        (float(energy) - battery.min_energy_kwh) * battery.discharge_efficiency
        for battery, energy in zip(batteries, energy_kwh, strict=True)
    )


def _forming(given: PlanInput) -> tuple[Battery, ...]:
    return tuple(battery for battery in given.battery if battery.forming)


def _steps(room: Room) -> int:
    return ceil(room.site.operation.survive_h * 3600 / room.site.interval_s)


def _held(given: PlanInput, schedule: xr.Dataset) -> Floats:
    """Return what each forming battery holds as each step of a schedule begins, kWh."""
    rows = [row for row, battery in enumerate(given.battery) if battery.forming]
    energy = schedule["energy_kwh"].values[given.rows("battery")][rows]
    first = given.battery_energy_kwh[rows][:, None]
    held: Floats = np.concatenate([first, energy[:, :-1]], axis=1)
    return held
