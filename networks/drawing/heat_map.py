"""The heat map of a year: each interval a cell, days to the right, hours downwards.

Grey within the limits, the darker the nearer to the worse end; colour and stripes beyond them.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from grid.interval import label
from networks.drawing.calendar_grid import CalendarGrid, calendar_grid
from networks.drawing.frame import Key, heading, picture
from networks.drawing.heat_axes import LEFT, RIGHT, ROWS_PX, TOP, hour_axis, month_axis
from networks.drawing.heat_table import table
from networks.drawing.picture import Picture
from networks.drawing.quantity import Quantity
from networks.drawing.svg import element, number, width_px
from networks.drawing.svg import words as text_element
from networks.drawing.words import HeatWords
from networks.equipment import Float, Int

CLASSES = 8
_BOTTOM = 40.0
_PLOT_PX, _CELL_PX_MAX = 1098.0, 28.0
_BELOW, _ABOVE, _MISSING = CLASSES, CLASSES + 1, CLASSES + 2


def heat_map(
    series: xr.DataArray,
    shown: Quantity,
    *,
    time_zone: str = "UTC",
    words: HeatWords | None = None,
    subject: str = "",
    prefix: str = "year",
    standalone: bool = False,
) -> Picture:
    """Return the heat map of a series, the same bytes for the same input.

    Parameters
    ----------
    series : xarray.DataArray (interval,)
        With starts of intervals as coordinate; NaN, or an interval left out, is missing.
    shown : Quantity
    time_zone : str
        Whose days and hours the axes have.
    subject : str
        Of what the series is, for the title.

    Raises
    ------
    BadInputError
        See :func:`networks.drawing.calendar_grid.calendar_grid`.
    """
    words = words or HeatWords()
    values = np.asarray(series.values, dtype=np.float64)
    grid = calendar_grid(
        series["interval"].to_numpy(), values, time_zone, worse_is_low=shown.worse_is_low
    )
    edges = _edges(grid.values, shown)
    kinds = _kinds(grid, edges, shown)
    wide = min(_CELL_PX_MAX, _PLOT_PX / kinds.shape[1])
    high = ROWS_PX / kinds.shape[0]
    width = max(LEFT + wide * kinds.shape[1] + RIGHT, 640.0)
    height = TOP + ROWS_PX + _BOTTOM
    content = [
        _patterns(prefix),
        *(_cells(kinds, kind, wide, high, prefix) for kind in range(_MISSING + 1)),
        month_axis(grid, wide, words),
        hour_axis(),
        _worst(grid, shown, wide, high, words),
    ]  # fmt: skip
    if not standalone:
        told = _clock(grid, time_zone, words)
        content.append(
            text_element("text", told, class_="soft", x=LEFT, y=height - 12.0, font_size=12.0)
        )
    return picture(
        "".join(content),
        kind="year",
        width=width,
        height=height,
        title=f"{shown.name}, {shown.unit}" + (f": {subject}" if subject else ""),
        description=_description(grid, shown, time_zone, words),
        table=table(grid, shown.unit, shown.low, shown.high, shown.worse_is_low),
        prefix=prefix,
        legend=_legend(kinds, edges, shown, words, prefix),
        standalone=standalone,
    )


def _edges(values: Float, shown: Quantity) -> Float:
    """Return the bounds of the classes between the limits, (class + 1,)."""
    low = -np.inf if shown.low is None else shown.low
    high = np.inf if shown.high is None else shown.high
    inside = values[np.isfinite(values) & (values >= low) & (values <= high)]
    if not inside.size:
        inside = np.array([x for x in (shown.low, shown.high, 0.0) if x is not None][:1])
    bottom, top = float(inside.min()), float(inside.max())
    return np.linspace(bottom, top if top > bottom else bottom + 1.0, CLASSES + 1)


def _kinds(grid: CalendarGrid, edges: Float, shown: Quantity) -> Int:
    """Return the class of each cell; -1 where there is no such interval."""
    values = grid.values
    with np.errstate(invalid="ignore"):
        place = np.searchsorted(edges[1:-1], values, side="right").astype(np.int64)
        if shown.worse_is_low:
            place = CLASSES - 1 - place
        if shown.low is not None:
            place[values < shown.low] = _BELOW
        if shown.high is not None:
            place[values > shown.high] = _ABOVE
    place[np.isnan(values)] = _MISSING
    place[~grid.exists] = -1
    return place


def _cells(kinds: Int, kind: int, wide: float, high: float, prefix: str) -> str:
    """Return all cells of a class as one path, each run of a day as one rectangle."""
    parts = []
    for day in np.flatnonzero((kinds == kind).any(axis=0)).tolist():
        mask = np.concatenate([[False], kinds[:, day] == kind, [False]])
        turns = np.flatnonzero(mask[1:] != mask[:-1]).reshape(-1, 2)
        x = number(LEFT + day * wide)
        for first, last in turns.tolist():
            top, size = TOP + first * high, (last - first) * high
            parts.append(f"M{x} {number(top)}h{number(wide)}v{number(size)}h-{number(wide)}z")
    if not parts:
        return ""
    d = "".join(parts)
    name = {_BELOW: "below", _ABOVE: "above", _MISSING: "nodata"}.get(kind, f"c{kind}")
    made = element("path", class_=f"cell {name}", d=d, shape_rendering="crispEdges")
    if kind >= CLASSES:
        # A style sheet that says how paths are filled would outrank a pattern on the path.
        made += element("clipPath", element("path", d=d), id=f"{prefix}-{name}-cells")
        made += element(
            "rect", x=LEFT, y=TOP, width=kinds.shape[1] * wide, height=ROWS_PX,
            fill=f"url(#{prefix}-{name})", clip_path=f"url(#{prefix}-{name}-cells)",
        )  # fmt: skip
    return made


def _patterns(prefix: str) -> str:
    """Return rising stripes for what is above, falling ones for below, a net for missing."""
    lines = {"above": "M-1 6L6 -1", "below": "M-1 -1L6 6", "nodata": "M0 0L5 5M5 0L0 5"}
    return element(
        "defs",
        *(
            element(
                "pattern",
                element("path", class_="stripe" if name == "nodata" else "mark", d=d),
                id=f"{prefix}-{name}", width=5.0, height=5.0, patternUnits="userSpaceOnUse",
            )
            for name, d in lines.items()
        ),
    )  # fmt: skip


def _worst_cell(grid: CalendarGrid, shown: Quantity) -> tuple[int, int] | None:
    if not np.isfinite(grid.values).any():
        return None
    best = np.nanargmin(grid.values) if shown.worse_is_low else np.nanargmax(grid.values)
    slot, day = np.unravel_index(int(best), grid.values.shape)
    return int(slot), int(day)


def _civil(grid: CalendarGrid, slot: int, day: int) -> str:
    minute = slot * grid.interval_s // 60
    return f"{grid.day(day).isoformat()} {minute // 60:02d}:{minute % 60:02d}"


def _worst(grid: CalendarGrid, shown: Quantity, wide: float, high: float, words: HeatWords) -> str:
    found = _worst_cell(grid, shown)
    if found is None:
        return ""
    slot, day = found
    x, y = LEFT + (day + 0.5) * wide, TOP + (slot + 0.5) * high
    word = words.lowest if shown.worse_is_low else words.highest
    text = f"{word} {shown.text(float(grid.values[slot, day]))}, {_civil(grid, slot, day)}"
    to_left = x + 14 + width_px(text, 12.0) > LEFT + grid.values.shape[1] * wide
    return element(
        "g",
        element("circle", class_="halo", cx=x, cy=y, r=8.0),
        element("circle", class_="worst", cx=x, cy=y, r=8.0),
        text_element(
            "text", text, class_="strong", x=x - 13 if to_left else x + 13,
            y=min(max(y + 4, TOP + 14), TOP + ROWS_PX - 8), font_size=12.0,
            text_anchor="end" if to_left else None,
        ),
    )  # fmt: skip


def _clock(grid: CalendarGrid, time_zone: str, words: HeatWords) -> str:
    if time_zone == "UTC":
        return words.utc
    text = words.civil.format(zone=time_zone)
    if grid.doubled or grid.skipped:
        text += f" {words.changes}"
    return text


def _description(grid: CalendarGrid, shown: Quantity, time_zone: str, words: HeatWords) -> str:
    parts = [f"{grid.day(0).isoformat()} – {grid.day(grid.values.shape[1] - 1).isoformat()}"]
    found = _worst_cell(grid, shown)
    if found is not None:
        word = words.lowest if shown.worse_is_low else words.highest
        at = label(int(grid.at_s[found]))
        parts.append(f"{word} {shown.text(float(grid.values[found]))} ({at})")
    hours = grid.interval_s / 3600
    with np.errstate(invalid="ignore"):
        for limit, beyond, word in (
            (shown.low, grid.values < (shown.low or 0.0), words.below),
            (shown.high, grid.values > (shown.high or 0.0), words.above),
        ):
            if limit is not None:
                parts.append(f"{beyond.sum() * hours:,.2f} h {word} {limit:g} {shown.unit}")
    missing = int((np.isnan(grid.values) & grid.exists).sum())
    if missing:
        parts.append(f"{missing} {words.missing}")
    parts.append(_clock(grid, time_zone, words))
    return " · ".join(parts)


def _legend(
    kinds: Int, edges: Float, shown: Quantity, words: HeatWords, prefix: str
) -> list[list[Key]]:
    def swatch(name: str, text: str) -> Key:
        box = {"x": -8.0, "y": -8.0, "width": 16.0, "height": 16.0}
        sign = element("rect", class_=f"cell {name}", **box)
        if name in ("below", "above", "nodata"):
            sign += element("rect", fill=f"url(#{prefix}-{name})", **box)
        return Key(sign, 16.0, text)

    row = [heading(shown.unit)]
    for step in range(CLASSES):
        place = CLASSES - 1 - step if shown.worse_is_low else step
        low, high = (f"{edges[step + k]:.{shown.digits}f}" for k in (0, 1))
        row.append(swatch(f"c{place}", f"{low}–{high}"))
    last = []
    if shown.low is not None:
        last.append(swatch("below", f"{words.below} {shown.low:g} {shown.unit}"))
    if shown.high is not None:
        last.append(swatch("above", f"{words.above} {shown.high:g} {shown.unit}"))
    if (kinds == _MISSING).any():
        last.append(swatch("nodata", words.missing))
    return [row, last] if last else [row]
