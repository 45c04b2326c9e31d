"""A week of each of many columns, counted in compiled code: each value is read once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from networks.flow.kernel import compiled, spread
from networks.model import Bool, Float, Int

_TILE = 16
"""Columns that are read together: a row of them is a line of the processor's cache."""
_TAIL = 0.025
_SAMPLE, _SPARE = 64, 4
_TOLERANCE = 1e-6
"""Below what a meter resolves; a value on a limit is within."""


@dataclass(frozen=True, eq=False)
class Counts:
    """What a week of each column holds.

    Attributes
    ----------
    usable, flagged : int64 (week, column)
        Values that count, and intervals that are left out.
    under, over : int64 (week, column)
        Of the usable ones, those below and above the usual band.
    outside : int64 (week, column)
        Those beyond the band of all values.
    lowest, highest, low_end, high_end : float64 (week, column)
        Extremes, and the ends of the middle 95 %; NaN where nothing is usable.
    """

    usable: Int
    flagged: Int
    under: Int
    over: Int
    outside: Int
    lowest: Float
    highest: Float
    low_end: Float
    high_end: Float


@compiled
def _select(values: Any, count: int, rank: int) -> Any:
    """Return the value of a rank of the first `count`; smaller ones end up before it."""
    first, last = 0, count - 1
    while first < last:
        pivot = values[(first + last) // 2]
        i, j = first, last
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if rank <= j:
            last = j
        elif rank >= i:
            first = i
        else:
            break
    return values[rank]


@compiled
def _ends(values: Any, count: int, small: Any, levels: Any) -> None:
    """Note the ends of the middle 95 %, linear between two values of neighbouring rank.

    A sample tells beyond which value the few lie that hold an end; only those are sorted out.
    """
    rank = int(_TAIL * (count - 1))
    part = _TAIL * (count - 1) - rank
    step = max(count // _SAMPLE, 1)
    taken = min(count, _SAMPLE)
    for end in range(2):
        sign = 1.0 if end == 0 else -1.0
        for k in range(taken):
            small[k] = values[k * step] * sign
        bound = _select(small, taken, min(taken - 1, int(_TAIL * taken) + _SPARE))
        found = 0
        for k in range(count):
            value = values[k] * sign
            if value <= bound:
                small[found] = value
                found += 1
        if found < min(rank + 2, count):
            for k in range(count):
                small[k] = values[k] * sign
            found = count
        level = _select(small, found, rank)
        following = level if rank + 1 >= found else np.inf
        for k in range(rank + 1, found):
            following = min(following, small[k])
        levels[2 + end] = (level + (following - level) * part) * sign


@compiled
def _usable(raw: Any, flags: Any, rows: Any, column: int, floor: float, numbers: Any, lowest: float
            ) -> int:  # fmt: skip
    """Move what is usable of a column to its front; return how many.

    `raw` is a column of a week with a value before and after it.
    """
    first, count = rows
    has_flags = flags.shape[0] > 0
    used = 0
    if lowest >= floor and not has_flags:
        for k in range(count):
            value = raw[k + 1]
            if not np.isnan(value):
                raw[used] = value
                used += 1
        return used
    # What moves to the front is behind what is still to be looked at.
    before = raw[0]
    for k in range(count):
        value, following = raw[k + 1], raw[k + 2]
        # A supply that goes or comes within the next interval leaves a mean of neither.
        gone = value < floor or (not np.isnan(value) and (before < floor or following < floor))
        before = value
        if gone or (has_flags and flags[first + k, column]):
            numbers[1] += 1
        elif not np.isnan(value):
            raw[used] = value
            used += 1
    return used


@compiled
def _column(
    raw: Any, flags: Any, rows: Any, column: int, bounds: Any, small: Any, numbers: Any, levels: Any
) -> None:
    low, high, all_low, all_high, floor = bounds
    lowest, highest = np.inf, -np.inf
    for k in range(rows[1] + 2):
        lowest = min(lowest, raw[k]) if raw[k] == raw[k] else lowest
    used = _usable(raw, flags, rows, column, floor, numbers, lowest)
    numbers[0] = used
    if not used:
        return
    lowest = np.inf
    for k in range(used):
        lowest, highest = min(lowest, raw[k]), max(highest, raw[k])
    levels[0], levels[1] = lowest, highest
    if lowest < low or highest > high or lowest < all_low or highest > all_high:
        for k in range(used):
            numbers[2] += raw[k] < low
            numbers[3] += raw[k] > high
            numbers[4] += raw[k] < all_low or raw[k] > all_high
    _ends(raw, used, small, levels)


@compiled
def _weeks(
    values: Any, flags: Any, scale: Any, bounds: Any, edges: Any, numbers: Any, levels: Any
) -> None:
    longest = 0
    for week in range(len(edges)):
        longest = max(longest, edges[week, 1] - edges[week, 0])
    tile, small = np.zeros((_TILE, longest + 2)), np.zeros(max(longest, _SAMPLE) + 2)
    for week in range(len(edges)):
        first, count = edges[week, 0], edges[week, 1] - edges[week, 0]
        for column in range(0, values.shape[1], _TILE):
            width = min(_TILE, values.shape[1] - column)
            for k in range(count + 2):
                row = first + k - 1
                for w in range(width):
                    if 0 <= row < values.shape[0]:
                        tile[w, k] = values[row, column + w] * scale[column + w]
                    else:
                        tile[w, k] = np.nan
            for w in range(width):
                c = column + w
                _column(
                    tile[w], flags, (first, count), c, bounds, small, numbers[week, :, c],
                    levels[week, :, c],
                )  # fmt: skip


def count_weeks(
    values: npt.NDArray[np.floating[Any]],
    flags: Bool | None,
    scale: Float,
    usual: tuple[float, float],
    all_values: tuple[float, float],
    floor: float,
    edges: Int,
) -> Counts:
    """Count weeks of columns.

    Parameters
    ----------
    values : float32 or float64 (interval, column)
        NaN where missing.
    flags : bool (interval, column), optional
        Intervals to leave out.
    scale : float64 (column,)
        What a value is multiplied by before anything else.
    usual, all_values : (low, high)
    floor : float
        Below it the supply is interrupted: that interval and its neighbours are flagged.
    edges : int64 (week, 2)
        First row of each week and the one past its last.
    """
    weeks, columns = len(edges), values.shape[1]
    numbers = np.zeros((weeks, 5, columns), dtype=np.int64)
    levels = np.full((weeks, 4, columns), np.nan)
    none = np.zeros((0, columns), dtype=np.bool_)
    given = none if flags is None else flags
    bounds = (
        usual[0] - _TOLERANCE, usual[1] + _TOLERANCE,
        all_values[0] - _TOLERANCE, all_values[1] + _TOLERANCE, floor,
    )  # fmt: skip

    def work(first: int, last: int) -> None:
        part = slice(first, last)
        _weeks(
            values[:, part], given[:, part], scale[part], bounds, edges,
            numbers[:, :, part], levels[:, :, part],
        )  # fmt: skip

    if columns and weeks:
        spread(columns, work)
    return Counts(
        usable=numbers[:, 0],
        flagged=numbers[:, 1],
        under=numbers[:, 2],
        over=numbers[:, 3],
        outside=numbers[:, 4],
        lowest=levels[:, 0],
        highest=levels[:, 1],
        low_end=levels[:, 2],
        high_end=levels[:, 3],
    )
