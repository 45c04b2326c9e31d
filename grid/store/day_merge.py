"""What a day becomes when intervals come in: empty slots fill, others make a new version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid.store.day_rows import Day, NewestRows
from grid.store.packed_days import Quantity
from meters.reading import MISSING
from meters.vee.channel import sd_name

Ints = npt.NDArray[np.int64]
Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Brought:
    """Intervals that come in, of registers that are kept together.

    Attributes
    ----------
    energy : tuple of ndarray of int64 (usage point, interval), or None
        Of each register that is kept; None of one that is not brought.
    quality : ndarray of uint16 (usage point, interval)
    rule : ndarray of uint16 (usage point, interval), or None
    sd : tuple of ndarray of float32 (usage point, interval), or None
    """

    energy: tuple[Ints | None, ...]
    quality: npt.NDArray[np.uint16]
    rule: npt.NDArray[np.uint16] | None
    sd: tuple[npt.NDArray[np.float32] | None, ...]

    @classmethod
    def of(cls, series: xr.Dataset, held: Sequence[str], given: Sequence[str]) -> Brought:
        """Return what `series` brings of the registers `given` to those that are `held`."""
        return cls(
            tuple(
                series[name].values.astype(np.int64, copy=False) if name in given else None
                for name in held
            ),
            series["quality"].values.astype(np.uint16, copy=False),
            series["rule"].values.astype(np.uint16, copy=False) if "rule" in series else None,
            tuple(
                series[sd_name(name)].values.astype(np.float32, copy=False)
                if name in given and sd_name(name) in series
                else None
                for name in held
            ),
        )

    def part(self, columns: slice | Ints) -> Brought:
        """Return some of the intervals."""
        return Brought(
            tuple(None if one is None else one[:, columns] for one in self.energy),
            self.quality[:, columns],
            None if self.rule is None else self.rule[:, columns],
            tuple(None if one is None else one[:, columns] for one in self.sd),
        )


@dataclass(frozen=True, eq=False)
class Merged:
    """The rows that are to be written.

    Attributes
    ----------
    points : ndarray of int64 (row,)
        Their usage points, by number.
    version : ndarray of int64 (row,)
    quantities : dict of str to Quantity or None
        None where all is zero.
    changed : ndarray of bool (usage point, interval)
        Where a stored energy became another one; empty where none did.
    """

    points: Ints
    version: Ints
    quantities: dict[str, Quantity | None]
    changed: npt.NDArray[np.bool_]


def merge(brought: Brought, slots: Ints, day: Day, stored: NewestRows) -> Merged:
    """Return what is to be written of a day.

    Parameters
    ----------
    brought : Brought
        The intervals in `slots` of `day`, of all usage points that `stored` was asked for.
    """
    if not stored.place and slots.size == day.slots and _is_complete(brought):
        return _as_it_is(brought)
    return _over(brought, slots, day, stored)


def _is_complete(brought: Brought) -> bool:
    return all(one is not None and bool((one != MISSING).all()) for one in brought.energy)


def _as_it_is(brought: Brought) -> Merged:
    energy = [one for one in brought.energy if one is not None]
    points, registers = len(brought.quality), len(energy)
    sd = None
    if any(one is not None for one in brought.sd):
        none = np.zeros(brought.quality.shape, np.float32)
        sd = Quantity([none if one is None else one for one in brought.sd])
    rule = None if brought.rule is None else Quantity([brought.rule.view(np.int16)] * registers)
    return Merged(
        np.arange(points),
        np.ones(points, np.int64),
        {
            "energy": Quantity(energy),
            "quality": Quantity([brought.quality.view(np.int16)] * registers),
            "rule": rule,
            "sd": sd,
        },
        np.zeros((0, 0), np.bool_),
    )


def _over(brought: Brought, slots: Ints, day: Day, stored: NewestRows) -> Merged:
    """Return what is stored with what comes in on top."""
    points, registers = len(brought.quality), len(brought.energy)
    shape = (points, registers, day.slots)
    energy = np.full(shape, MISSING, np.int64)
    quality, rule = np.zeros(shape, np.uint16), np.zeros(shape, np.uint16)
    sd = np.zeros(shape, np.float32)
    version = np.ones(points, np.int64)
    if stored.place:
        version[stored.place] = stored.version
    for name, into in (("energy", energy), ("quality", quality), ("rule", rule), ("sd", sd)):
        stored.fill(name, into)
    written, filled = np.zeros(points, np.bool_), np.zeros(points, np.bool_)
    changed = np.zeros(brought.quality.shape, np.bool_)
    for number, value in enumerate(brought.energy):
        if value is None:
            continue
        known, there = value != MISSING, (slice(None), number, slots)
        before = energy[there]
        differs = value != before
        new = differs | (brought.quality != quality[there])
        new |= rule[there] != (0 if brought.rule is None else brought.rule)
        new &= known
        over = new & (before != MISSING)
        changed |= over & differs
        filled |= over.any(axis=1)
        written |= new.any(axis=1)
        energy[there] = np.where(new, value, before)
        for into, given in (
            (quality, brought.quality),
            (rule, brought.rule),
            (sd, brought.sd[number]),
        ):
            into[there] = np.where(new, into.dtype.type(0) if given is None else given, into[there])
    rows = np.flatnonzero(written)
    whole = rows.size == points

    def kept(values: Array) -> Quantity:
        some = values if whole else values[rows]
        return Quantity([some[:, number] for number in range(registers)])

    return Merged(
        rows,
        (version + filled)[rows],
        {
            "energy": kept(energy),
            "quality": kept(quality.view(np.int16)),
            "rule": kept(rule.view(np.int16)),
            "sd": kept(sd),
        },
        changed,
    )
