"""What training leaves behind, and the matrix that training and forecasting share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import xarray as xr

from dispatch.forecast.kinds import KINDS
from dispatch.forecast.outlook import Outside
from dispatch.forecast.past import DAY_S, Past, look_back
from dispatch.forecast.trees import QUANTILES, Trees
from grid.errors import BadInputError

__all__ = ["QUANTILES", "ForecastModel", "powers", "require_kind"]

Float = npt.NDArray[np.float64]

MIN_DAYS: Final = 8
KEEP_DAYS: Final = 29
MISSING_SHARE_MAX: Final = 0.5


@dataclass(frozen=True, slots=True)
class ForecastModel:
    """A trained forecast of some series and of the total of each of their groups.

    Attributes
    ----------
    series : tuple of str
    groups : tuple of str
        Sorted; each is a row after the series, its total.
    group_kind : tuple of str
        A name of :data:`dispatch.forecast.kinds.KINDS` per group.
    member : ndarray of int64 (series,)
        The group of each series.
    interval_s, utc_offset_s : int
    start_s, until_s : int
        The history is ``[start_s, until_s)``.
    history_kw : ndarray of float64 (series, step)
        NaN where missing.
    weight : ndarray of float64 (series, step)
        Within 0 to 1: what each power of the history says.
    level_kw : ndarray of float64 (series,)
        Mean power.
    rating_kw : ndarray of float64 (series,)
        The most that a series can be, NaN where that is not told.
    proportions : tuple of ndarray of float64 (feature,)
        Of the series of each group, then of the total of each group; empty
        after a cold start.
    error_quantiles : ndarray of float64 (quantile, row, lead band)
        Errors in units of the spread; rows are series, then totals.
    trees : tuple of Trees or None
        For each block of `proportions`, what corrects it; None where the proportions
        alone are better.
    errors : ndarray of float32 (origin, series, lead)
        Errors of past forecasts that had not seen their day, in units of the spread; a day
        of leads, NaN where unknown.
    error_origins : ndarray of int64 (origin,)
        Steps of the history at which they began.
    outside : Outside
        Where the plants stand, without any weather.
    by_weather : ForecastModel or None
        The same, trained where weather was foretold; empty proportions where there was too
        little of it for a block.
    """

    series: tuple[str, ...]
    groups: tuple[str, ...]
    group_kind: tuple[str, ...]
    member: npt.NDArray[np.int64]
    interval_s: int
    utc_offset_s: int
    start_s: int
    until_s: int
    history_kw: Float
    weight: Float
    level_kw: Float
    rating_kw: Float
    proportions: tuple[Float, ...]
    error_quantiles: Float
    trees: tuple[Trees | None, ...] = ()
    errors: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0, 0), np.float32))
    error_origins: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    outside: Outside = field(default_factory=Outside)
    by_weather: ForecastModel | None = None

    @property
    def cold(self) -> bool:
        """Whether there was too little history to learn from."""
        return not self.proportions

    @property
    def day(self) -> int:
        """Steps of a day."""
        return DAY_S // self.interval_s

    @property
    def blocks(self) -> tuple[tuple[str, npt.NDArray[np.intp]], ...]:
        """Kind and rows of the series of each group, then of each total."""
        count = len(self.series)
        members = tuple(
            (kind, np.flatnonzero(self.member == group))
            for group, kind in enumerate(self.group_kind)
        )
        totals = tuple(
            (kind, np.array([count + group])) for group, kind in enumerate(self.group_kind)
        )
        return members + totals

    def past(
        self, power: Float, trust: Float, start_s: int, first: int, *, clear_sky: bool = False
    ) -> Past:
        """Return the past of every row: the series of `power` and their totals.

        Parameters
        ----------
        power : ndarray of float64 (series, step)
            kW from `start_s` on, NaN where unknown.
        trust : ndarray of float64 (series, step)
            Within 0 to 1: what each power says in means.
        start_s : int
        first : int
            The column at which the past begins; it ends with `power`.
        clear_sky : bool
            Whether a clear sky raises the envelope of plants of which it is told. A forecast
            by weather needs it: after dull weeks a fine day may be foretold. A forecast by
            the past alone is worse with it, for then the highest of late says more.
        """
        count = power.shape[1]
        civil_s = start_s + self.utc_offset_s + self.interval_s * np.arange(count, dtype=np.int64)
        rows = np.concatenate([power, self._totals(power)])
        level = np.concatenate([self.level_kw, self.total(self.level_kw[:, None])[:, 0]])
        at_s = civil_s - self.utc_offset_s
        clear = self.outside.clear_kw(self.series, at_s, self.interval_s) if clear_sky else None
        return look_back(
            rows,
            civil_s,
            level,
            self.weights(trust),
            day=self.day,
            first=first,
            last=count,
            clear=None if clear is None else np.concatenate([clear, self.total(clear)]),
        )

    def weights(self, weight: Float) -> Float:
        """Return the weights of every row: the series', and of each total its members' mean."""
        lost = self.total((1.0 - weight) * (self.level_kw[:, None] + 1e-9))
        whole = self.total(self.level_kw[:, None] + 1e-9)
        return np.concatenate([weight, 1.0 - np.minimum(lost / whole, 1.0)])

    def total(self, values: Float) -> Float:
        """Return the sums (group, ...) of values (series, ...) over each group."""
        inside = self.member == np.arange(len(self.groups))[:, None]
        total: Float = inside.astype(np.float64) @ values
        return total

    def _totals(self, power: Float) -> Float:
        """Return the total of each group, NaN where too much of it is missing.

        A missing member counts with the day before or, failing that, its mean.
        """
        known = np.isfinite(power)
        share = self.total(np.where(known, self.level_kw[:, None], 0.0))
        whole = self.total(self.level_kw[:, None])
        filled = np.where(known, power, self.level_kw[:, None])
        if not known.all():
            earlier = filled[:, : -self.day]
            filled[:, self.day :] = np.where(known[:, self.day :], power[:, self.day :], earlier)
        enough = share >= (1 - MISSING_SHARE_MAX) * whole
        return np.where(
            enough & (self.total(known.astype(np.float64)) > 0), self.total(filled), np.nan
        )


def powers(dataset: xr.Dataset, name: str) -> tuple[list[str], npt.NDArray[np.int64], Float]:
    """Return series names, starts in seconds and powers (series, step) of a dataset.

    A power below zero, left by meters that were not read at once, counts as zero.

    Raises
    ------
    BadInputError
        When a coordinate is missing, starts are uneven, or a power is infinite.
    """
    if "power_kw" not in dataset or not {"series", "interval"} <= set(dataset.coords):
        raise BadInputError(f"{name}: needs power_kw over coordinates series and interval")
    at_s = dataset["interval"].values.astype("datetime64[s]").astype(np.int64)
    if at_s.size > 1 and (np.diff(at_s) != at_s[1] - at_s[0]).any():
        raise BadInputError(f"{name}: interval starts are not contiguous")
    power = dataset["power_kw"].transpose("series", "interval").values.astype(np.float64)
    infinite = np.isinf(power)
    if infinite.any():
        row, step = (int(axis[0]) for axis in np.nonzero(infinite))
        series = dataset["series"].values[row]
        raise BadInputError(f"{name}: power_kw of {series} is {power[row, step]} at step {step}")
    return [str(item) for item in dataset["series"].values], at_s, np.maximum(power, 0.0)


def require_kind(kind: str) -> str:
    """Return `kind` when it is a kind of forecast.

    Raises
    ------
    BadInputError
    """
    if kind not in KINDS:
        raise BadInputError(f"forecast kind {kind!r} is none of {', '.join(sorted(KINDS))}")
    return kind


def trust_of(dataset: xr.Dataset, name: str) -> Float:
    """Return what each power of a dataset says (series, step), 1 where that is not told.

    Raises
    ------
    BadInputError
        When a weight is not within 0 to 1.
    """
    if "weight" not in dataset:
        return np.ones(dataset["power_kw"].transpose("series", "interval").shape)
    weight = dataset["weight"].transpose("series", "interval").values.astype(np.float64)
    wrong = ~((weight >= 0) & (weight <= 1))
    if wrong.any():
        raise BadInputError(f"{name}: a weight is {weight[wrong][0]}, must be within 0 to 1")
    return weight
