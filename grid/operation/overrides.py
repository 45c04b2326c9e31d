"""Manual override: an operator holds a device at a set-point, or off, until a time.

It begins with the next cycle and ends by itself. What may move a device by more than the site's
limit waits for a second person, and lapses when nobody comes. Every step is an action in the
ledger, with pseudonyms and a code for the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from grid import interval
from grid.errors import BadInputError, Finding, Severity
from grid.operation import safety_tags
from grid.operation.control_record import CONTROL_ROOM, Value, record_control
from grid.operation.field.serve import device_kind, rating_w
from grid.operation.meter_orders import same_person
from grid.site import Asset, Battery, Charger, Genset, Shedding, Site
from grid.site_devices import MOVABLE
from grid.store import Transaction, control
from grid.store import overrides as stored
from grid.store.overrides import OPEN, Action, Override, OverrideState, Reason

NOTE_MAX = 200
ACTIONS: Final[Mapping[str, tuple[Action, ...]]] = {
    "storage": (Action.CHARGE, Action.DISCHARGE, Action.OFF),
    "genset": (Action.RUN, Action.OFF),
    "limit": (Action.LIMIT, Action.OFF),
}
"""What a device of each kind is held to."""


def actions_of(asset: Asset) -> tuple[Action, ...]:
    """Return what a device may be held to: what moves decides by itself up to a limit."""
    return ACTIONS["limit" if isinstance(asset, MOVABLE) else device_kind(asset)]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody wants a device to be held at.

    Attributes
    ----------
    asset : str
    action : Action
    power_w : int
        Of the flow or the limit; 0 when off.
    minutes : int
        How long from the next cycle on.
    reason : Reason
    by : str
        The operator's e-mail address.
    note : str
        For people; it stays out of the ledger.
    """

    asset: str
    action: Action
    power_w: int
    minutes: int
    reason: Reason
    by: str
    note: str = ""

    def __post_init__(self) -> None:
        where = f"override of {self.asset[:64]}"
        if not self.by.strip():
            raise BadInputError(f"{where}: needs to know who asks")
        if len(self.note) > NOTE_MAX or (self.note and not self.note.isprintable()):
            raise BadInputError(f"{where}: a note has at most {NOTE_MAX} printable characters")


def ask(tx: Transaction, site: Site, wanted: Wanted) -> Override:
    """Hold a device from the next cycle on, or ask for a second person to agree to it.

    Raises
    ------
    BadInputError
        When there is no such device, it cannot do that, the time is too short or too long, it
        is held already, or a safety tag stands before it.
    """
    asset = asset_of(site, wanted.asset)
    power_w = _checked(site, asset, wanted)
    for other in stored.in_states(tx, OPEN):
        if other.asset == wanted.asset:
            raise BadInputError(
                f"{wanted.asset}: override {other.id} of it is {other.state}; end it first"
            )
    if tag := safety_tags.blocked(tx).get(wanted.asset):
        raise BadInputError(
            f"{wanted.asset}: safety tag {tag.id} of {tag.holder} on {tag.element} stands before it"
        )
    now_s, start_s = control.clock_s(tx), _begins(tx, site)
    end_s = start_s + 60 * wanted.minutes
    stake_w = stake(site, asset, wanted.action, power_w)
    alone = stake_w <= 1000 * site.control.two_person_kw
    lapses_s = now_s + round(3600 * site.control.approval_hours)
    made = stored.put_override(
        tx,
        asset=wanted.asset,
        action=wanted.action,
        power_w=power_w,
        start_s=start_s,
        end_s=end_s,
        stake_w=stake_w,
        reason=wanted.reason,
        note=wanted.note.strip(),
        asked_by=wanted.by.strip(),
        asked_s=now_s,
        lapses_s=min(lapses_s, end_s),
        state=OverrideState.ACTIVE if alone else OverrideState.ASKED,
    )
    _record(tx, site, made, "override.hold" if alone else "override.ask", wanted.by)
    return made


def approve(tx: Transaction, site: Site, number: int, by: str) -> Override:
    """Let another operator than the one who asked agree; return the override as it is then.

    Raises
    ------
    StoreError
        When there is no such override.
    BadInputError
        When the same person asked for it, or it does not wait for this.
    """
    found = stored.get_override(tx, number)
    if why := cannot_approve(found, by):
        raise BadInputError(f"override {number}: {why}")
    now_s = control.clock_s(tx)
    if now_s >= found.lapses_s:
        return _lapse(tx, site, found, now_s)
    held = stored.move(
        tx,
        number,
        OverrideState.ASKED,
        OverrideState.ACTIVE,
        approved_by=by.strip(),
        approved_s=now_s,
        start_s=max(found.start_s, _begins(tx, site)),
    )
    _record(tx, site, held, "override.approve", by)
    return held


def cannot_approve(found: Override, by: str) -> str:
    """Return why a person cannot approve an override; nothing when they can."""
    if found.state is not OverrideState.ASKED:
        return f"it is {found.state}, only what is asked can be approved"
    if same_person(found.asked_by, by):
        return f"{found.asked_by} asked for it; it takes a second person"
    return ""


def end(tx: Transaction, site: Site, number: int, by: str) -> Override:
    """Give a device back to the plan from the next cycle on, or take back what was asked.

    Raises
    ------
    StoreError
        When there is no such override.
    BadInputError
        When it has ended.
    """
    found = stored.get_override(tx, number)
    if not found.open:
        raise BadInputError(f"override {number}: it is {found.state} already")
    ended = stored.move(
        tx,
        number,
        found.state,
        OverrideState.ENDED,
        ended_by=by.strip(),
        ended_s=control.clock_s(tx),
    )
    _record(tx, site, ended, "override.end", by)
    return ended


def pass_time(tx: Transaction, site: Site, at_s: int) -> list[Override]:
    """End what is over, lapse what nobody approved; return what holds in the cycle at `at_s`."""
    active = []
    for one in stored.in_states(tx, OPEN):
        if one.state is OverrideState.ASKED:
            if at_s >= one.lapses_s:
                _lapse(tx, site, one, at_s)
        elif at_s >= one.end_s:
            over = stored.move(
                tx, one.id, one.state, OverrideState.EXPIRED, ended_by=CONTROL_ROOM, ended_s=at_s
            )
            _record(tx, site, over, "override.expire", CONTROL_ROOM)
        elif one.start_s <= at_s:
            active.append(one)
    return active


def ending(active: list[Override], at_s: int, interval_s: int) -> list[Finding]:
    """Return a warning for each override whose last interval begins."""
    when = interval.label(at_s)
    return [
        Finding(
            "override.ends",
            one.asset,
            when,
            Severity.WARNING,
            f"{one.asset} {when} override {one.id} ends at {interval.label(one.end_s)}: "
            "the plan takes it from there",
        )
        for one in active
        if at_s < one.end_s <= at_s + interval_s < one.end_s + interval_s
    ]


def stake(site: Site, asset: Asset, action: Action, power_w: int) -> int:
    """Return by how much at most an override moves a device from what a plan may want of it, W.

    A plan may want a battery anywhere between charging and discharging at its rating, and a
    plant or a group of loads at its rating.
    """
    rating = rating_w(site, asset)
    if isinstance(asset, Charger):
        rating += round(1000 * asset.discharge_kw)
    if isinstance(asset, Battery):
        return rating + power_w
    if isinstance(asset, Genset):
        return max(power_w, rating - power_w)
    return rating - power_w if action is Action.LIMIT else rating


def asset_of(site: Site, name: str) -> Asset:
    """Return a device of the site.

    Raises
    ------
    BadInputError
        When there is none of that name.
    """
    found = next((one for one in site.assets if one.id == name), None)
    if found is None:
        raise BadInputError(f"{name[:64]}: no such device in the site")
    return found


def _begins(tx: Transaction, site: Site) -> int:
    """Return the first cycle that still can plan with what is said now."""
    now_s = control.clock_s(tx)
    return now_s + site.interval_s if "plan" in control.done(tx, now_s) else now_s


def _checked(site: Site, asset: Asset, wanted: Wanted) -> int:
    """Return the power of an override in whole W, held to what the device can do."""
    allowed = actions_of(asset)
    if wanted.action not in allowed:
        known = ", ".join(allowed)
        raise BadInputError(f"{asset.id}: cannot be held at {wanted.action}, only at {known}")
    if wanted.action is Action.OFF and isinstance(asset, Shedding):
        raise BadInputError(f"{asset.id}: loads are limited, never held off")
    most_minutes, step = round(60 * site.control.override_hours), site.interval_s // 60
    if not step <= wanted.minutes <= most_minutes or wanted.minutes % step:
        raise BadInputError(
            f"{asset.id}: an override lasts {step} to {most_minutes} minutes in steps of {step}, "
            f"not {wanted.minutes}"
        )
    if wanted.action is Action.OFF:
        return 0
    low = round(1000 * asset.min_power_kw) if isinstance(asset, Genset) else 0
    most = rating_w(site, asset)
    if not low <= wanted.power_w <= most:
        raise BadInputError(
            f"{asset.id}: {wanted.action} at {wanted.power_w / 1000:g} kW, must be within "
            f"{low / 1000:g} to {most / 1000:g} kW"
        )
    return wanted.power_w


def _lapse(tx: Transaction, site: Site, found: Override, at_s: int) -> Override:
    lapsed = stored.move(
        tx, found.id, found.state, OverrideState.LAPSED, ended_by=CONTROL_ROOM, ended_s=at_s
    )
    _record(tx, site, lapsed, "override.lapse", CONTROL_ROOM)
    return lapsed


def _record(tx: Transaction, site: Site, one: Override, kind: str, by: str) -> None:
    detail: dict[str, Value] = {
        "action": str(one.action),
        "end": interval.label(one.end_s),
        "override": one.id,
        "power_w": one.power_w,
        "reason": str(one.reason),
        "state": str(one.state),
    }
    people = {"asked_by": one.asked_by, "approved_by": one.approved_by}
    record_control(
        tx, site, user=by.strip(), kind=kind, subject=one.asset, detail=detail, people=people
    )
