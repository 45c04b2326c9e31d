"""Stage ``send``: look what each device does, keep it, and only then write its set-point.

After a crash nobody knows what was sent: a device may hold the set-point of this cycle, of the
last one, or be in its safe state. So nothing is ever written before every device was asked what
it holds and the answers are in the store. A device that does not answer is not written to.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

from grid import interval
from grid.errors import Finding, Severity
from grid.operation import outage_facts, record, safety_tags
from grid.operation.record import Personal
from grid.operation.room import Room
from grid.store import control, device_holds
from meters.device import DeviceAddress, DeviceState, Setpoint
from trading.ledger.entry import Kind

AS_SENT, REVERTED, UNLIKE, NOTHING_SENT = "as sent", "reverted", "unlike", "nothing sent"

REMEMBERED_S = 7 * 86_400
"""For how long it is remembered what a device was sent."""

Sent = Sequence[tuple[int, Setpoint]]


def send(room: Room, at_s: int) -> None:
    """Send the set-points of the interval from `at_s` and keep what the devices then held."""
    from meters.modbus.sunspec import read_devices, send_setpoints

    with room.store.read() as tx:
        rows = control.setpoints(tx, at_s)
        sent = device_holds.sent(tx, at_s, at_s - REMEMBERED_S)
    names = tuple(Setpoint.__dataclass_fields__)
    wishes = [Setpoint(**{name: row[name] for name in names}) for row in rows]
    timeout_s = room.site.operation.read_timeout_s
    addresses = [DeviceAddress(wish.asset, room.link.devices[wish.asset]) for wish in wishes]
    states, findings = asyncio.run(read_devices(addresses, at_s=at_s, timeout_s=timeout_s))
    wanted = {wish.asset: wish for wish in wishes}
    verdicts, told = _judged(states, sent, wanted, at_s)
    with room.store.write() as tx:
        device_holds.put_holds(tx, at_s, states, verdicts)
        told += [replace(one, interval=interval.label(at_s)) for one in findings]
        control.put_findings(tx, at_s, outage_facts.unexplained(tx, room.site, told))
        blocked = safety_tags.blocked(tx)
        told = safety_tags.still_held(states, blocked, at_s)
        control.put_findings(tx, at_s, told)
    going = [one.asset for one in states if one.asset not in blocked]
    held, findings = asyncio.run(
        send_setpoints(
            [one for one in addresses if one.asset in going],
            [wanted[name] for name in going],
            timeout_s=timeout_s,
        )
    )
    findings = [replace(finding, interval=interval.label(at_s)) for finding in findings]
    confirmed = [one for one in held if one == wanted[one.asset]]
    kept = sorted(name for name in wanted if name in blocked)
    failed = sorted(set(wanted) - {one.asset for one in confirmed} - set(kept))
    with room.store.write() as tx:
        control.put_setpoints(tx, at_s, confirmed, "confirmed")
        control.put_setpoints(tx, at_s, [wanted[name] for name in failed], "failed")
        control.put_setpoints(tx, at_s, [wanted[name] for name in kept], "blocked")
        control.put_findings(tx, at_s, outage_facts.unexplained(tx, room.site, findings))
        payload = json.loads(json.dumps([asdict(one) for one in confirmed]))
        facts = {"confirmed": len(confirmed), "failed": len(failed)}
        if kept:
            facts["blocked"] = len(kept)
        who = record.community(room.site)
        record.append(
            tx, Kind.SETPOINTS, at_s, at_s, facts, [Personal(who, "setpoints", "held", payload)]
        )
        control.mark_done(tx, at_s, "send")
    room.log(at_s, "send", confirmed=len(confirmed), failed=len(failed), blocked=len(kept))


def _judged(
    states: Sequence[DeviceState],
    sent: Mapping[str, Sent],
    wanted: Mapping[str, Setpoint],
    at_s: int,
) -> tuple[dict[str, str], list[Finding]]:
    """Return what is to be said of what each device holds, and what is wrong with it."""
    verdicts, findings = {}, []
    when = interval.label(at_s)
    for state in states:
        before = sent.get(state.asset, ())
        verdict = judge(state, before, wanted[state.asset], at_s)
        verdicts[state.asset] = verdict
        if verdict == REVERTED:
            cycle_s, last = before[-1]
            in_force = at_s < cycle_s + last.revert_s
            what = (
                "returned to its safe state before its time was over: it was restarted, or its "
                "timer is not what it was told"
                if in_force
                else f"heard nothing since {interval.label(cycle_s)} and returned to its safe state"
            )
            text = f"{state.asset} {when} {what}"
            findings.append(Finding("device.reverted", state.asset, when, Severity.WARNING, text))
        elif verdict == UNLIKE:
            text = (
                f"{state.asset} {when} holds {_told(state.setpoint)}, which nobody here sent: "
                "another controller writes to it"
            )
            findings.append(Finding("device.unlike", state.asset, when, Severity.ALARM, text))
    return verdicts, findings


def judge(state: DeviceState, before: Sent, wish: Setpoint, at_s: int) -> str:
    """Return what a device that was sent something `before` makes of it now.

    Parameters
    ----------
    before : sequence of (int, Setpoint)
        What it may hold, with the cycles; the newest last.
    wish : Setpoint
        Of this cycle: it may have been sent before a crash.
    """
    held = state.setpoint
    safe = held.revert_s == 0
    for cycle_s, one in before:
        if held == one and (state.remaining_s != 0 or at_s < cycle_s + one.revert_s):
            return AS_SENT
        safe = safe or (held == one and state.remaining_s == 0)
    if held == wish:
        return AS_SENT
    if safe:
        return REVERTED if before else NOTHING_SENT
    return UNLIKE


def _told(held: Setpoint) -> str:
    if held.kind == "limit":
        return f"at most {held.limit_w} W"
    stopped = "" if held.running else ", not running"
    return f"charge {held.charge_w} W, discharge {held.discharge_w} W{stopped}"
