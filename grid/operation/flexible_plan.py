"""Flexible loads of a running site: what a plan may make of them, and what they are then sent.

A pump has its daily energy to take within its hours: its store is what it took since they began. A
heat pump keeps a house between two temperatures: its store is the heat above the lower one, which a
sensor tells. What one of them takes is its own counter's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import exp
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from dispatch.plan import SAFE_RULE, Plan, PlanInput
from grid import interval
from grid.errors import Finding, Severity
from grid.operation.room import Room
from grid.site import Flexible
from grid.store import Transaction, datasets, field, sensors
from meters.device import Setpoint
from meters.vee import Quality

Floats = npt.NDArray[np.float64]

BLIND_S = 2 * 3600
"""How old a temperature may be that a plan starts from."""

FREE_KWH = -1e6
"""A corridor so low asks for nothing."""

_BACK_STEPS = 96
_SHORT_KWH = 0.1
_MORE_KWH = 0.5


@dataclass(frozen=True, eq=False)
class Corridor:
    """What a flexible load is planned with, n steps long.

    Attributes
    ----------
    load : Flexible
        With the losses of its store.
    need_kw, low_kwh, high_kwh : ndarray, shape (n,)
    stored_kwh : float
    known : bool
        False where nothing tells how full its store is: it is left to itself.
    """

    load: Flexible
    need_kw: Floats
    low_kwh: Floats
    high_kwh: Floats
    stored_kwh: float
    known: bool = True


def corridor(
    room: Room, tx: Transaction, load: Flexible, at_s: int, n: int, states: Mapping[str, Any]
) -> Corridor:
    """Return what a flexible load may do in `n` steps from `at_s`.

    Parameters
    ----------
    states : mapping
        What devices said last.
    """
    if load.daily_kwh is not None:
        return _daily(room, tx, load, at_s, n, states)
    inside = None if str(load.id) not in states else _newest(tx, load.indoor, at_s)
    if inside is None:
        nothing = np.zeros(n)
        return Corridor(load, nothing, nothing + FREE_KWH, nothing, 0.0, known=False)
    outside = _newest(tx, load.outdoor, at_s) if load.outdoor else None
    return house(
        load, inside, load.outdoor_celsius if outside is None else outside, n,
        room.site.interval_s / 3600.0,
    )  # fmt: skip


def _daily(
    room: Room, tx: Transaction, load: Flexible, at_s: int, n: int, states: Mapping[str, Any]
) -> Corridor:
    step_s, zone = room.site.interval_s, room.site.time_zone
    back = [at_s - step_s * step for step in range(_BACK_STEPS)]
    clocks = [interval.local_time(when, zone) for when in back]
    opened_s = next(w for w, c in zip(back, clocks, strict=True) if c == load.from_time)
    closed_s = opened_s + round(3600 * load.window_h)
    took = 0.0
    if at_s < closed_s and str(load.id) in states:
        then = field.last_device_states(tx, opened_s, since_s=opened_s - _BACK_STEPS * step_s)
        if str(load.id) in then:
            now, first = (one[str(load.id)]["charged_wh"] for one in (states, then))
            took = max(0, now - first) / 1000.0
    assert load.daily_kwh is not None
    starts = at_s + step_s * np.arange(n)
    begins = np.array([interval.local_time(int(s), zone) == load.from_time for s in starts])
    ends = np.array([interval.local_time(int(s) + step_s, zone) == load.to_time for s in starts])
    if at_s >= closed_s:
        # What ends before anything has begun is of hours that are over.
        first = int(begins.argmax()) if begins.any() else n
        ends[:first] = False
    begun = np.cumsum(begins) + (1 if opened_s < at_s < closed_s else 0)
    return Corridor(
        load,
        np.zeros(n),
        load.gain * load.daily_kwh * np.cumsum(ends),
        load.gain * load.daily_kwh * begun,
        load.gain * min(took, load.daily_kwh),
    )


def house(load: Flexible, inside: float, outside: float, n: int, hours: float) -> Corridor:
    """Return the corridor of a house that is so warm while it is so cold outside, degrees Celsius.

    Heat above the lower temperature is :math:`C (T - T_l)`; of it the share
    :math:`1 - e^{-k/C}` is lost in an hour, and :math:`k (T_l - T_o)` besides.
    """
    assert load.capacity_kwh_per_k is not None
    assert load.loss_kw_per_k is not None
    assert load.low_celsius is not None
    assert load.high_celsius is not None
    lost = 100.0 * (1.0 - exp(-load.loss_kw_per_k / load.capacity_kwh_per_k))
    model = replace(load, standing_loss_percent_per_hour=min(lost, 50.0))
    need = np.full(n, load.loss_kw_per_k * (load.low_celsius - outside))
    stored = load.capacity_kwh_per_k * (inside - load.low_celsius)
    band = load.capacity_kwh_per_k * (load.high_celsius - load.low_celsius)
    high, left = np.empty(n), stored
    for step in range(n):
        # Warmer than it may be it can only cool down.
        left = model.kept_share(hours) * left - hours * float(need[step])
        high[step] = max(band, left)
    return Corridor(model, need, np.zeros(n), high, stored)


def _newest(tx: Transaction, sensor: str, at_s: int) -> float | None:
    """Return the newest sound value of a sensor that is not too old."""
    found = sensors.get_samples(tx, sensor, at_s - BLIND_S, at_s + 1)
    sound = np.isfinite(found["value"].values) & (found["quality"].values == int(Quality.VALID))
    return float(found["value"].values[sound][-1]) if sound.any() else None


def planned(
    room: Room, tx: Transaction, at_s: int, n: int, states: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the fields of a plan's input that are of flexible loads, `n` steps from `at_s`."""
    found = [corridor(room, tx, load, at_s, n, states) for load in room.site.flexible]
    if not found:
        return {}
    return {
        "flexible": tuple(one.load for one in found),
        "flexible_need_kw": np.array([one.need_kw for one in found]),
        "flexible_low_kwh": np.array([one.low_kwh for one in found]),
        "flexible_high_kwh": np.array([one.high_kwh for one in found]),
        "flexible_energy_kwh": np.array([one.stored_kwh for one in found]),
    }


def _known(given: PlanInput, row: int) -> bool:
    return given.flexible_low_kwh is not None and given.flexible_low_kwh[row, 0] != FREE_KWH


def told(wish: Setpoint, given: PlanInput, chosen: Plan, load: Flexible) -> Setpoint:
    """Return a load's set-point: the most it may take in the first step.

    Of which nothing is known, and where no plan knows better, it takes what it would by itself.
    """
    row = [one.id for one in given.flexible].index(load.id)
    if not _known(given, row) or chosen.source == SAFE_RULE:
        return replace(wish, limit_w=round(1000 * load.fallback_kw))
    taken = chosen.schedule["charge_kw"].sel(asset=str(load.id)).values[0]
    return replace(wish, limit_w=round(1000 * float(taken)))


def missing(
    room: Room, tx: Transaction, at_s: int, given: PlanInput, schedule: xr.Dataset
) -> list[Finding]:
    """Return a warning for each load that falls below its corridor, or of which nothing is known.

    It is told when it is news beside the plan before.
    """
    earlier = datasets.get_dataset(tx, "plan", at_s - room.site.interval_s)
    when, findings = interval.label(at_s), []
    for row, load in enumerate(given.flexible):
        name = str(load.id)
        if not _known(given, row):
            text = f"{name} {when} is left to itself: {load.indoor} tells no temperature of the "
            text += f"last {BLIND_S // 3600} h"
            findings.append(Finding("flexible.blind", name, when, Severity.WARNING, text))
            continue
        if "missed_kwh" not in schedule:
            continue
        short = schedule["missed_kwh"].sel(asset=name).values
        before = 0.0
        if earlier is not None and "missed_kwh" in earlier and name in earlier["asset"].values:
            before = float(earlier["missed_kwh"].sel(asset=name).max())
        news_kwh = _SHORT_KWH if before < _SHORT_KWH else before + _MORE_KWH
        step = int(short.argmax())
        if float(short[step]) >= news_kwh:
            text = f"{name} {when} will lack {short[step]:.1f} kWh at {given.label(step + 1)}"
            findings.append(Finding("flexible.short", name, when, Severity.WARNING, text))
    return findings
