"""What sensors measured, at the instants at which they did; never overwritten.

A row is one version of one instant: the same sample again adds nothing, another value
for the instant is a new version, and a value is never replaced by its absence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr
from sqlalchemy import Select, func, or_, select, tuple_

from grid import interval
from grid.store.engine import Transaction
from grid.store.schema import sensor_sample
from grid.store.upsert import put
from meters.mqtt.mapping import SensorSample
from meters.vee import Quality

_FIGURES = ("mean", "low", "high")
_PLACES = 400
"""Instants that one query names."""


def put_samples(tx: Transaction, samples: Iterable[SensorSample], *, interval_s: int) -> int:
    """Store samples; return how many of them said something new.

    Parameters
    ----------
    interval_s : int
        Length of a market interval: a row tells the cycle in whose interval it came.
    """
    wanted = list(samples)
    newest = _newest(tx, sorted({(one.sensor, one.at_s) for one in wanted}))
    rows: dict[tuple[str, int, int], dict[str, object]] = {}
    for one in wanted:
        place = one.sensor, one.at_s
        version, value, quality = newest.get(place, (0, None, -1))
        if version and (one.value is None or (value, quality) == (one.value, int(one.quality))):
            continue
        newest[place] = version + 1, one.value, int(one.quality)
        rows[one.sensor, one.at_s, version + 1] = {
            "sensor": one.sensor,
            "at_s": one.at_s,
            "version": version + 1,
            "value": one.value,
            "quality": int(one.quality),
            "retained": one.retained,
            "received_s": one.received_s,
            "cycle_s": interval.floor(one.received_s, interval_s),
        }
    put(tx, sensor_sample, list(rows.values()), replace=False)
    return len(rows)


def _newest(
    tx: Transaction, places: Sequence[tuple[str, int]]
) -> dict[tuple[str, int], tuple[int, float | None, int]]:
    """Return version, value and quality of the newest version at each place that has one."""
    table = sensor_sample.c
    found: dict[tuple[str, int], tuple[int, float | None, int]] = {}
    for first in range(0, len(places), _PLACES):
        part = places[first : first + _PLACES]
        query = select(table.sensor, table.at_s, table.version, table.value, table.quality)
        query = query.where(tuple_(table.sensor, table.at_s).in_(part)).order_by(table.version)
        for sensor, at_s, version, value, quality in tx.execute(query):
            found[sensor, int(at_s)] = int(version), value, int(quality)
    return found


def get_samples(tx: Transaction, sensor: str, start_s: int, end_s: int) -> xr.Dataset:
    """Return the newest version of each sample of ``[start_s, end_s)``, oldest first.

    Returns
    -------
    xarray.Dataset
        Dim (sample): ``value`` float64, NaN where missing, ``quality`` uint16,
        ``version`` int64, ``retained`` bool; coordinate ``at`` datetime64[s].
    """
    table = sensor_sample.c
    query = select(table.at_s, table.value, table.quality, table.version, table.retained)
    here = (table.sensor == sensor, table.at_s >= start_s, table.at_s < end_s)
    rows = tx.execute(query.where(*here).order_by(table.at_s, table.version)).all()
    last = list({row[0]: row for row in rows}.values())
    at_s = np.array([row[0] for row in last], np.int64)
    value = np.array([np.nan if row[1] is None else row[1] for row in last], np.float64)
    return xr.Dataset(
        {
            "value": ("sample", value),
            "quality": ("sample", np.array([row[2] for row in last], np.uint16)),
            "version": ("sample", np.array([row[3] for row in last], np.int64)),
            "retained": ("sample", np.array([row[4] for row in last], np.bool_)),
        },
        coords={"at": ("sample", at_s.astype("datetime64[s]"))},
        attrs={"sensor": sensor},
    )


def means(
    tx: Transaction, sensors: Sequence[str], start_s: int, count: int, *, interval_s: int
) -> xr.Dataset:
    """Return the mean over the samples of each of `count` intervals from `start_s`.

    Valid samples alone make a valid mean. Where there is none, suspect ones make a
    suspect one; where there is no value at all, it is missing.

    Returns
    -------
    xarray.Dataset
        Dims (sensor, interval): ``mean``, ``low``, ``high`` float64, NaN where missing,
        ``samples`` int64 (those in the mean), ``quality`` uint16.
    """
    shape = (len(sensors), count)
    figures = np.full((3, *shape), np.nan)
    number = np.zeros(shape, np.int64)
    quality = np.full(shape, Quality.MISSING, np.uint16)
    for row, sensor in enumerate(sensors):
        found = get_samples(tx, sensor, start_s, start_s + count * interval_s)
        slot = (found["at"].values.astype(np.int64) - start_s) // interval_s
        value = found["value"].values
        # Valid ones come last and take the place of what suspect ones made.
        for kind in (Quality.SUSPECT, Quality.VALID):
            chosen = (found["quality"].values == kind) & np.isfinite(value)
            _fold(value[chosen], slot[chosen], figures[:, row], number[row])
            quality[row, slot[chosen]] = kind
    dims = ("sensor", "interval")
    return xr.Dataset(
        {
            **{name: (dims, part) for name, part in zip(_FIGURES, figures, strict=True)},
            "samples": (dims, number),
            "quality": (dims, quality),
        },
        coords={
            "sensor": list(sensors),
            "interval": interval.starts(start_s, count, interval_s),
        },
    )


def _fold(
    value: npt.NDArray[np.float64],
    slot: npt.NDArray[np.int64],
    figures: npt.NDArray[np.float64],
    number: npt.NDArray[np.int64],
) -> None:
    """Set the mean, low, high and number of the slots that have values."""
    here = np.unique(slot)
    counted = np.bincount(slot, minlength=number.size)
    total = np.bincount(slot, weights=value, minlength=number.size)
    number[here] = counted[here]
    figures[0, here] = total[here] / counted[here]
    figures[1, here], figures[2, here] = np.inf, -np.inf
    np.minimum.at(figures[1], slot, value)
    np.maximum.at(figures[2], slot, value)


@dataclass(frozen=True, slots=True)
class LastSample:
    """The newest of a sensor.

    Attributes
    ----------
    at_s : int
    value : float or None
    quality : Quality
    since_s : int
        Since when it has not changed.
    fresh : bool
        Whether it says what is now: heard from the sensor itself, with a value, and
        no longer ago than its sensor may be silent.
    """

    at_s: int
    value: float | None
    quality: Quality
    since_s: int
    fresh: bool


def latest(tx: Transaction, stale_after_s: dict[str, int], *, now_s: int) -> dict[str, LastSample]:
    """Return the newest sample up to `now_s` of each sensor that has one.

    Parameters
    ----------
    stale_after_s : dict
        The sensors, and how long each may be silent.
    """
    found = {}
    for sensor, limit_s in stale_after_s.items():
        row = tx.execute(_last(sensor, now_s)).one_or_none()
        if row is None:
            continue
        at_s, value, quality, retained = row
        fresh = value is not None and not retained and now_s - at_s <= limit_s
        since_s = _since(tx, sensor, at_s, value)
        found[sensor] = LastSample(int(at_s), value, Quality(quality), since_s, fresh)
    return found


def _last(sensor: str, now_s: int) -> Select[int, float | None, int, bool]:
    table = sensor_sample.c
    query = select(table.at_s, table.value, table.quality, table.retained)
    query = query.where(table.sensor == sensor, table.at_s <= now_s)
    return query.order_by(table.at_s.desc(), table.version.desc()).limit(1)


def _since(tx: Transaction, sensor: str, at_s: int, value: float | None) -> int:
    """Return the instant of the first sample of the unbroken run of `value` up to `at_s`."""
    if value is None:
        return at_s
    table = sensor_sample.c
    mine = (table.sensor == sensor, table.at_s <= at_s)
    other = or_(table.value != value, table.value.is_(None))
    other_s = tx.execute(select(func.max(table.at_s)).where(*mine, other)).scalar()
    after = table.at_s > (-1 if other_s is None else other_s)
    first_s = tx.execute(
        select(func.min(table.at_s)).where(*mine, after, table.value == value)
    ).scalar()
    return int(at_s if first_s is None else first_s)
