"""Fill holes in interval series: linear, like day, or spread over a known total.

All arrays are over rows (one register of one meter) and intervals; a hole is a
run of intervals of one row, all holes are worked on at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from meters.reading import MISSING
from meters.vee.quality import Quality

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

LINEAR_MAX_S: Final = 7_200
_EXACT: Final = float(2**62)
_COARSE: Final = 2**20


@dataclass(frozen=True, slots=True)
class Holes:
    """Runs of intervals without a value.

    Attributes
    ----------
    row, first, last : ndarray of int64 (hole,)
        Intervals ``[first, last)`` of a row.
    total_wh : ndarray of int64 (hole,)
        Energy over the hole that the registers tell, :data:`MISSING` if none.
    due : ndarray of bool (hole,)
        Estimated whatever the time, for no later register can tell more.
    """

    row: Ints
    first: Ints
    last: Ints
    total_wh: Ints
    due: Bools


def spread(total: Ints, weight: Ints, hole: Ints, first: Ints) -> Ints:
    """Return integers in proportion to `weight` that add up to each total exactly.

    The largest remainder gets the next unit, the earlier interval among equals.

    Parameters
    ----------
    total : ndarray of int64 (hole,)
        Sum of each hole, >= 0.
    weight : ndarray of int64 (element,)
        >= 0, the elements of a hole beside each other.
    hole : ndarray of int64 (element,)
        The hole of each element.
    first : ndarray of int64 (hole,)
        The first element of each hole.
    """
    whole = np.add.reduceat(weight, first)
    weight = np.where((whole == 0)[hole], 1, weight)
    whole = np.add.reduceat(weight, first)
    large = whole.astype(np.float64) * np.maximum(total, 1) >= _EXACT
    if large.any():
        coarse = (weight / whole[hole] * _COARSE).astype(np.int64) + 1
        weight = np.where(large[hole], coarse, weight)
        whole = np.add.reduceat(weight, first)
    product = total[hole] * weight
    share = product // whole[hole]
    remainder = product - share * whole[hole]
    rest = total - np.add.reduceat(share, first)
    order = np.lexsort((-remainder, hole))
    rank = np.empty_like(order)
    rank[order] = np.arange(order.size)
    return share + (rank - first[hole] < rest[hole])


def _nearest(values: Ints) -> tuple[Ints, Ints]:
    """Return the last known value before and the next known value after each interval."""
    rows, n = values.shape
    position = np.broadcast_to(np.arange(n), values.shape)
    known = values >= 0
    left = np.maximum.accumulate(np.where(known, position, -1), axis=1)
    right = np.minimum.accumulate(np.where(known, position, n)[:, ::-1], axis=1)[:, ::-1]
    padded = np.concatenate([values, np.full((rows, 1), MISSING)], axis=1)
    row = np.arange(rows)[:, None]
    return padded[row, left], padded[row, right]


def _around(values: Ints, holes: Holes) -> tuple[Ints, Ints, Ints]:
    """Return per hole the adjacent values on both sides and the mean of the nearest ones."""
    n = values.shape[1]
    before, after = _nearest(values)
    inside_left, inside_right = holes.first > 0, holes.last < n
    at_left, at_right = np.maximum(holes.first - 1, 0), np.minimum(holes.last, n - 1)
    left = np.where(inside_left, values[holes.row, at_left], MISSING)
    right = np.where(inside_right, values[holes.row, at_right], MISSING)
    low = np.where(inside_left, before[holes.row, at_left], MISSING)
    high = np.where(inside_right, after[holes.row, at_right], MISSING)
    mean = np.where((low >= 0) & (high >= 0), (low + high + 1) // 2, np.maximum(low, high))
    return left, right, mean


def fill(
    values: Ints,
    trusted: Bools,
    reference: Ints,
    holes: Holes,
    *,
    limit_wh: Ints,
    starts_s: Ints,
    interval_s: int,
    estimate_before_s: int,
) -> npt.NDArray[np.uint16]:
    """Write estimates into the holes of `values` and return their qualities.

    Parameters
    ----------
    values : ndarray of int64 (row, interval)
        Changed in place; :data:`MISSING` in every hole.
    trusted : ndarray of bool (row, interval)
        Values that may serve as end points.
    reference : ndarray of int64 (row, interval)
        Like-day mean, :data:`MISSING` where unknown.
    limit_wh : ndarray of int64 (row,)
        Bound of an unscaled estimate.
    starts_s : ndarray of int64 (interval,)
    interval_s, estimate_before_s : int
        Unscaled estimates outside `due` holes only before this instant.

    Returns
    -------
    ndarray of uint16 (row, interval)
        :class:`Quality` of each interval: VALID outside the holes.
    """
    quality = np.where(values >= 0, np.uint16(Quality.VALID), np.uint16(Quality.MISSING))
    if not holes.row.size:
        return quality
    length = holes.last - holes.first
    first = np.cumsum(length) - length
    hole = np.repeat(np.arange(length.size), length)
    step = np.arange(hole.size) - first[hole]
    row, position = holes.row[hole], holes.first[hole] + step

    left, right, near = _around(np.where(trusted, values, MISSING), holes)
    linear = ((length * interval_s <= LINEAR_MAX_S) & (left >= 0) & (right >= 0))[hole]
    parts = length[hole] + 1
    between = left[hole] * (parts - 1 - step) + right[hole] * (step + 1)
    like_day = reference[row, position]
    shape = np.where(like_day >= 0, like_day, near[hole])
    found = np.where(linear, (between + parts // 2) // parts, shape)

    closed = (holes.total_wh >= 0)[hole]
    weight = _weights(np.where(linear, between, shape), hole, first)
    scaled = spread(np.maximum(holes.total_wh, 0), weight, hole, first)
    wanted = holes.due[hole] | (starts_s[position] < estimate_before_s)
    guess = np.where(wanted & (found >= 0), np.minimum(found, limit_wh[row]), MISSING)
    values[row, position] = np.where(closed, scaled, guess)

    like = ~linear & (like_day >= 0)
    kind = np.where(like, Quality.ESTIMATED_LIKE_DAY, Quality.ESTIMATED_LINEAR)
    kind = np.where(guess >= 0, kind, Quality.MISSING)
    quality[row, position] = np.where(closed, Quality.SCALED, kind)
    return quality


def _weights(shape: Ints, hole: Ints, first: Ints) -> Ints:
    """Return `shape` with each unknown element as the mean of the known ones of its hole."""
    known = shape >= 0
    if known.all():
        return shape
    count = np.add.reduceat(known.astype(np.int64), first)
    total = np.add.reduceat(np.where(known, shape, 0), first)
    mean = np.where(count > 0, total // np.maximum(count, 1), 1)
    return np.where(known, shape, mean[hole])
