"""Customers that have supply again, and what their load profiles say of the time without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from grid.operation.room import Room
from grid.site import Protocol
from grid.store import Transaction, field, incidents
from grid.store.incidents import LOCATED, Incident, Interrupted

GASP: Final = "gasp"
SILENCE: Final = "silence"
PROFILE: Final = "profile"
"""What the beginning of an incident rests on."""


def supplied(
    room: Room, tx: Transaction, at_s: int, one: Incident, back: Sequence[Interrupted]
) -> tuple[Incident, dict[str, Any]]:
    """End interruptions whose meters answer at `at_s`; return the incident and its content.

    Where only silence told of the incident, profiles of the returned meters are looked at:
    the last interval that one of them captured before its gap is the last in which the element
    was closed, for all of its customers.
    """
    content = dict(one.content)
    if content["evidence"] != SILENCE:
        for row in back:
            incidents.settle(tx, row, start_s=row.start_s, end_s=at_s)
        return one, content
    gaps = _gaps(room, tx, at_s, back)
    dark = [gap for gap in gaps.values() if gap]
    start_s, state = one.start_s, one.state
    if dark:
        step_s = room.site.interval_s
        start_s = max(start_s, max(min(gap) for gap in dark) - step_s)
        state = LOCATED
        content["evidence"] = PROFILE
    for row in back:
        gap = gaps.get(row.usage_point)
        # One that captured all along was fed; where all such were, so were those without profile.
        if gap == set() or (gap is None and gaps and not dark):
            incidents.drop(tx, row)
        else:
            incidents.settle(tx, row, start_s=max(row.start_s, start_s), end_s=at_s)
    if start_s != one.start_s:
        _begin_later(tx, one, start_s, back)
    return replace(one, start_s=start_s, state=state), content


def _begin_later(tx: Transaction, one: Incident, start_s: int, back: Sequence[Interrupted]) -> None:
    """Let the interruptions that were dated by silence begin with the incident."""
    done = {row.usage_point for row in back}
    for row in incidents.interruptions(tx, [one.id]):
        if row.usage_point not in done and row.start_s < start_s:
            incidents.settle(tx, row, start_s=start_s, end_s=row.end_s)


def _gaps(
    room: Room, tx: Transaction, at_s: int, back: Sequence[Interrupted]
) -> dict[str, set[int]]:
    """Return for each usage point with a load profile the instants that it did not capture."""
    step_s = room.site.interval_s
    meters = {
        str(meter.id): str(meter.usage_point)
        for meter in room.site.meter
        if meter.protocol is Protocol.DLMS
    }
    row_of = {row.usage_point: row for row in back}
    mine = {meter: point for meter, point in meters.items() if point in row_of}
    if not mine:
        return {}
    since_s = min(row_of[point].start_s for point in mine.values())
    captured = field.captured(tx, sorted(mine), since_s, at_s)
    found: dict[str, set[int]] = {}
    for meter, point in mine.items():
        first_s = row_of[point].start_s // step_s * step_s + step_s
        found[point] = set(range(first_s, at_s + 1, step_s)) - captured[meter]
    return found
