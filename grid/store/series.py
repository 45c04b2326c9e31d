"""Validated intervals: one row per usage point, local day and version, its registers together."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from sqlalchemy import func, select

from grid import interval
from grid.store.day_merge import Brought, merge
from grid.store.day_rows import (
    QUANTITIES,
    REGISTERS,
    Day,
    NewestRows,
    held_by,
    kept_together,
    newest,
    write,
)
from grid.store.engine import Transaction
from grid.store.packed_days import NONE, as_slice, parts, unpack
from grid.store.schema import interval_day, written_day
from meters.reading import MISSING
from meters.vee.channel import sd_name
from meters.vee.quality import Quality, least_certain

__all__ = [
    "REGISTERS",
    "bounds",
    "get_intervals",
    "get_quality",
    "last_change",
    "metered",
    "put_intervals",
    "versions",
]
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
    changed: set[tuple[str, int]] = set()
    if starts.size == 0 or not names:
        return []
    for key, held, given in kept_together(registers):
        brought = Brought.of(series, held, given)
        for label, low, high in _local_days(int(starts[0]), int(starts[-1]) + 1, time_zone):
            inside = np.flatnonzero((starts >= low) & (starts < high))
            day = Day(label, low, (high - low) // _INTERVAL_S, key)
            slots = (starts[inside] - low) // _INTERVAL_S
            columns = as_slice(inside)
            merged = merge(brought.part(columns), slots, day, newest(tx, names, day))
            write(
                tx,
                [names[point] for point in merged.points.tolist()],
                day,
                merged.version,
                merged.quantities,
                cycle_s,
            )
            for point, column in np.argwhere(merged.changed):
                changed.add((names[point], int(starts[inside[column]])))
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
    for label, low, high in _local_days(start_s, end_s, time_zone) if count else []:
        first, last = max(low, start_s), min(high, end_s)
        part = slice((first - low) // _INTERVAL_S, (last - low) // _INTERVAL_S)
        there = slice((first - start_s) // _INTERVAL_S, (last - start_s) // _INTERVAL_S)
        quantities = QUANTITIES if decided else QUANTITIES[:2]
        found = [
            newest(tx, usage_points, Day(label, low, (high - low) // _INTERVAL_S, key), quantities)
            for key, _, _ in kept_together(registers)
        ]
        for stored in found:
            stored.fill("energy", energy[:, :, there], registers, part)
        quality[:, there] = _told(found, energy[:, :, there], registers, part)
        if decided:
            rules = np.zeros(energy[:, :, there].shape, np.uint16)
            for stored in found:
                stored.fill("rule", rules, registers, part)
                stored.fill("sd", sd[:, :, there], registers, part)
            rule[:, there] = rules.max(axis=1, initial=0)
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


def _told(
    found: Sequence[NewestRows],
    energy: npt.NDArray[np.int64],
    registers: Sequence[str],
    part: slice,
) -> npt.NDArray[np.uint16]:
    """Return the quality of each interval (usage point, interval) over all registers.

    Parameters
    ----------
    energy : ndarray of int64 (usage point, register, interval)
    """
    silent = energy[:, 0] == MISSING
    for number in range(1, len(registers)):
        if not silent.any():
            break
        silent &= energy[:, number] == MISSING
    told: npt.NDArray[np.uint16]
    quality = np.zeros(energy.shape, np.uint16)
    alike = {content or b"" for stored in found for content in stored.contents["quality"]}
    if len(found) == 1 == len(alike) and _is_same(next(iter(alike)), found[0].day.registers):
        of_all = quality[:1, :1]
        unpack(
            [*alike],
            [0],
            of_all,
            held=len(held_by(found[0].day.registers)),
            registers=[(0, 0)],
            part=part,
        )
        # VALID is the most certain of all: registers that tell nothing do not show.
        return np.where(silent, np.uint16(Quality.MISSING), of_all[0])
    for stored in found:
        stored.fill("quality", quality, registers, part)
    told = quality[:, 0]
    if (quality[:, 1:] != quality[:, :1]).any():
        # A register that tells nothing says nothing of the others.
        quality[energy == MISSING] = Quality.VALID
        told = reduce(least_certain, np.moveaxis(quality, 1, 0))
    told[silent] = Quality.MISSING
    return told


def _is_same(content: bytes, key: str) -> bool:
    """Return whether all registers of a packed day have the same."""
    return len(set(parts(content, len(held_by(key))))) == 1


def get_quality(
    tx: Transaction, usage_points: Sequence[str], start_s: int, end_s: int, *, time_zone: str
) -> npt.NDArray[np.uint16]:
    """Return how each interval of ``[start_s, end_s)`` came to its value, and nothing else.

    Returns
    -------
    ndarray of uint16 (usage point, interval)
        0 where nothing is stored. An interval has one quality over its registers: one is read.
    """
    found = np.zeros((len(usage_points), 1, (end_s - start_s) // _INTERVAL_S), np.uint16)
    first = REGISTERS[:1]
    for label, low, high in _local_days(start_s, end_s, time_zone) if found.size else []:
        here, last = max(low, start_s), min(high, end_s)
        part = slice((here - low) // _INTERVAL_S, (last - low) // _INTERVAL_S)
        there = slice((here - start_s) // _INTERVAL_S, (last - start_s) // _INTERVAL_S)
        for key, _, _ in kept_together(first):
            day = Day(label, low, (high - low) // _INTERVAL_S, key)
            newest(tx, usage_points, day, ("quality",)).fill(
                "quality", found[:, :, there], first, part
            )
    return found[:, 0]


def metered(tx: Transaction, register: str, start_s: int, end_s: int) -> list[str]:
    """Return the usage points with a day of `register` that begins in ``[start_s, end_s)``."""
    key, held, _ = next(kept_together([register]))
    query = select(interval_day.c.usage_point, interval_day.c.energy).where(
        interval_day.c.day.in_(
            select(written_day.c.day).where(
                written_day.c.start_s >= start_s, written_day.c.start_s < end_s
            )
        ),
        interval_day.c.registers == key,
    )
    number = held.index(register)
    return sorted(
        {
            row.usage_point
            for row in tx.execute(query)
            if parts(row.energy, len(held))[number] != NONE
        }
    )


def versions(tx: Transaction, usage_point: str, day: str) -> list[tuple[str, int, int]]:
    """Return register, version and the cycle that wrote it, oldest first.

    A register has the versions of its day that gave it other values, qualities or rules.
    """
    rows = tx.execute(
        select(interval_day)
        .where(interval_day.c.usage_point == usage_point, interval_day.c.day == day)
        .order_by(interval_day.c.registers, interval_day.c.version)
    )
    found: list[tuple[str, int, int]] = []
    before: dict[str, list[bytes]] = {}
    for row in rows:
        held = held_by(row.registers)
        for number, register in enumerate(held):
            now = [
                b"" if content is None else parts(content, len(held))[number]
                for content in (row.energy, row.quality, row.rule, row.sd)
            ]
            if now[0] != NONE and now != before.get(register):
                found.append((register, row.version, row.cycle_s))
            before[register] = now
    return sorted(found)


def last_change(tx: Transaction, start_s: int, end_s: int) -> int:
    """Return the last cycle that wrote into a day which starts in ``[start_s, end_s)``.

    What was computed from those days holds until it is another one; 0 when nothing is stored.
    """
    query = select(func.max(written_day.c.cycle_s)).where(
        written_day.c.start_s >= start_s, written_day.c.start_s < end_s
    )
    return int(tx.execute(query).scalar_one() or 0)


def bounds(tx: Transaction) -> tuple[int, int] | None:
    """Return the first and last day start stored, or ``None``."""
    row = tx.execute(select(func.min(written_day.c.start_s), func.max(written_day.c.start_s))).one()
    return None if row[0] is None else (int(row[0]), int(row[1]))


def _local_days(start_s: int, end_s: int, time_zone: str) -> list[tuple[str, int, int]]:
    """Return label, start and end of each local day that meets ``[start_s, end_s)``."""
    days: list[tuple[str, int, int]] = []
    day = interval.local_day(start_s, time_zone)
    while True:
        low, high = interval.day_bounds(day, time_zone)
        if low >= end_s:
            return days
        days.append((day.isoformat(), low, high))
        day += dt.timedelta(days=1)
