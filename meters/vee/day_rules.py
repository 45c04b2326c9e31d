"""Rules about a meter's day: use against its history, marks of intervals, other meters.

Each takes a :class:`~meters.vee.day.Day` and returns the stretches it noticed.
Energies are compared as integers: ``a / b > percent`` is ``100 a > percent b``.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from meters.vee.day import Bools, Day, Hits, Ints, no_hits
from meters.vee.facts import EventKind

POWERS: Final = (10, 100, 1_000)


def _average(day: Day) -> tuple[Ints, Ints, Bools]:
    """Return import of the window, of an average day, and where both are known."""
    total, average = day.total_wh["import_wh"], day.facts.average_day_wh
    assert average is not None
    return total, average, (total >= 0) & (average >= 0)


def _lost_power(day: Day) -> Bools:
    lost = np.zeros(len(day.meters), np.bool_)
    if day.facts.outage is not None:
        lost |= day.facts.outage.any(axis=1)
    return lost


def high(day: Day) -> Hits:
    """Import far above the average day."""
    total, average, known = _average(day)
    limit = day.thresholds["high_percent"] * average
    rows = np.flatnonzero(
        known & (100 * total > limit) & (total > day.thresholds["high_wh"]) & (average > 0)
    )
    return Hits.days(rows, day.count, total[rows], limit[rows] // 100)


def low(day: Day) -> Hits:
    """Import of a whole day far below the average day, without a loss of power.

    Where there was export, sun or a battery explain it.
    """
    if not day.whole:
        return no_hits()
    total, average, known = _average(day)
    limit = day.thresholds["low_percent"] * average
    known &= day.total_wh["export_wh"] == 0
    below = known & (100 * total < limit) & (average > day.thresholds["low_wh"])
    rows = np.flatnonzero(below & ~_lost_power(day))
    return Hits.days(rows, day.count, total[rows], limit[rows] // 100)


def zero(day: Day) -> Hits:
    """Neither import nor export for days on end, without a loss of power."""
    before = day.facts.zero_days
    assert before is not None
    if not day.whole:
        return no_hits()
    still = (day.total_wh["import_wh"] == 0) & (day.total_wh["export_wh"] == 0)
    most = day.thresholds["zero_days"]
    rows = np.flatnonzero(still & (before >= 0) & (before + 1 > most) & ~_lost_power(day))
    return Hits.days(rows, day.count, before[rows] + 1, most[rows])


def inactive(day: Day) -> Hits:
    """Energy through a meter for which nobody has a contract."""
    active = day.facts.active
    assert active is not None
    total = np.maximum(day.total_wh["import_wh"], 0) + np.maximum(day.total_wh["export_wh"], 0)
    most = day.thresholds["inactive_wh"]
    rows = np.flatnonzero(~active & (total > most))
    return Hits.days(rows, day.count, total[rows], most[rows])


def multiplier(day: Day) -> Hits:
    """Import at a known ratio to the average day: a transformer ratio or a power of ten.

    `limit` is the ratio, positive when the day is that many times the average, negative
    when it is that part of it.
    """
    total, average, known = _average(day)
    within = day.thresholds["multiplier_percent"]
    known &= average > day.thresholds["multiplier_wh"]
    ratio = np.zeros_like(total)
    for factor in (*POWERS, day.facts.ratio):
        if factor is None:
            continue
        often = average * factor
        real = known & (np.asarray(factor) > 1) & (ratio == 0)
        ratio = np.where(real & (100 * abs(total - often) <= within * often), factor, ratio)
        part = real & (ratio == 0) & (100 * abs(total * factor - average) <= within * average)
        ratio = np.where(part, -np.asarray(factor), ratio)
    rows = np.flatnonzero(ratio)
    return Hits.days(rows, day.count, total[rows], ratio[rows])


def sibling(day: Day) -> Hits:
    """Two meters that tell the same series: one of them is read in the other's place.

    `value` is the row of the first meter with that series.
    """
    total = day.total_wh["import_wh"]
    some = np.flatnonzero(total > 0)
    if some.size < 2:
        return no_hits()
    # Totals of many meters meet by chance; with some of their intervals, hardly ever.
    mark = total[some]
    for at in np.linspace(0, day.count - 1, 6).astype(np.int64):
        mark = mark * 1_000_003 + day.energy["import_wh"][some, at]
    order = np.argsort(mark)
    equal = np.diff(mark[order]) == 0
    order = some[order]
    rows = np.sort(order[np.append(equal, False) | np.insert(equal, 0, False)])
    if not rows.size:
        return no_hits()
    series = day.energy["import_wh"][rows]
    _, first, same = np.unique(series, axis=0, return_index=True, return_inverse=True)
    owner = first[same.reshape(-1)]
    own = np.arange(rows.size)
    ordered = np.sort(series, axis=1)
    varied = 1 + (np.diff(ordered, axis=1) != 0).sum(axis=1)
    least = day.thresholds["sibling_count"][rows]
    found = np.flatnonzero((owner != own) & (varied >= least) & day.read[rows].all(axis=1))
    return Hits.days(rows[found], day.count, rows[owner[found]], least[found])


def check_meter(day: Day) -> Hits:
    """Main and check meter whose days differ."""
    place = {meter: row for row, meter in enumerate(day.meters)}
    pairs = [
        (place[main], place[check])
        for main, check in day.facts.checks
        if main in place and check in place
    ]
    if not pairs:
        return no_hits()
    main, check = np.array(pairs).T
    total = day.total_wh["import_wh"]
    ours, theirs = total[main], total[check]
    gap = abs(ours - theirs)
    beyond = 1000 * gap > day.thresholds["check_permille"][main] * np.maximum(ours, theirs)
    beyond &= (gap > day.thresholds["check_wh"][main]) & (ours >= 0) & (theirs >= 0)
    return Hits.days(main[beyond], day.count, ours[beyond], theirs[beyond])


def interval_length(day: Day) -> Hits:
    """A read away from its boundary: the intervals on both sides are not of their length."""
    offset = day.facts.offset_s
    assert offset is not None
    most = day.thresholds["length_s"]
    strange = np.flatnonzero((offset.max(axis=1) > most) | (offset.min(axis=1) < -most))
    row, at = np.nonzero(abs(offset[strange]) > most[strange, None])
    row = strange[row]
    first, last = np.maximum(at - 1, 0), np.minimum(at + 1, day.count)
    return Hits(row, first, last, offset[row, at], most[row])


def capture_period(day: Day) -> Hits:
    """A meter that captures its load profile at another period."""
    period = day.facts.capture_s
    assert period is not None
    rows = np.flatnonzero((period >= 0) & (period != day.interval_s))
    return Hits.days(rows, day.count, period[rows], np.full(rows.size, day.interval_s))


def power_failure(day: Day) -> Hits:
    """Intervals in which power was lost."""
    outage = day.facts.outage
    assert outage is not None
    some = np.flatnonzero(outage.any(axis=1))
    row, at = np.nonzero(outage[some] & day.read[some])
    row = some[row]
    value = day.energy["import_wh"][row, at]
    return Hits.intervals(row, at, value, np.zeros_like(value))


def clock_forward(day: Day) -> Hits:
    """Intervals that are short because the meter's clock was set forward."""
    return _clock(day, 1)


def clock_back(day: Day) -> Hits:
    """Intervals that were captured twice because the meter's clock was set back."""
    return _clock(day, -1)


def _clock(day: Day, sign: int) -> Hits:
    place = {meter: row for row, meter in enumerate(day.meters)}
    most = day.thresholds["clock_s"]
    found = []
    for event in day.facts.events:
        row = place.get(event.meter)
        if event.kind is not EventKind.CLOCK_SET or row is None:
            continue
        if event.shift_s * sign <= most[row]:
            continue
        # The wrong clock's time and the right one bound what is skipped or told twice.
        low, high = sorted((event.at_s, event.at_s - event.shift_s))
        first = (low - int(day.starts_s[0])) // day.interval_s
        last = -((int(day.starts_s[0]) - high) // day.interval_s)
        first, last = max(first, 0), min(last, day.count)
        if first < last:
            found.append((row, first, last, event.shift_s, int(most[row])))
    if not found:
        return no_hits()
    row_, first_, last_, value, limit = np.array(found, dtype=np.int64).T
    return Hits(row_, first_, last_, value, limit)


def voltage(day: Day) -> Hits:
    """A voltage that no connected meter can have: wrong ratio, wrong phase, broken neutral."""
    measured, nominal, outage = day.facts.voltage_v, day.facts.nominal_v, day.facts.outage
    assert measured is not None
    assert nominal is not None
    share = day.thresholds["voltage_percent"] / 100
    low, high = nominal * (1 - share), nominal * (1 + share)
    with np.errstate(invalid="ignore"):
        strange = np.flatnonzero(
            (np.fmax.reduce(measured, axis=1) > high) | (np.fmin.reduce(measured, axis=1) < low)
        )
        part = measured[strange]
        beyond = (part > high[strange, None]) | (part < low[strange, None])
    if outage is not None:
        beyond &= ~outage[strange]
    row, at = np.nonzero(beyond)
    row = strange[row]
    return Hits.intervals(
        row, at, measured[row, at].astype(np.float64), nominal[row].astype(np.float64)
    )


def prolonged(day: Day) -> Hits:
    """No read for more days than estimates may bridge."""
    before = day.facts.estimated_days
    assert before is not None
    most = day.thresholds["estimated_days"]
    rows = np.flatnonzero((before >= 0) & (before + 1 > most) & ~day.read.any(axis=1))
    return Hits.days(rows, day.count, before[rows] + 1, most[rows])


def serial(day: Day) -> Hits:
    """A device that calls itself otherwise than the one that should be there."""
    told = day.facts.serial
    assert told is not None
    rows = np.flatnonzero((told != "") & (day.serial != "") & (told != day.serial))
    return Hits.days(rows, day.count, rows.astype(np.int64), np.zeros(rows.size))


def feeder_sum(day: Day) -> Hits:
    """Energy that the head of the feeder measured and meters and losses do not account for.

    Only where every meter was read. The row is 0, for it is about the feeder.
    """
    head = day.facts.feeder
    assert head is not None
    members = np.flatnonzero(head.member)
    if not members.size:
        return no_hits()
    everyone = bool(members.size == len(day.meters))
    read = day.read if everyone else day.read[members]
    known = head.known & read.all(axis=0)
    rest = head.net_wh - head.loss_wh
    for channel, sign in (("import_wh", -1), ("export_wh", 1)):
        values = day.energy[channel] if everyone else day.energy[channel][members]
        rest = rest + sign * values.sum(axis=0)
    permille = int(day.thresholds["feeder_permille"][members].max())
    most = np.maximum(
        permille * abs(head.net_wh) // 1000, int(day.thresholds["feeder_wh"][members].max())
    )
    at = np.flatnonzero(known & (abs(rest) > most))
    return Hits.intervals(np.zeros_like(at), at, rest[at], most[at])
