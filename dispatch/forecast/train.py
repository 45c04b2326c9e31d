"""Fit a forecast to a history: proportions on differences, trees, quantiles from held-out errors.

Whatever quantiles are made from are errors of days that were not fitted: the proportions
are solved again for each origin without the days around it, which is cheap because the
sums that they follow from are kept by origin.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import xarray as xr

from dispatch.forecast.bare import bare
from dispatch.forecast.foretell import foreteller
from dispatch.forecast.kinds import KINDS, TREES, Design
from dispatch.forecast.model import MIN_DAYS, ForecastModel
from dispatch.forecast.mos import WEATHER_KINDS
from dispatch.forecast.outlook import Outside
from dispatch.forecast.past import Past
from dispatch.forecast.trees import (
    BANDS_H,
    CELLS,
    MIN_ERRORS,
    QUANTILES,
    Cells,
    Trees,
    grow,
    lead_bands,
    tree_features,
)

Float = npt.NDArray[np.float64]

ORIGIN_EVERY_H: Final = 5
"""Hours between training origins: prime to 24, so that every hour gets its turn."""
RIDGE: Final = {"load": 0.1, "solar": 0.1, "wind": 1e-3}
"""Weight of keeping to the base: wind, whose base is a mere mean, needs least of it."""


LEAST_ORIGINS: Final = 24
"""Origins, five days of them, that must have known their weather to learn from it."""


def train(
    history: xr.Dataset,
    *,
    kind: str | None = None,
    utc_offset_s: int = 0,
    outside: Outside | None = None,
) -> ForecastModel:
    """Learn to forecast the series of `history`, and the total of each group.

    Parameters
    ----------
    history : Dataset, dims (series, interval)
        `power_kw` float64 in kW, NaN where missing; contiguous starts that
        divide the day; optionally a coordinate `group` along series. At least
        eight days, better four weeks; all of it is the past. Optionally `weight`
        within 0 to 1: an estimated power says less than a read one, 0 nothing,
        and what is below 1 is no error that quantiles are made from. Optionally a
        coordinate `rating_kw` along series, which no forecast exceeds; NaN for one without.
    kind : str, optional
        ``"load"``, ``"solar"`` or ``"wind"`` for all series. Without it the
        group of each series names its kind.
    utc_offset_s : int
        Civil time minus UTC, for weekends.
    outside : Outside, optional
        Where the plants stand, and weather. Of weather each origin knows what had been
        issued by then.

    Returns
    -------
    ForecastModel

    Raises
    ------
    BadInputError
        When the history is malformed or a kind is unknown.
    """
    outside = outside or Outside()
    model = bare(history, kind, utc_offset_s)
    model = replace(model, outside=replace(outside, weather=None))
    day, steps = model.day, model.history_kw.shape[1]
    if steps < MIN_DAYS * day or not model.series:
        return model
    origins = np.arange(MIN_DAYS * day, steps - day + 1, ORIGIN_EVERY_H * day // 24)
    if origins.size < 4:
        return model
    past = model.past(model.history_kw, model.weight, model.start_s, 0)

    def plain(kind_name: str, rows: npt.NDArray[np.intp], at: int) -> Design:
        return KINDS[kind_name](past, rows, at, day, day)

    learnt = _learnt(model, past, origins, plain, least=1)
    if outside.weather is None:
        return learnt
    fine = model.past(model.history_kw, model.weight, model.start_s, 0, clear_sky=True)
    told = foreteller(model, outside, model.start_s, first=0, over=steps, count=steps)
    views = {int(at): told.at(int(at), day) for at in origins}

    def weathered(kind_name: str, rows: npt.NDArray[np.intp], at: int) -> Design:
        return WEATHER_KINDS[kind_name](fine, views[at], rows, at, day, day)

    by_weather = _learnt(model, fine, origins, weathered, least=LEAST_ORIGINS)
    return replace(learnt, by_weather=by_weather)


def _learnt(
    model: ForecastModel,
    past: Past,
    origins: npt.NDArray[np.int64],
    design: Callable[[str, npt.NDArray[np.intp], int], Design],
    least: int,
) -> ForecastModel:
    """Return the model with what origins teach; a block of which fewer know teaches nothing."""
    day, weight = model.day, model.weights(model.weight)
    proportions: list[Float] = []
    trees: list[Trees | None] = []
    quantiles = np.zeros((len(QUANTILES), past.actual.shape[0], len(BANDS_H)))
    errors = np.full((origins.size, len(model.series), day), np.nan, np.float32)
    for kind_name, rows in model.blocks:
        designs = [design(kind_name, rows, int(at)) for at in origins]
        if sum(bool(one.known.any()) for one in designs) < least:
            proportions.append(np.zeros(0))
            trees.append(None)
            continue
        block = _fit(kind_name, designs, past, rows, origins, day, weight)
        grown = _grown(block, past, rows, day) if kind_name in TREES else None
        error = _errors(block)
        if grown is None:
            quantiles[:, rows] = _quantiles(error.transpose(1, 0, 2), day)
        own = rows < len(model.series)
        errors[:, rows[own]] = error[:, own]
        proportions.append(block.proportions)
        trees.append(grown)
    return replace(
        model,
        proportions=tuple(proportions),
        error_quantiles=quantiles,
        trees=tuple(trees),
        errors=errors,
        error_origins=origins,
    )


@dataclass(frozen=True, slots=True)
class _Block:
    """What was fitted to rows of one kind; arrays are (origin, row, lead), powers kW.

    `mean` is what proportions say that were fitted without the days around an origin.
    """

    designs: list[Design]
    origins: npt.NDArray[np.int64]
    target: Float
    weight: Float
    mean: Float
    spread: Float
    most: Float
    proportions: Float


def _fit(
    kind: str, designs: list[Design], past: Past, rows: npt.NDArray[np.intp],
    origins: npt.NDArray[np.int64], day: int, weight: Float,
) -> _Block:  # fmt: skip
    features = np.stack([item.features for item in designs])
    base = np.stack([item.base for item in designs])
    truth = np.stack([past.actual[rows, at : at + day] for at in origins])
    says = np.stack([weight[rows, at : at + day] for at in origins]) * np.isfinite(truth)
    says = says * np.stack([np.broadcast_to(item.known, says.shape[1:]) for item in designs])
    scale = np.maximum(past.any_day[rows].mean(axis=1), 1e-6)[:, None]
    target = np.where(says > 0, truth - base, 0.0) / scale * np.sqrt(says)
    scaled = features * (np.sqrt(says) / scale)[..., None]
    grams = [_gram(*pair) for pair in zip(scaled, target, strict=True)]
    gram, moment = (np.stack(part) for part in zip(*grams, strict=True))
    mean = np.empty_like(base)
    for number, at in enumerate(origins):
        # Without all origins that share a step with this one.
        apart = np.abs(origins - at) >= day
        own = _solve(gram[apart].sum(axis=0), moment[apart].sum(axis=0), RIDGE[kind])
        mean[number] = base[number] + features[number] @ own
    return _Block(
        designs=designs,
        origins=origins,
        target=truth,
        weight=says,
        mean=mean,
        spread=np.stack([item.spread for item in designs]),
        most=np.stack([item.most for item in designs]),
        proportions=_solve(gram.sum(axis=0), moment.sum(axis=0), RIDGE[kind]),
    )


def _errors(block: _Block) -> Float:
    """Return errors in units of the spread; NaN where they say nothing."""
    error = block.target - np.clip(block.mean, 0.0, block.most)
    says = (block.weight >= 1.0) & (block.spread > 1e-9)
    result: Float = np.where(says, error, np.nan) / np.maximum(block.spread, 1e-9)
    return result


def _grown(block: _Block, past: Past, rows: npt.NDArray[np.intp], day: int) -> Trees | None:
    """Return trees grown on cells of a block, drawn the same each time."""
    sound = (block.weight > 0) & (block.spread > 1e-9)
    drawn = np.random.default_rng(0).random(sound.shape) * max(sound.sum(), 1) < CELLS
    drawn &= sound
    band = lead_bands(day, day)
    features, row, lead = [], [], []
    for number, (at, design) in enumerate(zip(block.origins, block.designs, strict=True)):
        found = tree_features(past, rows, int(at), design, block.mean[number], day)
        features.append(found[drawn[number]])
        where = np.nonzero(drawn[number])
        row.append(where[0])
        lead.append(where[1])
    left = (block.target - block.mean)[drawn] / block.spread[drawn]
    # Days alternate between the folds: an error is always one of days not fitted.
    fold = np.repeat(block.origins // day % 2, drawn.sum(axis=(1, 2)))
    cells = Cells(
        np.concatenate(features),
        left,
        block.weight[drawn],
        np.concatenate(row),
        band[np.concatenate(lead)],
        fold,
    )
    return grow(cells, rows.size)


def _gram(features: Float, target: Float) -> tuple[Float, Float]:
    count = features.shape[-1]
    flat = features.reshape(-1, count)
    return flat.T @ flat, flat.T @ target.ravel()


def _solve(gram: Float, moment: Float, ridge: float) -> Float:
    # Towards zero is towards the base: without evidence, yesterday repeats.
    weight = ridge * np.trace(gram) / len(gram) + 1e-12
    solution: Float = np.linalg.solve(gram + weight * np.eye(len(gram)), moment)
    return solution


def _quantiles(errors: Float, day: int) -> Float:
    """Return quantiles (quantile, row, band) of errors (row, origin, lead) of one kind.

    A series with few errors of its own takes those of all.
    """
    band_of = lead_bands(day, day)
    levels = np.repeat(np.array(QUANTILES)[:, None], errors.shape[0], axis=1)
    result = np.zeros((len(QUANTILES), errors.shape[0], len(BANDS_H)))
    for band in range(len(BANDS_H)):
        part = np.sort(errors[:, :, band_of == band].reshape(errors.shape[0], -1), axis=1)
        count = np.isfinite(part).sum(axis=1)
        result[:, :, band] = _sorted_quantiles(part, count, levels)
        few = np.flatnonzero(count < MIN_ERRORS)
        if few.size:
            pooled = np.sort(part.ravel())[None]
            result[:, few, band] = _sorted_quantiles(
                pooled, np.isfinite(pooled).sum(axis=1), levels[:, :1]
            )
    return result


def _sorted_quantiles(part: Float, count: npt.NDArray[np.intp], levels: Float) -> Float:
    """Return the quantiles of rows of which the first `count` are numbers in order."""
    rank = np.rint(np.clip(levels, 0.0, 1.0) * (count + 1)).astype(np.int64) - 1
    rank = np.clip(rank, 0, np.maximum(count - 1, 0))
    return np.where(count > 0, part[np.arange(part.shape[0]), rank], 0.0)
