"""Invocation counters, so kept that none is ever used twice with one key.

AES-GCM is broken by two messages under one key, title and counter. So a counter is
on disk before it is used, and what a killed process had reserved is passed over.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol
from zlib import crc32

from grid.errors import StoreError

LIMIT = 0xFFFF_FFFF
"""Highest counter; a key that has come this far must be replaced."""

BLOCK = 256
"""Counters that one write to disk reserves."""

_NAME = re.compile(r"[a-z0-9-]{1,80}", re.ASCII)
_SLOT = struct.Struct(">QI")
_SLOTS = (0, 4096)
_ABSENT, _DAMAGED = -1, -2


class CounterStore(Protocol):
    """Where counters come from."""

    def reserve(self, name: str, at_least: int, count: int) -> int:
        """Return the first of `count` counters in a row that nobody else has or will have.

        They are at least `at_least`, above all that were given before, and on disk
        when this returns. With a `count` of 0 nothing is reserved: the counter is
        only raised to `at_least`, and what comes next is returned.

        Raises
        ------
        StoreError
            When they cannot be kept, or the counter is used up.
        """
        ...


def name_of(key: bytes, title: bytes) -> str:
    """Return the name of the counter of a key and a system title.

    It follows the key, not the meter: two meters that share one share its counter.
    """
    return hashlib.sha256(b"invocation counter" + key).hexdigest()[:16] + "-" + title.hex()


def _check(name: str, first: int, count: int) -> None:
    if first + count > LIMIT:
        raise StoreError(f"invocation counter {name} is used up at {first}, limit is {LIMIT}")


class MemoryCounterStore:
    """Counters of what does not outlive its process: a simulated meter, a test."""

    def __init__(self) -> None:
        self._next: dict[str, int] = {}

    def reserve(self, name: str, at_least: int, count: int) -> int:
        """Return the first of `count` counters; see :class:`CounterStore`."""
        first = max(self._next.get(name, 0), at_least)
        _check(name, first, count)
        self._next[name] = first + count
        return first


class FileCounterStore:
    """Counters in a folder, one file each, shared by threads and processes.

    A file has two slots; the lower one is overwritten and synced, so that a write
    that is cut off leaves the other. What the file says is reserved; a process
    uses it up in memory and comes back for the next :data:`BLOCK`.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._held: dict[str, tuple[int, int]] = {}
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def reserve(self, name: str, at_least: int, count: int) -> int:
        """Return the first of `count` counters; see :class:`CounterStore`."""
        with self._lock:
            if self._pid != os.getpid():
                # A forked child must not use up what its parent holds.
                self._held, self._pid = {}, os.getpid()
            following, end = self._held.get(name, (0, 0))
            first = max(following, at_least)
            if first + count > end or name not in self._held:
                first, end = self._more(name, at_least, count)
            self._held[name] = first + count, end
            return first

    def _more(self, name: str, at_least: int, count: int) -> tuple[int, int]:
        """Reserve on disk; return the first counter and the end of what is reserved."""
        if not _NAME.fullmatch(name):
            raise StoreError(f"{name!r} is no name of an invocation counter")
        try:
            with self._file(name) as descriptor:
                slots = [_read(descriptor, at) for at in _SLOTS]
                limit = max(slots)
                if limit < 0:
                    raise StoreError(f"the file of invocation counter {name} is damaged")
                if _DAMAGED in slots:
                    # Either a write that was cut off, or one block that was used.
                    limit += BLOCK
                first = max(limit, at_least)
                _check(name, first, count)
                end = min(first + max(count, BLOCK), LIMIT) if count else first
                if end > limit:
                    older = _SLOTS[0] if slots[0] <= slots[1] else _SLOTS[1]
                    _write(descriptor, older, end)
                    if count:
                        os.fsync(descriptor)
                return first, end
        except OSError as error:
            raise StoreError(f"invocation counter {name} cannot be kept: {error}") from error

    @contextmanager
    def _file(self, name: str) -> Iterator[int]:
        path = self._directory / f"{name}.counter"
        if not path.exists():
            self._create(path)
        descriptor = os.open(path, os.O_RDWR)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)

    def _create(self, path: Path) -> None:
        # Linked when it is whole: a file of this name always has a slot that holds.
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            _write(descriptor, _SLOTS[0], 0)
            os.fsync(descriptor)
            with suppress(FileExistsError):  # another process was first
                os.link(temporary, path)
        finally:
            os.close(descriptor)
            temporary.unlink()
        folder = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _read(descriptor: int, at: int) -> int:
    octets = os.pread(descriptor, _SLOT.size, at)
    if len(octets) != _SLOT.size:
        return _ABSENT
    value, check = _SLOT.unpack(octets)
    return int(value) if check == crc32(octets[:8]) else _DAMAGED


def _write(descriptor: int, at: int, value: int) -> None:
    octets = value.to_bytes(8, "big")
    if os.pwrite(descriptor, _SLOT.pack(value, crc32(octets)), at) != _SLOT.size:
        raise OSError("short write")
