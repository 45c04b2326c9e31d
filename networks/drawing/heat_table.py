"""The table beside a heat map: a row for each month."""

from __future__ import annotations

import numpy as np

from grid.interval import label
from networks.drawing.calendar_grid import CalendarGrid
from networks.drawing.picture import Cell


def months(grid: CalendarGrid) -> list[tuple[int, int]]:
    """Return (first column, one past the last) of each civil month."""
    days = grid.values.shape[1]
    begins = [n for n in range(days) if n == 0 or grid.day(n).day == 1]
    return list(zip(begins, [*begins[1:], days], strict=True))


def table(
    grid: CalendarGrid,
    unit: str,
    low: float | None,
    high: float | None,
    worse_is_low: bool,
) -> tuple[tuple[Cell, ...], ...]:
    """Return minimum, mean, maximum, the worst interval and hours beyond limits of each month.

    Of two intervals with one civil time only the worse is counted, as in the picture.
    """
    suffix = {"%": "percent", "pu": "pu", "kW": "kw"}.get(unit, unit)
    header: list[Cell] = [
        "month", "intervals", "missing", f"minimum_{suffix}", f"mean_{suffix}",
        f"maximum_{suffix}", "worst_at",
    ]  # fmt: skip
    if low is not None:
        header.append(f"hours_below_{low:g}_{suffix}")
    if high is not None:
        header.append(f"hours_above_{high:g}_{suffix}")
    rows: list[tuple[Cell, ...]] = [tuple(header)]
    hours = grid.interval_s / 3600
    for first, last in months(grid):
        values, at_s = grid.values[:, first:last], grid.at_s[:, first:last]
        known = np.isfinite(values)
        missing = int((grid.exists[:, first:last] & ~known).sum())
        row: list[Cell] = [grid.day(first).strftime("%Y-%m"), int(known.sum()), missing]
        if known.any():
            best = np.nanargmin(values) if worse_is_low else np.nanargmax(values)
            row += [float(np.nanmin(values)), float(np.nanmean(values)), float(np.nanmax(values))]
            row.append(label(int(at_s.ravel()[best])))
        else:
            row += [None] * 4
        if low is not None:
            row.append(float((values[known] < low).sum() * hours))
        if high is not None:
            row.append(float((values[known] > high).sum() * hours))
        rows.append(tuple(row))
    return tuple(rows)
