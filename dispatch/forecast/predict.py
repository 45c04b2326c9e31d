"""Forecast from an origin with a trained model and the latest days."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import xarray as xr

from dispatch.forecast.cold import cold_method, cold_quantiles
from dispatch.forecast.foretell import Foreteller, foreteller
from dispatch.forecast.kinds import KINDS, Design
from dispatch.forecast.model import KEEP_DAYS, ForecastModel, powers, trust_of
from dispatch.forecast.mos import LOOK_DAYS, WEATHER_KINDS
from dispatch.forecast.past import DAY_S, Past
from dispatch.forecast.trees import BANDS_H, QUANTILES, tree_features
from grid.errors import BadInputError
from grid.interval import label

Float = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

METHOD: Final = (
    "ridge on differences to the day before, trees for loads, quantiles from held-out errors"
)
BY_WEATHER: Final = "by the weather issued"
FIT_RATIO: Final = 2.0
"""The series of a group are scaled to its total by no more than this."""


def predict(
    model: ForecastModel,
    recent: xr.Dataset,
    start_s: int,
    n: int,
    *,
    weather: xr.Dataset | None = None,
) -> xr.Dataset:
    """Forecast `n` intervals from `start_s`.

    Parameters
    ----------
    model : ForecastModel
        Trained on a history that ended at or before `start_s`.
    recent : Dataset, dims (series, interval)
        `power_kw` float64 in kW, NaN where missing; two days or more up to
        `start_s`. It takes the place of what the model remembers. What it says
        at or after `start_s`, or of other series, is not looked at.
    start_s : int
        Seconds UTC, on the model's intervals.
    n : int
        At least 1.
    weather : Dataset, optional
        Records of :mod:`dispatch.forecast.weather`; those issued after `start_s` are not
        looked at. What it does not tell is forecast as without it.

    Returns
    -------
    Dataset
        float64 in kW, >= 0: `power_kw` (quantile, series, interval) and
        `mean_kw` (series, interval); of the totals `total_kw` (quantile, group,
        interval) and `total_mean_kw` (group, interval). The means of a group's
        series add up to that of its total. `most_kw` (series, interval) is what no
        forecast is above, infinite for loads. `method` in attrs says how.

    Raises
    ------
    BadInputError
        When the model has seen the future, or instants do not fit.
    """
    if n < 1 or (start_s - model.start_s) % model.interval_s:
        raise BadInputError(f"forecast from {label(start_s)} over {n} intervals does not fit")
    if model.until_s > start_s:
        raise BadInputError(
            f"forecast from {label(start_s)}: the model was trained until {label(model.until_s)}"
        )
    power, trust, first_s = _timeline(model, recent, start_s, n)
    origin = power.shape[1] - n
    past = model.past(power, trust, first_s, origin - model.day, clear_sky=model.cold)
    ahead = _ahead(
        model, past, origin, n, lambda kind, rows: KINDS[kind](past, rows, origin, n, model.day)
    )
    issued = None
    if weather is not None:
        outside = replace(model.outside, weather=weather)
        first = origin - LOOK_DAYS * model.day
        told = foreteller(model, outside, first_s, first=first, over=origin, count=origin + n)
        past = model.past(power, trust, first_s, first, clear_sky=True)
        ahead, issued = _by_weather(model, ahead, past, told, origin, n)
    # fmin leaves alone what has no rating.
    rating = model.rating_kw[:, None]
    most = np.fmin(ahead.most, np.concatenate([rating, model.total(rating)]))
    mean = np.clip(ahead.mean, 0.0, most)
    _fit_to_totals(model, mean, most)
    method = METHOD
    if model.cold:
        quantiles = cold_quantiles(model, power[:, :origin], mean, ahead.most)
        method = cold_method(power[:, :origin], model.interval_s)
    else:
        drawn = np.where(ahead.grown, ahead.drawn, mean + ahead.drawn)
        quantiles = np.sort(np.clip(drawn, 0.0, most), axis=0)
    if issued is not None:
        method += f"; {BY_WEATHER} {label(issued)}"
    return _result(model, start_s, mean, quantiles, most).assign_attrs(method=method)


@dataclass(frozen=True, slots=True)
class _Ahead:
    """A forecast before its bounds; arrays (row, lead) in kW.

    `drawn` (quantile, row, lead) are powers where `grown`, else distances from the mean.
    """

    mean: Float
    most: Float
    drawn: Float
    grown: npt.NDArray[np.bool_]
    known: npt.NDArray[np.bool_]


def _ahead(
    model: ForecastModel, past: Past, origin: int, n: int, design: Callable[[str, Rows], Design]
) -> _Ahead:
    """Return the forecast of a model whose kinds are designed so."""
    count = len(model.series) + len(model.groups)
    mean, spread, most = np.zeros((count, n)), np.zeros((count, n)), np.full((count, n), np.inf)
    trees_say = np.zeros((len(QUANTILES), count, n))
    grown, known = np.zeros((count, n), np.bool_), np.zeros((count, n), np.bool_)
    for block, (kind, rows) in enumerate(model.blocks):
        # What nothing was learnt of is known to nobody, but to a cold model by its base.
        if not rows.size or (not model.cold and not model.proportions[block].size):
            continue
        found = design(kind, rows)
        mean[rows] = _mean(model, block, found)
        spread[rows], most[rows], known[rows] = found.spread, found.most, found.known
        trees = None if model.cold else model.trees[block]
        if trees is not None:
            features = tree_features(past, rows, origin, found, mean[rows], model.day)
            more, quantiles = trees.predict(features, model.day)
            trees_say[:, rows] = mean[rows] + quantiles * found.spread
            mean[rows] += more * found.spread
            grown[rows] = True
    drawn = np.where(grown, trees_say, _band_errors(model, n) * spread)
    return _Ahead(mean, most, drawn, grown, known)


def _by_weather(
    model: ForecastModel, plain: _Ahead, past: Past, told: Foreteller, origin: int, n: int
) -> tuple[_Ahead, int | None]:
    """Return a forecast with what weather tells in its place, and when that was issued."""
    view = told.at(origin, n)
    learnt = model if model.cold else model.by_weather
    if learnt is None:
        return plain, None

    def design(kind: str, rows: Rows) -> Design:
        return WEATHER_KINDS[kind](past, view, rows, origin, n, model.day)

    better = _ahead(learnt, past, origin, n, design)
    known = better.known
    if model.cold:
        # Nothing was learnt of what warmth does to a load.
        for kind, rows in model.blocks:
            known[rows] &= kind != "load"
    if not known.any():
        return plain, None
    merged = _Ahead(
        *(
            np.where(known, getattr(better, name), getattr(plain, name))
            for name in ("mean", "most", "drawn", "grown", "known")
        )
    )
    return merged, told.issued_s(told.start_s + origin * model.interval_s)


def _mean(model: ForecastModel, block: int, design: Design) -> Float:
    if model.cold:
        return design.base
    mean: Float = design.base + design.features @ model.proportions[block]
    return mean


def _timeline(
    model: ForecastModel, recent: xr.Dataset, start_s: int, n: int
) -> tuple[Float, Float, int]:
    """Return powers and their trust (series, step), `n` unknown steps after `start_s`."""
    step = model.interval_s
    names, at_s, latest = powers(recent, "recent")
    if at_s.size and (at_s[0] - model.start_s) % step:
        raise BadInputError(f"recent: intervals do not start on multiples of {step} s")
    if at_s.size > 1 and at_s[1] - at_s[0] != step:
        raise BadInputError(f"recent: intervals are {at_s[1] - at_s[0]} s long, not {step} s")
    first_s = start_s - KEEP_DAYS * DAY_S
    origin = KEEP_DAYS * model.day
    power = np.full((len(model.series), origin + n), np.nan)
    trust = np.ones_like(power)
    at = (model.start_s - first_s) // step
    _overlay(power[:, :origin], trust[:, :origin], model.history_kw, model.weight, at)
    place = {name: row for row, name in enumerate(model.series)}
    pairs = [(place[name], row) for row, name in enumerate(names) if name in place]
    if pairs and at_s.size:
        target, source = (np.array(side) for side in zip(*pairs, strict=True))
        ordered = np.full((2, len(model.series), at_s.size), np.nan)
        ordered[:, target] = latest[source], trust_of(recent, "recent")[source]
        at = (int(at_s[0]) - first_s) // step
        _overlay(power[:, :origin], trust[:, :origin], ordered[0], ordered[1], at)
    return power, trust, first_s


def _overlay(power: Float, trust: Float, values: Float, weight: Float, at: int) -> None:
    """Write the known of `values` and its weight from column `at` on, cut at both ends."""
    low, high = max(at, 0), min(at + values.shape[1], power.shape[1])
    if low < high:
        part = values[:, low - at : high - at]
        known = np.isfinite(part)
        np.copyto(power[:, low:high], part, where=known)
        np.copyto(trust[:, low:high], weight[:, low - at : high - at], where=known)


def _fit_to_totals(model: ForecastModel, mean: Float, most: Float) -> None:
    """Scale the series of each group to its total, which is forecast better as one."""
    series = len(model.series)
    for group in range(len(model.groups)):
        rows = np.flatnonzero(model.member == group)
        parts = mean[rows].sum(axis=0)
        ratio = np.divide(mean[series + group], parts, out=np.ones_like(parts), where=parts > 1e-9)
        mean[rows] *= np.clip(ratio, 1 / FIT_RATIO, FIT_RATIO)
        mean[rows] = np.minimum(mean[rows], most[rows])
        mean[series + group] = mean[rows].sum(axis=0)


def _band_errors(model: ForecastModel, n: int) -> Float:
    """Return errors (quantile, row, lead) in units of the spread, between the bands' middles."""
    ends = np.array(BANDS_H) * model.day / 24
    centres = (np.concatenate([[0.0], ends[:-1]]) + ends) / 2
    lead = np.arange(n) + 0.5
    upper = np.clip(np.searchsorted(centres, lead), 1, centres.size - 1)
    share = np.clip((lead - centres[upper - 1]) / (centres[upper] - centres[upper - 1]), 0.0, 1.0)
    band = model.error_quantiles
    error: Float = band[:, :, upper - 1] * (1 - share) + band[:, :, upper] * share
    return error


def _result(
    model: ForecastModel, start_s: int, mean: Float, quantiles: Float, most: Float
) -> xr.Dataset:
    series, n = len(model.series), mean.shape[1]
    starts = (start_s + model.interval_s * np.arange(n, dtype=np.int64)).astype("datetime64[s]")
    units = {"units": "kW"}
    return xr.Dataset(
        {
            "power_kw": (("quantile", "series", "interval"), quantiles[:, :series], units),
            "mean_kw": (("series", "interval"), mean[:series], units),
            "most_kw": (("series", "interval"), most[:series], units),
            "total_kw": (("quantile", "group", "interval"), quantiles[:, series:], units),
            "total_mean_kw": (("group", "interval"), mean[series:], units),
        },
        coords={
            "quantile": list(QUANTILES),
            "series": list(model.series),
            "group": list(model.groups),
            "interval": starts,
        },
        attrs={"trained_until": label(model.until_s)},
    )
