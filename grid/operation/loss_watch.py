"""Which days a feeder is learned from and which are judged, day after day.

A loss that is there when a feeder is learned is learned with it. So the trusted
days end at least two weeks before the day at hand, stop where a case is open,
and leave out what a closed case says of them. They move on weekly, so that what is
learned is kept for a week.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from grid.errors import BadInputError
from meters.losses import Baseline, Case, CaseKind, FeederRecord, doubts, investigate, learn
from meters.losses.balance import balance

LEARN_DAYS = 28
LEARN_DAYS_MIN = 21
JUDGED_DAYS_MIN = 14
JUDGED_DAYS_MAX = 28
_STEP_DAYS = 7


@dataclass(frozen=True, slots=True)
class Episode:
    """What a case says of the days around it, days as numbers since any common one.

    Attributes
    ----------
    since_day : int
        The first day of the case.
    closed_day : int or None
        The day on which a person closed it; None while it is open.
    confirmed : bool
        Something was found and put right: the days of the case are not usual ones. If
        not, what flows since is usual, and the days before are not.
    """

    since_day: int
    closed_day: int | None = None
    confirmed: bool = True


@dataclass(frozen=True, slots=True)
class Spans:
    """The days to learn from and to judge, half-open, and those not to learn from."""

    learn_from: int
    learn_to: int
    judge_from: int
    judge_to: int
    unusual: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Waiting:
    """There is too little to learn from yet: `days` of `needed`."""

    days: int
    needed: int = LEARN_DAYS


def spans(first_day: int, end_day: int, episodes: Sequence[Episode] = ()) -> Spans | Waiting:
    """Return what is learned from and judged when the days ``[first_day, end_day)`` are known.

    Parameters
    ----------
    episodes : sequence of Episode
        The cases of the feeder so far.
    """
    unusual: list[tuple[int, int]] = []
    judge_from = first_day
    held = end_day
    for one in episodes:
        if one.closed_day is None:
            held = min(held, one.since_day)
            continue
        judge_from = max(judge_from, one.closed_day + 1)
        # The first day is known to within a day.
        before = (one.since_day - 1, one.closed_day + 1)
        unusual.append(before if one.confirmed else (first_day, one.since_day + 1))
    first_end = first_day + LEARN_DAYS
    if end_day <= first_end:
        return Waiting(max(end_day - first_day, 0))
    ends = range(first_end, end_day, _STEP_DAYS)
    usable = {end: _usable(end, unusual) for end in ends}
    good = [end for end in ends if usable[end] >= LEARN_DAYS_MIN]
    if not good:
        return Waiting(max(usable.values()), LEARN_DAYS_MIN)
    settled = [end for end in good if end <= end_day - JUDGED_DAYS_MIN]
    end = max(settled) if settled else min(good)
    unheld = [one for one in good if one <= held]
    if end > held and unheld:
        end = max(unheld)
    judged = max(end, judge_from, end_day - JUDGED_DAYS_MAX)
    if judged >= end_day:
        return Waiting(0, 1)
    return Spans(end - LEARN_DAYS, end, judged, end_day, tuple(unusual))


def _usable(end: int, unusual: Sequence[tuple[int, int]]) -> int:
    days = np.ones(LEARN_DAYS, np.bool_)
    for low, high in unusual:
        days[max(low - end + LEARN_DAYS, 0) : max(high - end + LEARN_DAYS, 0)] = False
    return int(days.sum())


def without(
    record: FeederRecord, from_day: int, unusual: Sequence[tuple[int, int]]
) -> FeederRecord:
    """Return a record that begins on `from_day`, with the unusual days not complete."""
    complete = record.complete.copy()
    for low, high in unusual:
        span = [max(day - from_day, 0) * record.per_day for day in (low, high)]
        complete[span[0] : span[1]] = False
    return replace(record, complete=complete)


@dataclass(frozen=True, eq=False)
class Learned:
    """What trusted days say of a feeder, and against themselves.

    Attributes
    ----------
    day_wh : float64 (day,)
        What the learned errors leave unexplained of each day, Wh; NaN without balance.
    """

    baseline: Baseline
    doubts: tuple[Case, ...]
    day_wh: npt.NDArray[np.float64]


def learned(trusted: FeederRecord) -> Learned | Waiting:
    """Learn a feeder, or say how many days are missing."""
    known = int(trusted.complete.sum()) // trusted.per_day
    if known < LEARN_DAYS_MIN:
        return Waiting(known, LEARN_DAYS_MIN)
    try:
        baseline = learn(trusted)
    except BadInputError:
        return Waiting(known, LEARN_DAYS_MIN)
    unmetered = balance(baseline.balance, trusted).day_wh * trusted.per_day
    return Learned(baseline, doubts(baseline, trusted), unmetered)


@dataclass(frozen=True, eq=False)
class Outlook:
    """The cases of a feeder as of a day, and the picture behind them.

    Attributes
    ----------
    cases : tuple of Case
    start_s : int
        Of the first judged day.
    day_wh, day_sd_wh : float64 (day,)
        Unmetered energy of each judged day and its standard deviation, Wh.
    """

    cases: tuple[Case, ...]
    start_s: int
    day_wh: npt.NDArray[np.float64]
    day_sd_wh: npt.NDArray[np.float64]


def judged(known: Learned, since: FeederRecord) -> Outlook:
    """Return the cases of the judged days and the doubts about the trusted ones."""
    cases = investigate(known.baseline, since)
    rest = balance(known.baseline.balance, since)
    sd = np.sqrt(np.maximum(np.diag(rest.day_covariance_wh2), 0.0))
    scale = since.per_day
    return Outlook((*cases, *known.doubts), since.start_s, rest.day_wh * scale, sd * scale)


def family(case: Case) -> str:
    """Return what tells a case from others of its feeder: the same day after day.

    A loss may be called otherwise as more is known of it; its balance is one.
    """
    if case.kind in (CaseKind.SWAPPED, CaseKind.INACCURATE):
        who = case.subject or tuple(point for point, _ in case.suspects[:1])
        return f"{case.kind} {' '.join(sorted(who))}"[:64]
    return "surplus" if case.kind is CaseKind.SURPLUS else "loss"
