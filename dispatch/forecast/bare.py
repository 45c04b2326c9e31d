"""A model that knows its series and their history, and has not learnt."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr

from dispatch.forecast.model import ForecastModel, powers, require_kind, trust_of
from dispatch.forecast.past import DAY_S
from dispatch.forecast.trees import BANDS_H, QUANTILES
from grid.errors import BadInputError

Float = npt.NDArray[np.float64]


def _rating(history: xr.Dataset, count: int) -> Float:
    """Return the ratings (series,), NaN where there are none."""
    if "rating_kw" not in history.coords:
        return np.full(count, np.nan)
    rating: Float = history["rating_kw"].values.astype(np.float64)
    wrong = (rating < 0) | np.isinf(rating)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise BadInputError(
            f"history: rating_kw of {history['series'].values[row]} is {rating[row]}, "
            "must be 0 or more"
        )
    return rating


def bare(history: xr.Dataset, kind: str | None, utc_offset_s: int) -> ForecastModel:
    """Return the model that training starts from.

    Parameters
    ----------
    history, kind, utc_offset_s
        As :func:`dispatch.forecast.train` takes them.

    Raises
    ------
    BadInputError
        When the history is malformed or a kind is unknown.
    """
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
    weight = trust_of(history, "history")
    known = np.isfinite(power) * weight
    level = np.nansum(power * known, axis=1) / np.maximum(known.sum(axis=1), 1e-9)
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
        weight=weight,
        level_kw=level,
        rating_kw=_rating(history, len(series)),
        proportions=(),
        error_quantiles=np.zeros((len(QUANTILES), len(series) + len(groups), len(BANDS_H))),
    )
