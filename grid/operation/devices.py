"""What devices say of themselves, held to what they can be.

A state that cannot be is treated as if the device had not answered: nobody is paid, charged or
steered by it, and an alarm says what was wrong with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from grid import interval
from grid.errors import Finding, Severity
from grid.operation.field.serve import rating_w
from grid.operation.room import Room
from grid.site import Asset, Battery, Charger, Shedding, Site
from grid.store import Transaction, control, field
from meters.device import DeviceState

SLACK = 1.1
"""Above its rating by this a device may be for a moment, and its counters in an interval."""

KNOWN_S = 86_400
"""For how long an earlier state says what the counters may be."""

COUNTERS = ("charged_wh", "discharged_wh")
_DOUBTED = "doubted device "
_RESTARTED = "counts from another register than before: it was replaced or reset"


def plausible(
    room: Room, tx: Transaction, states: Sequence[DeviceState], at_s: int
) -> tuple[list[DeviceState], list[Finding]]:
    """Return the states that can be, and a finding for each that cannot.

    Counters that fell are believed when the next reading goes on from there: the device was
    replaced or reset. What it did in between is not known.
    """
    assets = {str(asset.id): asset for asset in room.site.assets}
    last = field.last_device_states(tx, at_s - 1, since_s=at_s - KNOWN_S)
    good: list[DeviceState] = []
    findings: list[Finding] = []
    for state in states:
        asset = assets[state.asset]
        now = {name: getattr(state, name) for name in ("at_s", *COUNTERS)}
        wrong = _impossible(room.site, asset, state)
        doubted = json.loads(control.get_meta(tx, _DOUBTED + state.asset) or "null")
        unlike = "" if wrong else cannot_follow(room.site, asset, last.get(state.asset), now)
        if unlike and doubted and not cannot_follow(room.site, asset, doubted, now):
            findings.append(_told(state, at_s, "device.restarted", _RESTARTED))
            unlike = ""
        if unlike or doubted:
            control.put_meta(tx, _DOUBTED + state.asset, json.dumps(now if unlike else None))
        if wrong or unlike:
            what = f"{wrong or unlike}: what it says is not used; look at the device"
            findings.append(_told(state, at_s, "device.implausible", what))
        else:
            good.append(state)
    return good, findings


def _told(state: DeviceState, at_s: int, code: str, what: str) -> Finding:
    when = interval.label(at_s)
    severity = Severity.ALARM if code == "device.implausible" else Severity.WARNING
    return Finding(code, state.asset, when, severity, f"{state.asset} {when} {what}")


def _impossible(site: Site, asset: Asset, state: DeviceState) -> str:
    """Return what cannot be in a state by itself; nothing when all can."""
    rating = rating_w(site, asset)
    if isinstance(asset, Battery):
        most = round(1010 * asset.energy_kwh)
        if state.energy_wh is None or not 0 <= state.energy_wh <= most:
            return f"holds {state.energy_wh} Wh, must be 0 to {most} Wh"
    elif state.available_w > SLACK * rating:
        return f"could give {state.available_w} W, must be at most {rating} W"
    if isinstance(asset, Charger) and not 0 <= (state.energy_wh or 0) <= 1010 * asset.energy_kwh:
        most = round(1010 * asset.energy_kwh)
        return f"holds {state.energy_wh} Wh, must be 0 to {most} Wh"
    if not isinstance(asset, Shedding):
        for counter in COUNTERS:
            if getattr(state, counter) < 0:
                return f"has no {counter}"
    return ""


def cannot_follow(
    site: Site, asset: Asset, earlier: Mapping[str, Any] | None, now: Mapping[str, Any]
) -> str:
    """Return why the counters of `now` cannot come after those of `earlier`; nothing if they can.

    Parameters
    ----------
    earlier, now : mapping
        ``at_s`` and :data:`COUNTERS`; with no earlier state anything can come.
    """
    if earlier is None or isinstance(asset, Shedding):
        return ""
    most = round(SLACK * rating_w(site, asset) * (now["at_s"] - earlier["at_s"]) / 3600) + 1
    for counter in COUNTERS:
        if not 0 <= now[counter] - earlier[counter] <= most:
            return (
                f"{counter} went from {earlier[counter]} to {now[counter]} Wh, "
                f"must rise by 0 to {most} Wh"
            )
    return ""
