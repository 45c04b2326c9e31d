"""Trees that correct the proportions of a kind, and quantiles that hold for days not fitted.

The trees learn what is left of the difference to the day before once the
proportions have taken theirs, in units of the spread. Two sets of trees each
see every other day; what the other days say of each set calibrates it
(Romano, Patterson, Candès, *Conformalized quantile regression*, NeurIPS 2019,
in the cross-conformal form), and the forecast is the mean of the two sets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from dispatch.forecast.boosting import Boosted, boost
from dispatch.forecast.kinds import Design, fading_error
from dispatch.forecast.past import DAY_S, Past, weekday

Float = npt.NDArray[np.float64]

QUANTILES: Final = (0.1, 0.5, 0.9)
BANDS_H: Final = (1.0, 4.0, 12.0, 24.0)
"""Upper ends of the bands of lead time whose errors are told apart."""
MIN_ERRORS: Final = 200
"""A series with fewer errors of its own takes those of its group."""
CELLS: Final = 60_000
"""Pairs of origin and lead that are drawn from a history to learn from."""
FIT_CELLS: Final = 10_000
MIN_CELLS: Final = 1_000
MIN_WIDTH: Final = 0.05
"""Least width that calibration scales with, in units of the spread."""


@dataclass(frozen=True, slots=True)
class Trees:
    """Two sets of trees and the shift of each quantile that calibrates them.

    Attributes
    ----------
    sets : tuple of Boosted
        Mean and quantiles, in units of the spread beyond the proportions.
    shift : ndarray of float64 (quantile, row, lead band)
        In units of the width of the outer quantiles.
    """

    sets: tuple[Boosted, ...]
    shift: Float

    def predict(self, features: Float, day: int) -> tuple[Float, Float]:
        """Return mean (row, lead) and quantiles (quantile, row, lead) in units of the spread."""
        rows, leads, count = features.shape
        band = lead_bands(leads, day)
        mean, quantiles = np.zeros((rows, leads)), np.zeros((len(QUANTILES), rows, leads))
        for one in self.sets:
            found = one.predict(features.reshape(-1, count)).reshape(rows, leads, -1)
            mean += found[:, :, 0] / len(self.sets)
            raw = np.sort(np.moveaxis(found[:, :, 1:], -1, 0), axis=0)
            shifted = raw + _width(raw) * self.shift[:, :, band]
            quantiles += np.sort(shifted, axis=0) / len(self.sets)
        return mean, quantiles


def lead_bands(leads: int, day: int) -> npt.NDArray[np.intp]:
    """Return the band of :data:`BANDS_H` of each lead; later ones are of the last."""
    ends = np.array(BANDS_H) * day / 24
    return np.minimum(np.searchsorted(ends, np.arange(leads), side="right"), ends.size - 1)


def tree_features(
    past: Past, rows: npt.NDArray[np.intp], origin: int, design: Design, mean: Float, day: int
) -> Float:
    """Return what the trees look at (row, lead, feature), in units of each row's level.

    Parameters
    ----------
    past : Past
    rows : ndarray of int
    origin : int
        Column at which the forecast begins; what is drawn from `past` is known then.
    design : Design
        Of `rows` at `origin`.
    mean : ndarray of float64 (row, lead)
        kW, what the proportions say.
    day : int
        Steps of a day.
    """
    at, leads = origin - past.first, mean.shape[1]
    before, ahead = slice(at - day, at), slice(at, at + leads)
    level = np.maximum(past.any_day[rows, before].mean(axis=1, keepdims=True), 1e-6)
    actual, base = past.actual[rows, before], design.base
    recent = np.concatenate(
        [
            fading_error(actual - past.like_day[rows, before], day, (0.5, 4.0, 24.0)),
            fading_error(actual - past.yesterday[rows, before], day, (1.0, 6.0)),
            fading_error(actual, day, (0.25, 3.0)),
        ]
    )
    civil_s = past.civil_s[ahead]
    steps = np.arange(at, at + leads)
    shape = base.shape
    columns = [
        base / level,
        (past.like_day[rows, ahead] - base) / level,
        (past.any_day[rows, ahead] - base) / level,
        (past.last_week[rows, ahead] - base) / level,
        past.envelope[rows, ahead] / level,
        *(np.broadcast_to(one[:, None] / level, shape) for one in recent),
        np.broadcast_to(np.minimum(np.arange(leads) * 24 / day, 24.0), shape),
        np.broadcast_to(civil_s % DAY_S / 3600, shape),
        np.broadcast_to(weekday(civil_s).astype(np.float64), shape),
        # The neighbours of yesterday, but none that the last lead does not know.
        *(
            (past.yesterday[rows][:, np.clip(steps + by, at, at + leads - 1)] - base) / level
            for by in (-2, 2)
        ),
        (mean - base) / level,
        np.log(design.spread / level + 1e-6),
    ]
    own = np.stack(columns, axis=-1)
    extra = np.broadcast_to(design.extra, (*shape, design.extra.shape[-1]))
    return np.concatenate([own, extra], axis=-1)


@dataclass(frozen=True, slots=True)
class Cells:
    """Cells drawn from a history; each is a row, an origin and a lead.

    Attributes
    ----------
    features : ndarray of float64 (cell, feature)
    target : ndarray of float64 (cell,)
        Truth beyond the proportions, in units of the spread.
    weight : ndarray of float64 (cell,)
    row, band, fold : ndarray of int (cell,)
        The row counts within the block; folds are 0 and 1.
    """

    features: Float
    target: Float
    weight: Float
    row: npt.NDArray[np.intp]
    band: npt.NDArray[np.intp]
    fold: npt.NDArray[np.intp]


def grow(cells: Cells, rows: int) -> Trees | None:
    """Return the trees of drawn cells, None when they are too few."""
    sides = [np.flatnonzero(cells.fold == side) for side in (0, 1)]
    if min(side.size for side in sides) < MIN_CELLS:
        return None
    sets = []
    miss = np.zeros((len(QUANTILES), cells.target.size))
    for side, other in (sides, sides[::-1]):
        # The cells were drawn in no order of their own: every n-th of them is a fair part.
        part = side[:: -(-side.size // FIT_CELLS)]
        one = boost(cells.features[part], cells.target[part], cells.weight[part], QUANTILES)
        raw = np.sort(one.predict(cells.features[other])[:, 1:].T, axis=0)
        miss[:, other] = (cells.target[other] - raw) / _width(raw)
        sets.append(one)
    sound = cells.weight >= 1.0
    shift = np.zeros((len(QUANTILES), rows, len(BANDS_H)))
    for band in range(len(BANDS_H)):
        here = sound & (cells.band == band)
        if not here.any():
            continue
        shift[:, :, band] = _levels(miss[:, here])[:, None]
        order = np.flatnonzero(here)[np.argsort(cells.row[here], kind="stable")]
        found, first = np.unique(cells.row[order], return_index=True)
        for row, own in zip(found, np.split(order, first[1:]), strict=True):
            if own.size >= MIN_ERRORS:
                shift[:, row, band] = _levels(miss[:, own])
    return Trees(tuple(sets), shift)


def _levels(miss: Float) -> Float:
    """Return of each quantile's errors (quantile, cell) that quantile."""
    return np.array([np.quantile(one, q) for one, q in zip(miss, QUANTILES, strict=True)])


def _width(quantiles: Float) -> Float:
    width: Float = np.maximum(quantiles[-1] - quantiles[0], MIN_WIDTH)
    return width
