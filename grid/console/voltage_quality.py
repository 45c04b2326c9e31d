"""Voltage quality: each usage point's week, judged after EN 50160 as far as its meter tells."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from flask import Blueprint, abort, render_template, request

from grid import interval
from grid.console.web_view import clock, room

pages = Blueprint("voltage_quality", __name__, url_prefix="/quality")

_LOW_PU, _HIGH_PU, _BINS = 0.82, 1.18, 36
_WIDTH, _HEIGHT = 144.0, 26.0
_SHOWN = 300
_WEEKS_BACK = 520


@dataclass(frozen=True, slots=True)
class Row:
    """One usage point's week; what is not known is None."""

    usage_point: str
    verdict: str
    within: float | None
    lowest_v: float | None
    highest_v: float | None
    low_end_v: float | None
    high_end_v: float | None
    known: float
    bars: str


def bars(counted: npt.NDArray[np.int64]) -> str:
    """Return a distribution as an SVG path: a bar for each bin that has values, pixels."""
    step, most = _WIDTH / len(counted), max(int(counted.max(initial=0)), 1)
    drawn = []
    for number, count in enumerate(counted.tolist()):
        if count:
            # One reading among hundreds is what the picture is for: it is never less than a pixel.
            size = max(1.0, (_HEIGHT - 2) * count / most)
            drawn.append(
                f"M{number * step:.1f} {_HEIGHT - size:.1f}h{step - 0.6:.1f}v{size:.1f}"
                f"h{0.6 - step:.1f}z"
            )
    return "".join(drawn)


def _x(pu: float) -> float:
    return round((pu - _LOW_PU) / (_HIGH_PU - _LOW_PU) * _WIDTH, 1)


@pages.get("")
def week() -> str:
    """Show a week of every usage point, those that are not kept first."""
    from grid.operation import voltage_quality
    from grid.operation.validation_facts import PHASE_VOLTAGE_V

    here = room()
    with here.store.read() as tx:
        now_s = clock(tx)
        if now_s is None:
            return render_template("voltage_quality.html", rows=None)
        zone = here.site.time_zone
        newest = interval.week_of(interval.local_day(now_s, zone))
        text = request.args.get("week")
        shown = interval.parse_week(text) if text else newest - dt.timedelta(days=7)
        if not newest - dt.timedelta(weeks=_WEEKS_BACK) <= shown <= newest:
            abort(404)
        found = voltage_quality.week(here.site, tx, shown)
    rows = _rows(found)
    before, after = shown - dt.timedelta(days=7), shown + dt.timedelta(days=7)
    counts = {word: sum(row.verdict == word for row in rows) for word in _ORDER}
    return render_template(
        "voltage_quality.html",
        rows=rows[:_SHOWN],
        more=max(len(rows) - _SHOWN, 0),
        counts=counts,
        week=interval.week_label(shown),
        first=shown,
        last=after - dt.timedelta(days=1),
        is_over=shown < newest,
        before=interval.week_label(before),
        after=interval.week_label(after) if after <= newest else None,
        rules=found.report.rules,
        nominal_v=PHASE_VOLTAGE_V,
        coverage=found.report.weeks.attrs["coverage_min_percent"],
        width=_WIDTH,
        height=_HEIGHT,
        limits=[_x(found.report.rules.usual.low), _x(found.report.rules.usual.high)],
    )


_ORDER = ("not_kept", "indicative_not_kept", "insufficient", "indicative_kept", "kept")


def _rows(found: Any) -> list[Row]:
    from grid.operation.validation_facts import PHASE_VOLTAGE_V
    from networks.quality.rules import Verdict
    from networks.quality.voltage import distribution

    weeks = found.report.weeks.isel(week=0)
    edges = np.linspace(_LOW_PU, _HIGH_PU, _BINS + 1)
    usable = found.voltage_v.where(~found.flagged).to_numpy() / PHASE_VOLTAGE_V
    counted = distribution(usable, edges)
    columns = {name: weeks[name].to_numpy() for name in weeks.data_vars}

    def of(name: str, point: int, scale: float = 1.0) -> float | None:
        value = float(columns[name][point])
        return None if np.isnan(value) else value * scale

    rows = [
        Row(
            usage_point=str(name),
            verdict=Verdict(int(columns["verdict"][point])).name.lower(),
            within=of("share_within_percent", point),
            lowest_v=of("vm_pu_lowest", point, PHASE_VOLTAGE_V),
            highest_v=of("vm_pu_highest", point, PHASE_VOLTAGE_V),
            low_end_v=of("vm_pu_low_end", point, PHASE_VOLTAGE_V),
            high_end_v=of("vm_pu_high_end", point, PHASE_VOLTAGE_V),
            known=float(columns["coverage_percent"][point]),
            bars=bars(counted[point]),
        )
        for point, name in enumerate(weeks["usage_point"].to_numpy().tolist())
    ]
    return sorted(rows, key=lambda row: (_ORDER.index(row.verdict), row.within or 0.0))
