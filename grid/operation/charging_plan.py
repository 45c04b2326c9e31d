"""Vehicles at charge points as a plan takes them, and what their charge points are then sent.

What a vehicle holds is not known at most charge points. So it is counted from nothing when it
comes, and a wish is a target above that: from a vehicle is taken only what it was given before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from dispatch.plan import SAFE_RULE, Plan, PlanInput
from grid import interval
from grid.errors import Finding, Severity
from grid.operation import charging
from grid.operation.room import Room
from grid.site import Charger
from grid.store import Transaction, datasets
from grid.store import charging as stored
from meters.device import Setpoint

Floats = npt.NDArray[np.float64]

_SHORT_KWH = 0.1
_MORE_KWH = 0.5
_DAYS = 3


@dataclass(frozen=True, slots=True)
class Visit:
    """A vehicle as it is planned.

    Attributes
    ----------
    comes_s, leaves_s : int
        Seconds UTC; far ahead where nobody said when it leaves.
    held_kwh, wanted_kwh : float
        What it got, and what it is to have got when it leaves, both stored in it.
    """

    comes_s: int
    leaves_s: int
    held_kwh: float
    wanted_kwh: float


def visits(room: Room, tx: Transaction, at_s: int, states: Mapping[str, Any]) -> dict[str, Visit]:
    """Return by charge point the vehicle that is there or expected at `at_s`.

    Parameters
    ----------
    states : mapping
        What devices said last; a charge point that is not in it is out of service.
    """
    wishes = charging.in_force(tx, at_s)
    found = {}
    for charger in room.site.charger:
        name = str(charger.id)
        wish = wishes.get(name)
        if name not in states:
            continue
        if states[name]["running"]:
            found[name] = _there(room, tx, charger, wish, at_s)
        elif wish is not None:
            comes_s = max(at_s + room.site.interval_s, wish.arrives_s or 0)
            if comes_s < wish.departs_s:
                found[name] = Visit(comes_s, wish.departs_s, 0.0, _kwh(charger, wish.wanted_wh))
    return found


def _there(
    room: Room, tx: Transaction, charger: Charger, wish: stored.Session | None, at_s: int
) -> Visit:
    held = _kwh(charger, charging.got_wh(tx, charger, at_s))
    if wish is not None:
        return Visit(at_s, wish.departs_s, held, _kwh(charger, wish.wanted_wh))
    came_s, _, _ = stored.last_apart(tx, charger.id, at_s, at_s - charging.KNOWN_S)
    leaves_s = _next(room, charger.usual_departure, came_s)
    if leaves_s <= at_s:
        return Visit(at_s, at_s + _DAYS * interval.DAY_S, held, 0.0)
    return Visit(at_s, leaves_s, held, _kwh(charger, round(1000 * charger.usual_kwh)))


def _kwh(charger: Charger, counted_wh: int) -> float:
    """Return what is stored of what a charge point counted, kWh."""
    return min(charger.energy_kwh, charger.charge_efficiency * counted_wh / 1000.0)


def _next(room: Room, clock: str, after_s: int) -> int:
    """Return the first instant after another at which a civil clock shows a time."""
    step_s = room.site.interval_s
    first_s = interval.floor(after_s, step_s) + step_s
    steps = range(first_s, first_s + _DAYS * interval.DAY_S, step_s)
    return next(at for at in steps if interval.local_time(at, room.site.time_zone) == clock)


def planned(
    room: Room, tx: Transaction, at_s: int, n: int, states: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the fields of a plan's input that are of charge points, `n` steps from `at_s`."""
    chargers, step_s = room.site.charger, room.site.interval_s
    if not chargers:
        return {}
    found = visits(room, tx, at_s, states)
    starts = at_s + step_s * np.arange(n)
    there = np.zeros((len(chargers), n), np.bool_)
    target = np.zeros((len(chargers), n))
    held = np.zeros(len(chargers))
    for row, charger in enumerate(chargers):
        visit = found.get(str(charger.id))
        if visit is None:
            continue
        there[row] = (starts >= visit.comes_s) & (starts + step_s <= visit.leaves_s)
        steps = np.flatnonzero(there[row])
        if not steps.size:
            continue
        held[row] = visit.held_kwh
        # What may still be given beyond the horizon is not asked for within it.
        later_s = max(0, visit.leaves_s - int(starts[-1]) - step_s)
        later_kwh = charger.charge_efficiency * charger.power_kw * later_s / 3600.0
        target[row, steps[-1]] = max(0.0, visit.wanted_kwh - later_kwh)
    return {
        "charger": chargers,
        "ev_connected": there,
        "ev_arrival_kwh": np.zeros((len(chargers), n)),
        "ev_target_kwh": target,
        "ev_energy_kwh": held,
    }


def charging_w(given: PlanInput, chosen: Plan, charger: Charger) -> tuple[int, int]:
    """Return what a charge point may give a vehicle and take from it in the first step, W.

    Where none is expected, and where no plan knows better, one that comes charges with what is
    safe.
    """
    row = [one.id for one in given.charger].index(charger.id)
    known = given.ev_connected is not None and bool(given.ev_connected[row, 0])
    if not known or chosen.source == SAFE_RULE:
        return round(1000 * charger.fallback_kw), 0
    step = chosen.schedule.isel(interval=0).sel(asset=str(charger.id))
    return round(1000 * float(step["charge_kw"])), round(1000 * float(step["discharge_kw"]))


def told(wish: Setpoint, give_w: int, take_w: int) -> Setpoint:
    """Return a charge point's set-point with what it may give a vehicle and take from it."""
    if wish.kind == "limit":
        return replace(wish, limit_w=give_w)
    return replace(wish, charge_w=give_w, discharge_w=take_w)


def missing(
    room: Room, tx: Transaction, at_s: int, given: PlanInput, schedule: xr.Dataset
) -> list[Finding]:
    """Return a warning for each vehicle that will not get what it wants, when it is news."""
    if not given.charger or "missed_kwh" not in schedule or given.ev_target_kwh is None:
        return []
    earlier = datasets.get_dataset(tx, "plan", at_s - room.site.interval_s)
    findings = []
    for row, charger in enumerate(given.charger):
        name = str(charger.id)
        short = schedule["missed_kwh"].sel(asset=name).values
        step = int(short.argmax())
        told = 0.0
        if earlier is not None and "missed_kwh" in earlier and name in earlier["asset"].values:
            told = float(earlier["missed_kwh"].sel(asset=name).max())
        news_kwh = _SHORT_KWH if told < _SHORT_KWH else told + _MORE_KWH
        if float(short[step]) < news_kwh:
            continue
        when, eta = interval.label(at_s), charger.charge_efficiency
        text = (
            f"{name} {when} cannot give its vehicle the {given.ev_target_kwh[row, step] / eta:.1f} "
            f"kWh wanted by {given.label(step + 1)}: {short[step] / eta:.1f} kWh will be missing"
        )
        findings.append(Finding("charger.short", name, when, Severity.WARNING, text))
    return findings
