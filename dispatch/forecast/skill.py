"""How good forecasts are: rolling origins over a past, against repeating the day before.

At each origin the model is trained on what was known when its day began, as in
operation, and forecasts a day. Nothing at or after an origin is handed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import xarray as xr

from dispatch.forecast.model import powers
from dispatch.forecast.outlook import Outside
from dispatch.forecast.past import DAY_S, TRAILING_DAYS
from dispatch.forecast.predict import predict
from dispatch.forecast.train import train
from dispatch.forecast.trees import QUANTILES
from grid.errors import BadInputError

Float = npt.NDArray[np.float64]

STEP_H: Final = 5
"""Hours that origins move on within the day: prime to 24, so that each hour has its turn."""
DARK: Final = 0.02
"""Below this share of the highest trailing power a step says nothing about sun or wind."""
_LEVELS: Final = np.array(QUANTILES)[:, None, None]


def skill(
    series: xr.Dataset,
    *,
    days: int,
    window_days: int = 28,
    utc_offset_s: int = 0,
    outside: Outside | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> xr.Dataset:
    """Forecast a day from origins spread over `series`, and compare with what came.

    Parameters
    ----------
    series : Dataset, dims (series, interval)
        As :func:`dispatch.forecast.train` takes it, with a coordinate `group`.
    days : int
        Number of origins, at most one a day; they are spread evenly.
    window_days : int
        Days that are trained on.
    utc_offset_s : int
        Civil time minus UTC.
    outside : Outside, optional
        Where the plants stand, and weather; each origin knows what was issued by then.
    progress : callable, optional
        Is told how many origins are done, and of how many.

    Returns
    -------
    Dataset
        By series in kW: `mae_kw` of the median and `pinball_kw`, mean of all
        quantiles; the same of the day before as `naive_mae_kw` and
        `naive_pinball_kw`, and `spread_pinball_kw` of the day before with the quantiles of
        its own trailing errors. `below` and `up_to` (quantile, series) are the shares
        of steps below each quantile, and not above it: they differ where
        both are zero. `coverage` is what of that range is nearest to the quantile
        (Czado, Gneiting, Held, *Predictive model assessment for count data*,
        Biometrics 65 (2009)). Steps that are dark are not counted there.

    Raises
    ------
    BadInputError
        When the series are too short.
    """
    names, at_s, power = powers(series, "series")
    day = DAY_S // int(at_s[1] - at_s[0]) if at_s.size > 1 else 0
    first = window_days * day
    room = at_s.size // day - 1 - window_days if day else 0
    if days < 1 or room < 1:
        have = at_s.size // day if day else 0
        raise BadInputError(
            f"skill of {days} origins over {window_days} days each: needs a day more than the "
            f"window and one to compare with, there are {have}"
        )
    origins = list(_origins(first, at_s.size - day, day, min(days, room)))
    if not origins:
        raise BadInputError(f"skill: no origin fits into {at_s.size // day} days")
    parts = []
    for number, at in enumerate(origins):
        begin = int((at_s[at] + utc_offset_s) // DAY_S * DAY_S - utc_offset_s)
        known = at - int(at_s[at] - begin) // int(at_s[1] - at_s[0])
        past = series.isel(interval=slice(max(known - first, 0), known))
        model = train(past, utc_offset_s=utc_offset_s, outside=outside)
        recent = series.isel(interval=slice(max(at - 3 * day, 0), at))
        weather = None if outside is None else outside.weather
        ahead = predict(model, recent, int(at_s[at]), day, weather=weather)
        parts.append(_compare(ahead["power_kw"].values, power[:, : at + day], at, day))
        if progress is not None:
            progress(number + 1, len(origins))
    return _result(series, names, parts, window_days)


def _origins(first: int, last: int, day: int, count: int) -> Iterator[int]:
    """Yield columns from `first` to `last`, evenly over the days and around the clock."""
    whole = (last - first) // day
    for number in range(count):
        at = first + (number * whole // count) * day + number * STEP_H % 24 * (day // 24)
        if at <= last:
            yield at


def _compare(quantiles: Float, power: Float, at: int, day: int) -> dict[str, Float]:
    """Return sums over a day's steps, of the quantiles (quantile, series, step) from `at`."""
    truth, before = power[:, at : at + day], power[:, at - day : at]
    known = np.isfinite(truth) & np.isfinite(before)
    trailing = [
        power[:, at - back * day : at - (back - 1) * day]
        for back in range(1, TRAILING_DAYS + 1)
        if at >= back * day
    ]
    highest = np.nan_to_num(np.stack(trailing)).max(axis=0)
    lit = known & (highest > DARK * highest.max(axis=1, keepdims=True))
    trail = power[:, max(at - TRAILING_DAYS * day, 0) : at]
    change = trail[:, day:] - trail[:, :-day] if trail.shape[1] > day else trail[:, :0]
    usual = [_known_quantile(change, q) for q in QUANTILES]
    spread = np.maximum(before + np.stack(usual)[:, :, None], 0.0)
    naive = np.broadcast_to(before, quantiles.shape)

    def total(values: Float, where: npt.NDArray[np.bool_] = known) -> Float:
        found: Float = np.where(where, values, 0.0).sum(axis=-1)
        return found

    return {
        "steps": total(np.ones_like(truth)),
        "lit": total(np.ones_like(truth), lit),
        "mae": total(np.abs(truth - quantiles[1])),
        "naive_mae": total(np.abs(truth - before)),
        "pinball": total(_pinball(truth, quantiles)),
        "naive_pinball": total(_pinball(truth, naive)),
        "spread_pinball": total(_pinball(truth, spread)),
        "below": total((truth < quantiles).astype(np.float64), lit),
        "up_to": total((truth <= quantiles).astype(np.float64), lit),
    }


def _known_quantile(values: Float, level: float) -> Float:
    """Return a quantile of the numbers of each row, 0 where it has none."""
    rows = (row[np.isfinite(row)] for row in values)
    return np.array([np.quantile(row, level) if row.size else 0.0 for row in rows])


def _pinball(truth: Float, quantiles: Float) -> Float:
    miss = truth - quantiles
    loss: Float = np.maximum(_LEVELS * miss, (_LEVELS - 1.0) * miss).mean(axis=0)
    return loss


def _result(
    series: xr.Dataset, names: list[str], parts: list[dict[str, Float]], window_days: int
) -> xr.Dataset:
    total = {name: np.sum([part[name] for part in parts], axis=0) for name in parts[0]}
    steps, lit = np.maximum(total.pop("steps"), 1.0), np.maximum(total.pop("lit"), 1.0)
    shares = {name: total.pop(name) / lit for name in ("below", "up_to")}
    level = np.array(QUANTILES)[:, None]
    shares["coverage"] = np.clip(level, shares["below"], shares["up_to"])
    means = {
        f"{name}_kw": ("series", sums / steps, {"units": "kW"}) for name, sums in total.items()
    }
    return xr.Dataset(
        {
            **means,
            **{name: (("quantile", "series"), values) for name, values in shares.items()},
            "lit_steps": ("series", lit),
        },
        coords={
            "series": names,
            "group": ("series", [str(item) for item in series["group"].values]),
            "quantile": list(QUANTILES),
        },
        attrs={"origins": len(parts), "window_days": window_days},
    )


def by_group(found: xr.Dataset) -> list[dict[str, Any]]:
    """Return for each group the means of its series' ratios, and its coverage in all."""
    result: list[dict[str, Any]] = []
    group = found["group"].values
    for name in sorted(set(group)):
        part = found.isel(series=np.flatnonzero(group == name))
        steps = part["lit_steps"].values
        below, up_to = ((part[key].values * steps).sum(axis=1) / steps.sum() for key in _SHARES)
        coverage = np.clip(np.array(QUANTILES), below, up_to)
        result.append(
            {
                "group": str(name),
                "series": int(part.sizes["series"]),
                **{key: float(np.mean(values)) for key, values in ratios(part).items()},
                "coverage": [float(one) for one in coverage],
            }
        )
    return result


_SHARES: Final = ("below", "up_to")


def ratios(found: xr.Dataset) -> dict[str, Float]:
    """Return by series what the errors are of those of the day before."""

    def over(ours: str, theirs: str) -> Float:
        floor = np.maximum(found[theirs].values, 1e-12)
        ratio: Float = found[ours].values / floor
        return ratio

    return {
        "mae_ratio": over("mae_kw", "naive_mae_kw"),
        "pinball_ratio": over("pinball_kw", "naive_pinball_kw"),
        "pinball_ratio_spread": over("pinball_kw", "spread_pinball_kw"),
    }
