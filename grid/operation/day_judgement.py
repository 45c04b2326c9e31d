"""A civil day is judged as a whole when it is over, and again when late readings change it."""

from __future__ import annotations

import datetime as dt

import numpy as np
import numpy.typing as npt

from grid import interval
from grid.errors import Finding
from grid.operation.room import Room
from grid.operation.validation_facts import day_facts, thresholds
from grid.store import Transaction, control, series
from meters.vee.judging import judge

_JUDGED = "vee.judged"
"""The last civil day that was judged."""


def judge_days(room: Room, tx: Transaction, at_s: int, changed: set[int]) -> list[Finding]:
    """Judge the days that are over and were not judged, or that changed since.

    Parameters
    ----------
    changed : set of int
        Intervals of which a stored value changed in this cycle.
    """
    zone = room.site.time_zone
    due_s = at_s - room.site.operation.estimate_after_intervals * room.site.interval_s
    # The newest day of which every interval has its value or its estimate.
    newest = interval.local_day(due_s, zone) - dt.timedelta(days=1)
    first = interval.local_day(room.first_cycle_s, zone)
    told = control.get_meta(tx, _JUDGED)
    judged = dt.date.fromisoformat(told) if told else first - dt.timedelta(days=1)
    days = {interval.local_day(when, zone) for when in changed}
    days = {day for day in days if day <= judged}
    while judged < newest:
        judged += dt.timedelta(days=1)
        days.add(judged)
    findings = [one for day in sorted(days) for one in _judge(room, tx, at_s, day)]
    if days:
        control.put_meta(tx, _JUDGED, judged.isoformat())
    return findings


def _judge(room: Room, tx: Transaction, at_s: int, day: dt.date) -> list[Finding]:
    zone = room.site.time_zone
    low, high = interval.day_bounds(day, zone)
    stored = series.get_intervals(tx, room.site.measured, low, high, time_zone=zone, decided=True)
    marked, findings = judge(
        stored.rename(usage_point="meter").assign_coords(
            meter=[str(meter.id) for meter in room.site.meter]
        ),
        limit_wh=limits_wh(room),
        facts=day_facts(room, tx, day, stored),
        thresholds=thresholds(room.site),
    )
    marked = marked.assign_coords(meter=stored["usage_point"].values).rename(meter="usage_point")
    series.put_intervals(tx, marked, time_zone=zone, cycle_s=at_s)
    return findings


def limits_wh(room: Room) -> npt.NDArray[np.int64]:
    """Return the most energy that an interval of each meter can carry: twice the connection's."""
    rating_kw = {str(point.id): point.connection_kw for point in room.site.usage_point}
    whole_kw = sum(rating_kw.values())
    hours = room.site.interval_s / 3600
    names = room.site.measured
    return np.array(
        [round(2000 * hours * rating_kw.get(name, whole_kw)) for name in names], np.int64
    )
