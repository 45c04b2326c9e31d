"""What the days before tell of a meter, as rules about a day need it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import xarray as xr

from meters.reading import CHANNELS, MISSING
from meters.vee.quality import READ, Quality, one_of

Ints = npt.NDArray[np.int64]

_COUNTED: Final = READ - {Quality.SUSPECT, Quality.POWER_FAILURE}
AVERAGE_DAYS: Final = 7
"""Fewest whole days that make an average."""


@dataclass(frozen=True, eq=False)
class Past:
    """Of each meter; negative where unknown.

    Attributes
    ----------
    average_day_wh : ndarray of int64 (meter,)
        Mean import of the whole days that were read.
    zero_days, estimated_days : ndarray of int64 (meter,)
        Whole days up to the last without energy and without a read.
    """

    average_day_wh: Ints
    zero_days: Ints
    estimated_days: Ints


def past_of(intervals: xr.Dataset, day: npt.NDArray[np.int64]) -> Past:
    """Return what whole days before tell.

    Parameters
    ----------
    intervals : Dataset, dims (meter, interval)
        CHANNELS int64 and `quality` uint16 of whole civil days, oldest first.
    day : ndarray of int64 (interval,)
        Ordinal of the civil day of each interval.
    """
    meters = intervals.sizes["meter"]
    if not day.size:
        none = np.full(meters, MISSING, np.int64)
        return Past(none, none.copy(), none.copy())
    first = np.flatnonzero(np.diff(day, prepend=day[0] - 1))
    quality = intervals["quality"].values.astype(np.uint16)

    def every(flags: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        found: npt.NDArray[np.bool_] = np.logical_and.reduceat(flags, first, axis=1)
        return found

    energy = {name: intervals[name].values for name in CHANNELS[:2]}
    counted = every(one_of(quality, _COUNTED))
    total = np.add.reduceat(
        np.where(energy["import_wh"] < 0, 0, energy["import_wh"]), first, axis=1
    )
    number = counted.sum(axis=1)
    mean = np.where(counted, total, 0).sum(axis=1) // np.maximum(number, 1)
    read = one_of(quality, READ)
    stored = quality != Quality.MISSING
    still = every(read & (energy["import_wh"] == 0) & (energy["export_wh"] == 0))
    silent = ~np.logical_or.reduceat(read, first, axis=1)
    # Before the first value of a meter was stored nothing was expected of it.
    begun = np.maximum.accumulate(np.logical_or.reduceat(stored, first, axis=1), axis=1)
    return Past(
        np.where(number >= AVERAGE_DAYS, mean, MISSING),
        _at_the_end(still),
        _at_the_end(silent & begun),
    )


def _at_the_end(days: npt.NDArray[np.bool_]) -> Ints:
    """Return how many days in a row are true up to the last."""
    run: Ints = np.logical_and.accumulate(days[:, ::-1], axis=1).sum(axis=1)
    return run
