"""What a disk may hold after a power cut at any point of a recording.

What was written before the last sync of a file that had ended is there. Of what came after, any
sector of 512 bytes may have reached the disk, in any order, as it was at any moment since: writes
tear and overtake each other. So may the file's size and the folder's names. Where a file grew and
a sector was not written, zeros may be found, or what stood on the disk before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.faults.power_cut.recording import (
    Create,
    Event,
    Mark,
    Sync,
    Synced,
    Truncate,
    Unlink,
    Write,
)

SECTOR = 512
_STALE = bytes(range(256)) * 2
"""What a sector that was never written holds, where it is not zeros."""

Bytes = npt.NDArray[np.uint8]
States = npt.NDArray[np.int64]


@dataclass
class File:
    """One file: what is on the disk for sure, and each state of each sector since.

    Attributes
    ----------
    durable, cached : bytearray
        As the last ended sync left it; as a reader sees it.
    sectors : dict of int to list of (int, bytes)
        For each sector written since, the number of the write and the content after it.
    sizes : list of (int, int)
        The number of the write and the size after it; the durable size is first.
    """

    name: str
    durable: bytearray
    cached: bytearray
    sectors: dict[int, list[tuple[int, bytes]]] = field(default_factory=dict)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    writes: int = 0
    writes_synced: int = 0

    @classmethod
    def of(cls, name: str, content: bytes) -> File:
        """Return a file that is on the disk with this content."""
        return cls(name, bytearray(content), bytearray(content), {}, [(0, len(content))])

    def write(self, offset: int, content: bytes) -> None:
        """Write to the cache."""
        end = offset + len(content)
        if end > len(self.cached):
            self.cached.extend(bytes(end - len(self.cached)))
        self.cached[offset:end] = content
        self._changed(offset // SECTOR, -(-end // SECTOR))

    def truncate(self, size: int) -> None:
        """Cut or grow the cached file."""
        old = len(self.cached)
        del self.cached[size:]
        self.cached.extend(bytes(size - len(self.cached)))
        self._changed(min(size, old) // SECTOR, -(-max(size, old) // SECTOR))

    def _changed(self, first: int, end: int) -> None:
        self.writes += 1
        for sector in range(first, end):
            now = bytes(self.cached[sector * SECTOR : (sector + 1) * SECTOR])
            seen = self.sectors.setdefault(sector, [])
            seen.append((self.writes, now.ljust(SECTOR, b"\0")))
        if len(self.cached) != self.sizes[-1][1]:
            self.sizes.append((self.writes, len(self.cached)))

    def asked(self) -> tuple[int, bytes]:
        """Return what a sync that begins now is about."""
        return self.writes, bytes(self.cached)

    def synced(self, writes: int, content: bytes) -> None:
        """Let the content of :meth:`asked` be on the disk, and all that came after it not."""
        if writes < self.writes_synced:
            return  # a sync that was asked for later has ended before
        self.writes_synced = writes
        self.durable = bytearray(content)
        since = {
            sector: [one for one in states if one[0] > writes]
            for sector, states in self.sectors.items()
        }
        self.sectors = {sector: states for sector, states in since.items() if states}
        self.sizes = [(writes, len(content)), *(one for one in self.sizes if one[0] > writes)]


@dataclass(frozen=True)
class Point:
    """A moment at which the power may go.

    Attributes
    ----------
    number : int
        Position in the recording.
    files : tuple of dict of str to File
        What the folder may hold: each state of its names since it was synced.
    entries : int
        How many entries were acknowledged before.
    released : tuple of int
        Sizes of the checkpoints shown before.
    """

    number: int
    files: tuple[dict[str, File], ...]
    entries: int
    released: tuple[int, ...]


def points(events: list[Event], before: dict[str, bytes], entries: int) -> Iterator[Point]:
    """Yield the moments between what was done to the files; each is to be used before the next.

    A moment just before an acknowledgement asks for less than the one just after it, with the
    same files: it is left out.

    Raises
    ------
    ValueError
        When the recording cannot be played.
    """
    names = [{name: File.of(name, content) for name, content in before.items()}]
    asked: dict[tuple[str, int], Any] = {}
    released: tuple[int, ...] = ()
    for number, event in enumerate(events):
        if isinstance(event, Mark):
            kind, value = event.text.split()
            entries = max(entries, int(value)) if kind == "entries" else entries
            released += (int(value),) if kind == "checkpoint" else ()
            continue
        now = names[-1]
        if isinstance(event, Sync):
            file = now.get(event.name)
            asked[event.name, event.process] = now if file is None else (file, *file.asked())
            continue
        yield Point(number, tuple(names), entries, released)
        match event:
            case Write(name, offset, content):
                now[name].write(offset, content)
            case Truncate(name, size):
                now[name].truncate(size)
            case Synced("", process):
                state = asked.pop(("", process))
                names = names[next(n for n, one in enumerate(names) if one is state) :]
            case Synced(name, process):
                file, writes, content = asked.pop((name, process))
                file.synced(writes, content)
            case Create(name):
                names.append({**now, name: File.of(name, b"")})
            case Unlink(name):
                names.append({other: file for other, file in now.items() if other != name})
    yield Point(len(events), tuple(names), entries, released)


class Choices:
    """The images of one file at a point, by the state of each of its sectors."""

    def __init__(self, file: File) -> None:
        self.file = file
        self.size = np.array([size for _, size in file.sizes])
        self.sector = np.array(sorted(file.sectors), np.int64)
        seen = [self._seen(sector) for sector in self.sector.tolist()]
        self.count = np.array([len(states) for states in seen], np.int64)
        most = int(self.count.max(initial=0))
        self.state = np.zeros((len(seen), most, SECTOR), np.uint8)
        for row, states in enumerate(seen):
            for column, content in enumerate(states):
                self.state[row, column] = np.frombuffer(content, np.uint8)
        room = max((int(self.sector.max(initial=-1)) + 1) * SECTOR, len(file.durable))
        self.base = np.zeros(-(-room // SECTOR) * SECTOR, np.uint8)
        self.base[: len(file.durable)] = np.frombuffer(bytes(file.durable), np.uint8)

    def _seen(self, sector: int) -> list[bytes]:
        """Return each state of a sector; the first is what is there when it was never written."""
        old = bytes(self.file.durable[sector * SECTOR : (sector + 1) * SECTOR])
        since = [content for _, content in self.file.sectors[sector]]
        return [old.ljust(SECTOR, b"\0"), *([] if old else [_STALE]), *since]

    @property
    def free(self) -> bool:
        """Whether there is more than one image."""
        return bool(len(self.sector)) or len(self.size) > 1

    @property
    def lost(self) -> tuple[States, int]:
        """The states and the size when nothing since the last sync reached the disk."""
        return np.zeros_like(self.count), int(self.size[0])

    @property
    def kept(self) -> tuple[States, int]:
        """The states and the size when all of it did."""
        return self.count - 1, int(self.size[-1])

    def image(self, chosen: States, size: int) -> Bytes:
        """Return the file with a state chosen for each sector."""
        found = self.base.copy()
        found.reshape(-1, SECTOR)[self.sector] = self.state[np.arange(len(chosen)), chosen]
        return found[:size]
