"""Incidents are opened, brought up to date and ended as each cycle reads the meters.

An interruption begins with the first evidence of it: a last gasp or, without one, the start
of the first interval that is missing. It ends with the first evidence of supply: an answer.
Of an incident that silence alone told of, load profiles say the rest once they are read: in
an interval whose end a meter captured it had supply. So a meter that captured all along was
never without, and where one captured nothing the outage is confirmed.

All of it is written in the transaction of the readings that it rests on: a cycle that is
resumed or run again finds it done.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

import numpy as np

from grid import interval
from grid.errors import Finding, Severity
from grid.operation import outage_facts
from grid.operation.outage_returns import GASP, SILENCE, supplied
from grid.operation.outage_sightings import Asked, asked, sightings
from grid.operation.room import Room
from grid.store import Transaction, incidents
from grid.store.incidents import DISMISSED, LOCATED, SUSPECTED, Incident, Interrupted
from meters.reading import MeterRead
from networks.outages.locate import Outage, Sight, Sighting, locate

ALONE_S: Final = 3600
"""A meter silent among fed neighbours for so long after they were restored is not answering."""

_NAME_MAX = 255


def watch(
    room: Room,
    tx: Transaction,
    at_s: int,
    reads: Sequence[MeterRead],
    findings: Sequence[Finding],
    last_s: dict[str, int],
) -> list[Finding]:
    """Keep the incidents up to date with a cycle's reading; return what is to be told of it.

    Parameters
    ----------
    reads : sequence of MeterRead
        Stored already in this transaction.
    findings : sequence of Finding
        Of the reading.
    last_s : dict of str to int
        Newest register row of each meter before the reading, seconds UTC.

    Returns
    -------
    list of Finding
        One for each incident that is new or over, and those of `findings` that no incident
        explains.
    """
    told = asked(at_s, reads, findings, last_s)
    available = bool(room.grid_available(np.array([at_s], np.int64))[0])
    waiting = incidents.lasting(tx)
    known = sightings(room, tx, told, set(waiting), at_grid=available)
    source = None if available or room.forming_bus is None else room.forming_bus
    found = locate(room.model, known, source_bus=source)
    if not waiting and not found.outages:
        return list(findings)
    by_point = {one.usage_point: one for one in known}
    news = _restore(room, tx, at_s, told, by_point, found.not_answering)
    for outage in found.outages:
        news += _keep(room, tx, told, outage)
    return [*news, *outage_facts.unexplained(tx, room.site, findings)]


def _keep(room: Room, tx: Transaction, told: Asked, outage: Outage) -> list[Finding]:
    """Open an incident for an outage, or bring the one that it is a part of up to date."""
    waiting = incidents.lasting(tx)
    owners = sorted({waiting[p].incident for p in outage.usage_points if p in waiting})
    if not owners:
        return _new(room, tx, told, outage)
    number, *others = owners
    there = {one.id: one for one in incidents.open_incidents(tx)}
    content: dict[str, Any] = dict(there[number].content)
    start_s, state = there[number].start_s, there[number].state
    for other in others:
        incidents.absorb(tx, number, other)
        start_s = min(start_s, there[other].start_s)
        state = LOCATED if LOCATED in (state, there[other].state) else SUSPECTED
        _note(content, told.at_s, "absorbed", incident=other)
    mine = incidents.interruptions(tx, [number])
    facts: dict[str, Any] = {}
    fresh = [point for point in outage.usage_points if point not in waiting]
    if fresh:
        starts = _starts(room, told, outage, fresh)
        incidents.interrupt(tx, number, {p: max(start_s, s) for p, s in starts.items()})
    if fresh or others:
        content |= _evidence(outage)
        _note(content, told.at_s, "grown", customers=len(fresh))
    # Customers that were fed again meanwhile were fed otherwise: the element stays what it was.
    is_whole = all(one.end_s is None for one in mine)
    if is_whole and outage.label[:_NAME_MAX] != there[number].name:
        facts |= _element(outage)
        content |= _evidence(outage) | {"opened": _opened(outage, start_s)}
        _note(content, told.at_s, "moved", element=outage.label)
    elif not is_whole and content["opened"][-1][1] != _section(outage):
        before = [one for one in content["opened"] if one[0] < told.at_s]
        content["opened"] = [*before, *_opened(outage, told.at_s)]
    news = []
    if state == SUSPECTED and outage.is_located:
        state = LOCATED
        content |= _evidence(outage)
        _note(content, told.at_s, "located")
        news.append(_told(told.at_s, number, outage, state))
    incidents.change(tx, number, content, start_s=start_s, state=state, **facts)
    return news


def _new(room: Room, tx: Transaction, told: Asked, outage: Outage) -> list[Finding]:
    state = LOCATED if outage.is_located else SUSPECTED
    starts = _starts(room, told, outage, outage.usage_points)
    start_s = max(starts.values()) if outage.first_gasp_s is None else outage.first_gasp_s
    content = _evidence(outage) | {"opened": _opened(outage, start_s), "timeline": []}
    _note(content, told.at_s, "found", customers=len(outage.usage_points))
    facts = _element(outage) | {
        "start_s": start_s, "found_s": told.at_s, "state": state, "planned": False,
    }  # fmt: skip
    number = incidents.add(tx, facts, content)
    # One element feeds them all: what the last of them to answer says holds for each.
    incidents.interrupt(tx, number, dict.fromkeys(outage.usage_points, start_s))
    room.log(told.at_s, "outage", incident=number, element=outage.label, state=state)
    return [_told(told.at_s, number, outage, state)]


def _starts(room: Room, told: Asked, outage: Outage, points: Collection[str]) -> dict[str, int]:
    """Return since when each usage point may be without supply: a gasp, or its last answer."""
    last: dict[str, int] = {}
    for meter in room.site.meter:
        if meter.usage_point in points and meter.id in told.last_s:
            point = str(meter.usage_point)
            last[point] = max(last.get(point, 0), told.last_s[meter.id])
    before_s = told.at_s - room.site.interval_s
    if outage.first_gasp_s is not None:
        return dict.fromkeys(points, outage.first_gasp_s)
    return {point: last.get(point, before_s) for point in points}


def _element(outage: Outage) -> dict[str, Any]:
    one = outage.element
    return {"kind": one.kind, "element": one.index, "name": outage.label[:_NAME_MAX]}


def _section(outage: Outage) -> list[list[Any]]:
    return [[one.kind, one.index, one.name] for one in outage.section]


def _opened(outage: Outage, from_s: int) -> list[list[Any]]:
    """Return what is open from an instant on, as :func:`incidents.open_elements` reads it."""
    return [[from_s, _section(outage)]]


def _evidence(outage: Outage) -> dict[str, Any]:
    return {
        "section": _section(outage),
        "uncertain": list(outage.uncertain),
        "gasped": outage.gasped,
        "silent": outage.silent,
        "unknown": outage.unknown,
        "evidence": SILENCE if outage.first_gasp_s is None else GASP,
    }


def _note(content: dict[str, Any], at_s: int, what: str, **facts: object) -> None:
    content["timeline"] = [*content["timeline"], {"at_s": at_s, "what": what, **facts}]


def _restore(
    room: Room,
    tx: Transaction,
    at_s: int,
    told: Asked,
    known: dict[str, Sighting],
    not_answering: Collection[str],
) -> list[Finding]:
    """End the interruptions of who has supply again, and the incidents that interrupt nobody."""
    news: list[Finding] = []
    for one in incidents.open_incidents(tx):
        rows = incidents.interruptions(tx, [one.id])
        lasting = [row for row in rows if row.end_s is None]
        back = [row for row in lasting if known[row.usage_point].sight is Sight.POWERED]
        content = dict(one.content)
        changed = one
        if back:
            changed, content = supplied(room, tx, at_s, one, back)
            # Who is fed again is fed through what was open; the rest waits for another element.
            content["opened"] = [*content["opened"], [at_s, []]]
            _note(content, at_s, "restored", customers=len(back))
        rest = [row for row in lasting if row not in back]
        rest = _presumed(tx, at_s, changed, rest, not_answering, content)
        if not back and len(rest) == len(lasting):
            continue
        if rest:
            incidents.change(tx, one.id, content, start_s=changed.start_s, state=changed.state)
            continue
        news.append(_end(tx, at_s, changed, content))
    return news


def _presumed(
    tx: Transaction,
    at_s: int,
    one: Incident,
    rest: list[Interrupted],
    not_answering: Collection[str],
    content: dict[str, Any],
) -> list[Interrupted]:
    """End the interruptions of meters that stay silent by themselves; return those that last."""
    ends = [row.end_s for row in incidents.interruptions(tx, [one.id]) if row.end_s is not None]
    alone = [row for row in rest if row.usage_point in not_answering]
    if not ends or not rest or len(alone) < len(rest) or at_s - max(ends) < ALONE_S:
        return rest
    for row in rest:
        incidents.settle(tx, row, start_s=row.start_s, end_s=max(max(ends), row.start_s))
    _note(content, at_s, "presumed", customers=len(rest))
    return []


def _end(tx: Transaction, at_s: int, one: Incident, content: dict[str, Any]) -> Finding:
    rows = incidents.interruptions(tx, [one.id])
    ends = [row.end_s for row in rows if row.end_s is not None]
    state, end_s = (one.state, max(ends)) if ends else (DISMISSED, one.start_s)
    _note(content, at_s, "ended" if ends else "dismissed")
    incidents.change(tx, one.id, content, start_s=one.start_s, end_s=end_s, state=state)
    when = interval.label(one.start_s)
    subject = f"incident {one.id}"
    message = (
        f"{subject} {when} {one.name}: over at {interval.label(end_s)}, "
        f"{len({row.usage_point for row in rows})} customers have supply again"
    )
    if not ends:
        message = f"{subject} {when} {one.name}: no outage, its meters had supply and were silent"
    return Finding("outage.ended", subject, when, Severity.INFO, message)


def _told(at_s: int, number: int, outage: Outage, state: str) -> Finding:
    severity = Severity.ALARM if state == LOCATED else Severity.WARNING
    subject, when = f"incident {number}", interval.label(at_s)
    message = (
        f"{subject} {when} {outage.label}: {len(outage.usage_points)} customers without supply "
        f"({outage.gasped} last gasps, {outage.silent} silent); {state}"
    )
    return Finding(f"outage.{state}", subject, when, severity, message)
