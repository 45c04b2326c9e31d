"""What drives load, solar and wind: a base and corrections to it, per kind.

A kind tells at an origin a base forecast and features (row, lead, feature); the
forecast is the base plus the features in fitted proportions. Recent errors
fade over the lead. One function per kind, all in :data:`KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from dispatch.forecast.past import Past

Float = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Design:
    """A forecast before its proportions are known; kW, `features` (row, lead, feature).

    Attributes
    ----------
    base : ndarray of float64 (row, lead)
    features : ndarray of float64 (row, lead, feature)
    spread : ndarray of float64 (row, lead)
        What errors are proportional to.
    most : ndarray of float64 (row, lead)
        No forecast is higher.
    known : ndarray of bool (row, lead)
        Where all that it is made from is known; everywhere by default.
    extra : ndarray of float64 (row, lead, feature)
        What trees look at besides.
    """

    base: Float
    features: Float
    spread: Float
    most: Float
    known: npt.NDArray[np.bool_] = field(default_factory=lambda: np.ones((1, 1), np.bool_))
    extra: Float = field(default_factory=lambda: np.zeros((1, 1, 0)))


def fading(
    signal: Float, weight: Float, day: int, half_life_h: tuple[float, ...]
) -> tuple[Float, Float]:
    """Return fading sums of `signal` and `weight` over the steps before the origin.

    Both results are (half life, row); steps with a NaN signal do not count.
    """
    count = signal.shape[1]
    age_h = np.arange(count, 0, -1) * (24 / day)
    fade = 0.5 ** (age_h / np.array(half_life_h)[:, None])
    known = np.isfinite(signal)
    total = np.where(known, signal, 0.0) @ fade.T
    weights = np.where(known, weight, 0.0) @ fade.T
    return total.T, weights.T


def fading_error(error: Float, day: int, half_life_h: tuple[float, ...]) -> Float:
    """Return fading means (half life, row) of errors (row, step) before the origin."""
    total, weight = fading(error, np.ones_like(error), day, half_life_h)
    mean: Float = np.where(weight > 1e-9, total / np.maximum(weight, 1e-9), 0.0)
    return mean


def decay(leads: int, day: int, hours: float) -> Float:
    """Return what is left of something at each lead, a third after `hours`."""
    result: Float = np.exp(-(np.arange(leads) + 0.5) * (24 / day) / hours)
    return result


def _load(past: Past, rows: npt.NDArray[np.intp], origin: int, leads: int, day: int) -> Design:
    at = origin - past.first
    before, ahead = slice(at - day, at), slice(at, at + leads)
    base, like = past.yesterday[rows, ahead], past.like_day[rows, ahead]
    actual = past.actual[rows, before]
    off_profile = fading_error(actual - past.like_day[rows, before], day, (0.5, 4.0, 24.0))
    off_day = fading_error(actual - past.yesterday[rows, before], day, (1.0, 6.0))
    features = [
        like - base,
        past.any_day[rows, ahead] - base,
        past.last_week[rows, ahead] - base,
        off_profile[0][:, None] * decay(leads, day, 1.0),
        off_profile[1][:, None] * decay(leads, day, 6.0),
        off_profile[2][:, None] * np.ones(leads),
        off_day[0][:, None] * decay(leads, day, 2.0),
        off_day[1][:, None] * decay(leads, day, 12.0),
    ]
    floor = 0.2 * past.any_day[rows, at - day : at].mean(axis=1, keepdims=True)
    spread = np.maximum(0.5 * (like + past.any_day[rows, ahead]), floor)
    return Design(base, np.stack(features, axis=-1), spread, np.full_like(base, np.inf))


def _solar(past: Past, rows: npt.NDArray[np.intp], origin: int, leads: int, day: int) -> Design:
    at = origin - past.first
    before, ahead = slice(at - day, at), slice(at, at + leads)
    base, mean = past.yesterday[rows, ahead], past.any_day[rows, ahead]
    clear = past.envelope[rows, ahead]
    power, sun = fading(
        past.actual[rows, before], past.envelope[rows, before], day, (1.0, 4.0, 24.0)
    )
    # Where the sun has not shown yet, clearness is that of the trailing days.
    usual = mean.sum(axis=1) / np.maximum(clear.sum(axis=1), 1e-9)
    clearness = np.where(sun > 1e-9, power / np.maximum(sun, 1e-9), usual)
    features = [
        mean - base,
        clear * usual[:, None] - base,
        (clear * clearness[0][:, None] - mean) * decay(leads, day, 2.0),
        (clear * clearness[1][:, None] - mean) * decay(leads, day, 8.0),
        clear * clearness[2][:, None] - mean,
    ]
    return Design(base, np.stack(features, axis=-1), clear, 1.05 * clear)


def _wind(past: Past, rows: npt.NDArray[np.intp], origin: int, leads: int, day: int) -> Design:
    at = origin - past.first
    before, ahead = slice(at - day, at), slice(at, at + leads)
    level = past.any_day[rows, before].mean(axis=1, keepdims=True)
    off_mean = fading_error(past.actual[rows, before] - level, day, (0.25, 2.0, 12.0))
    base = np.broadcast_to(level, (rows.size, leads))
    features = [
        off_mean[0][:, None] * decay(leads, day, 2.0),
        off_mean[0][:, None] * decay(leads, day, 8.0),
        off_mean[1][:, None] * decay(leads, day, 8.0),
        off_mean[1][:, None] * decay(leads, day, 24.0),
        off_mean[2][:, None] * decay(leads, day, 24.0),
        past.any_day[rows, ahead] - level,
        past.yesterday[rows, ahead] - level,
    ]
    top = past.envelope[rows].max(axis=1, keepdims=True)
    # A windy day errs by more than a calm month tells.
    now = np.maximum(0.5 * level + 0.5 * np.maximum(level + off_mean[2][:, None], 0.0), 1e-9)
    spread = np.broadcast_to(now, base.shape)
    return Design(base, np.stack(features, axis=-1), spread, np.broadcast_to(top, base.shape))


TREES: Final = frozenset({"load"})
"""Kinds whose proportions trees correct. Of sun and wind a month has too few days to learn
more of than proportions: trees made them worse by a tenth on SimBench's year."""

Kind = Callable[[Past, npt.NDArray[np.intp], int, int, int], Design]

KINDS: Final[dict[str, Kind]] = {"load": _load, "solar": _solar, "wind": _wind}
