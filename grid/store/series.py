"""Validated intervals: one row per usage point, register, local day and version."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import xarray as xr
from sqlalchemy import func, select

from grid import interval
from grid.store.engine import Transaction
from grid.store.schema import interval_day
from grid.store.upsert import put

REGISTERS = ("import_wh", "export_wh", "import_varh", "export_varh")
MISSING = -1
_INTERVAL_S = 900

Day = tuple[npt.NDArray[np.int64], npt.NDArray[np.uint16], int]


def _days(start_s: int, end_s: int, time_zone: str) -> list[tuple[str, int, int]]:
    """Return label, start and end of each local day that meets ``[start_s, end_s)``."""
    days: list[tuple[str, int, int]] = []
    day = interval.local_day(start_s, time_zone)
    while True:
        low, high = interval.day_bounds(day, time_zone)
        if low >= end_s:
            return days
        days.append((day.isoformat(), low, high))
        day += dt.timedelta(days=1)


def _newest(tx: Transaction, usage_points: Sequence[str], day: str) -> dict[tuple[str, str], Day]:
    """Return energy, quality and version of the newest version of each register."""
    rows = tx.execute(
        select(
            interval_day.c.usage_point,
            interval_day.c.register,
            interval_day.c.version,
            interval_day.c.energy,
            interval_day.c.quality,
        )
        .where(interval_day.c.day == day)
        .order_by(interval_day.c.version)
    )
    wanted = set(usage_points)
    return {
        (row.usage_point, row.register): (
            np.frombuffer(row.energy, "<i8"),
            np.frombuffer(row.quality, "<u2"),
            row.version,
        )
        for row in rows
        if row.usage_point in wanted
    }


def put_intervals(
    tx: Transaction, series: xr.Dataset, *, time_zone: str, cycle_s: int
) -> list[tuple[str, int]]:
    """Store validated intervals; return what changed a value already there.

    Empty slots of a day are filled in place. A slot that already holds another
    value makes a new version of its day.

    Parameters
    ----------
    series : xarray.Dataset
        Dims (usage_point, interval): the four registers int64, `MISSING` where
        not known, and ``quality`` uint16.

    Returns
    -------
    list of (str, int)
        Usage point and interval start of each changed slot, sorted.
    """
    names = [str(name) for name in series["usage_point"].values]
    starts = series["interval"].values.astype("datetime64[s]").astype(np.int64)
    if starts.size == 0:
        return []
    changed: set[tuple[str, int]] = set()
    rows: list[dict[str, object]] = []
    for day, low, high in _days(int(starts[0]), int(starts[-1]) + 1, time_zone):
        inside = np.flatnonzero((starts >= low) & (starts < high))
        slots = (starts[inside] - low) // _INTERVAL_S
        stored = _newest(tx, names, day)
        count = (high - low) // _INTERVAL_S
        for register in REGISTERS:
            values = series[register].values[:, inside]
            quality = series["quality"].values[:, inside]
            for number, name in enumerate(names):
                energy, qualities, version = stored.get(
                    (name, register),
                    (np.full(count, MISSING, "<i8"), np.zeros(count, "<u2"), 1),
                )
                new = (values[number] != MISSING) & (
                    (values[number] != energy[slots]) | (quality[number] != qualities[slots])
                )
                if not new.any():
                    continue
                filled = energy[slots][new] != MISSING
                differs = values[number][new] != energy[slots][new]
                changed.update((name, int(s)) for s in starts[inside][new][filled & differs])
                energy, qualities = energy.copy(), qualities.copy()
                energy[slots[new]] = values[number][new]
                qualities[slots[new]] = quality[number][new]
                rows.append(
                    {
                        "usage_point": name,
                        "register": register,
                        "day": day,
                        "version": version + 1 if filled.any() else version,
                        "start_s": low,
                        "energy": energy.astype("<i8").tobytes(),
                        "quality": qualities.astype("<u2").tobytes(),
                        "cycle_s": cycle_s,
                    }
                )
    put(tx, interval_day, rows)
    return sorted(changed)


def get_intervals(
    tx: Transaction, usage_points: Sequence[str], start_s: int, end_s: int, *, time_zone: str
) -> xr.Dataset:
    """Return the newest intervals of ``[start_s, end_s)``.

    Returns
    -------
    xarray.Dataset
        As :func:`put_intervals` takes; `MISSING` and quality 0 where nothing is stored.
    """
    count = (end_s - start_s) // _INTERVAL_S
    shape = (len(usage_points), count)
    energy = {register: np.full(shape, MISSING, np.int64) for register in REGISTERS}
    quality = np.zeros(shape, np.uint16)
    for day, low, high in _days(start_s, end_s, time_zone) if count else []:
        stored = _newest(tx, usage_points, day)
        first, last = max(low, start_s), min(high, end_s)
        here = slice((first - low) // _INTERVAL_S, (last - low) // _INTERVAL_S)
        there = slice((first - start_s) // _INTERVAL_S, (last - start_s) // _INTERVAL_S)
        for number, name in enumerate(usage_points):
            for register in REGISTERS:
                found = stored.get((name, register))
                if found is not None:
                    energy[register][number, there] = found[0][here]
                    quality[number, there] = found[1][here]
    dims = ("usage_point", "interval")
    variables = {
        register: (dims, energy[register], {"units": register.rsplit("_", 1)[1], "missing": -1})
        for register in REGISTERS
    }
    return xr.Dataset(
        {**variables, "quality": (dims, quality)},
        coords={
            "usage_point": list(usage_points),
            "interval": interval.starts(start_s, count, _INTERVAL_S),
        },
    )


def versions(tx: Transaction, usage_point: str, day: str) -> list[tuple[str, int, int]]:
    """Return register, version and the cycle that wrote it, oldest first."""
    rows = tx.execute(
        select(interval_day.c.register, interval_day.c.version, interval_day.c.cycle_s)
        .where(interval_day.c.usage_point == usage_point, interval_day.c.day == day)
        .order_by(interval_day.c.register, interval_day.c.version)
    )
    return [(row.register, row.version, row.cycle_s) for row in rows]


def bounds(tx: Transaction) -> tuple[int, int] | None:
    """Return the first and last day start stored, or ``None``."""
    row = tx.execute(
        select(func.min(interval_day.c.start_s), func.max(interval_day.c.start_s))
    ).one()
    return None if row[0] is None else (int(row[0]), int(row[1]))
