"""Validated intervals: one row per usage point, register, local day and version."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from sqlalchemy import func, select

from grid import interval
from grid.store.engine import Transaction
from grid.store.schema import interval_day
from grid.store.upsert import put
from meters.vee.channel import sd_name
from meters.vee.quality import Quality, least_certain

REGISTERS = ("import_wh", "export_wh", "import_varh", "export_varh")
MISSING = -1
_INTERVAL_S = 900
_FEW = 64
"""Usage points up to which naming them saves more than it costs."""


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


@dataclass(frozen=True, eq=False)
class _Day:
    """The newest version of each register on one local day.

    Attributes
    ----------
    energy : ndarray of int64 (usage point, register, slot)
        `MISSING` where nothing is stored.
    quality : ndarray of uint16 (usage point, register, slot)
    rule : ndarray of uint16 (usage point, register, slot)
    sd : ndarray of float32 (usage point, register, slot)
    version : ndarray of int64 (usage point, register)
        0 where nothing is stored.
    """

    energy: npt.NDArray[np.int64]
    quality: npt.NDArray[np.uint16]
    rule: npt.NDArray[np.uint16]
    sd: npt.NDArray[np.float32]
    version: npt.NDArray[np.int64]


def _newest(
    tx: Transaction, usage_points: Sequence[str], low: int, slots: int, registers: Sequence[str]
) -> _Day:
    """Return what is stored of the day of `slots` intervals that starts at `low`."""
    names = ("usage_point", "register", "energy", "quality", "version", "rule", "sd")
    query = select(*(interval_day.c[name] for name in names)).where(
        interval_day.c.start_s == low, interval_day.c.register.in_(registers)
    )
    if len(usage_points) <= _FEW:
        query = query.where(interval_day.c.usage_point.in_(usage_points))
    place = {name: number for number, name in enumerate(usage_points)}
    kind = {register: number for number, register in enumerate(registers)}
    newest = {
        (place[row[0]], kind[row[1]]): row
        for row in tx.execute(query.order_by(interval_day.c.version)).all()
        if row[0] in place
    }
    shape = (len(usage_points), len(registers))
    found = _Day(
        np.full((*shape, slots), MISSING, np.int64),
        np.zeros((*shape, slots), np.uint16),
        np.zeros((*shape, slots), np.uint16),
        np.zeros((*shape, slots), np.float32),
        np.zeros(shape, np.int64),
    )
    if newest:
        where = tuple(np.array(list(newest)).T)
        rows = list(newest.values())
        found.energy[where] = np.frombuffer(b"".join(row[2] for row in rows), "<i8").reshape(
            -1, slots
        )
        found.quality[where] = np.frombuffer(b"".join(row[3] for row in rows), "<u2").reshape(
            -1, slots
        )
        found.version[where] = [row[4] for row in rows]
        # Most days are simply as read: nothing is stored for them, and nothing is looked at.
        for place_, row in newest.items():
            if row[5] is not None:
                found.rule[place_] = np.frombuffer(row[5], "<u2")
            if row[6] is not None:
                found.sd[place_] = np.frombuffer(row[6], "<f4")
    return found


def put_intervals(
    tx: Transaction,
    series: xr.Dataset,
    *,
    time_zone: str,
    cycle_s: int,
    registers: Sequence[str] = REGISTERS,
) -> list[tuple[str, int]]:
    """Store validated intervals; return what changed a value already there.

    Empty slots of a day are filled in place. A slot that already holds another
    value makes a new version of its day.

    Parameters
    ----------
    series : xarray.Dataset
        Dims (usage_point, interval): the registers int64, `MISSING` where
        not known, and ``quality`` uint16; optionally ``rule`` uint16 and the deviations
        float32 (:func:`meters.vee.channel.sd_name`).
    registers : sequence of str
        The four of electricity, or those of another medium (:mod:`meters.media`):
        a usage point has a row of each, and a quality over those put together.

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
    values = np.stack([series[register].values for register in registers], axis=1)
    qualities = series["quality"].values[:, None, :]
    shape = values.shape
    rules = np.zeros(shape, np.uint16)
    if "rule" in series:
        rules[:] = series["rule"].values[:, None, :]
    sds = np.zeros(shape, np.float32)
    for number, register in enumerate(registers):
        if sd_name(register) in series:
            sds[:, number] = series[sd_name(register)].values
    for day, low, high in _days(int(starts[0]), int(starts[-1]) + 1, time_zone):
        inside = np.flatnonzero((starts >= low) & (starts < high))
        slots = (starts[inside] - low) // _INTERVAL_S
        stored = _newest(tx, names, low, (high - low) // _INTERVAL_S, registers)
        value, quality = values[:, :, inside], qualities[:, :, inside]
        energy_before, quality_before = stored.energy[:, :, slots], stored.quality[:, :, slots]
        differs = value != energy_before
        new = (
            differs
            | (quality != quality_before)
            | (rules[:, :, inside] != stored.rule[:, :, slots])
        )
        new &= value != MISSING
        filled = new & (energy_before != MISSING)
        for point, _, column in np.argwhere(filled & differs):
            changed.add((names[point], int(starts[inside[column]])))
        stored.energy[:, :, slots] = np.where(new, value, energy_before)
        stored.quality[:, :, slots] = np.where(new, quality, quality_before)
        stored.rule[:, :, slots] = np.where(new, rules[:, :, inside], stored.rule[:, :, slots])
        stored.sd[:, :, slots] = np.where(new, sds[:, :, inside], stored.sd[:, :, slots])
        version = np.maximum(stored.version, 1) + filled.any(axis=2)
        rows += [
            {
                "usage_point": names[point],
                "register": registers[register],
                "day": day,
                "version": int(version[point, register]),
                "start_s": low,
                "energy": stored.energy[point, register].astype("<i8").tobytes(),
                "quality": stored.quality[point, register].astype("<u2").tobytes(),
                "rule": _packed(stored.rule[point, register], "<u2"),
                "sd": _packed(stored.sd[point, register], "<f4"),
                "cycle_s": cycle_s,
            }
            for point, register in np.argwhere(new.any(axis=2))
        ]
    put(tx, interval_day, rows)
    return sorted(changed)


def _packed(values: npt.NDArray[Any], kind: str) -> bytes | None:
    return values.astype(kind).tobytes() if values.any() else None


def get_intervals(
    tx: Transaction,
    usage_points: Sequence[str],
    start_s: int,
    end_s: int,
    *,
    time_zone: str,
    registers: Sequence[str] = REGISTERS,
    decided: bool = False,
) -> xr.Dataset:
    """Return the newest intervals of ``[start_s, end_s)``.

    Parameters
    ----------
    decided : bool
        With the rule behind each value and the deviations.

    Returns
    -------
    xarray.Dataset
        As :func:`put_intervals` takes; `MISSING` and quality 0 where nothing is stored.
    """
    count = (end_s - start_s) // _INTERVAL_S
    energy = np.full((len(usage_points), len(registers), count), MISSING, np.int64)
    quality = np.zeros((len(usage_points), count), np.uint16)
    rule = np.zeros_like(quality)
    sd = np.zeros(energy.shape if decided else (0, 0, 0), np.float32)
    for _, low, high in _days(start_s, end_s, time_zone) if count else []:
        stored = _newest(tx, usage_points, low, (high - low) // _INTERVAL_S, registers)
        first, last = max(low, start_s), min(high, end_s)
        here = slice((first - low) // _INTERVAL_S, (last - low) // _INTERVAL_S)
        there = slice((first - start_s) // _INTERVAL_S, (last - start_s) // _INTERVAL_S)
        energy[:, :, there] = stored.energy[:, :, here]
        # A register of which the day has nothing says nothing of the others.
        there_is = (stored.version > 0)[:, :, None]
        told = np.where(there_is, stored.quality[:, :, here], np.uint16(Quality.VALID))
        told[(stored.version == 0).all(axis=1)] = Quality.MISSING
        quality[:, there] = reduce(least_certain, np.moveaxis(told, 1, 0))
        if decided:
            rule[:, there] = stored.rule[:, :, here].max(axis=1, initial=0)
            sd[:, :, there] = stored.sd[:, :, here]
    dims = ("usage_point", "interval")
    variables: dict[str, tuple[tuple[str, str], npt.NDArray[Any], dict[str, object]]] = {
        register: (
            dims,
            energy[:, number],
            {"units": register.rsplit("_", 1)[1], "missing": MISSING},
        )
        for number, register in enumerate(registers)
    }
    if decided:
        variables["rule"] = (dims, rule, {})
        for number, register in enumerate(registers):
            variables[sd_name(register)] = (dims, sd[:, number], {})
    return xr.Dataset(
        {**variables, "quality": (dims, quality)},
        coords={
            "usage_point": list(usage_points),
            "interval": interval.starts(start_s, count, _INTERVAL_S),
        },
    )


def get_quality(
    tx: Transaction, usage_points: Sequence[str], start_s: int, end_s: int, *, time_zone: str
) -> npt.NDArray[np.uint16]:
    """Return how each interval of ``[start_s, end_s)`` came to its value, and nothing else.

    Returns
    -------
    ndarray of uint16 (usage point, interval)
        0 where nothing is stored. An interval has one quality over its registers: one is read.
    """
    place = {name: number for number, name in enumerate(usage_points)}
    found = np.zeros((len(usage_points), (end_s - start_s) // _INTERVAL_S), np.uint16)
    for _, low, high in _days(start_s, end_s, time_zone) if found.size else []:
        query = select(interval_day.c.usage_point, interval_day.c.quality).where(
            interval_day.c.start_s == low, interval_day.c.register == REGISTERS[0]
        )
        if len(usage_points) <= _FEW:
            query = query.where(interval_day.c.usage_point.in_(usage_points))
        first, last = max(low, start_s), min(high, end_s)
        here = slice((first - low) // _INTERVAL_S, (last - low) // _INTERVAL_S)
        there = slice((first - start_s) // _INTERVAL_S, (last - start_s) // _INTERVAL_S)
        for row in tx.execute(query.order_by(interval_day.c.version)):
            if row.usage_point in place:
                found[place[row.usage_point], there] = np.frombuffer(row.quality, "<u2")[here]
    return found


def metered(tx: Transaction, register: str, start_s: int, end_s: int) -> list[str]:
    """Return the usage points with a day of `register` that begins in ``[start_s, end_s)``."""
    query = select(interval_day.c.usage_point).where(
        interval_day.c.start_s >= start_s,
        interval_day.c.start_s < end_s,
        interval_day.c.register == register,
    )
    return sorted(set(tx.execute(query).scalars()))


def versions(tx: Transaction, usage_point: str, day: str) -> list[tuple[str, int, int]]:
    """Return register, version and the cycle that wrote it, oldest first."""
    rows = tx.execute(
        select(interval_day.c.register, interval_day.c.version, interval_day.c.cycle_s)
        .where(interval_day.c.usage_point == usage_point, interval_day.c.day == day)
        .order_by(interval_day.c.register, interval_day.c.version)
    )
    return [(row.register, row.version, row.cycle_s) for row in rows]


def last_change(tx: Transaction, start_s: int, end_s: int) -> int:
    """Return the last cycle that wrote into a day which starts in ``[start_s, end_s)``.

    What was computed from those days holds until it is another one; 0 when nothing is stored.
    """
    query = select(func.max(interval_day.c.cycle_s)).where(
        interval_day.c.start_s >= start_s, interval_day.c.start_s < end_s
    )
    return int(tx.execute(query).scalar_one() or 0)


def bounds(tx: Transaction) -> tuple[int, int] | None:
    """Return the first and last day start stored, or ``None``."""
    row = tx.execute(
        select(func.min(interval_day.c.start_s), func.max(interval_day.c.start_s))
    ).one()
    return None if row[0] is None else (int(row[0]), int(row[1]))
