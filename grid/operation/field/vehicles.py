"""Who plugs in at the simulated charge points: one vehicle an evening, drawn by seed and day."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from grid import interval
from grid.operation.field.state import DeviceState
from grid.site import Charger, Site

_MWH_PER_KWH = 1_000_000
_COMES_MIN, _COMES_SPREAD = 16 * 60 + 30, 12
"""Minutes of the civil day at which the first come, and over how many quarter-hours."""
_STAYS, _STAYS_SPREAD = 44, 12
"""Quarter-hours that a vehicle stays at least, and how many more at most."""
_STAYS_AWAY_PERCENT = 10


@dataclass(frozen=True, slots=True)
class Visit:
    """A vehicle from `comes_s` to `leaves_s`, seconds UTC, with the share it holds at first."""

    comes_s: int
    leaves_s: int
    held_share: float


def visit(site: Site, charger: Charger, at_s: int) -> Visit | None:
    """Return the vehicle at a charge point at an instant."""
    zone, step_s = site.time_zone, site.interval_s
    today, _ = interval.day_bounds(interval.local_day(at_s, zone), zone)
    for midnight in (today, interval.day_bounds(interval.local_day(today - 1, zone), zone)[0]):
        text = f"{site.field.seed} {charger.id} {interval.local_day(midnight, zone)}"
        draw = zlib.crc32(text.encode())
        if draw % 100 < _STAYS_AWAY_PERCENT:
            continue
        comes_s = midnight + 60 * _COMES_MIN + step_s * (draw // 100 % _COMES_SPREAD)
        leaves_s = comes_s + step_s * (_STAYS + draw // 10_000 % _STAYS_SPREAD)
        if comes_s <= at_s < leaves_s:
            return Visit(comes_s, leaves_s, (20 + draw // 1_000_000 % 40) / 100)
    return None


def pass_time(site: Site, devices: Mapping[str, DeviceState], at_s: int) -> None:
    """Let vehicles come and leave: what is at the charge points from `at_s` on."""
    for charger in site.charger:
        device, there = devices[charger.id], visit(site, charger, at_s)
        if there is None:
            device.energy_mwh = 0
        elif not device.running:
            device.energy_mwh = round(there.held_share * charger.energy_kwh * _MWH_PER_KWH)
        device.running = there is not None
