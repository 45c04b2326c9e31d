"""What drives load, sun and wind where weather is foretold: model output statistics.

The base of a plant is what it gives by physics in that weather; fitted proportions take
from the past what it gave beside that (Glahn, Lowry, *The use of model output statistics in
objective weather forecasting*, Journal of Applied Meteorology 11 (1972)). Loads keep the day
before as their base, and learn what warmer and colder air changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from dispatch.forecast.kinds import KINDS, Design, decay, fading, fading_error
from dispatch.forecast.past import Past

Float = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

LOOK_DAYS: Final = 14
"""Days over which a plant's own proportion to physics is looked for."""
HEATS_BELOW_CELSIUS: Final = 15.0
COOLS_ABOVE_CELSIUS: Final = 22.0


@dataclass(frozen=True, slots=True)
class Foretold:
    """Weather as an origin knows it; arrays of plants (row, ...) in kW, NaN where not told.

    Attributes
    ----------
    kw : ndarray of float64 (row, lead)
        What physics gives ahead.
    before : Past
        What physics gave, by what was known when each step began.
    celsius : ndarray of float64 (day + lead,)
        Of the air, from a day before the origin on.
    """

    kw: Float
    before: Past
    celsius: Float


def _own_share(past: Past, told: Foretold, rows: Rows, at: int, day: int, hours: float) -> Float:
    """Return what each row gave of what physics did (row, 1), fading over hours; else 1."""
    span = slice(max(at - LOOK_DAYS * day, 0), at)
    gave, physics = past.actual[rows, span], told.before.actual[rows, span]
    gave = np.where(np.isfinite(physics), gave, np.nan)
    power, by_physics = fading(gave, np.nan_to_num(physics), day, (hours,))
    level = np.maximum(by_physics[0], 1e-9)
    share = np.where(by_physics[0] > 1e-6, power[0] / level, 1.0)
    return np.clip(share, 0.0, 3.0)[:, None]


def _known(kw: Float) -> tuple[Float, npt.NDArray[np.bool_]]:
    return np.nan_to_num(kw), np.isfinite(kw)


def _solar(past: Past, told: Foretold, rows: Rows, origin: int, leads: int, day: int) -> Design:
    at = origin - past.first
    ahead = slice(at, at + leads)
    base, known = _known(told.kw[rows])
    usual = _own_share(past, told, rows, at, day, 120.0)
    now = _own_share(past, told, rows, at, day, 4.0)
    clear = past.envelope[rows, ahead]
    mean = past.any_day[rows, ahead]
    features = [
        base,
        base * (usual - 1.0),
        base * (now - usual) * decay(leads, day, 6.0),
        mean - told.before.any_day[rows, ahead],
        past.yesterday[rows, ahead] - told.before.yesterday[rows, ahead],
        mean - base,
    ]
    # Clouds come and go where the sun is neither free nor covered.
    free = np.clip(base * usual / np.maximum(clear, 1e-9), 0.0, 1.0)
    spread = clear * (0.25 + free * (1.5 - 1.25 * free))
    return Design(base, np.stack(features, axis=-1), spread, 1.05 * clear, known)


def _wind(past: Past, told: Foretold, rows: Rows, origin: int, leads: int, day: int) -> Design:
    at = origin - past.first
    before, ahead = slice(at - day, at), slice(at, at + leads)
    base, known = _known(told.kw[rows])
    usual = _own_share(past, told, rows, at, day, 120.0)
    off = fading_error(
        past.actual[rows, before] - told.before.actual[rows, before], day, (0.25, 2.0, 12.0)
    )
    level = past.any_day[rows, before].mean(axis=1, keepdims=True)
    features = [
        base,
        base * (usual - 1.0),
        off[0][:, None] * decay(leads, day, 2.0),
        off[1][:, None] * decay(leads, day, 8.0),
        off[2][:, None] * decay(leads, day, 24.0),
        past.any_day[rows, ahead] - base,
        level - base,
    ]
    # Stronger wind than in weeks may be foretold.
    top = np.maximum(past.envelope[rows, : at + leads].max(axis=1), base.max(axis=1))[:, None]
    spread = np.maximum(0.5 * level + 0.5 * base, 1e-9)
    most = np.broadcast_to(top, base.shape)
    return Design(base, np.stack(features, axis=-1), spread, most, known)


def _load(past: Past, told: Foretold, rows: Rows, origin: int, leads: int, day: int) -> Design:
    plain = KINDS["load"](past, rows, origin, leads, day)
    at = origin - past.first
    level = past.any_day[rows, at - day : at].mean(axis=1, keepdims=True)
    air = told.celsius
    now, then = air[day : day + leads], air[:leads]
    heat, was_heat = (np.maximum(HEATS_BELOW_CELSIUS - one, 0.0) for one in (now, then))
    cool, was_cool = (np.maximum(one - COOLS_ABOVE_CELSIUS, 0.0) for one in (now, then))
    daily = _day_mean(air, day)
    known = np.broadcast_to(np.isfinite(now) & np.isfinite(then), plain.base.shape)
    more = [level * (heat - was_heat) / 10.0, level * (cool - was_cool) / 10.0]
    features = np.nan_to_num(np.concatenate([plain.features, np.stack(more, axis=-1)], axis=-1))
    seen = [now, now - then, daily[day : day + leads], heat, cool]
    extra = np.broadcast_to(np.nan_to_num(np.stack(seen, axis=-1)), (*plain.base.shape, len(seen)))
    return replace(plain, features=features, known=known, extra=extra)


def _day_mean(air: Float, day: int) -> Float:
    """Return the mean of the day before and at each step, of what is known of it."""
    known = np.isfinite(air)
    total, count = (np.cumsum(np.append(0.0, one)) for one in (np.nan_to_num(air), known * 1.0))
    end = np.arange(1, air.size + 1)
    begin = np.maximum(end - day, 0)
    result: Float = (total[end] - total[begin]) / np.maximum(count[end] - count[begin], 1.0)
    return result


WeatherKind = Callable[[Past, Foretold, Rows, int, int, int], Design]

WEATHER_KINDS: Final[dict[str, WeatherKind]] = {"load": _load, "solar": _solar, "wind": _wind}
