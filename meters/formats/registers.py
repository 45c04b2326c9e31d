"""The channels of a usage point added up to its four registers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from grid.interval import starts
from meters.formats.blocks import FLAG, QUARTER_S, Flags, Ints, Qualities
from meters.reading import CHANNELS, MISSING
from meters.vee.quality import Quality, least_certain


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """A channel over the quarter-hours of its usage point.

    Attributes
    ----------
    register : str
        What it adds to.
    beside : frozenset of str
        The channels that add to it too, at some time.
    value, quality, flag : ndarray (quarter-hour,)
    line : ndarray of int64
        Where it stands in the file, 0 where it does not.
    """

    register: str
    beside: frozenset[str]

    value: Ints
    quality: Qualities
    flag: Flags
    line: Ints


def registers(
    usage_point: str,
    low: int,
    grids: Mapping[str, Grid],
    needed: Mapping[str, np.ndarray],
) -> xr.Dataset:
    """Return the registers of one usage point from its channels.

    Parameters
    ----------
    usage_point : str
    low : int
        The first quarter-hour, counted from 1970.
    grids : mapping of str to Grid
        At least one, all of the same length.
    needed : mapping of str to ndarray of bool
        By channel, where the file says that it exists.

    Returns
    -------
    Dataset
        See :meth:`meters.formats.spill.Spill.dataset`.
    """
    count = len(next(iter(grids.values())).value)
    values = {name: np.full(count, MISSING, np.int64) for name in CHANNELS}
    quality = np.full(count, Quality.VALID, np.uint16)
    flag = np.zeros(count, FLAG)
    line = np.zeros(count, np.int64)
    known = np.zeros(count, np.bool_)
    for register in CHANNELS:
        names = [name for name in grids if grids[name].register == register]
        if not names:
            continue
        stack = np.stack([grids[name].value for name in names])
        total = np.where(stack == MISSING, 0, stack).sum(axis=0)
        there = (stack != MISSING).any(axis=0)
        for name in {*names, *_absent(names, grids, needed)}:
            value = grids[name].value if name in grids else np.full(count, MISSING, np.int64)
            # Null in a channel that no other names at the time is one that gave way to it.
            there &= ~((value == MISSING) & needed.get(name, False))
        values[register] = np.where(there, total, MISSING)
        known |= there
        for name in names:
            one = grids[name]
            use = there & (one.value != MISSING)
            worse = least_certain(
                quality, np.where(use, one.quality, Quality.VALID).astype(np.uint16)
            )
            flag = np.where(use & ((worse != quality) | (flag == b"")), one.flag, flag)
            quality, line = worse, np.maximum(line, one.line)
    quality = np.where(known, quality, Quality.MISSING).astype(np.uint16)
    dims = ("usage_point", "interval")
    variables = {
        name: (dims, value[None], {"units": name.rsplit("_", 1)[1], "missing": MISSING})
        for name, value in values.items()
    }
    return xr.Dataset(
        {
            **variables,
            "quality": (dims, quality[None], {"scheme": "meters.vee.Quality"}),
            "flag": (dims, flag[None]),
            "line": (dims, line[None]),
        },
        coords={
            "usage_point": [usage_point],
            "interval": starts(low * QUARTER_S, count, QUARTER_S),
        },
    )


def _absent(
    names: Iterable[str], grids: Mapping[str, Grid], needed: Mapping[str, np.ndarray]
) -> set[str]:
    """Return the channels the file says add to the same register, and does not tell of."""
    beside = {other for name in names for other in grids[name].beside}
    return {name for name in beside if name in needed and name not in grids}
