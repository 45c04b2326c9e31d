"""Forecasts before there is a history to learn from: the day before, as wide as it errs."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from dispatch.forecast.model import ForecastModel

Float = npt.NDArray[np.float64]

SHARES: Final = {"load": (0.4, 0.6), "solar": (0.6, 0.6), "wind": (0.5, 1.0)}
"""Distance of the outer quantiles from the forecast, below and above, as a share of the
forecast and its mean over the day. Measured on SimBench's year after 6 to 164 hours of
history: at least 80 of 100 values lie between."""
METHOD: Final = (
    "cold start after {hours:.0f} h of history: the day before or the mean, wide quantiles"
)


def cold_quantiles(model: ForecastModel, power: Float, mean: Float, most: Float) -> Float:
    """Return powers (quantile, row, lead) around a forecast without a trained model.

    Parameters
    ----------
    model : ForecastModel
        That is cold.
    power : ndarray of float64 (series, step)
        What is known in whole days up to the origin, NaN where it is not.
    mean : ndarray of float64 (row, lead)
        kW, the forecast of series and totals.
    most : ndarray of float64 (row, lead)
        kW, what a clear sky gives plants of which that is told.

    Returns
    -------
    ndarray of float64 (quantile, row, lead)
        At a time of day that was never metered anything from 0 to the rating may come, of a
        plant that is told how it lies no more than by a clear sky.
    """
    low, high = np.zeros_like(mean), np.zeros_like(mean)
    wide = mean + mean.mean(axis=1, keepdims=True)
    for kind, rows in model.blocks:
        below, above = SHARES[kind]
        low[rows], high[rows] = mean[rows] - below * wide[rows], mean[rows] + above * wide[rows]
    count = len(model.series)
    days = np.isfinite(power).reshape(count, -1, model.day)
    known: npt.NDArray[np.bool_] = np.asarray(days.any(axis=1))
    seen = known[:, np.arange(mean.shape[1]) % model.day]
    for group in range(len(model.groups)):
        inside = model.member == group
        seen = np.concatenate([seen, seen[:count][inside].all(axis=0, keepdims=True)])
    rating = model.rating_kw[:, None]
    told = np.array([name in model.outside.lying for name in model.series], dtype=np.float64)
    every = (model.total(1.0 - told[:, None]) == 0.0)[:, 0]
    lies = np.concatenate([told > 0.0, every])
    rating = np.concatenate([rating, model.total(rating)])
    rating = np.where(lies[:, None], np.fmin(rating, most), rating)
    low = np.where(seen, low, 0.0)
    high = np.where(seen | np.isnan(rating), high, np.maximum(rating, high))
    high = np.where(lies[:, None], np.minimum(high, np.maximum(most, mean)), high)
    return np.stack([np.maximum(low, 0.0), mean, high])


def cold_method(power: Float, interval_s: int) -> str:
    """Return how a cold forecast was made, with the hours that its best known series has."""
    known = np.isfinite(power).sum(axis=1)
    return METHOD.format(hours=int(known.max(initial=0)) * interval_s / 3600)
