"""What people want of charge points: stated, taken back, and what came of it.

Of one charge point the newest wish holds; when it is taken back, the one before it does again. It
is over when the vehicle leaves or its time has come, and what lacks then is told. A wish is
personal: the ledger commits to it with the secret of the charge point's party.
"""

from __future__ import annotations

from dataclasses import dataclass

from grid import interval
from grid.errors import BadInputError, Finding, Severity
from grid.operation import agreements, record
from grid.operation.record import Personal
from grid.operation.room import Room
from grid.site import Charger, Site
from grid.store import Transaction, charging, control, field
from grid.store.charging import Session, SessionState
from trading.ledger.entry import Kind

AHEAD_S = 7 * 86_400
"""How far ahead a departure may be."""

LEAST_WH = 100

KNOWN_S = 7 * 86_400
"""For how long back it is looked when a vehicle came."""

_SHORT_SHARE = 0.02
_SHORT_WH = 100


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody wants for a vehicle.

    Attributes
    ----------
    charger : str
    departs_s : int
        Seconds UTC, where an interval begins.
    wanted_wh : int
        As the charge point counts, from when the vehicle came.
    by : str
        The person's e-mail address.
    arrives_s : int or None
        When the vehicle is expected, where it is not there yet.
    """

    charger: str
    departs_s: int
    wanted_wh: int
    by: str
    arrives_s: int | None = None


def charger_of(site: Site, name: str) -> Charger:
    """Return a charge point of the site.

    Raises
    ------
    BadInputError
        When there is none of that name.
    """
    found = next((one for one in site.charger if one.id == name), None)
    if found is None:
        raise BadInputError(f"{name[:64]}: no such charge point in the site")
    return found


def party_of(tx: Transaction, charger: Charger) -> str:
    """Return whose charge point it is now."""
    return agreements.holders(tx, control.clock_s(tx))[str(charger.usage_point)]


def most_wh(charger: Charger) -> int:
    """Return the most that a vehicle may be wanted to get."""
    return int(1000 * charger.energy_kwh / charger.charge_efficiency)


def state(tx: Transaction, site: Site, wanted: Wanted) -> Session:
    """Keep a wish; it holds from the next plan on.

    Raises
    ------
    BadInputError
        When there is no such charge point, or its energy or times cannot be.
    """
    charger = charger_of(site, wanted.charger)
    now_s = control.clock_s(tx)
    if not wanted.by.strip():
        raise BadInputError(f"{charger.id}: needs to know who wants it")
    if not LEAST_WH <= wanted.wanted_wh <= most_wh(charger):
        raise BadInputError(
            f"{charger.id}: {wanted.wanted_wh / 1000:g} kWh are wanted, must be within "
            f"{LEAST_WH / 1000:g} to {most_wh(charger) / 1000:g} kWh"
        )
    for name, at_s, low_s in (
        ("departure", wanted.departs_s, now_s + site.interval_s),
        ("arrival", wanted.arrives_s, now_s - now_s % site.interval_s),
    ):
        if at_s is None:
            continue
        high_s = now_s + AHEAD_S if name == "departure" else wanted.departs_s - site.interval_s
        if at_s % site.interval_s or not low_s <= at_s <= high_s:
            raise BadInputError(
                f"{charger.id}: {name} {interval.label(at_s)} must be on a quarter-hour within "
                f"{interval.label(low_s)} to {interval.label(high_s)}"
            )
    made = charging.put_session(
        tx,
        charger=str(charger.id),
        party=party_of(tx, charger),
        stated_by=wanted.by.strip(),
        stated_s=now_s,
        arrives_s=wanted.arrives_s,
        departs_s=wanted.departs_s,
        wanted_wh=wanted.wanted_wh,
    )
    _record(tx, site, made, "charging.state", wanted.by)
    return made


def withdraw(tx: Transaction, site: Site, number: int, by: str) -> Session:
    """Take a wish back: the one before it holds again, or what is usual.

    Raises
    ------
    StoreError
        When there is none, or it does not hold any more.
    """
    gone = charging.close(tx, number, SessionState.WITHDRAWN, ended_s=control.clock_s(tx))
    _record(tx, site, gone, "charging.withdraw", by)
    return gone


def in_force(tx: Transaction, at_s: int) -> dict[str, Session]:
    """Return by charge point the wish that holds at an instant."""
    return {one.charger: one for one in charging.stated(tx) if one.departs_s > at_s}


def got_wh(tx: Transaction, charger: Charger, at_s: int) -> int:
    """Return what the vehicle that is there at `at_s` has got, as the charge point counts.

    What was taken from it again counts with the losses both ways.
    """
    came_s, charged, discharged = charging.last_apart(tx, charger.id, at_s, at_s - KNOWN_S)
    last = field.last_device_states(tx, at_s, since_s=came_s).get(str(charger.id))
    if last is None:
        return 0
    both = charger.charge_efficiency * charger.discharge_efficiency
    taken = (last["discharged_wh"] - discharged) / both
    return int(max(0, round(last["charged_wh"] - charged - taken)))


def pass_time(room: Room, tx: Transaction, at_s: int) -> list[Finding]:
    """End the wishes whose vehicle left or whose time has come; return what lacks."""
    site, step_s = room.site, room.site.interval_s
    if not site.charger:
        return []
    before, now = field.device_states(tx, at_s - step_s), field.device_states(tx, at_s)
    waiting = charging.stated(tx)
    findings = []
    for charger in site.charger:
        mine = [one for one in waiting if one.charger == charger.id]
        if not mine:
            continue
        newest = mine[-1]
        name = str(charger.id)
        was = name in before and bool(before[name]["running"])
        left = was and name in now and not bool(now[name]["running"])
        left = left and newest.stated_s < at_s and (newest.arrives_s or 0) < at_s
        if not left and newest.departs_s > at_s:
            continue
        known_s = at_s - step_s if left else at_s
        last = field.last_device_states(tx, known_s, since_s=at_s - KNOWN_S).get(name)
        there = last is not None and bool(last["running"])
        got = got_wh(tx, charger, known_s) if there else 0
        done = charging.close(tx, newest.id, SessionState.ENDED, ended_s=at_s, got_wh=got)
        for older in mine[:-1]:
            charging.close(tx, older.id, SessionState.WITHDRAWN, ended_s=at_s)
        findings += _missed(done, there=there, early=left and newest.departs_s > at_s)
    return findings


def _missed(done: Session, *, there: bool, early: bool) -> list[Finding]:
    """Return what a wish that is over lacks; an alarm unless somebody else is why."""
    assert done.ended_s is not None
    assert done.got_wh is not None
    short_wh = done.wanted_wh - done.got_wh
    if short_wh <= max(_SHORT_WH, _SHORT_SHARE * done.wanted_wh):
        return []
    when = interval.label(done.ended_s)
    wanted = f"{done.wanted_wh / 1000:.1f} kWh were wanted by {interval.label(done.departs_s)}"
    if not there:
        text = f"{done.charger} {when} {wanted}: no vehicle came"
        return [Finding("charger.no_vehicle", done.charger, when, Severity.INFO, text)]
    got = f"{wanted}, it got {done.got_wh / 1000:.1f} kWh: {short_wh / 1000:.1f} kWh are missing"
    if early:
        text = f"{done.charger} {when} its vehicle left before its time: {got}"
        return [Finding("charger.left_early", done.charger, when, Severity.WARNING, text)]
    text = f"{done.charger} {when} {got}"
    return [Finding("charger.missed", done.charger, when, Severity.ALARM, text)]


def _record(tx: Transaction, site: Site, one: Session, kind: str, by: str) -> None:
    """Record what a person did, with its ledger entry, in this transaction."""
    at_s = control.clock_s(tx)
    shown = {
        "arrives": None if one.arrives_s is None else interval.label(one.arrives_s),
        "departs": interval.label(one.departs_s),
        "session": one.id,
        "wanted_wh": one.wanted_wh,
    }
    payload = {**shown, "charger": one.charger, "wanted_wh": str(one.wanted_wh)}
    payload["session"] = str(one.id)
    fact = Personal(one.party, "charging", f"{kind}-{one.id}", payload)
    start_s = at_s - at_s % site.interval_s
    sequence = record.append(tx, Kind.ACTION, start_s, at_s, {"action": kind}, [fact])
    control.put_action(
        tx, at_s=at_s, user=by.strip(), kind=kind, subject=one.charger, detail=shown,
        sequence=sequence,
    )  # fmt: skip
