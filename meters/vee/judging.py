"""What rules about a day make of it: while it is validated, and once more when it is whole.

A cycle sees a window that moves; use against the average day, days without energy and
days without a read can be told of a civil day alone. `judge` looks at one that is stored.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid.errors import BadInputError, Finding
from meters.reading import CHANNELS, MISSING
from meters.vee import report
from meters.vee.day import Day
from meters.vee.facts import Facts
from meters.vee.quality import READ, least_certain, one_of
from meters.vee.rules import DAY_RULES, RULES
from meters.vee.thresholds import Columns


def mark(day: Day, quality: npt.NDArray[np.uint16], rule: npt.NDArray[np.uint16]) -> list[Finding]:
    """Run the rules about days; mark what was read and return what they tell.

    Parameters
    ----------
    day : Day
    quality, rule : ndarray of uint16 (meter, interval)
        Changed in place.
    """
    findings: list[Finding] = []
    for name, check in DAY_RULES.items():
        one = RULES[name]
        if not day.facts.has(*one.needs):
            continue
        found = check(day)
        findings += report.hits(one, found, day)
        if one.quality is not None and found.row.size:
            row, at = found.elements()
            before = quality[row, at]
            after = least_certain(before, np.full(row.size, one.quality, dtype=np.uint16))
            # An estimate stays one: what was read of a doubtful day is in doubt.
            mine = day.read[row, at] & (after != before)
            quality[row[mine], at[mine]] = one.quality
            rule[row[mine], at[mine]] = one.code
    return findings


def judge(
    intervals: xr.Dataset,
    *,
    limit_wh: npt.NDArray[np.int64],
    facts: Facts,
    thresholds: Columns,
    serial: npt.NDArray[np.str_] | None = None,
) -> tuple[xr.Dataset, list[Finding]]:
    """Return a whole day with the marks of the rules about days, and what they tell.

    Parameters
    ----------
    intervals : Dataset, dims (meter, interval)
        CHANNELS int64, `quality` and `rule` uint16 as :func:`~meters.vee.validate` gave
        them, of one civil day.
    limit_wh : ndarray of int64 (meter,)
    facts : Facts
    thresholds : Columns
    serial : ndarray of str (meter,), optional
        What the device that should be there calls itself.

    Returns
    -------
    Dataset
        A copy; judged a second time it is the same.
    list of Finding
        In order of subject, interval and code.

    Raises
    ------
    BadInputError
        When there are fewer than two intervals, or facts or thresholds are of other meters.
    """
    result = intervals.transpose("meter", "interval").copy(deep=True)
    meters = [str(one) for one in result["meter"].values]
    starts_s = result["interval"].values.astype("datetime64[s]").astype(np.int64)
    if starts_s.size < 2:
        raise BadInputError(f"a day to judge has {starts_s.size} intervals, needs 2 or more")
    if len(thresholds) != len(meters) or limit_wh.shape != (len(meters),):
        raise BadInputError(f"thresholds and limits must be of {len(meters)} meters")
    facts.require(len(meters), starts_s.size)
    quality, rule = result["quality"].values, result["rule"].values
    energy = {channel: result[channel].values for channel in CHANNELS}
    day = Day(
        meters=meters,
        energy=energy,
        total_wh={
            channel: np.where((values == MISSING).any(axis=1), MISSING, values.sum(axis=1))
            for channel, values in energy.items()
        },
        limit_wh=limit_wh,
        read=one_of(quality, READ),
        serial=np.full(len(meters), "") if serial is None else serial,
        starts_s=starts_s,
        interval_s=int(starts_s[1] - starts_s[0]),
        facts=facts,
        thresholds=thresholds,
    )
    findings = mark(day, quality, rule)
    findings.sort(key=lambda item: (item.subject, item.interval, item.code, item.message))
    return result, findings
