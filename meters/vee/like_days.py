"""What a meter usually takes at a time of day: the mean of reference days.

A reference day is of the same class as the day in question: workday, Saturday, or
Sunday and holiday. Days are laid over each other by civil time, so that those of
92 and 100 quarter-hours fit those of 96.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from datetime import date, timedelta
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid.interval import local_day, minute_of_day, starts
from meters.reading import CHANNELS, MISSING
from meters.vee.channel import sd_name
from meters.vee.quality import READ, Quality, one_of

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

LAST: Final = 4
BACK_DAYS: Final = 42
_COUNTED: Final = READ - {Quality.SUSPECT, Quality.POWER_FAILURE}
_BESIDE: Final = 3
# From the mean of absolute deviations to what 68 % stay within: 1.25 for normal deviations, less
# for a household's, whose many small ones stand beside rare large ones.
_WITHIN: Final = 1.0


class DayClass(IntEnum):
    """Days that are like each other."""

    WORKDAY = 0
    SATURDAY = 1
    SUNDAY = 2


def day_class(day: date, holidays: AbstractSet[date]) -> DayClass:
    """Return the class of a civil day; a holiday is like a Sunday."""
    if day in holidays or day.weekday() == 6:
        return DayClass.SUNDAY
    return DayClass.SATURDAY if day.weekday() == 5 else DayClass.WORKDAY


def reference_days(day: date, holidays: AbstractSet[date], *, back: int = BACK_DAYS) -> list[date]:
    """Return the days before `day` of its class, the nearest first, at most `back` days ago."""
    kind = day_class(day, holidays)
    before = [day - timedelta(days=number) for number in range(1, back + 1)]
    return [one for one in before if day_class(one, holidays) is kind]


def mean_of_last(history: Ints, *, last: int = LAST) -> tuple[Ints, Floats]:
    """Return mean and deviation of the last valid values of each slot.

    Parameters
    ----------
    history : ndarray of int64 (usage point, day, slot)
        The nearest day first, MISSING where it does not count.
    last : int
        How many values count, at most.

    Returns
    -------
    mean : ndarray of int64 (usage point, slot)
        MISSING where there is none.
    sd_wh : ndarray of float64 (usage point, slot)
        What a further day may deviate from the mean, -1 where fewer than two are known.
    """
    known = history >= 0
    counts = known & (np.cumsum(known, axis=1) <= last)
    number = counts.sum(axis=1)
    total = np.where(counts, history, 0).sum(axis=1)
    mean = total / np.maximum(number, 1)
    apart = np.where(counts, abs(history - mean[:, None]), 0.0).sum(axis=1)
    apart = apart / np.maximum(number, 1) * np.sqrt((number + 1) / np.maximum(number - 1, 1))
    sd = _WITHIN * _beside(apart, number > 1)
    whole = np.floor(mean + 0.5).astype(np.int64)
    return np.where(number > 0, whole, MISSING), np.where(number > 1, sd, -1.0)


def _beside(apart: Floats, known: npt.NDArray[np.bool_]) -> Floats:
    """Return the mean with the slots beside: a deviation of four values alone tells little."""
    total, number = np.zeros_like(apart), np.zeros_like(apart)
    for shift in range(-_BESIDE, _BESIDE + 1):
        to = slice(max(shift, 0), apart.shape[1] + min(shift, 0))
        of = slice(max(-shift, 0), apart.shape[1] + min(-shift, 0))
        total[:, to] += np.where(known, apart, 0.0)[:, of]
        number[:, to] += known[:, of]
    mean: Floats = total / np.maximum(number, 1)
    return mean


def like_days(
    past: xr.Dataset,
    start_s: int,
    count: int,
    *,
    interval_s: int,
    time_zone: str,
    holidays: AbstractSet[date] = frozenset(),
    last: int = LAST,
) -> xr.Dataset:
    """Return what `count` intervals from `start_s` are like.

    Parameters
    ----------
    past : Dataset, dims (meter, interval)
        CHANNELS and `quality` of the time before; only what was read and is not in
        doubt counts.
    start_s, count, interval_s : int
    time_zone : str
    holidays : set of date
    last : int

    Returns
    -------
    Dataset, dims (meter, interval)
        CHANNELS int64, MISSING where unknown, and their deviations
        (:func:`~meters.vee.channel.sd_name`).
    """
    wanted_s = start_s + interval_s * np.arange(count)
    past_s = past["interval"].values.astype("datetime64[s]").astype(np.int64)
    past_day, past_slot = _civil(past_s, time_zone, interval_s)
    day, slot = _civil(wanted_s, time_zone, interval_s)
    valid = one_of(past["quality"].values.astype(np.uint16), _COUNTED)
    dims = ("meter", "interval")
    shape = (past.sizes["meter"], count)
    found = {name: np.full(shape, MISSING, dtype=np.int64) for name in CHANNELS}
    sd = {name: np.full(shape, -1.0) for name in CHANNELS}
    for ordinal in np.unique(day).tolist():
        here = np.flatnonzero(day == ordinal)
        days = reference_days(date.fromordinal(ordinal), holidays)
        place = {one.toordinal(): number for number, one in enumerate(days)}
        number = np.array([place.get(one, -1) for one in past_day.tolist()], dtype=np.int64)
        at = np.flatnonzero(number >= 0)
        for name in CHANNELS:
            history = np.full((shape[0], len(days), 86_400 // interval_s), MISSING, dtype=np.int64)
            values = np.where(valid, past[name].values, MISSING)
            history[:, number[at], past_slot[at]] = values[:, at]
            mean, deviation = mean_of_last(history, last=last)
            found[name][:, here], sd[name][:, here] = mean[:, slot[here]], deviation[:, slot[here]]
    return xr.Dataset(
        {
            **{name: (dims, values) for name, values in found.items()},
            **{sd_name(name): (dims, values) for name, values in sd.items()},
        },
        coords={"meter": past["meter"].values, "interval": starts(start_s, count, interval_s)},
    )


def group_shape(energy: Ints, trusted: npt.NDArray[np.bool_], group: Ints) -> Ints:
    """Return the mean energy of each meter's group in each interval, the load shape.

    Parameters
    ----------
    energy : ndarray of int64 (meter, interval)
    trusted : ndarray of bool (meter, interval)
        What may stand for the group.
    group : ndarray of int64 (meter,)
        Number of each meter's group, from 0.

    Returns
    -------
    ndarray of int64 (meter, interval)
        MISSING where nobody in the group is trusted.
    """
    groups = int(group.max(initial=-1)) + 1
    total = np.zeros((groups, energy.shape[1]), dtype=np.int64)
    number = np.zeros_like(total)
    np.add.at(total, group, np.where(trusted, energy, 0))
    np.add.at(number, group, trusted)
    mean = np.where(number > 0, total // np.maximum(number, 1), MISSING)
    found: Ints = mean[group]
    return found


def _civil(at_s: Ints, time_zone: str, interval_s: int) -> tuple[Ints, Ints]:
    """Return the civil day (ordinal) and the slot of that day of each instant."""
    day = [local_day(int(one), time_zone).toordinal() for one in at_s]
    slot = [minute_of_day(int(one), time_zone) * 60 // interval_s for one in at_s]
    return np.array(day, dtype=np.int64), np.array(slot, dtype=np.int64)
