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
def _quantile(values: Any, count: int, share: float) -> Any:
    """Return a quantile, linear between two values of neighbouring rank."""
    at = share * (count - 1)
    rank = int(at)
    low = _select(values, count, rank)
    if rank + 1 >= count:
        return low
    following = np.inf
    for k in range(rank + 1, count):
        following = min(following, values[k])
    return low + (following - low) * (at - rank)


@compiled
def _week(
    values: Any, flags: Any, scale: Any, bounds: Any, first: int, last: int, column: int,
    buffer: Any, numbers: Any, levels: Any,
) -> None:  # fmt: skip
    """Count rows `first` to `last` of a tile of columns."""
    low, high, all_low, all_high, floor = bounds
    width = min(_TILE, values.shape[1] - column)
    has_flags = flags.shape[0] > 0
    used = np.zeros(_TILE, np.int64)
    before = np.zeros(_TILE, np.bool_)
    for row in range(first, last):
        for w in range(width):
            c = column + w
            value = values[row, c] * scale[c]
            if np.isnan(value):
                before[w] = False
                if has_flags and flags[row, c]:
                    numbers[1, c] += 1
                continue
            gone = value < floor
            # A supply that goes or comes within the next interval leaves a mean of neither.
            beside = before[w]
            if row + 1 < values.shape[0] and values[row + 1, c] * scale[c] < floor:
                beside = True
            if row == first and row > 0 and values[row - 1, c] * scale[c] < floor:
                beside = True
            before[w] = gone
            if gone or beside or (has_flags and flags[row, c]):
                numbers[1, c] += 1
                continue
            buffer[w, used[w]] = value
            used[w] += 1
            if value < low:
                numbers[2, c] += 1
            elif value > high:
                numbers[3, c] += 1
            if value < all_low or value > all_high:
                numbers[4, c] += 1
    for w in range(width):
        c, count = column + w, used[w]
        numbers[0, c] = count
        if count:
            levels[2, c] = _quantile(buffer[w], count, 0.025)
            levels[3, c] = _quantile(buffer[w], count, 0.975)
            lowest, highest = np.inf, -np.inf
            for k in range(count):
                lowest = min(lowest, buffer[w, k])
                highest = max(highest, buffer[w, k])
            levels[0, c], levels[1, c] = lowest, highest


@compiled
def _weeks(
    values: Any, flags: Any, scale: Any, bounds: Any, edges: Any, numbers: Any, levels: Any
) -> None:
    longest = 0
    for week in range(len(edges)):
        longest = max(longest, edges[week, 1] - edges[week, 0])
    buffer = np.zeros((_TILE, longest))
    for week in range(len(edges)):
        for column in range(0, values.shape[1], _TILE):
            _week(
                values, flags, scale, bounds, edges[week, 0], edges[week, 1], column, buffer,
                numbers[week], levels[week],
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
