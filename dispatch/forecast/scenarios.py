"""Scenarios of what a forecast leaves open, joint in time and between series.

Each scenario takes a whole trailing day: how each series then stood among its
own days, at each time of day, is where it stands within the quantiles that the
forecast states now. So what went together goes together again, and the share of scenarios
below a quantile is that quantile's (Clark et al., *The Schaake shuffle*, Journal of
Hydrometeorology 5 (2004)). Errors are of forecasts that were not fitted to their day.

Many scenarios are reduced to few by forward selection in the Kantorovich distance
(Heitsch, Römisch, *Scenario reduction algorithms in stochastic programming*,
Computational Optimization and Applications 24 (2003), algorithm 2.4): what is left
out gives its probability to the nearest that stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
import xarray as xr

from dispatch.forecast.model import ForecastModel
from dispatch.forecast.trees import QUANTILES
from grid.errors import BadInputError

Float = npt.NDArray[np.float64]

MIN_TRAILING_DAYS: Final = 5
"""With fewer days a scenario draws one rank for all: the widest that could be."""
TAIL: Final = 1.0
"""How far the outermost scenario lies beyond an outer quantile, in distances to the median."""


def scenarios(
    model: ForecastModel,
    ahead: xr.Dataset,
    *,
    count: int,
    keep: int,
    seed: int,
    limit_kw: Mapping[str, float] | None = None,
) -> tuple[Float, dict[str, Float]]:
    """Return `keep` scenarios of a forecast, and how likely each is.

    Parameters
    ----------
    model : ForecastModel
        That made the forecast.
    ahead : Dataset
        Of :func:`dispatch.forecast.predict`.
    count : int
        Scenarios that are drawn, 1 to 2000; the days take turns.
    keep : int
        Scenarios that stay, 1 to `count`.
    seed : int
        The same seed gives the same scenarios.
    limit_kw : mapping of str to float, optional
        The highest power of a series: its rating or connection.

    Returns
    -------
    probability : ndarray of float64 (keep,)
        They add up to 1.
    scenario : dict of str to ndarray of float64 (keep, interval)
        kW of each series, >= 0 and never above what the forecast calls possible: the sun
        stays dark at night.

    Raises
    ------
    BadInputError
        When a number is out of range, or the forecast is of other series.
    """
    if not 1 <= keep <= count <= 2000:
        raise BadInputError(
            f"scenarios: keep {keep} and count {count} must be 1 <= keep <= count <= 2000"
        )
    if [str(one) for one in ahead["series"].values] != list(model.series):
        raise BadInputError("scenarios: the forecast is of other series than the model")
    quantiles, most = ahead["power_kw"].values, ahead["most_kw"].values.copy()
    for row, name in enumerate(model.series):
        most[row] = np.minimum(most[row], (limit_kw or {}).get(name, np.inf))
    if not np.isfinite(quantiles).all() or np.isnan(most).any() or (most < 0).any():
        raise BadInputError("scenarios: the forecast or a limit has a power that cannot be")
    start_s = int(ahead["interval"].values[0].astype("datetime64[s]").astype(np.int64))
    standing = _standing(model, start_s, quantiles.shape[2], count, seed)
    power = np.clip(_at(quantiles, standing), 0.0, most)
    chosen, probability = reduce(power.reshape(count, -1), keep)
    return probability, {name: power[chosen, row] for row, name in enumerate(model.series)}


def _standing(model: ForecastModel, start_s: int, n: int, count: int, seed: int) -> Float:
    """Return within 0 to 1 where each scenario stands (scenario, series, step)."""
    rng = np.random.default_rng(seed)
    rows = len(model.series)
    errors = trailing_errors(model, start_s)
    days = errors.shape[0]
    if days < MIN_TRAILING_DAYS:
        flat = (rng.permutation(count) + 0.5) / count
        return np.broadcast_to(flat[:, None, None], (count, rows, n))
    order = np.argsort(np.argsort(np.nan_to_num(errors, nan=np.inf), axis=0), axis=0)
    known = np.isfinite(errors)
    rank = np.where(known, order, np.maximum(known.sum(axis=0) - 1, 0) / 2)
    of = np.maximum(known.sum(axis=0), 1)
    turns = [rng.permutation(days) for _ in range(-(-count // days))]
    day = np.concatenate(turns)[:count]
    # Within its rank a scenario stands where chance puts the series, for all its steps.
    jitter = rng.random((count, rows, 1))
    result = np.empty((count, rows, n))
    for first in range(0, n, model.day):
        width = min(model.day, n - first)
        # The next day of a scenario is the day that came next; days are youngest first.
        now = (day - first // model.day) % days
        result[:, :, first : first + width] = ((rank[now] + jitter) / of)[:, :, :width]
    return result


def trailing_errors(model: ForecastModel, start_s: int) -> Float:
    """Return errors (day, series, lead) of the trailing days, youngest first.

    Lead 0 is the time of day of `start_s`. Of each day those errors are taken whose forecast
    began nearest that time of day; an hour that it did not reach is that of its own day before.
    """
    day, step = model.day, model.interval_s
    phase = (start_s - model.start_s) // step % day
    origin = model.error_origins
    if not origin.size:
        return np.zeros((0, len(model.series), day))
    off = (origin - phase + day // 2) % day - day // 2
    number = (origin - off - phase) // day
    found = []
    for one in sorted(set(number.tolist()), reverse=True):
        here = np.flatnonzero(number == one)
        best = here[np.argmin(np.abs(off[here]))]
        found.append(np.roll(model.errors[best], int(off[best]), axis=-1))
    return np.stack(found).astype(np.float64)


def _at(quantiles: Float, standing: Float) -> Float:
    """Return the powers (scenario, series, step) at shares of the stated distribution."""
    low, middle, high = quantiles
    ends = (low - TAIL * (middle - low), high + TAIL * (high - middle))
    support = np.stack([ends[0], low, middle, high, ends[1]])
    levels = np.array([0.0, *QUANTILES, 1.0])
    part = np.clip(np.searchsorted(levels, standing, side="right"), 1, len(levels) - 1)
    share = (standing - levels[part - 1]) / (levels[part] - levels[part - 1])
    row, step = np.ogrid[: quantiles.shape[1], : quantiles.shape[2]]
    below, above = support[part - 1, row, step], support[part, row, step]
    result: Float = below + share * (above - below)
    return result


def reduce(scenario: Float, keep: int) -> tuple[npt.NDArray[np.intp], Float]:
    """Return which scenarios stay, ascending, and their probabilities.

    Parameters
    ----------
    scenario : ndarray of float64 (scenario, value)
        Equally likely.
    keep : int
        1 to the number of scenarios.

    Returns
    -------
    chosen : ndarray of int (keep,)
    probability : ndarray of float64 (keep,)
    """
    count = len(scenario)
    square = (scenario**2).sum(axis=1)
    apart = np.sqrt(np.maximum(square[:, None] + square - 2.0 * scenario @ scenario.T, 0.0))
    np.fill_diagonal(apart, 0.0)
    nearest = np.full(count, np.inf)
    free = np.ones(count, np.bool_)
    for _ in range(keep):
        cost = np.minimum(apart, nearest).sum(axis=1)
        best = int(np.argmin(np.where(free, cost, np.inf)))
        free[best] = False
        nearest = np.minimum(nearest, apart[best])
    chosen = np.flatnonzero(~free)
    heir = np.argmin(apart[:, chosen], axis=1)
    # A scenario that stays is its own heir, even where another equals it.
    heir[chosen] = np.arange(keep)
    return chosen, np.bincount(heir, minlength=keep) / count
