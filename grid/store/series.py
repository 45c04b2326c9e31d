"""Validated intervals: one row per usage point, register, local day and version."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from sqlalchemy import func, select

from grid import interval
from grid.store.engine import Transaction
from grid.store.packed_days import FEW, local_days, newest_days, packed_rows
from grid.store.schema import interval_day
from grid.store.upsert import put
from meters.reading import MISSING
from meters.vee.channel import sd_name
from meters.vee.quality import Quality, least_certain

REGISTERS = ("import_wh", "export_wh", "import_varh", "export_varh")
_INTERVAL_S = 900


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
    for day, low, high in local_days(int(starts[0]), int(starts[-1]) + 1, time_zone):
        inside = np.flatnonzero((starts >= low) & (starts < high))
        slots = (starts[inside] - low) // _INTERVAL_S
        stored = newest_days(tx, names, low, (high - low) // _INTERVAL_S, registers)
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
        point, kind = np.nonzero(new.any(axis=2))
        packed = zip(
            packed_rows(stored.energy[point, kind], "<i8"),
            packed_rows(stored.quality[point, kind], "<u2"),
            packed_rows(stored.rule[point, kind], "<u2", none=True),
            packed_rows(stored.sd[point, kind], "<f4", none=True),
            version[point, kind].tolist(),
            point.tolist(),
            kind.tolist(),
            strict=True,
        )
        rows += [
            {
                "usage_point": names[row],
                "register": registers[number],
                "day": day,
                "version": newest,
                "start_s": low,
                "energy": energy,
                "quality": quality_,
                "rule": rule,
                "sd": sd,
                "cycle_s": cycle_s,
            }
            for energy, quality_, rule, sd, newest, row, number in packed
        ]
    put(tx, interval_day, rows)
    return sorted(changed)


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
    for _, low, high in local_days(start_s, end_s, time_zone) if count else []:
        stored = newest_days(tx, usage_points, low, (high - low) // _INTERVAL_S, registers)
        first, last = max(low, start_s), min(high, end_s)
        here = slice((first - low) // _INTERVAL_S, (last - low) // _INTERVAL_S)
        there = slice((first - start_s) // _INTERVAL_S, (last - start_s) // _INTERVAL_S)
        energy[:, :, there] = stored.energy[:, :, here]
        # A register that tells nothing says nothing of the others.
        silent = stored.energy[:, :, here] == MISSING
        told = np.where(silent, np.uint16(Quality.VALID), stored.quality[:, :, here])
        told[np.broadcast_to(silent.all(axis=1)[:, None], told.shape)] = Quality.MISSING
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
    for _, low, high in local_days(start_s, end_s, time_zone) if found.size else []:
        query = select(interval_day.c.usage_point, interval_day.c.quality).where(
            interval_day.c.start_s == low, interval_day.c.register == REGISTERS[0]
        )
        if len(usage_points) <= FEW:
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
