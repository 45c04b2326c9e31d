"""The weekly report of voltages after EN 50160.

A verdict needs 10-minute means that meters captured themselves. Other lengths and spot
readings show where to look: what is said of them is marked *indicative*. Flagged intervals are
left out (the flagging concept of IEC 61000-4-30, 4.7: a dip, swell or interruption is counted
once, as what it is). Where too little of a week is left, nothing is said to be kept; a rule that
is broken whatever the missing values were is still said to be broken.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid import interval
from grid.errors import BadInputError, Finding
from networks.model import Bool, Float, Int
from networks.quality.findings import findings
from networks.quality.rules import INTERRUPTED_PU, MEAN_S, RULES, Band, Rules, Verdict

COVERAGE_MIN_PERCENT = 90.0
"""Of a week's intervals, what must be there and unflagged for something to be kept. EN 50160
names none; this share is ours and is told with each report."""


@dataclass(frozen=True, eq=False)
class Report:
    """Weeks of voltages and what is noticed about them.

    Attributes
    ----------
    weeks : xarray.Dataset
        (week, usage_point): `verdict` (:class:`Verdict`, uint8), `share_within_percent`,
        `vm_pu_lowest`, `vm_pu_highest`, `vm_pu_low_end` and `vm_pu_high_end`, between which the
        middle 95 % are, `coverage_percent` of the week, `intervals_flagged`,
        `intervals_outside` beyond the band of all values; with unbalance
        `unbalance_verdict`, `unbalance_share_within_percent` and
        `unbalance_percent_highest`. NaN where nothing is usable. `week` is ``2026-W05``,
        `week_start` its first instant.
    findings : tuple of Finding
        One for each week of a point that is not kept, and one for each week with points of which
        too little is known.
    indicative : bool
    rules : Rules
    """

    weeks: xr.Dataset
    findings: tuple[Finding, ...]
    indicative: bool
    rules: Rules


def weekly(
    voltage: xr.DataArray,
    *,
    interval_s: int,
    time_zone: str,
    rules: Rules | None = None,
    nominal_v: npt.ArrayLike | None = None,
    flagged: xr.DataArray | None = None,
    unbalance_percent: xr.DataArray | None = None,
    spot: bool = False,
    coverage_min_percent: float = COVERAGE_MIN_PERCENT,
) -> Report:
    """Return the report of every local week that a series touches.

    Parameters
    ----------
    voltage : xarray.DataArray, dims (interval, usage_point) or (interval, usage_point, phase)
        Evenly spaced from one interval to the next; NaN where missing. Of several phases the
        worst counts.
    interval_s : int
        Length of the intervals.
    time_zone : str
        Weeks begin on Monday at 00:00 there.
    rules : Rules, optional
        Those of low voltage when not given.
    nominal_v : float (usage_point,) or float, optional
        Nominal or declared voltage when `voltage` is in V; it is per unit when not given.
    flagged : xarray.DataArray of bool, optional
        As `voltage`: intervals with a dip, a swell or an interruption in them.
    unbalance_percent : xarray.DataArray, dims (interval, usage_point), optional
        Negative over positive sequence, means of the same intervals.
    spot : bool
        Whether the values are readings of a moment, not means of their interval.
    coverage_min_percent : float

    Raises
    ------
    BadInputError
        A series that is not even, dims that are not these, a nominal voltage that is not above
        0, or a share out of range.
    """
    chosen = RULES["lv"] if rules is None else rules
    if not 0.0 < coverage_min_percent <= 100.0:
        raise BadInputError(
            f"coverage_min_percent is {coverage_min_percent}, must be within 0 to 100"
        )
    starts_s = _starts(voltage, interval_s)
    mondays, edges, lengths = _weeks(starts_s, interval_s, time_zone)
    coordinates = {
        "week": [interval.week_label(monday) for monday in mondays],
        "usage_point": voltage["usage_point"].to_numpy(),
        "week_start": (
            "week",
            np.array(
                [interval.week_bounds(monday, time_zone)[0] for monday in mondays], dtype=np.int64
            ).astype("datetime64[s]"),
        ),
    }
    aligned = bool((starts_s % MEAN_S == 0).all())
    indicative = spot or interval_s != MEAN_S or not aligned
    part = _Part(edges, lengths, coverage_min_percent, indicative)
    scale = _scale(voltage, nominal_v)
    values = part.of(voltage, flagged, scale, chosen.usual, chosen.all_values, INTERRUPTED_PU)
    found = {
        "verdict": values["verdict"],
        "share_within_percent": values["share"],
        "vm_pu_lowest": values["lowest"],
        "vm_pu_highest": values["highest"],
        "vm_pu_low_end": values["low_end"],
        "vm_pu_high_end": values["high_end"],
        "coverage_percent": values["coverage"],
        "intervals_flagged": values["flagged"],
        "intervals_outside": values["outside"],
    }
    if unbalance_percent is not None:
        _starts(unbalance_percent, interval_s)
        whole = Band(-np.inf, np.inf, 100.0)
        ones = np.ones(voltage.sizes["usage_point"])
        gone = None if flagged is None or "phase" in flagged.dims else flagged
        more = part.of(unbalance_percent, gone, ones, chosen.unbalance, whole, -np.inf)
        found |= {
            "unbalance_verdict": more["verdict"],
            "unbalance_share_within_percent": more["share"],
            "unbalance_percent_highest": more["highest"],
        }
    weeks = xr.Dataset(
        {name: (("week", "usage_point"), column) for name, column in found.items()},
        coordinates,
        {
            "rules": chosen.edition,
            "interval_s": interval_s,
            "values": "spot readings" if spot else "means",
            "coverage_min_percent": coverage_min_percent,
            "verdicts": " ".join(f"{one.value}={one.words.replace(' ', '_')}" for one in Verdict),
        },
    )
    return Report(weeks, tuple(findings(weeks, chosen)), indicative, chosen)


def distribution(voltage_pu: Float, edges: Float) -> Int:
    """Return how many values of each column are in each bin, (column, bin).

    Parameters
    ----------
    voltage_pu : float64 (interval, column)
        NaN where missing. Values beyond the outer edges count in the outer bins.
    edges : float64 (bin + 1,)
    """
    columns, bins = voltage_pu.shape[1], len(edges) - 1
    known = np.isfinite(voltage_pu)
    place = np.clip(np.digitize(voltage_pu, edges) - 1, 0, bins - 1)
    flat = (np.arange(columns) * bins + place)[known]
    counted = np.bincount(flat, minlength=columns * bins).reshape(columns, bins)
    return counted.astype(np.int64)


def _starts(series: xr.DataArray, interval_s: int) -> Int:
    """Return the interval starts of a series in seconds, checked to be even."""
    dims = tuple(series.dims)
    if dims not in (("interval", "usage_point"), ("interval", "usage_point", "phase")):
        raise BadInputError(f"voltages have dims {dims}, must be (interval, usage_point[, phase])")
    starts_s = series["interval"].to_numpy().astype("datetime64[s]").astype(np.int64)
    if interval_s < 1:
        raise BadInputError(f"interval_s is {interval_s}, must be above 0")
    steps = np.diff(starts_s)
    if (steps != interval_s).any():
        at = int(np.argmax(steps != interval_s))
        raise BadInputError(
            f"voltages after {interval.label(int(starts_s[at]))} go on after {steps[at]} s, "
            f"must be {interval_s} s: put NaN where a value is missing"
        )
    return starts_s


def _weeks(starts_s: Int, interval_s: int, time_zone: str) -> tuple[list[date], Int, Int]:
    """Return (Mondays, rows of each week, how many intervals a whole week has)."""
    mondays: list[date] = []
    edges, lengths = [], []
    if not len(starts_s):
        return mondays, np.zeros((0, 2), np.int64), np.zeros(0, np.int64)
    monday = interval.week_of(interval.local_day(int(starts_s[0]), time_zone))
    while (bounds := interval.week_bounds(monday, time_zone))[0] <= starts_s[-1]:
        mondays.append(monday)
        edges.append(np.searchsorted(starts_s, bounds))
        lengths.append(-(-(bounds[1] - bounds[0]) // interval_s))
        monday += timedelta(days=7)
    return mondays, np.array(edges, dtype=np.int64), np.array(lengths, dtype=np.int64)


def _scale(voltage: xr.DataArray, nominal_v: npt.ArrayLike | None) -> Float:
    points = voltage.sizes["usage_point"]
    if nominal_v is None:
        return np.ones(points)
    nominal = np.broadcast_to(np.asarray(nominal_v, dtype=np.float64), (points,))
    for name, value in zip(voltage["usage_point"].to_numpy(), nominal, strict=True):
        if not 0.0 < value < np.inf:
            raise BadInputError(f"{name}: nominal voltage is {value} V, must be above 0")
    return np.asarray(1.0 / nominal, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class _Part:
    """How weeks are counted."""

    edges: Int
    lengths: Int
    coverage_min_percent: float
    indicative: bool

    def of(
        self,
        series: xr.DataArray,
        flagged: xr.DataArray | None,
        scale: Float,
        usual: Band,
        all_values: Band,
        floor: float,
    ) -> dict[str, Any]:
        """Return columns (week, usage_point) of one quantity."""
        from networks.quality.kernel import count_weeks

        values = series.to_numpy()
        if values.dtype not in (np.float32, np.float64):
            values = values.astype(np.float64)
        phases = values.shape[2] if values.ndim == 3 else 1
        shape = (len(values), series.sizes["usage_point"] * phases)
        flags: Bool | None = None
        if flagged is not None:
            if flagged.shape != series.shape:
                raise BadInputError(f"flags have shape {flagged.shape}, must be {series.shape}")
            flags = flagged.to_numpy().astype(np.bool_).reshape(shape)
        counts = count_weeks(
            values.reshape(shape), flags, np.repeat(scale, phases),
            (usual.low, usual.high), (all_values.low, all_values.high), floor, self.edges,
        )  # fmt: skip
        lengths = self.lengths[:, None]
        usable, under, over = counts.usable, counts.under, counts.over
        with np.errstate(invalid="ignore", divide="ignore"):
            coverage = 100.0 * usable / lengths
            share = np.where(usable > 0, 100.0 * (1.0 - (under + over) / usable), np.nan)
        broken = _broken(usual, under, over, usable) | (counts.outside > 0)
        # Broken whatever the values that are missing were.
        surely = _broken(usual, under, over, lengths - counts.flagged) | (counts.outside > 0)
        enough = coverage >= self.coverage_min_percent - 1e-9
        kept = Verdict.INDICATIVE_KEPT if self.indicative else Verdict.KEPT
        not_kept = Verdict.INDICATIVE_NOT_KEPT if self.indicative else Verdict.NOT_KEPT
        verdict = np.where(enough & ~broken, kept, Verdict.INSUFFICIENT)
        verdict = np.where((enough & broken) | surely, not_kept, verdict)

        def worst(column: npt.NDArray[Any], reduce: Any) -> npt.NDArray[Any]:
            shaped = column.reshape(len(column), series.sizes["usage_point"], phases)
            return np.asarray(shaped[..., 0] if phases == 1 else reduce(shaped, axis=2))

        # Not kept is worse than too little, and that is worse than kept.
        rank = np.where(verdict == not_kept, 2, np.where(verdict == Verdict.INSUFFICIENT, 1, 0))
        ranked = np.array([kept, Verdict.INSUFFICIENT, not_kept], dtype=np.uint8)
        return {
            "verdict": ranked[worst(rank, np.max)],
            "share": worst(share, np.min),
            "lowest": worst(counts.lowest, np.min),
            "highest": worst(counts.highest, np.max),
            "low_end": worst(counts.low_end, np.min),
            "high_end": worst(counts.high_end, np.max),
            "coverage": worst(coverage, np.min),
            "flagged": worst(counts.flagged, np.max),
            "outside": worst(counts.outside, np.max),
        }


def _broken(band: Band, under: Int, over: Int, of: Int) -> Bool:
    """Return whether more values are outside a band than it allows of `of`."""
    allowed = (100.0 - band.share_percent) / 100.0 * of + 1e-9
    if band.each_side:
        return np.asarray((under > allowed) | (over > allowed))
    return np.asarray(under + over > allowed)
