"""Whether devices did what they were told: their counters against the set-points they confirmed.

A battery that is full or empty and what forms an island are not blamed, nor a vehicle or a flexible
load that takes less than it may.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from grid import interval
from grid.errors import Finding, Severity
from grid.operation.field.serve import rating_w
from grid.operation.room import Room
from grid.site import Asset, Battery, Genset, Shedding, Site
from grid.site_devices import MOVABLE
from grid.store import Transaction, device_holds, field
from meters.device import Setpoint

_COUNTED_WH = 2
"""What two counters that are cut off to whole Wh may be wrong by."""

State = Mapping[str, Any]


def unfollowed(room: Room, tx: Transaction, at_s: int) -> list[Finding]:
    """Return a warning for each device that did not follow its set-point until `at_s`."""
    start_s = at_s - room.site.interval_s
    told = device_holds.confirmed(tx, start_s)
    before, now = field.device_states(tx, start_s), field.device_states(tx, at_s)
    islanded = not bool(room.grid_available(np.array([start_s], dtype=np.int64))[0])
    when = interval.label(start_s)
    findings = []
    for asset in room.site.assets:
        name = str(asset.id)
        if name not in told or name not in before or name not in now:
            continue
        if islanded and isinstance(asset, Battery) and asset.forming:
            continue
        what = astray(room.site, asset, told[name], before[name], now[name])
        if what:
            text = f"{name} {when} does not follow its set-point: {what}"
            findings.append(Finding("device.astray", name, when, Severity.WARNING, text))
    return findings


def astray(site: Site, asset: Asset, told: Setpoint, before: State, now: State) -> str:
    """Return how a device went astray in an interval; nothing when it followed.

    Parameters
    ----------
    told : Setpoint
        That it confirmed for the interval.
    before, now : mapping
        What it said of itself at the beginning and at the end.
    """
    hours = site.interval_s / 3600.0
    slack_w = site.control.tolerance_percent / 100.0 * rating_w(site, asset) + _COUNTED_WH / hours
    if isinstance(asset, Shedding):
        return _above(_served_w(now), told.limit_w, slack_w)
    given_w = (now["discharged_wh"] - before["discharged_wh"]) / hours
    taken_w = (now["charged_wh"] - before["charged_wh"]) / hours
    if isinstance(asset, Battery):
        wanted_w = told.discharge_w - told.charge_w
        did_w = given_w - taken_w
        if abs(did_w - wanted_w) <= slack_w or _at_its_end(asset, now, wanted_w - did_w, slack_w):
            return ""
        return f"it did {did_w:.0f} W (given less taken), was told {wanted_w} W"
    if isinstance(asset, MOVABLE):
        most_w = told.limit_w if told.kind == "limit" else told.charge_w
        return _above(taken_w, most_w, slack_w) or _above(given_w, told.discharge_w, slack_w)
    if not isinstance(asset, Genset):
        return _above(given_w, told.limit_w, slack_w)
    wanted_w = max(told.discharge_w, round(1000 * asset.min_power_kw)) if told.running else 0
    if abs(given_w - wanted_w) <= slack_w:
        return ""
    return f"it gave {given_w:.0f} W, was told {wanted_w} W"


def _above(did_w: float, limit_w: int, slack_w: float) -> str:
    return (
        f"it had {did_w:.0f} W, was told at most {limit_w} W" if did_w > limit_w + slack_w else ""
    )


def _served_w(now: State) -> float:
    if now["available_w"] < 0 or now["throttled_w"] < 0:
        return 0.0
    return float(now["available_w"] - now["throttled_w"])


def _at_its_end(battery: Battery, now: State, missing_w: float, slack_w: float) -> bool:
    """Return whether a battery gave, or took, less than it was told because it is at its end."""
    if now["energy_wh"] is None:
        return False
    slack_wh = slack_w / 4.0
    if missing_w > 0.0:
        return bool(now["energy_wh"] <= 1000 * battery.min_energy_kwh + slack_wh)
    return bool(now["energy_wh"] >= 1000 * battery.energy_kwh - slack_wh)
