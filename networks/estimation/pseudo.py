"""What is usual at a usage point at a time of day: pseudo-measurements learnt from history.

A usage point with a history of its own has its own mean and deviation for each kind of day and
time of day; one without has its class's, scaled by its size. What deviates together (the weather,
an evening's cooking) is kept as a few common factors of the standardised deviations: the
principal factors of their correlation matrix (Harman, Modern Factor Analysis, 3rd ed. 1976,
chapter 8), so that the sum of many unmetered loads is not thought to be better known than it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from networks.estimation.problem import Expected
from networks.model import Bool, Float, Int

FACTORS = 6
_DOUBT = 5.0
"""Days that the variance of all times of day counts for beside that of the time of day itself."""
_LEAST_OWN = 0.05
"""Share of a variance that is always a point's own: nothing is told exactly by its neighbours."""
_LEAST_SD = 0.02
"""Of a point's mean absolute power: an unchanging history is no promise."""

Instants = npt.NDArray[np.datetime64]


@dataclass(frozen=True, eq=False)
class Usual:
    """What is usual, by kind of day (working day, Saturday, Sunday) and time of day.

    Attributes
    ----------
    time_zone : str
    slot_s : int
        Length of a time slot.
    mean, sd : float64 (kind, slot, 2 point)
        Active, then reactive power injected, kW and kvar; NaN where nothing is known.
    shared : float64 (2 point, factor)
        Loadings of the common factors.
    """

    time_zone: str
    slot_s: int
    mean: Float
    sd: Float
    shared: Float

    def at(self, starts: Instants) -> Expected:
        """Return what is usual at intervals' starts, UTC."""
        kind, slot = _slots(starts, self.time_zone, self.slot_s)
        mean, sd = self.mean[kind, slot], self.sd[kind, slot]
        points = mean.shape[1] // 2
        return Expected(
            mean[:, :points], mean[:, points:], sd[:, :points], sd[:, points:], self.shared
        )


def learn(
    starts: Instants,
    active_kw: Float,
    reactive_kvar: Float,
    *,
    group: Sequence[str],
    size_kw: Float,
    time_zone: str,
    slot_s: int = 900,
) -> Usual:
    """Return what is usual from intervals that are known.

    Parameters
    ----------
    starts : datetime64[s] (interval,)
        UTC, any intervals of a length that divides a day.
    active_kw, reactive_kvar : float64 (interval, point)
        Injected; NaN where not known.
    group : sequence of str
        Class of each point, such as ``household``.
    size_kw : float64 (point,)
        What a class's values are scaled by: the power of a connection, or a mean.
    """
    kind, slot = _slots(starts, time_zone, slot_s)
    both = np.concatenate([active_kw, reactive_kvar], axis=1)
    slots = 86_400 // slot_s
    mean, sd = _moments(both, kind, slot, slots)
    own: Bool = np.isfinite(both).any(axis=0)
    size = np.concatenate([size_kw, size_kw])
    groups = np.array([*group, *(f"{name} reactive" for name in group)])
    for name in np.unique(groups):
        members = groups == name
        _fill(mean, sd, members & ~own, members & own, size)
    known = np.isfinite(both)
    least = np.abs(np.where(known, both, 0.0)).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    sd = np.maximum(sd, _LEAST_SD * least)
    shared = _factors(both, kind, slot, mean, sd, groups, own)
    return Usual(time_zone, slot_s, mean, sd, shared)


def _slots(starts: Instants, time_zone: str, slot_s: int) -> tuple[Int, Int]:
    local = pd.DatetimeIndex(starts, tz="UTC").tz_convert(time_zone)
    second = local.hour * 3600 + local.minute * 60 + local.second
    kind = np.clip(local.dayofweek.to_numpy() - 4, 0, 2)
    return kind.astype(np.int64), (second.to_numpy() // slot_s).astype(np.int64)


def _moments(both: Float, kind: Int, slot: Int, slots: int) -> tuple[Float, Float]:
    """Return mean and deviation (kind, slot, column); NaN in columns without any history.

    A mean leans on that of the time of day over all kinds of day, and a variance on that of all
    times, the more the fewer days it is of.
    """
    known = np.isfinite(both)
    values = np.where(known, both, 0.0)
    steps = len(slot)
    gather = sp.csr_array(
        (np.ones(steps), (kind * slots + slot, np.arange(steps))), shape=(3 * slots, steps)
    )
    shape = (3, slots, both.shape[1])
    count, first, second = (
        (gather @ one).reshape(shape) for one in (known.astype(float), values, values**2)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        overall = first.sum(axis=(0, 1)) / count.sum(axis=(0, 1))
        spread = second.sum(axis=(0, 1)) / count.sum(axis=(0, 1)) - overall**2
        by_slot = (first.sum(axis=0) + overall) / (count.sum(axis=0) + 1.0)
        mean = (first + by_slot) / (count + 1.0)
        own = np.maximum(second - 2.0 * mean * first + count * mean**2, 0.0)
        variance = (own + _DOUBT * np.maximum(spread, 0.0)) / (count + _DOUBT)
        # The mean is wrong itself by as much as few days make it.
        sd = np.sqrt(variance * (1.0 + 1.0 / (count + 1.0)))
    return mean, sd


def _fill(mean: Float, sd: Float, blank: Bool, known: Bool, size: Float) -> None:
    """Give a class's values, of its members that have a history, to those that have none."""
    if not known.any() or not blank.any():
        return
    scaled = mean[:, :, known] / size[known]
    # The spread of one member in time, and of the members about their class.
    within = ((sd[:, :, known] / size[known]) ** 2).mean(axis=2, keepdims=True)
    spread = np.sqrt(within + scaled.var(axis=2, keepdims=True))
    mean[:, :, blank] = scaled.mean(axis=2, keepdims=True) * size[blank]
    sd[:, :, blank] = spread * size[blank]


def _factors(
    both: Float,
    kind: Int,
    slot: Int,
    mean: Float,
    sd: Float,
    groups: npt.NDArray[np.str_],
    own: Bool,
) -> Float:
    """Return loadings (column, factor) of what deviates together."""
    columns = both.shape[1]
    with np.errstate(invalid="ignore", divide="ignore"):
        deviation = (both - mean[kind, slot]) / sd[kind, slot]
    deviation[~np.isfinite(deviation)] = 0.0
    # One afternoon beyond anything usual does not make two points neighbours.
    deviation = np.clip(deviation, -4.0, 4.0)
    length = np.sqrt((deviation**2).mean(axis=0))
    live = length > 1e-6
    shared = np.zeros((columns, min(FACTORS, max(int(live.sum()) - 1, 0))))
    if not shared.shape[1]:
        return shared
    unit = deviation[:, live] / length[live]
    correlation = unit.T @ unit / len(unit)
    shared[live] = _principal(correlation, shared.shape[1])
    for name in np.unique(groups):
        members = groups == name
        blank, known = members & ~own, members & own & live
        if blank.any() and known.any():
            shared[blank] = shared[known].mean(axis=0)
    total = (shared**2).sum(axis=1, keepdims=True)
    limited: Float = np.sqrt(np.minimum(1.0, (1.0 - _LEAST_OWN) / np.maximum(total, 1e-12)))
    return shared * limited


def _principal(correlation: Float, factors: int) -> Float:
    """Return principal factors, their communalities found by iteration."""
    reduced = correlation.copy()
    diagonal = np.arange(len(reduced))
    loadings: Float = np.zeros((len(reduced), factors))
    for _ in range(20):
        values, vectors = np.linalg.eigh(reduced)
        top = slice(len(values) - factors, None)
        loadings = vectors[:, top] * np.sqrt(np.maximum(values[top], 0.0))
        reduced[diagonal, diagonal] = np.minimum((loadings**2).sum(axis=1), 1.0 - _LEAST_OWN)
    return loadings
