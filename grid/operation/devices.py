"""What devices say of themselves, held to what they can be.

A state that cannot be is treated as if the device had not answered: nobody is paid, charged or
steered by it, and an alarm says what was wrong with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from grid import interval
from grid.errors import Finding, Severity
from grid.operation.field.serve import rating_w
from grid.operation.room import Room
from grid.site import Asset, Battery, Shedding, Site
from grid.store import Transaction, field
from meters.device import DeviceState

SLACK = 1.1
"""Above its rating by this a device may be for a moment, and its counters in an interval."""

KNOWN_S = 86_400
"""For how long an earlier state says what the counters may be."""


def plausible(
    room: Room, tx: Transaction, states: Sequence[DeviceState], at_s: int
) -> tuple[list[DeviceState], list[Finding]]:
    """Return the states that can be, and a finding for each that cannot."""
    assets = {str(asset.id): asset for asset in room.site.assets}
    last = field.last_device_states(tx, at_s - 1, since_s=at_s - KNOWN_S)
    good: list[DeviceState] = []
    findings: list[Finding] = []
    for state in states:
        wrong = _wrong(room.site, assets[state.asset], state, last.get(state.asset))
        if not wrong:
            good.append(state)
            continue
        when = interval.label(at_s)
        message = f"{state.asset} {when} {wrong}: what it says is not used; look at the device"
        findings.append(Finding("device.implausible", state.asset, when, Severity.ALARM, message))
    return good, findings


def _wrong(site: Site, asset: Asset, state: DeviceState, last: Mapping[str, Any] | None) -> str:
    """Return what cannot be in a state; nothing when all can."""
    rating = rating_w(site, asset)
    if isinstance(asset, Battery):
        most = round(1010 * asset.energy_kwh)
        if state.energy_wh is None or not 0 <= state.energy_wh <= most:
            return f"holds {state.energy_wh} Wh, must be 0 to {most} Wh"
    elif state.available_w > SLACK * rating:
        return f"could give {state.available_w} W, must be at most {rating} W"
    if isinstance(asset, Shedding):
        return ""
    for counter in ("charged_wh", "discharged_wh"):
        now = getattr(state, counter)
        if now < 0:
            return f"has no {counter}"
        if last is None:
            continue
        most = round(SLACK * rating * (state.at_s - last["at_s"]) / 3600) + 1
        if not 0 <= now - last[counter] <= most:
            return f"{counter} went from {last[counter]} to {now} Wh, must rise by 0 to {most} Wh"
    return ""
