"""A series of intervals as a sheet of days: which cell an interval falls into, by some clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
import numpy.typing as npt

from grid import interval
from grid.errors import BadInputError
from networks.equipment import Bool, Float, Int

_DAYS_MAX, _MINUTE_S = 800, 60


@dataclass(frozen=True, slots=True)
class CalendarGrid:
    """Values by day and time of day.

    Attributes
    ----------
    first : date
        Of column 0.
    interval_s : int
    values : float64 (slot, day)
        NaN where nothing is known.
    exists : bool (slot, day)
        False where clocks jump over an hour, and before and after the series.
    at_s : int64 (slot, day)
        Start of the interval shown, -1 where none is.
    doubled : int
        Cells that stand for two intervals, because clocks were put back.
    skipped : int
        Cells that clocks jump over.
    """

    first: date
    interval_s: int
    values: Float
    exists: Bool
    at_s: Int
    doubled: int
    skipped: int

    def day(self, column: int) -> date:
        return self.first + timedelta(days=column)


def calendar_grid(
    starts: npt.NDArray[np.datetime64], values: Float, time_zone: str, *, worse_is_low: bool
) -> CalendarGrid:
    """Return a series as a sheet of civil days.

    Parameters
    ----------
    starts : datetime64 (interval,)
        Rising; an interval that is missing may be left out.
    values : float64 (interval,)
    time_zone : str
        IANA name; ``UTC`` never changes its clocks.
    worse_is_low : bool
        Of two intervals with one civil time, which is shown.

    Raises
    ------
    BadInputError
        When the series is not of one step that divides a day, is too long, or the zone unknown.
    """
    zone = interval.zone(time_zone)
    seconds = starts.astype("datetime64[s]").astype(np.int64)
    steps = np.diff(seconds)
    if len(seconds) < 2 or len(values) != len(seconds) or (steps <= 0).any():
        raise BadInputError("a heat map needs two or more intervals with values, in their order")
    step_s = int(steps.min())
    if interval.DAY_S % step_s or (steps % step_s).any() or step_s % _MINUTE_S:
        raise BadInputError(f"a step of {step_s} s does not divide a day into whole minutes")
    every = np.arange(seconds[0], seconds[-1] + step_s, step_s, dtype=np.int64)
    if len(every) * step_s > _DAYS_MAX * interval.DAY_S:
        raise BadInputError(f"a heat map shows at most {_DAYS_MAX} days")
    told = np.full(len(every), np.nan)
    told[(seconds - seconds[0]) // step_s] = values
    local = every + _offsets(every, zone)
    days, slots = local // interval.DAY_S, local % interval.DAY_S // step_s
    first = int(days.min())
    shape = interval.DAY_S // step_s, int(days.max()) - first + 1
    grid, at_s = np.full(shape, np.nan), np.full(shape, -1, dtype=np.int64)
    doubled = 0
    for at, slot, column, value in zip(
        every.tolist(), slots.tolist(), (days - first).tolist(), told.tolist(), strict=True
    ):
        if at_s[slot, column] >= 0:
            doubled += 1
            kept = grid[slot, column]
            if value != value or (value >= kept if worse_is_low else value <= kept):
                continue
        grid[slot, column], at_s[slot, column] = value, at
    exists = at_s >= 0
    inside = np.arange(shape[0] * shape[1]).reshape(shape[1], shape[0]).T
    begun = inside >= slots[0] + shape[0] * (days[0] - first)
    ended = inside <= slots[-1] + shape[0] * (days[-1] - first)
    day = date(1970, 1, 1) + timedelta(days=first)
    skipped = int((~exists & begun & ended).sum())
    return CalendarGrid(day, step_s, grid, exists, at_s, doubled, skipped)


def _offsets(every: Int, zone: object) -> Int:
    """Return seconds ahead of UTC; clocks are asked once a quarter of an hour."""
    quarters, back = np.unique(every // 900, return_inverse=True)
    found = []
    for quarter in quarters.tolist():
        offset = datetime.fromtimestamp(quarter * 900, UTC).astimezone(zone).utcoffset()  # type: ignore[arg-type]  # a ZoneInfo
        assert offset is not None
        found.append(int(offset.total_seconds()))
    return np.array(found, dtype=np.int64)[back]
