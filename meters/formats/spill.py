"""The blocks of a file by usage point, kept on disk until the whole file was read.

What a file tells of one usage point may stand anywhere in it, and nothing of it may be
stored before the last line was found good. So blocks wait in a temporary file, in the
store's quarter-hours; memory holds their places and one usage point at a time.
"""

from __future__ import annotations

import struct
import tempfile
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Final

import numpy as np
import xarray as xr

from grid.errors import BadInputError, Finding, Severity
from grid.interval import label
from meters.formats.blocks import FLAG, QUARTER_S, Block, Flags, Ints, Qualities, quarters
from meters.formats.registers import Grid, registers
from meters.formats.source import Refused
from meters.reading import MISSING
from meters.vee.quality import Quality

SLOTS_MAX: Final = 20 * 366 * 96
"""Quarter-hours from a usage point's first to its last reading: twenty years."""
_HEAD: Final = struct.Struct("<qqii")


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel of one usage point, as far as a file told of it.

    Attributes
    ----------
    point, name, register, unit : str
    readings : int
        As they stand in the file.
    first_line, last_line : int
    start_s, end_s : int
    beside : tuple of str
        The channels that add to the same register.
    """

    point: str
    name: str
    register: str
    unit: str
    readings: int
    first_line: int
    last_line: int
    start_s: int
    end_s: int


@dataclass(slots=True)
class _Kept:
    """A channel's places on disk and its figures so far."""

    register: str
    unit: str
    places: array[int]
    beside: list[tuple[str, ...]]
    readings: int = 0
    first_line: int = 0
    last_line: int = 0
    start_s: int = 0
    end_s: int = 0
    fractions: int = 0
    shared: int = 0


class Spill:
    """Blocks of readings by usage point and channel, on disk.

    Parameters
    ----------
    refused : Refused
        What cannot be kept is refused there, by line.
    spread : bool
        Share out what is longer than an hour over its quarter-hours.
    within_s : (int, int), optional
        Refuse a block that is wholly before the first or not before the second.
    """

    def __init__(
        self, refused: Refused, *, spread: bool = False, within_s: tuple[int, int] | None = None
    ) -> None:
        self._refused = refused
        self._within_s = within_s
        self._spread = spread
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  closed in __exit__
        self._kept: dict[str, dict[str, _Kept]] = {}
        self._size = 0

    def __enter__(self) -> Spill:
        """Keep until the end of the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Forget what was kept."""
        self._file.close()

    def take(self, blocks: Iterable[Block]) -> Iterator[Block]:
        """Keep each block that adds to a register; yield them all."""
        for block in blocks:
            try:
                self._take(block)
            except BadInputError as error:
                reason = f"{block.point} {block.channel} {label(block.start_s)}: {error}"
                self._refused.add(block.line, reason, block.point)
            yield block

    def _take(self, block: Block) -> None:
        found = None
        low_s, high_s = self._within_s or (block.start_s, block.end_s)
        if block.end_s <= low_s or block.start_s >= high_s:
            raise BadInputError(f"must be from {label(low_s)} to before {label(high_s)}")
        if block.register:
            found = quarters(block, spread=self._spread)
        channels = self._kept.setdefault(block.point, {})
        kept = channels.get(block.channel)
        if kept is None:
            kept = channels[block.channel] = _Kept(
                block.register, block.unit, array("q"), [], first_line=block.line,
                start_s=block.start_s, end_s=block.end_s,
            )  # fmt: skip
        kept.readings += len(block.raw)
        kept.last_line = block.line
        kept.start_s = min(kept.start_s, block.start_s)
        kept.end_s = max(kept.end_s, block.end_s)
        if found is None:
            return
        if block.register != kept.register:
            raise BadInputError(f"unit {block.unit!r}: was {kept.unit!r} before")
        kept.fractions += found.carried
        kept.shared += block.interval_s > QUARTER_S
        if block.beside not in kept.beside:
            kept.beside.append(block.beside)
        kept.places.append(self._size)
        head = _HEAD.pack(
            found.start_s, block.line, len(found.value), kept.beside.index(block.beside)
        )
        parts = (
            found.value.astype("<i8").tobytes(),
            found.quality.astype("<u2").tobytes(),
            found.flag.astype(FLAG).tobytes(),
        )
        self._size += self._file.write(head + b"".join(parts))

    @property
    def points(self) -> list[str]:
        """Who the file tells of, in its own words, sorted."""
        return sorted(self._kept)

    def channels(self) -> list[Channel]:
        """Return what the file tells of, sorted by usage point and channel."""
        return [
            Channel(
                point, name, kept.register, kept.unit, kept.readings, kept.first_line,
                kept.last_line, kept.start_s, kept.end_s,
            )
            for point in self.points
            for name, kept in sorted(self._kept[point].items())
        ]  # fmt: skip

    def findings(self) -> list[Finding]:
        """Return what is not taken as it stands: other channels, fractions, shared intervals."""
        found = []
        for point in self.points:
            for name, kept in sorted(self._kept[point].items()):
                about = f"{self._refused.name}: {point} {name}"
                notes = []
                if not kept.register:
                    notes.append(("channel", f"{kept.unit or 'no unit'} adds to no register"))
                if kept.fractions:
                    told = f"{kept.fractions} runs hold fractions of a Wh, carried on within each"
                    notes.append(("fraction", told))
                if kept.shared:
                    told = f"{kept.shared} runs of intervals above 15 min are shared out evenly"
                    notes.append(("shared", told))
                found += [
                    Finding(f"import.{code}", point, "", Severity.INFO, f"{about}: {told}")
                    for code, told in notes
                ]
        return found

    def dataset(self, point: str, usage_point: str) -> xr.Dataset | None:
        """Return the registers of one usage point, or ``None`` when the file tells of none.

        Channels of one register add up; the register is missing where one of them is that
        the file says exists. Two lines of one channel and time must agree.

        Parameters
        ----------
        point : str
            In the file's words.
        usage_point : str
            In ours.

        Returns
        -------
        Dataset, dims (usage_point, interval)
            CHANNELS int64, `quality` uint16, `flag` S3: the file's word on the least
            certain channel, `line` int64: a line that tells of it, 0 where none does.
        """
        channels = {n: kept for n, kept in self._kept[point].items() if len(kept.places)}
        if not channels:
            return None
        low, high = self._range(channels.values())
        if high - low > SLOTS_MAX:
            raise BadInputError(
                f"{self._refused.name}: {point} from {label(low * QUARTER_S)} to "
                f"{label(high * QUARTER_S)}: must be within {SLOTS_MAX} quarter-hours"
            )
        count = high - low
        needed: dict[str, np.ndarray] = {}
        grids = {
            name: self._grid(point, name, kept, low, count, needed)
            for name, kept in sorted(channels.items())
        }
        return registers(usage_point, low, grids, needed)

    def _read(self, place: int) -> tuple[int, int, int, Ints, Qualities, Flags]:
        self._file.seek(place)
        start_s, line, count, beside = _HEAD.unpack(self._file.read(_HEAD.size))
        body = self._file.read(count * (8 + 2 + 3))
        value = np.frombuffer(body, "<i8", count)
        quality = np.frombuffer(body, "<u2", count, 8 * count)
        flag = np.frombuffer(body, FLAG, count, 10 * count)
        return start_s // QUARTER_S, line, beside, value, quality, flag

    def _range(self, channels: Iterable[_Kept]) -> tuple[int, int]:
        low, high = 2**62, -(2**62)
        for kept in channels:
            low = min(low, kept.start_s // QUARTER_S)
            high = max(high, -(-kept.end_s // QUARTER_S))
        return low, high

    def _grid(
        self,
        point: str,
        name: str,
        kept: _Kept,
        low: int,
        count: int,
        needed: dict[str, np.ndarray],
    ) -> Grid:
        grid = Grid(
            kept.register,
            frozenset(other for group in kept.beside for other in group),
            np.full(count, MISSING, np.int64),
            np.full(count, Quality.MISSING, np.uint16),
            np.zeros(count, FLAG),
            np.zeros(count, np.int64),
        )
        for place in kept.places:
            start, line, beside, value, quality, flag = self._read(place)
            here = slice(start - low, start - low + len(value))
            before = grid.line[here]
            clash = (before > 0) & (grid.value[here] != value) & (value != MISSING)
            clash &= grid.value[here] != MISSING
            if clash.any():
                at = int(np.flatnonzero(clash)[0])
                when = label((start + at) * QUARTER_S)
                other = int(grid.value[here][at])
                self._refused.add(
                    line,
                    f"{point} {name} {when}: {int(value[at])} Wh, but {other} Wh in line "
                    f"{int(before[at])}",
                    point,
                )
                continue
            told = (grid.value[here] == MISSING) | (before == 0)
            grid.value[here] = np.where(told, value, grid.value[here])
            grid.quality[here] = np.where(told, quality, grid.quality[here])
            grid.flag[here] = np.where(told, flag, grid.flag[here])
            grid.line[here] = np.where(told, line, before)
            for other_name in kept.beside[beside]:
                mask = needed.setdefault(other_name, np.zeros(count, np.bool_))
                mask[here] = True
        return grid
