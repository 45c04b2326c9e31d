"""Fill holes in interval series: linear, like day, load shape, or spread over a known total.

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
from meters.vee.rules import RULES
from meters.vee.uncertainty import Kind, levels, relative

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

_EXACT: Final = float(2**62)
_COARSE: Final = 2**20


@dataclass(frozen=True, slots=True)
class Holes:
    """Runs of intervals without a value, in row order.

    Attributes
    ----------
    row, first, last : ndarray of int64 (hole,)
        Intervals ``[first, last)`` of a row.
    group : ndarray of int64 (hole,)
        Rises from 0; the holes of a group share one total.
    total_wh : ndarray of int64 (group,)
        Energy over the holes that the registers tell, :data:`MISSING` if none.
    due : ndarray of bool (hole,)
        Estimated whatever the time, for no later register can tell more.
    """

    row: Ints
    first: Ints
    last: Ints
    group: Ints
    total_wh: Ints
    due: Bools


@dataclass(frozen=True, slots=True)
class Known:
    """What estimates may go by; each (row, interval) but for `limit_wh` and `linear_s` (row,).

    Attributes
    ----------
    trusted : ndarray of bool
        Values that may serve as end points.
    reference, reference_sd : ndarray
        Like-day mean and its deviation, :data:`MISSING` where unknown.
    shape : ndarray of int64
        Load shape of the group in any scale, MISSING where unknown.
    outage : ndarray of bool
        Power was lost: nothing flowed, and nothing follows for the neighbours.
    limit_wh : ndarray of int64
        Bound of an unscaled estimate.
    linear_s : ndarray of int64
        The longest hole that is filled between its neighbours.
    """

    trusted: Bools
    reference: Ints
    reference_sd: Floats
    shape: Ints
    outage: Bools
    limit_wh: Ints
    linear_s: Ints


@dataclass(frozen=True, slots=True)
class Filled:
    """What became of each (row, interval).

    Attributes
    ----------
    quality : ndarray of uint16
        :class:`Quality`: VALID outside the holes.
    method : ndarray of uint16
        Code of the rule that estimated, 0 outside the holes.
    sd_wh : ndarray of float32
        Standard deviation of the estimate, 0 outside the holes.
    """

    quality: npt.NDArray[np.uint16]
    method: npt.NDArray[np.uint16]
    sd_wh: npt.NDArray[np.float32]


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
    known: Known,
    holes: Holes,
    *,
    starts_s: Ints,
    interval_s: int,
    estimate_before_s: int,
) -> Filled:
    """Write estimates into the holes of `values` and return how they came about.

    Parameters
    ----------
    values : ndarray of int64 (row, interval)
        Changed in place; :data:`MISSING` in every hole.
    known : Known
    holes : Holes
    starts_s : ndarray of int64 (interval,)
    interval_s, estimate_before_s : int
        Unscaled estimates outside `due` holes only before this instant.
    """
    quality = np.where(values >= 0, np.uint16(Quality.VALID), np.uint16(Quality.MISSING))
    method = np.zeros(values.shape, dtype=np.uint16)
    sd_wh = np.zeros(values.shape, dtype=np.float32)
    if not holes.row.size:
        return Filled(quality, method, sd_wh)
    length = holes.last - holes.first
    first = np.cumsum(length) - length
    hole = np.repeat(np.arange(length.size), length)
    step = np.arange(hole.size) - first[hole]
    row, position = holes.row[hole], holes.first[hole] + step
    group = holes.group[hole]
    group_first = np.flatnonzero(np.diff(group, prepend=-1))

    usable = np.where(known.trusted & ~known.outage, values, MISSING)
    left, right, near = _around(usable, holes)
    linear = (length * interval_s <= known.linear_s[holes.row]) & (left >= 0) & (right >= 0)
    parts = length[hole] + 1
    between = left[hole] * (parts - 1 - step) + right[hole] * (step + 1)
    model, shaped = _model(usable, known)
    like_day = model[row, position]
    shape = np.where(like_day >= 0, like_day, near[hole])
    dark = known.outage[row, position]
    found = np.where(linear[hole], (between + parts // 2) // parts, shape)
    found = np.where(dark, 0, found)

    closed = (holes.total_wh >= 0)[group]
    weight = _weights(np.where(linear[hole], between, shape), group, group_first)
    weight = _lit(weight, dark, group, group_first)
    scaled = spread(np.maximum(holes.total_wh, 0), weight, group, group_first)
    wanted = holes.due[hole] | (starts_s[position] < estimate_before_s)
    guess = np.where(wanted & (found >= 0), np.minimum(found, known.limit_wh[row]), MISSING)
    values[row, position] = np.where(closed, scaled, guess)

    way = _way(linear[hole], like_day >= 0, shaped[row, position], dark)
    estimated = closed | (guess >= 0)
    method[row, position] = np.where(estimated, way, 0)
    kind = np.where(guess >= 0, _QUALITY[way - RULES["linear"].code], Quality.MISSING)
    quality[row, position] = np.where(closed, Quality.SCALED, kind)
    sd_wh[row, position] = np.where(
        estimated & ~(dark & ~closed),
        _deviation(usable, model, known, holes, linear, row, position, hole, values),
        0.0,
    )
    return Filled(quality, method, sd_wh)


_QUALITY: Final = np.array(
    [
        (rule.quality or Quality.MISSING)
        for rule in sorted(RULES.values(), key=lambda rule: rule.code)
        if rule.code >= RULES["linear"].code
    ],
    dtype=np.uint16,
)


def _way(linear: Bools, like: Bools, shaped: Bools, dark: Bools) -> npt.NDArray[np.uint16]:
    """Return the code of the method of each element."""
    modelled = np.where(shaped, RULES["load_shape"].code, RULES["like_day"].code)
    way = np.where(linear, RULES["linear"].code, np.where(like, modelled, RULES["nearest"].code))
    return np.where(dark, RULES["no_power"].code, way).astype(np.uint16)


def _model(usable: Ints, known: Known) -> tuple[Ints, Bools]:
    """Return like day or, where there is none, the group's shape at the meter's level."""
    shaped = (known.reference < 0) & (known.shape >= 0)
    if not shaped.any():
        return known.reference, shaped
    told = (usable >= 0) & (known.shape >= 0)
    mine = np.where(told, usable, 0).sum(axis=1)
    theirs = np.where(told, known.shape, 0).sum(axis=1)
    ratio = np.where(theirs > 0, mine / np.maximum(theirs, 1), 1.0)
    level = np.rint(known.shape * ratio[:, None]).astype(np.int64)
    level = np.minimum(level, known.limit_wh[:, None])
    return np.where(shaped, level, known.reference), shaped


def _deviation(
    usable: Ints,
    model: Ints,
    known: Known,
    holes: Holes,
    linear: Bools,
    row: Ints,
    position: Ints,
    hole: Ints,
    values: Ints,
) -> Floats:
    """Return the standard deviation of each element."""
    length = holes.last - holes.first
    modelled = model[holes.row, holes.first] >= 0
    kind = np.where(linear, Kind.LINEAR, np.where(modelled, Kind.MODEL, Kind.NEAREST))
    level = levels(usable, model)[:, None]
    told = known.reference_sd
    scale = np.where(told >= 0, told + level / 8, np.maximum(model, 0) + level)
    scaled = (holes.total_wh >= 0)[holes.group]
    exact = modelled & (told[holes.row, holes.first] >= 0)
    share = relative(usable, model, scale, holes.row, length, kind, scaled, exact)[hole]
    here, told = scale[row, position], told[row, position]
    return np.where(np.isnan(share), np.where(told >= 0, told, here), share * here)


def _lit(weight: Ints, dark: Bools, group: Ints, first: Ints) -> Ints:
    """Return `weight` without what falls where power was lost, unless all of a group does."""
    if not dark.any():
        return weight
    lit = np.where(dark, 0, np.maximum(weight, 1))
    count = np.add.reduceat(dark.astype(np.int64), first)
    partly = (count > 0) & (np.add.reduceat(lit, first) > 0)
    return np.where(partly[group], lit, weight)


def _weights(shape: Ints, hole: Ints, first: Ints) -> Ints:
    """Return `shape` with each unknown element as the mean of the known ones of its hole."""
    known = shape >= 0
    if known.all():
        return shape
    count = np.add.reduceat(known.astype(np.int64), first)
    total = np.add.reduceat(np.where(known, shape, 0), first)
    mean = np.where(count > 0, total // np.maximum(count, 1), 1)
    return np.where(known, shape, mean[hole])
