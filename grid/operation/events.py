"""Flexibility events: somebody outside asks, an operator answers, time passes.

The utility or an aggregator asks for a limit of import or export between two times, with a reward
or a penalty. It is received, weighed, and accepted or declined until a time; what may move the
connection by more than the site's limit takes a second operator. From then on plans keep to it.
Every step is an action in the ledger, with pseudonyms and codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from grid import interval
from grid.errors import BadInputError, Finding, Severity
from grid.operation.control_record import CONTROL_ROOM, Value, record_control
from grid.operation.event_baseline import limits_of_reduction
from grid.operation.meter_orders import same_person
from grid.site import Site
from grid.store import Transaction, control
from grid.store import events as stored
from grid.store.events import HELD, WAITING, Cause, Event, EventKind, EventState

LONGEST_S: Final = 48 * 3600
AHEAD_S: Final = 31 * 86_400
TEXT_MAX: Final = {"asked_by": 255, "program": 128, "name": 128}
PRICE_MAX: Final = 10**9
"""Nano-currency per Wh: a thousand a kWh."""

_CLOSES: Final[Mapping[EventState, tuple[EventState, ...]]] = {
    EventState.DECLINED: WAITING,
    EventState.CANCELLED: (*WAITING, *HELD),
}
_VERB: Final = {EventState.DECLINED: "declined", EventState.CANCELLED: "cancelled"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody outside asks for.

    Attributes
    ----------
    kind : EventKind
    start_s, end_s : int
        Seconds UTC, on the site's intervals.
    powers_w : tuple of int
        The limit or the reduction in each interval, or one for all of them.
    asked_by : str
        The utility or aggregator.
    received_by : str
        Who entered it: an operator's e-mail address.
    answer_by_s : int, optional
        When it expires unanswered; its start when not given.
    reward, penalty : int
        Per Wh delivered, and per Wh above the limit, nano-currency.
    program, name : str
        What they call it; both together tell whether it has come before.
    """

    kind: EventKind
    start_s: int
    end_s: int
    powers_w: tuple[int, ...]
    asked_by: str
    received_by: str
    answer_by_s: int | None = None
    reward: int = 0
    penalty: int = 0
    program: str = ""
    name: str = ""

    def __post_init__(self) -> None:
        where = f"event of {self.asked_by[:64] or '?'}"
        if not self.received_by.strip():
            raise BadInputError(f"{where}: needs to know who received it")
        if not self.asked_by.strip():
            raise BadInputError(f"{where}: needs to know who asks")
        for field, most in TEXT_MAX.items():
            text = getattr(self, field)
            if len(text) > most or (text and not text.isprintable()):
                raise BadInputError(f"{where}: {field} has at most {most} printable characters")
        for field in ("reward", "penalty"):
            if not 0 <= getattr(self, field) <= PRICE_MAX:
                raise BadInputError(
                    f"{where}: {field} is {getattr(self, field) / 1e6:g} per kWh, must be within "
                    f"0 to {PRICE_MAX / 1e6:g}"
                )


def receive(tx: Transaction, site: Site, asked: Asked) -> Event:
    """Take in what somebody asks for; it then waits for an answer.

    Raises
    ------
    BadInputError
        When its times are not on the site's intervals, it begins before a plan could keep it, its
        power is out of range, it has come before, or there is no baseline to reduce.
    """
    now_s = control.clock_s(tx)
    powers = _checked(tx, site, asked, now_s)
    for other in stored.in_states(tx, (*WAITING, *HELD)):
        if _key(other) == _key(asked) and asked.name:
            raise BadInputError(f"event {other.id} says the same and is {other.state}")
    limits = powers
    if asked.kind is EventKind.IMPORT_REDUCTION:
        limits = limits_of_reduction(tx, site, asked.start_s, powers, now_s)
    most_w = round(1000 * getattr(site.grid, f"{asked.kind.way}_limit_kw"))
    one_reduces = asked.kind is EventKind.IMPORT_REDUCTION
    made = stored.put_event(
        tx,
        kind=asked.kind,
        start_s=asked.start_s,
        end_s=asked.end_s,
        asked_w=max(powers) if one_reduces else min(powers),
        limits_w=limits,
        reward=asked.reward,
        penalty=asked.penalty,
        stake_w=max(powers) if one_reduces else most_w - min(powers),
        asked_by=asked.asked_by.strip(),
        program=asked.program.strip(),
        name=asked.name.strip(),
        received_by=asked.received_by.strip(),
        received_s=now_s,
        answer_by_s=asked.start_s if asked.answer_by_s is None else asked.answer_by_s,
        state=EventState.RECEIVED,
    )
    _record(tx, site, made, "event.receive", asked.received_by)
    until = interval.label(made.answer_by_s)
    text = f"event {made.id} of {made.asked_by} waits for an answer by {until}"
    control.put_findings(tx, now_s, [_finding("event.received", made, made.start_s, text)])
    return made


def accept(tx: Transaction, site: Site, number: int, by: str) -> Event:
    """Promise to keep an event, or ask for a second operator to agree to it.

    Raises
    ------
    StoreError
        When there is no such event, or somebody else answered first.
    BadInputError
        When it does not wait for an answer.
    """
    found = stored.get_event(tx, number)
    if found.state is not EventState.RECEIVED:
        raise BadInputError(f"event {number}: it is {found.state}, only received ones are accepted")
    now_s = control.clock_s(tx)
    if now_s >= found.answer_by_s:
        return _expire(tx, site, found, now_s)
    alone = found.stake_w <= 1000 * site.control.two_person_kw
    after = EventState.ACCEPTED if alone else EventState.APPROVING
    held = stored.move(tx, number, found.state, after, accepted_by=by.strip(), accepted_s=now_s)
    _record(tx, site, held, "event.accept" if alone else "event.ask", by)
    return held


def approve(tx: Transaction, site: Site, number: int, by: str) -> Event:
    """Let another operator than the one who accepted agree.

    Raises
    ------
    StoreError
        When there is no such event, or somebody else answered first.
    BadInputError
        When the same person accepted it, or it does not wait for this.
    """
    found = stored.get_event(tx, number)
    if why := cannot_approve(found, by):
        raise BadInputError(f"event {number}: {why}")
    now_s = control.clock_s(tx)
    if now_s >= found.answer_by_s:
        return _expire(tx, site, found, now_s)
    held = stored.move(
        tx, number, found.state, EventState.ACCEPTED, approved_by=by.strip(), approved_s=now_s
    )
    _record(tx, site, held, "event.approve", by)
    return held


def cannot_approve(found: Event, by: str) -> str:
    """Return why a person cannot approve an event; nothing when they can."""
    if found.state is not EventState.APPROVING:
        return f"it is {found.state}, only what waits for a second operator can be approved"
    if same_person(found.accepted_by or "", by):
        return f"{found.accepted_by} accepted it; it takes a second person"
    return ""


def decline(tx: Transaction, site: Site, number: int, by: str, cause: Cause) -> Event:
    """Say no to an event that waits for an answer; as :func:`cancel`."""
    return _close(tx, site, number, by, EventState.DECLINED, cause)


def cancel(tx: Transaction, site: Site, number: int, by: str, cause: Cause) -> Event:
    """Take an event out of the plans from the next cycle on, before its end.

    Raises
    ------
    StoreError
        When there is no such event, or somebody else was first.
    BadInputError
        When it is over, or was answered otherwise.
    """
    return _close(tx, site, number, by, EventState.CANCELLED, cause)


def pass_time(tx: Transaction, site: Site, at_s: int) -> list[Finding]:
    """Let events expire, begin and end with the cycle at `at_s`; return what to tell of them."""
    told = []
    for one in stored.in_states(tx, (*WAITING, *HELD)):
        if one.waiting:
            if at_s >= one.answer_by_s:
                _expire(tx, site, one, at_s)
                text = f"nobody answered event {one.id} by {interval.label(one.answer_by_s)}"
                told.append(_finding("event.expired", one, one.answer_by_s, text))
        elif at_s >= one.end_s:
            stored.move(tx, one.id, one.state, EventState.OVER)
        elif at_s >= one.start_s and one.state is EventState.ACCEPTED:
            stored.move(tx, one.id, one.state, EventState.RUNNING)
    return told


def _finding(code: str, one: Event, at_s: int, text: str) -> Finding:
    when = interval.label(at_s)
    return Finding(code, f"event {one.id}", when, Severity.WARNING, f"{when} {text}")


def _checked(tx: Transaction, site: Site, asked: Asked, now_s: int) -> tuple[int, ...]:
    """Return the power asked for in each interval."""
    where, step_s = f"event of {asked.asked_by[:64]}", site.interval_s
    for name, at_s in (("start", asked.start_s), ("end", asked.end_s)):
        if at_s % step_s:
            raise BadInputError(
                f"{where}: {name} is {interval.label(at_s)}, must be at the start of an interval "
                f"of {step_s} s"
            )
    if not step_s <= asked.end_s - asked.start_s <= LONGEST_S:
        raise BadInputError(
            f"{where}: lasts {(asked.end_s - asked.start_s) / 3600:g} h, must be within "
            f"{step_s / 3600:g} to {LONGEST_S / 3600:g} h"
        )
    first_s = now_s + step_s if "plan" in control.done(tx, now_s) else now_s
    if not first_s < asked.start_s <= now_s + AHEAD_S:
        raise BadInputError(
            f"{where}: begins at {interval.label(asked.start_s)}, must be after "
            f"{interval.label(first_s)} and by {interval.label(now_s + AHEAD_S)}"
        )
    until_s = asked.start_s if asked.answer_by_s is None else asked.answer_by_s
    if not now_s < until_s <= asked.start_s:
        raise BadInputError(
            f"{where}: to be answered by {interval.label(until_s)}, must be after "
            f"{interval.label(now_s)} and by its start, {interval.label(asked.start_s)}"
        )
    count = (asked.end_s - asked.start_s) // step_s
    powers = asked.powers_w * count if len(asked.powers_w) == 1 else asked.powers_w
    if len(powers) != count:
        raise BadInputError(f"{where}: tells {len(powers)} intervals, must tell 1 or {count}")
    most_w = round(1000 * getattr(site.grid, f"{asked.kind.way}_limit_kw"))
    low_w = 1 if asked.kind is EventKind.IMPORT_REDUCTION else 0
    for power_w in powers:
        if not low_w <= power_w <= most_w:
            raise BadInputError(
                f"{where}: {asked.kind} is {power_w / 1000:g} kW, must be within "
                f"{low_w / 1000:g} to {most_w / 1000:g} kW, the limit of the connection"
            )
    return powers


def _key(one: Event | Asked) -> tuple[str, str, str, int, int]:
    return (one.asked_by.strip(), one.program.strip(), one.name.strip(), one.start_s, one.end_s)


def _close(
    tx: Transaction, site: Site, number: int, by: str, after: EventState, cause: Cause
) -> Event:
    found = stored.get_event(tx, number)
    if found.state not in _CLOSES[after]:
        raise BadInputError(f"event {number}: it is {found.state} and cannot be {_VERB[after]}")
    now_s = control.clock_s(tx)
    closed = stored.move(
        tx, number, found.state, after, closed_by=by.strip(), closed_s=now_s, cause=cause
    )
    verb = "event.decline" if after is EventState.DECLINED else "event.cancel"
    _record(tx, site, closed, verb, by)
    return closed


def _expire(tx: Transaction, site: Site, found: Event, at_s: int) -> Event:
    gone = stored.move(
        tx, found.id, found.state, EventState.EXPIRED, closed_by=CONTROL_ROOM, closed_s=at_s
    )
    _record(tx, site, gone, "event.expire", CONTROL_ROOM)
    return gone


def _record(tx: Transaction, site: Site, one: Event, kind: str, by: str) -> None:
    detail: dict[str, Value] = {
        "asked_w": one.asked_w,
        "cause": None if one.cause is None else str(one.cause),
        "end": interval.label(one.end_s),
        "event": one.id,
        "kind": str(one.kind),
        "start": interval.label(one.start_s),
        "state": str(one.state),
    }
    people = {"accepted_by": one.accepted_by, "approved_by": one.approved_by}
    subject = f"event {one.id}"
    record_control(
        tx, site, user=by.strip(), kind=kind, subject=subject, detail=detail, people=people
    )
