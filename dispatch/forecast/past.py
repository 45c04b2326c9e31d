"""What the past says about each instant: yesterday, last week, profiles, envelope.

A past is a window of columns of a matrix of powers (row, step), NaN where
unknown. Whatever a past says about a step is drawn from steps at least a day
earlier, so that a day ahead of an origin nothing later than the origin is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]

DAY_S: Final = 86_400
TRAILING_DAYS: Final = 27
FADE: Final = 0.94
"""Weight of a day against the day after it, in a profile."""
SUNNY_DAYS: Final = 8
HIGH_SUN: Final = 0.3
"""Share of the highest clear power above which a step tells of a plant's proportion to it."""


@dataclass(frozen=True, slots=True)
class Past:
    """Windows ``[first, last)`` of a matrix of powers; all arrays (row, step) in kW.

    Attributes
    ----------
    first : int
        The column at which the window begins.
    actual : ndarray
        The power itself, NaN where unknown or in the future.
    yesterday : ndarray
        A day before, or the nearest earlier day that is known.
    last_week : ndarray
        Seven days before, or `like_day`.
    like_day : ndarray
        Fading mean of trailing working days, or of trailing weekends.
    any_day : ndarray
        Fading mean of all trailing days.
    envelope : ndarray
        Highest of the trailing days; where a clear sky is told not below that, in the best
        proportion to it that the trailing days had.
    civil_s : ndarray of int64 (step,)
        Civil time at which each step starts, in seconds as of 1970.
    """

    first: int
    actual: Float
    yesterday: Float
    last_week: Float
    like_day: Float
    any_day: Float
    envelope: Float
    civil_s: npt.NDArray[np.int64]


def weekday(civil_s: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the days of the week of civil times, Monday 0."""
    # 1970-01-01 was a Thursday.
    return (civil_s // DAY_S + 3) % 7


def weekend(start_s: int, count: int, interval_s: int, utc_offset_s: int) -> npt.NDArray[np.bool_]:
    """Return which steps are on a Saturday or Sunday of civil time."""
    civil = start_s + utc_offset_s + interval_s * np.arange(count, dtype=np.int64)
    return weekday(civil) >= 5


def look_back(
    power: Float,
    civil_s: npt.NDArray[np.int64],
    level: Float,
    trust: Float,
    *,
    day: int,
    first: int,
    last: int,
    clear: Float | None = None,
) -> Past:
    """Return what the days before each step of ``[first, last)`` say about it.

    Parameters
    ----------
    power : ndarray of float64 (row, step)
        kW, NaN where unknown.
    civil_s : ndarray of int64 (step,)
        Civil time at which each step starts.
    level : ndarray of float64 (row,)
        kW to fall back on where no day is known.
    trust : ndarray of float64 (row, step)
        Within 0 to 1: what a power says in means.
    day : int
        Steps of a day.
    first, last : int
        Columns of `power`.
    clear : ndarray of float64 (row, step), optional
        kW under a clear sky, NaN for rows of which it is not told.
    """
    shape = (power.shape[0], last - first)
    resting = weekday(civil_s) >= 5
    known = np.isfinite(power)
    filled = np.where(known, power, 0.0)
    sums, weights = np.zeros((2, *shape)), np.zeros((2, *shape))
    envelope = np.zeros(shape)
    yesterday, week = np.full(shape, np.nan), np.full(shape, np.nan)
    target = resting[first:last]
    for back in range(1, TRAILING_DAYS + 1):
        low, high = max(first - back * day, 0), last - back * day
        if high <= 0:
            break
        into = slice(shape[1] - (high - low), shape[1])
        value = filled[:, low:high]
        weight = FADE**back * known[:, low:high] * trust[:, low:high]
        same = (resting[low:high] == target[into]).astype(np.float64)
        contribution = value * weight
        sums[0, :, into] += contribution
        weights[0, :, into] += weight
        sums[1, :, into] += contribution * same
        weights[1, :, into] += weight * same
        np.maximum(envelope[:, into], value, out=envelope[:, into])
        if back <= 7:
            missing = np.isnan(yesterday[:, into])
            np.copyto(yesterday[:, into], power[:, low:high], where=missing)
        if back == 7:
            week[:, into] = power[:, low:high]
    if clear is not None:
        rows = np.flatnonzero(np.isfinite(clear).all(axis=1))
        share = _clear_share(power[rows], clear[rows], day)[:, first:last]
        envelope[rows] = np.maximum(envelope[rows], clear[rows, first:last] * share)
    any_day = np.where(weights[0] > 0, sums[0] / np.maximum(weights[0], 1e-12), level[:, None])
    like_day = np.where(weights[1] > 0, sums[1] / np.maximum(weights[1], 1e-12), any_day)
    return Past(
        first=first,
        actual=power[:, first:last],
        yesterday=np.where(np.isnan(yesterday), like_day, yesterday),
        last_week=np.where(np.isnan(week), like_day, week),
        like_day=like_day,
        any_day=any_day,
        envelope=envelope,
        civil_s=civil_s[first:last],
    )


def _clear_share(power: Float, clear: Float, day: int) -> Float:
    """Return the most that power was of a clear sky's on the days before each step (row, step).

    A low sun says nothing about it; it is no less than 1 until :data:`SUNNY_DAYS` have told.
    """
    high = clear > HIGH_SUN * clear.max(axis=1, keepdims=True, initial=0.0)
    known = high & np.isfinite(power)
    share = np.where(known, power / np.maximum(clear, 1e-9), 0.0)
    # The best of the day that ends with each step.
    padded = np.concatenate([np.zeros((share.shape[0], day - 1)), share], axis=1)
    daily = np.lib.stride_tricks.sliding_window_view(padded, day, axis=1).max(axis=-1)
    best, days = np.zeros_like(share), np.zeros_like(share)
    for back in range(1, TRAILING_DAYS + 1):
        if back * day >= share.shape[1]:
            break
        np.maximum(best[:, back * day :], daily[:, : -back * day], out=best[:, back * day :])
        days[:, back * day :] += daily[:, : -back * day] > 0.0
    return np.where(days < SUNNY_DAYS, np.maximum(best, 1.0), best)
