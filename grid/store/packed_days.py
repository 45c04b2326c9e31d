"""How a day of intervals is packed into rows: one per usage point, register and version."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import select

from grid import interval
from grid.store.engine import Transaction
from grid.store.schema import interval_day
from meters.reading import MISSING

FEW = 64
"""Usage points up to which naming them saves more than it costs."""


def local_days(start_s: int, end_s: int, time_zone: str) -> list[tuple[str, int, int]]:
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
class StoredDay:
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


def newest_days(
    tx: Transaction, usage_points: Sequence[str], low: int, slots: int, registers: Sequence[str]
) -> StoredDay:
    """Return what is stored of the day of `slots` intervals that starts at `low`."""
    names = ("usage_point", "register", "energy", "quality", "version", "rule", "sd")
    query = select(*(interval_day.c[name] for name in names)).where(
        interval_day.c.start_s == low, interval_day.c.register.in_(registers)
    )
    if len(usage_points) <= FEW:
        query = query.where(interval_day.c.usage_point.in_(usage_points))
    place = {name: number for number, name in enumerate(usage_points)}
    kind = {register: number for number, register in enumerate(registers)}
    newest = {
        (place[row[0]], kind[row[1]]): row
        for row in tx.execute(query.order_by(interval_day.c.version)).all()
        if row[0] in place
    }
    shape = (len(usage_points), len(registers))
    found = StoredDay(
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


def packed_rows(
    values: npt.NDArray[Any], kind: str, *, none: bool = False
) -> list[bytes] | list[bytes | None]:
    """Return the bytes of each row of `values`; with `none`, nothing for a row of zeros."""
    whole, size = values.astype(kind).tobytes(), values.shape[1] * np.dtype(kind).itemsize
    cut = [whole[at : at + size] for at in range(0, len(whole), size)]
    if not none:
        return cut
    some = np.any(values, axis=1)
    return [part if there else None for part, there in zip(cut, some, strict=True)]
