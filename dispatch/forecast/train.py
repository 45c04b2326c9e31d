"""Fit a forecast to a history: ridge on differences, quantiles from held-out errors."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt
import xarray as xr

from dispatch.forecast.kinds import KINDS
from dispatch.forecast.model import MIN_DAYS, QUANTILES, ForecastModel, powers, require_kind
from dispatch.forecast.past import DAY_S
from grid.errors import BadInputError

Float = npt.NDArray[np.float64]

ORIGIN_EVERY_H: Final = 5
"""Hours between training origins: prime to 24, so that every hour gets its turn."""
RIDGE: Final = {"load": 0.1, "solar": 0.1, "wind": 1e-3}
"""Weight of keeping to the base: wind, whose base is a mere mean, needs least of it."""
BANDS_H: Final = (1.0, 4.0, 12.0, 24.0)
"""Upper ends of the bands of lead time whose errors are told apart."""
MIN_ERRORS: Final = 200
WEATHER: Final = frozenset({"solar", "wind"})
"""Kinds whose errors of one day move together, so that a day is one sample."""


def train(history: xr.Dataset, *, kind: str | None = None, utc_offset_s: int = 0) -> ForecastModel:
    """Learn to forecast the series of `history`, and the total of each group.

    Parameters
    ----------
    history : Dataset, dims (series, interval)
        `power_kw` float64 in kW, NaN where missing; contiguous starts that
        divide the day; optionally a coordinate `group` along series. At least
        eight days, better four weeks; all of it is the past.
    kind : str, optional
        ``"load"``, ``"solar"`` or ``"wind"`` for all series. Without it the
        group of each series names its kind.
    utc_offset_s : int
        Civil time minus UTC, for weekends.

    Returns
    -------
    ForecastModel

    Raises
    ------
    BadInputError
        When the history is malformed or a kind is unknown.
    """
    model = _bare(history, kind, utc_offset_s)
    day = model.day
    if model.history_kw.shape[1] < MIN_DAYS * day or not model.series:
        return model
    origins = np.arange(
        MIN_DAYS * day, model.history_kw.shape[1] - day + 1, ORIGIN_EVERY_H * day // 24
    )
    if origins.size < 4:
        return model
    past = model.past(model.history_kw, model.start_s, 0)
    # Days alternate between the folds: an error is always one of days not fitted.
    fold = origins // day % 2
    proportions, errors = [], np.full((past.actual.shape[0], origins.size, day), np.nan)
    for kind_name, rows in model.blocks:
        designs = [KINDS[kind_name](past, rows, int(at), day, day) for at in origins]
        features = np.stack([item.features for item in designs])
        base = np.stack([item.base for item in designs])
        spread = np.stack([item.spread for item in designs])
        truth = np.stack([past.actual[rows, at : at + day] for at in origins])
        scale = np.maximum(past.any_day[rows].mean(axis=1), 1e-6)[:, None]
        known = np.isfinite(truth)
        target = np.where(known, truth - base, 0.0) / scale
        features *= (known / scale)[..., None]
        grams = [_gram(features[fold == side], target[fold == side]) for side in (0, 1)]
        whole = (grams[0][0] + grams[1][0], grams[0][1] + grams[1][1])
        proportions.append(_solve(*whole, RIDGE[kind_name]))
        for side in (0, 1):
            fitted = _solve(*grams[1 - side], RIDGE[kind_name])
            miss = (target[fold == side] - features[fold == side] @ fitted) * scale
            width = spread[fold == side]
            bounded = np.where(
                known[fold == side] & (width > 1e-9), miss / np.maximum(width, 1e-9), np.nan
            )
            errors[np.ix_(rows, fold == side)] = bounded.transpose(1, 0, 2)
    quantiles = _quantiles(errors, model.blocks, model.history_kw.shape[1] // day - MIN_DAYS)
    return replace(model, proportions=tuple(proportions), error_quantiles=quantiles)


def _bare(history: xr.Dataset, kind: str | None, utc_offset_s: int) -> ForecastModel:
    """Return a model that knows its series and their history, and has not learnt."""
    series, at_s, power = powers(history, "history")
    if len(set(series)) != len(series):
        raise BadInputError("history: a series stands there twice")
    interval_s = int(at_s[1] - at_s[0]) if at_s.size > 1 else 900
    if interval_s <= 0 or DAY_S % interval_s or DAY_S // interval_s % 24:
        raise BadInputError(f"history: intervals of {interval_s} s do not divide the hour")
    if "group" in history.coords:
        group = [str(item) for item in history["group"].values]
    elif kind is not None:
        group = [kind] * len(series)
    else:
        raise BadInputError("history: needs a kind, or a coordinate group that names it")
    groups = sorted(set(group))
    known = np.isfinite(power)
    level = np.where(known, power, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    start_s = int(at_s[0]) if at_s.size else 0
    return ForecastModel(
        series=tuple(series),
        groups=tuple(groups),
        group_kind=tuple(require_kind(kind or name) for name in groups),
        member=np.array([groups.index(name) for name in group], dtype=np.int64),
        interval_s=interval_s,
        utc_offset_s=utc_offset_s,
        start_s=start_s,
        until_s=start_s + at_s.size * interval_s,
        history_kw=power,
        level_kw=level,
        proportions=(),
        error_quantiles=np.zeros((len(QUANTILES), len(series) + len(groups), len(BANDS_H))),
    )


def _gram(features: Float, target: Float) -> tuple[Float, Float]:
    count = features.shape[-1]
    flat = features.reshape(-1, count)
    return flat.T @ flat, flat.T @ target.ravel()


def _solve(gram: Float, moment: Float, ridge: float) -> Float:
    # Towards zero is towards the base: without evidence, yesterday repeats.
    weight = ridge * np.trace(gram) / len(gram) + 1e-12
    solution: Float = np.linalg.solve(gram + weight * np.eye(len(gram)), moment)
    return solution


def _quantiles(
    errors: Float, blocks: tuple[tuple[str, npt.NDArray[np.intp]], ...], days: int
) -> Float:
    """Return quantiles (quantile, row, band) of errors (row, origin, lead).

    A series with few errors of its own takes those of its group.
    """
    day = errors.shape[2]
    ends = [round(hours * day / 24) for hours in BANDS_H]
    result = np.zeros((len(QUANTILES), errors.shape[0], len(ends)))
    levels = np.repeat(np.array(QUANTILES)[:, None], errors.shape[0], axis=1)
    for kind, rows in blocks:
        if kind in WEATHER:
            # Of m samples the q-quantile that holds for the next one is at q (m + 1) / m.
            levels[:, rows] += (levels[:, rows] - 0.5) * 2 / days
    for band, (low, high) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        part = np.sort(errors[:, :, low:high].reshape(errors.shape[0], -1), axis=1)
        count = np.isfinite(part).sum(axis=1)
        result[:, :, band] = _sorted_quantiles(part, count, levels)
        for _, rows in blocks:
            few = rows[count[rows] < MIN_ERRORS]
            if few.size:
                pooled = np.sort(part[rows].ravel())[None]
                result[:, few, band] = _sorted_quantiles(
                    pooled, np.isfinite(pooled).sum(axis=1), levels[:, few[:1]]
                )
    return result


def _sorted_quantiles(part: Float, count: npt.NDArray[np.intp], levels: Float) -> Float:
    """Return the quantiles of rows of which the first `count` are numbers in order."""
    rank = np.rint(np.clip(levels, 0.0, 1.0) * (count + 1)).astype(np.int64) - 1
    rank = np.clip(rank, 0, np.maximum(count - 1, 0))
    return np.where(count > 0, part[np.arange(part.shape[0]), rank], 0.0)
