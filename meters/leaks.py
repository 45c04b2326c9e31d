"""Leaks found in interval volumes of water (or gas): flow that never stops, and bursts.

Four rules, each over all usage points at once:

- *continuous*: each interval of `continuous_h` hours, night and day, carried something;
- *slow*: each hour of `slow_h` hours did, so that a drip of 1 l/h is found by a meter
  that counts in litres;
- *night*: on `nights` nights in a row the least flow of the night was `night_l_h` or more:
  what people use while others are asleep leaves quarter-hours without any;
- *burst*: `burst_intervals` intervals in a row carried `burst_l` or more each.

An interval that is missing neither stops a flow nor proves it: a rule that knows less than
`KNOWN_SHARE` of what it looks at says nothing.

The defaults are set on seeded households with toilets and machines at night, softeners,
irrigation and shift workers (:mod:`meters.simulator.households`): at most one false finding in
1,000 meter-months. There the longest flow without a dry quarter-hour lasts 17 h, without a
dry hour 120 h. A leak of 4 l/h is found after 24 h and after three nights, one of 1 l/h
after six days, a burst after half an hour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid import interval
from grid.errors import BadInputError, Finding, Severity
from meters.reading import MISSING

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

KNOWN_SHARE: Final = 0.9
_HOUR_S: Final = 3600
_MOST_H: Final = 24 * 31


@dataclass(frozen=True, slots=True)
class LeakLimits:
    """What counts as a leak for a group of usage points; a rule with 0 hours or nights is off.

    Attributes
    ----------
    continuous_h : int
        At least 24, so that a night and a day are in them.
    slow_h : int
        At least 24.
    nights : int
    night_l_h : int
    night_from_h, night_until_h : int
        Civil hours of the night.
    burst_l : int
        Volume of an interval; 0: the rule is off.
    burst_intervals : int
    """

    continuous_h: int = 24
    slow_h: int = 144
    nights: int = 3
    night_l_h: int = 4
    night_from_h: int = 1
    night_until_h: int = 5
    burst_l: int = 700
    burst_intervals: int = 2

    def __post_init__(self) -> None:
        for name in ("continuous_h", "slow_h"):
            hours = getattr(self, name)
            if hours and not 24 <= hours <= _MOST_H:
                raise BadInputError(f"{name} is {hours}, must be within 24 to {_MOST_H}, or 0")
        if not 0 <= self.night_from_h < self.night_until_h <= 12:
            span = f"{self.night_from_h} to {self.night_until_h}"
            raise BadInputError(f"the night is {span}, must be within hours 0 to 12")
        if min(self.night_l_h, self.burst_intervals) < 1 or min(self.nights, self.burst_l) < 0:
            raise BadInputError("leak limits must be at least 1, nights and burst_l at least 0")


HOUSEHOLD: Final = LeakLimits()


def find_leaks(
    volumes: xr.DataArray,
    limits: Mapping[str, LeakLimits],
    groups: Sequence[str],
    *,
    time_zone: str,
) -> list[Finding]:
    """Return the leaks that interval volumes show.

    Parameters
    ----------
    volumes : DataArray of int64, dims (usage_point, interval)
        Litres, `MISSING` where not known; `interval` evenly spaced datetime64[s], as many
        an hour as make it up.
    limits : mapping of str to LeakLimits
        By group.
    groups : sequence of str
        The group of each usage point.

    Returns
    -------
    list of Finding
        ``leak.continuous``, ``leak.slow``, ``leak.night`` (warnings) and ``leak.burst``
        (alarm), at most one of each for a usage point, labelled where it began, by usage
        point and code. What is continuous is not told again as slow.

    Raises
    ------
    BadInputError
        When shapes do not fit, a group has no limits, or intervals are uneven.
    """
    values = volumes.transpose("usage_point", "interval").values.astype(np.int64, copy=False)
    starts = volumes["interval"].values.astype("datetime64[s]").astype(np.int64)
    names = [str(name) for name in volumes["usage_point"].values]
    if len(groups) != len(names):
        raise BadInputError(f"there are {len(groups)} groups, must be {len(names)}")
    if unknown := sorted(set(groups) - set(limits)):
        raise BadInputError(f"group {unknown[0]!r} has no leak limits")
    findings: list[Finding] = []
    if starts.size < 2:
        return findings
    step_s = _step(starts)
    for group in sorted(set(groups)):
        rows = np.array([n for n, one in enumerate(groups) if one == group], np.intp)
        flow = _Flow(values[rows], starts, step_s, [names[row] for row in rows])
        limit = limits[group]
        known = _continuous(flow, limit.continuous_h, "continuous")
        told = {one.subject for one in known}
        slow = _continuous(flow.by_hour(), limit.slow_h, "slow")
        findings += known + [one for one in slow if one.subject not in told]
        findings += _nights(flow, limit, time_zone) + _bursts(flow, limit)
    return sorted(findings, key=lambda one: (one.subject, one.code))


def _step(starts: Ints) -> int:
    step_s = int(starts[1] - starts[0])
    if (np.diff(starts) != step_s).any() or step_s <= 0 or _HOUR_S % step_s:
        raise BadInputError(f"intervals of {step_s} s must be even and make up an hour")
    return step_s


@dataclass(frozen=True, eq=False)
class _Flow:
    """What usage points used in each interval of `step_s`, `MISSING` where not known."""

    litres: Ints
    start_s: Ints
    step_s: int
    names: Sequence[str]

    def by_hour(self) -> _Flow:
        """Return whole hours; one with a gap is known by what flowed in the rest of it."""
        parts = _HOUR_S // self.step_s
        first = int(-self.start_s[0] % _HOUR_S) // self.step_s
        count = max(self.start_s.size - first, 0) // parts
        whole = slice(first, first + count * parts)
        cut = self.litres[:, whole].reshape(len(self.names), count, parts)
        litres = np.where(cut == MISSING, 0, cut).sum(axis=2)
        litres[(cut == MISSING).any(axis=2) & (litres == 0)] = MISSING
        return _Flow(litres, self.start_s[whole][::parts], _HOUR_S, self.names)


def _windows(flags: Bools, width: int) -> Ints:
    """Return how many of each `width` neighbours along the last axis are set."""
    total = np.zeros((len(flags), flags.shape[1] + 1), np.int64)
    np.cumsum(flags, axis=1, out=total[:, 1:])
    return total[:, width:] - total[:, :-width]


def _continuous(flow: _Flow, limit_h: int, code: str) -> list[Finding]:
    width, count = limit_h * _HOUR_S // flow.step_s, flow.start_s.size
    if width == 0 or count < width:
        return []
    wet, dry = flow.litres > 0, flow.litres == 0
    held = (_windows(dry, width) == 0) & (_windows(wet, width) >= KNOWN_SHARE * width)
    findings = []
    for row in np.flatnonzero(held.any(axis=1)):
        begin = int(held[row].argmax())
        after = np.flatnonzero(dry[row, begin:])
        end = begin + int(after[0]) if after.size else count
        part = flow.litres[row, begin:end]
        least_l_h = int(part[part != MISSING].min()) * _HOUR_S // flow.step_s
        hours = (end - begin) * flow.step_s // _HOUR_S
        text = f"flowed without a pause for {hours} h, limit is {limit_h} h"
        findings.append(_finding(flow, code, int(row), begin, f"{text}: {_loss(least_l_h)}"))
    return findings


def _nights(flow: _Flow, limit: LeakLimits, time_zone: str) -> list[Finding]:
    span = (limit.night_until_h - limit.night_from_h) * _HOUR_S // flow.step_s
    begins = _night_begins(flow, limit, time_zone)
    begins = begins[begins + span <= flow.start_s.size]
    if limit.nights == 0 or begins.size < limit.nights:
        return []
    litres = flow.litres[:, begins[:, None] + np.arange(span)]
    known = litres != MISSING
    least = np.where(known, litres, np.iinfo(np.int64).max).min(axis=2)
    enough = known.sum(axis=2) >= KNOWN_SHARE * span
    leaks = enough & (least >= limit.night_l_h * flow.step_s / _HOUR_S)
    held = _windows(leaks, limit.nights) == limit.nights
    findings = []
    for row in np.flatnonzero(held.any(axis=1)):
        first = int(held[row].argmax())
        least_l_h = int(least[row, first : first + limit.nights].min()) * _HOUR_S // flow.step_s
        text = f"never paused on {limit.nights} nights in a row, limit is {limit.night_l_h} l/h"
        at = int(begins[first])
        findings.append(_finding(flow, "night", int(row), at, f"{text}: {_loss(least_l_h)}"))
    return findings


def _night_begins(flow: _Flow, limit: LeakLimits, time_zone: str) -> npt.NDArray[np.intp]:
    """Return where each civil night begins that its zone does not make longer or shorter."""
    begins = []
    for at, start_s in enumerate(flow.start_s.tolist()):
        if start_s % _HOUR_S:
            continue
        end_s = start_s + (limit.night_until_h - limit.night_from_h) * _HOUR_S
        minutes = [interval.minute_of_day(one, time_zone) for one in (start_s, end_s)]
        if minutes == [60 * limit.night_from_h, 60 * limit.night_until_h]:
            begins.append(at)
    return np.array(begins, np.intp)


def _bursts(flow: _Flow, limit: LeakLimits) -> list[Finding]:
    width = limit.burst_intervals
    if limit.burst_l == 0 or flow.start_s.size < width:
        return []
    held = _windows(flow.litres >= limit.burst_l, width) == width
    findings = []
    for row in np.flatnonzero(held.any(axis=1)):
        begin = int(held[row].argmax())
        litres = int(flow.litres[row, begin : begin + width].min())
        text = f"used {litres} l or more in {width} intervals in a row, limit is {limit.burst_l} l"
        findings.append(_finding(flow, "burst", int(row), begin, text, Severity.ALARM))
    return findings


def _loss(least_l_h: int) -> str:
    return f"at least {least_l_h} l/h, {24 * least_l_h} l a day"


def _finding(
    flow: _Flow, code: str, row: int, at: int, text: str, severity: Severity = Severity.WARNING
) -> Finding:
    name, label = flow.names[row], interval.label(int(flow.start_s[at]))
    return Finding(f"leak.{code}", name, label, severity, f"{name} {label} {text}")
