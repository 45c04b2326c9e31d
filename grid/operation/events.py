"""Flexibility events: somebody outside asks, an operator answers, time passes.

The utility or an aggregator asks for a limit of import or export between two times, with a reward
or a penalty. It is received, weighed, and accepted or declined until a time; what may move the
connection by more than the site's limit takes a second operator. From then on plans keep to it.
Every step is an action in the ledger, with pseudonyms and codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from grid import interval
from grid.errors import BadInputError, Finding, Severity
from grid.operation.control_record import CONTROL_ROOM, Value, record_control
from grid.operation.event_asked import Asked, checked
from grid.operation.event_baseline import limits_of_reduction
from grid.operation.meter_orders import same_person
from grid.site import Site
from grid.store import Transaction, control
from grid.store import events as stored
from grid.store.events import HELD, WAITING, Cause, Event, EventKind, EventState

_CLOSES: Final[Mapping[EventState, tuple[EventState, ...]]] = {
    EventState.DECLINED: WAITING,
    EventState.CANCELLED: (*WAITING, *HELD),
}
_VERB: Final = {EventState.DECLINED: "declined", EventState.CANCELLED: "cancelled"}


def receive(tx: Transaction, site: Site, asked: Asked) -> Event:
    """Take in what somebody asks for; it then waits for an answer.

    Raises
    ------
    BadInputError
        When its times are not on the site's intervals, it begins before a plan could keep it, its
        power is out of range, it has come before, or there is no baseline to reduce.
    """
    now_s = control.clock_s(tx)
    powers = checked(tx, site, asked, now_s)
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
    text = f"{made.asked_by} waits for an answer by {interval.label(made.answer_by_s)}"
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
                told.append(_finding("event.expired", one, one.answer_by_s, "nobody answered it"))
        elif at_s >= one.end_s:
            stored.move(tx, one.id, one.state, EventState.OVER)
        elif at_s >= one.start_s and one.state is EventState.ACCEPTED:
            stored.move(tx, one.id, one.state, EventState.RUNNING)
    return told


def _finding(code: str, one: Event, at_s: int, text: str) -> Finding:
    subject, when = f"event {one.id}", interval.label(at_s)
    return Finding(code, subject, when, Severity.WARNING, f"{subject} {when} {text}")


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
