"""A day of energy as bars: an estimate is hatched and marked, what is missing is a gap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from grid.console.web_quality import ESTIMATED, FLAGGED
from meters.reading import MISSING
from meters.vee.quality import Quality

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 800.0, 340.0, 58.0, 36.0, 24.0
_READ_WITHIN_S = 900


@dataclass(frozen=True, slots=True)
class Slot:
    """One quarter-hour: energies in Wh (``None``: missing) and its bars' geometry."""

    at_s: int
    x: float
    width: float
    import_wh: int | None
    export_wh: int | None
    import_px: float
    export_px: float
    quality: Quality
    estimated: bool
    flagged: bool


@dataclass(frozen=True, slots=True)
class DayChart:
    """The bars of a day with their scale.

    `runs` are the flagged quarter-hours by quality: first start, last end, quality.
    """

    slots: list[Slot]
    runs: list[tuple[int, int, Quality]]
    left: float
    zero: float
    top: float
    bottom: float
    height: float
    rules: list[tuple[float, str]]
    hours: list[tuple[float, int]]
    import_wh: int
    export_wh: int
    estimated: int
    missing: int


def day_chart(found: xr.Dataset, now_s: int) -> DayChart:
    """Return the chart of one usage point's day, up to `now_s`."""
    starts = found["interval"].values.astype("datetime64[s]").astype(np.int64)
    imports, exports = (found[name].values[0] for name in ("import_wh", "export_wh"))
    quality = found["quality"].values[0]
    high_in = max(int(imports.max(initial=0)), 100)
    high_out = max(int(exports.max(initial=0)), 0)
    scale = (_HEIGHT - _TOP - _BOTTOM) / (high_in + high_out)
    zero = _TOP + high_in * scale
    width = (_WIDTH - _LEFT) / max(len(starts), 1)
    slots: list[Slot] = []
    for n, at_s in enumerate(starts.tolist()):
        if at_s >= now_s:
            break
        known = imports[n] != MISSING and exports[n] != MISSING
        if not known and at_s >= now_s - _READ_WITHIN_S:
            break
        code = Quality(int(quality[n])) if known else Quality.MISSING
        slots.append(
            Slot(
                at_s=at_s,
                x=round(_LEFT + n * width, 2),
                width=round(width * 0.86, 2),
                import_wh=int(imports[n]) if known else None,
                export_wh=int(exports[n]) if known else None,
                import_px=round(int(imports[n]) * scale, 2) if known else 0.0,
                export_px=round(int(exports[n]) * scale, 2) if known else 0.0,
                quality=code,
                estimated=code in ESTIMATED,
                flagged=code in FLAGGED,
            )
        )
    step = _step(high_in + high_out)
    marks = range(-(high_out // step) * step, high_in + 1, step)
    return DayChart(
        slots=slots,
        runs=_runs(slots, int(starts[1] - starts[0]) if len(starts) > 1 else 0),
        left=_LEFT,
        zero=round(zero, 2),
        top=_TOP,
        bottom=_HEIGHT - _BOTTOM,
        height=_HEIGHT,
        rules=[(round(zero - mark * scale, 2), f"{abs(mark)}") for mark in marks],
        hours=[
            (round(_LEFT + n * width, 2), int(at_s)) for n, at_s in enumerate(starts) if n % 16 == 0
        ],
        import_wh=sum(slot.import_wh or 0 for slot in slots),
        export_wh=sum(slot.export_wh or 0 for slot in slots),
        estimated=sum(slot.estimated for slot in slots),
        missing=sum(slot.import_wh is None for slot in slots),
    )


def _runs(slots: list[Slot], step_s: int) -> list[tuple[int, int, Quality]]:
    runs: list[tuple[int, int, Quality]] = []
    for slot in slots:
        if not slot.flagged:
            continue
        if runs and runs[-1][1:] == (slot.at_s, slot.quality):
            runs[-1] = (runs[-1][0], slot.at_s + step_s, slot.quality)
        else:
            runs.append((slot.at_s, slot.at_s + step_s, slot.quality))
    return runs


def _step(span: int) -> int:
    step = 10
    while span / step > 5:
        step *= 5 if str(step)[0] == "1" else 2
    return step
