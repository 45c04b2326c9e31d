"""Readings as a file gives them: a run of equal intervals of one channel, exact.

A file's numbers are whole multiples of some fraction of a Wh. They become whole Wh by
rounding the running total of a block, so that the sum of the block is exact to the Wh
and no interval is off by more than one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from grid.errors import BadInputError
from meters.reading import MISSING
from meters.vee.quality import Quality, least_certain

Ints = npt.NDArray[np.int64]
Qualities = npt.NDArray[np.uint16]
Flags = npt.NDArray[np.bytes_]

QUARTER_S: Final = 900
HOUR_S: Final = 3600
FLAG: Final = "S3"
NOTHING: Final = int(np.iinfo(np.int64).min)
"""A raw reading that is not told; a correction may be negative, so that -1 is one."""

_MOST: Final = 2**62
SPREAD_MAX_S: Final = 2 * 366 * 86_400
"""Two years: a meter that is read by hand is read more often."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Consecutive readings of one channel.

    Attributes
    ----------
    point : str
        Who is metered, in the file's own words: an NMI, an identifier.
    channel : str
        What is metered, in the file's own words: ``E1``, ``import_wh``.
    register : str
        The one of :data:`meters.reading.CHANNELS` it adds to; ``""`` for none.
    unit : str
        As written.
    start_s : int
    interval_s : int
    raw : ndarray of int64
        In `up` / `down` Wh or varh; :data:`NOTHING` where not told.
    up, down : int
    quality : ndarray of uint16
        :class:`~meters.vee.Quality`.
    flag : ndarray of bytes
        The file's own quality, e.g. ``S14``.
    line : int
        Where it stands in the file.
    beside : tuple of str
        Channels that the file says add to the same register at that time.
    """

    point: str
    channel: str
    register: str
    unit: str
    start_s: int
    interval_s: int
    raw: Ints
    up: int
    down: int
    quality: Qualities
    flag: Flags
    line: int
    beside: tuple[str, ...] = ()

    @property
    def end_s(self) -> int:
        """The end of the last interval."""
        return self.start_s + self.interval_s * len(self.raw)


@dataclass(frozen=True, slots=True, eq=False)
class Quarters:
    """A block as quarter-hours of whole Wh or varh.

    Attributes
    ----------
    start_s : int
        A multiple of :data:`QUARTER_S`.
    value : ndarray of int64
    quality : ndarray of uint16
    flag : ndarray of bytes
    carried : bool
        Whether a fraction of a Wh was carried from one interval to the next.
    """

    start_s: int
    value: Ints
    quality: Qualities
    flag: Flags
    carried: bool = False


def whole(raw: Ints, up: int, down: int) -> tuple[Ints, bool]:
    """Return whole Wh of `raw` × `up` / `down`, and whether a fraction was carried on.

    Raises
    ------
    BadInputError
        When a reading is negative, or the total beyond 64 bits.
    """
    known = raw != NOTHING
    if (raw[known] < 0).any():
        low = int(raw[known].min())
        raise BadInputError(f"{low * up / down:g} Wh is negative: a correction of reads before")
    counted = np.where(known, raw, 0)
    if int(counted.max(initial=0)) * max(len(raw), 1) * up >= _MOST:
        raise BadInputError(f"{int(counted.max())} × {up} in {len(raw)} intervals is beyond 2^62")
    total = np.cumsum(counted) * up
    rounded = (total + down // 2) // down
    values = np.diff(rounded, prepend=0)
    return np.where(known, values, MISSING), bool((counted * up % down).any())


def quarters(block: Block, *, spread: bool) -> Quarters:
    """Return a block's readings as quarter-hours.

    Shorter intervals add up: a quarter-hour is missing when one of its parts is, and
    has the quality of the least certain one. Longer ones are shared out evenly, exact in
    their sum, with :attr:`~meters.vee.Quality.SCALED` at best.

    Parameters
    ----------
    spread : bool
        Also share out what is longer than an hour, its ends taken at the nearest
        quarter-hour.

    Raises
    ------
    BadInputError
        When the intervals neither divide a quarter-hour nor are made of some, or they
        do not start on one.
    """
    # What a file says of an interval that it calls missing is no reading.
    raw = np.where(block.quality == Quality.MISSING, NOTHING, block.raw)
    value, carried = whole(raw, block.up, block.down)
    return replace(_quarters(block, value, spread), carried=carried)


def _quarters(block: Block, value: Ints, spread: bool) -> Quarters:
    quality = np.where(value == MISSING, Quality.MISSING, block.quality).astype(np.uint16)
    if block.interval_s > HOUR_S and spread:
        return _spread(block, value, quality)
    length_s = block.interval_s
    if length_s > HOUR_S:
        raise BadInputError(
            f"interval of {length_s} s must be at most {HOUR_S} s, unless it is to be spread"
        )
    if length_s < 1 or (QUARTER_S % length_s and length_s % QUARTER_S):
        raise BadInputError(f"interval of {length_s} s must divide {QUARTER_S} s or be made of it")
    if block.start_s % min(length_s, QUARTER_S):
        raise BadInputError(f"must start on a multiple of {min(length_s, QUARTER_S)} s")
    if length_s < QUARTER_S:
        return _added(block, value, quality)
    return _shared(block.start_s, value, quality, block.flag, length_s // QUARTER_S)


def _added(block: Block, value: Ints, quality: Qualities) -> Quarters:
    parts = QUARTER_S // block.interval_s
    before = block.start_s % QUARTER_S // block.interval_s
    after = -(before + len(value)) % parts
    flag = block.flag.astype(FLAG)
    if before or after:
        value = np.pad(value, (before, after), constant_values=MISSING)
        quality = np.pad(quality, (before, after), constant_values=Quality.MISSING)
        flag = np.concatenate([np.zeros(before, FLAG), flag, np.zeros(after, FLAG)])
    value, quality = value.reshape(-1, parts), quality.reshape(-1, parts)
    flag = flag.reshape(-1, parts)
    worst, worst_flag = quality[:, 0], flag[:, 0]
    for part in range(1, parts):
        less = least_certain(worst, quality[:, part])
        worst_flag = np.where(less == worst, worst_flag, flag[:, part])
        worst = less
    missing = (value == MISSING).any(axis=1)
    total = np.where(missing, MISSING, value.sum(axis=1))
    return Quarters(block.start_s - before * block.interval_s, total, worst, worst_flag)


def _shared(start_s: int, value: Ints, quality: Qualities, flag: Flags, parts: int) -> Quarters:
    if parts > 1:
        step = np.arange(parts + 1, dtype=np.int64)
        # Split before multiplying, so that a large value does not overflow.
        part, rest = np.divmod(value, parts)
        shares = part[:, None] + np.diff(-(-rest[:, None] * step // parts), axis=1)
        missing = np.repeat(value == MISSING, parts)
        value = np.where(missing, MISSING, shares.ravel())
        scaled = np.full(quality.shape, Quality.SCALED, np.uint16)
        quality = np.repeat(least_certain(quality, scaled), parts)
        flag = np.repeat(flag, parts)
    return Quarters(start_s, value, quality, flag.astype(FLAG))


def _spread(block: Block, value: Ints, quality: Qualities) -> Quarters:
    if block.interval_s > SPREAD_MAX_S:
        raise BadInputError(
            f"interval of {block.interval_s} s must be at most {SPREAD_MAX_S} s to be spread"
        )
    edges = block.start_s + block.interval_s * np.arange(len(value) + 1, dtype=np.int64)
    edges = (edges + QUARTER_S // 2) // QUARTER_S
    if (np.diff(edges) < 1).any():
        raise BadInputError(f"{block.interval_s} s hold no quarter-hour to spread over")
    runs = [
        _shared(0, value[i : i + 1], quality[i : i + 1], block.flag[i : i + 1], int(count))
        for i, count in enumerate(np.diff(edges))
    ]
    return Quarters(
        int(edges[0]) * QUARTER_S,
        np.concatenate([run.value for run in runs]),
        np.concatenate([run.quality for run in runs]),
        np.concatenate([run.flag for run in runs]),
    )
