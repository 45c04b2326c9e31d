"""What a meter usually takes at a time of day: the mean of reference days.

A reference day is of the same class as the day in question: workday, Saturday, or
Sunday and holiday. Days are laid over each other by civil time, so that those of
92 and 100 quarter-hours fit those of 96.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import date, timedelta
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid.interval import DAY_S, local_day, minute_of_day, starts
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


def like_day(
    past: xr.Dataset,
    day: date,
    *,
    interval_s: int,
    time_zone: str,
    holidays: AbstractSet[date] = frozenset(),
    last: int = LAST,
) -> xr.Dataset:
    """Return what a civil day is like.

    Parameters
    ----------
    past : Dataset, dims (meter, interval)
        CHANNELS and `quality` of the time before; only what was read and is not in
        doubt counts.
    day : date
    interval_s : int
    time_zone : str
    holidays : set of date
    last : int
        How many days count, at most.

    Returns
    -------
    Dataset, dims (meter, slot)
        CHANNELS int64 by time of day, MISSING where unknown, and their deviations
        (:func:`~meters.vee.channel.sd_name`).
    """
    at_s = past["interval"].values.astype("datetime64[s]").astype(np.int64)
    past_day, slot = civil(at_s, time_zone, interval_s)
    days = reference_days(day, holidays)
    place = {one.toordinal(): number for number, one in enumerate(days)}
    number = np.array([place.get(one, -1) for one in past_day.tolist()], dtype=np.int64)
    at = np.flatnonzero(number >= 0)
    valid = one_of(past["quality"].values[:, at].astype(np.uint16), _COUNTED)
    dims = ("meter", "slot")
    found: dict[str, tuple[tuple[str, str], npt.NDArray[np.generic]]] = {}
    for name in CHANNELS:
        shape = (past.sizes["meter"], len(days), DAY_S // interval_s)
        history = np.full(shape, MISSING, dtype=np.int64)
        history[:, number[at], slot[at]] = np.where(valid, past[name].values[:, at], MISSING)
        mean, deviation = mean_of_last(history, last=last)
        found[name], found[sd_name(name)] = (dims, mean), (dims, deviation)
    return xr.Dataset(found, coords={"meter": past["meter"].values})


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
    """Return what `count` intervals from `start_s` are like: the reference of validation.

    Parameters
    ----------
    start_s, count : int
    past, interval_s, time_zone, holidays, last
        As :func:`like_day` takes.

    Returns
    -------
    Dataset, dims (meter, interval)
        CHANNELS int64, MISSING where unknown, and their deviations.
    """
    days, _ = civil(start_s + interval_s * np.arange(count), time_zone, interval_s)
    by_day = {
        ordinal: like_day(
            past,
            date.fromordinal(ordinal),
            interval_s=interval_s,
            time_zone=time_zone,
            holidays=holidays,
            last=last,
        )
        for ordinal in np.unique(days).tolist()
    }
    return laid_out(by_day, start_s, count, interval_s=interval_s, time_zone=time_zone)


def laid_out(
    by_day: Mapping[int, xr.Dataset], start_s: int, count: int, *, interval_s: int, time_zone: str
) -> xr.Dataset:
    """Return like days as `count` intervals from `start_s`.

    Parameters
    ----------
    by_day : mapping of the ordinal of a civil day to what :func:`like_day` returns
    start_s, count, interval_s : int
    time_zone : str
    """
    days, slot = civil(start_s + interval_s * np.arange(count), time_zone, interval_s)
    parts = [
        by_day[ordinal].isel(slot=slot[days == ordinal]).rename(slot="interval")
        for ordinal in dict.fromkeys(days.tolist())
    ]
    whole = xr.concat(parts, "interval") if len(parts) > 1 else parts[0]
    return whole.assign_coords(interval=starts(start_s, count, interval_s))


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


def civil(at_s: Ints, time_zone: str, interval_s: int) -> tuple[Ints, Ints]:
    """Return the civil day (ordinal) and the slot of the day of each instant.

    Both hours of the autumn change have the same slots, and the later one holds.
    """
    day = [local_day(int(one), time_zone).toordinal() for one in at_s]
    slot = [minute_of_day(int(one), time_zone) * 60 // interval_s for one in at_s]
    return np.array(day, dtype=np.int64), np.array(slot, dtype=np.int64)
