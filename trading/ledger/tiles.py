"""A log as a folder of files in the layout of C2SP tlog-tiles.

===============================  ================================================
Path                             Holds
===============================  ================================================
``checkpoint``                   the newest signed checkpoint
``checkpoints/<size>``           older signed checkpoints
``tile/<L>/<N>[.p/<W>]``         256 (or the last W) hashes of level L
``tile/entries/<N>[.p/<W>]``     their entries, each after its length in 2 bytes
``openings.jsonl``               openings, only for an auditor with a mandate
===============================  ================================================

``<N>`` is written in groups of three digits, all but the last after an ``x``:
``x001/x234/067``. A full tile of level L is one hash of level L + 1.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path

from grid.errors import BadInputError, VerificationError
from trading.ledger import checkpoint, entry, merkle, note
from trading.ledger.commitment import Opening

WIDTH = 256
ENTRIES = "entries"


def tile_path(level: int | str, number: int, width: int = WIDTH) -> str:
    """Return the path of a tile; `level` is a number or :data:`ENTRIES`."""
    groups = [f"{number % 1000:03d}"]
    while number >= 1000:
        number //= 1000
        groups.insert(0, f"x{number % 1000:03d}")
    suffix = f".p/{width}" if width != WIDTH else ""
    return f"tile/{level}/{'/'.join(groups)}{suffix}"


def export(
    entries: Iterable[bytes],
    checkpoints: Sequence[str],
    folder: Path,
    openings: Iterable[tuple[int, Opening]] | None = None,
) -> checkpoint.Checkpoint:
    """Write a log to `folder` and return its newest checkpoint.

    The folder appears complete and on disk, or not at all: everything is
    written and synced beside it first. An earlier export is replaced.

    Parameters
    ----------
    entries : iterable of bytes
        Canonical bytes from the genesis on; read once, kept a bundle at a time.
    checkpoints : sequence of str
        Signed checkpoints; the largest must be of exactly these entries.
    folder : Path
        Absent, empty, or an earlier export.
    openings : iterable of (int, Opening), optional
        Entry sequence and opening, ascending by sequence. They are personal.

    Raises
    ------
    BadInputError
        When the folder holds something else, there is no checkpoint, or an
        entry is too long or out of sequence.
    VerificationError
        When a checkpoint is not of these entries.
    """
    heads = _heads(checkpoints)
    newest = max(heads)
    folder = folder.absolute()
    _check_target(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        _write_tree(entries, {size: head for size, (head, _) in heads.items()}, staging)
        if openings is not None:
            _write_openings(openings, staging / "openings.jsonl")
        for size, (_, signed) in heads.items():
            name = "checkpoint" if size == newest else f"checkpoints/{size}"
            _write(staging / name, signed.encode())
        _sync(staging)
        _replace(staging, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return heads[newest][0]


def read_entries(folder: Path, size: int) -> Iterator[bytes]:
    """Yield the canonical bytes of the first `size` entries of an export, unverified.

    Raises
    ------
    VerificationError
        When a bundle is cut off.
    """
    for first in range(0, size, WIDTH):
        width = min(WIDTH, size - first)
        bundle = (folder / tile_path(ENTRIES, first // WIDTH, width)).read_bytes()
        at = 0
        for sequence in range(first, first + width):
            end = at + 2 + int.from_bytes(bundle[at : at + 2], "big")
            if at + 2 > len(bundle) or end > len(bundle):
                raise VerificationError(f"entry {sequence} is cut off")
            yield bundle[at + 2 : end]
            at = end


def _heads(checkpoints: Sequence[str]) -> dict[int, tuple[checkpoint.Checkpoint, str]]:
    heads: dict[int, tuple[checkpoint.Checkpoint, str]] = {}
    for signed in checkpoints:
        head = checkpoint.parse(note.parse(signed)[0])
        other = heads.setdefault(head.size, (head, signed))[0]
        if other != head:
            raise VerificationError(f"two checkpoints of {head.size} entries differ: a fork")
    if not heads:
        raise BadInputError("an export needs at least one checkpoint")
    return heads


def _check_target(folder: Path) -> None:
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise BadInputError(f"{folder} is not a folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "checkpoint").is_file():
        raise BadInputError(f"{folder} holds something else than an earlier export")


def _write_tree(
    entries: Iterable[bytes], heads: dict[int, checkpoint.Checkpoint], staging: Path
) -> None:
    """Write bundles and tiles while streaming over the entries."""
    newest = max(heads)
    frontier = merkle.Frontier()
    _check_root(heads, frontier)
    bundle: list[bytes] = []
    levels: list[_Level] = []
    for index, data in enumerate(entries):
        if index == newest:
            raise VerificationError(f"there are more entries than the checkpoint of {newest}")
        if entry.decode(data).sequence != index:
            raise BadInputError(f"the entry at {index} has another sequence number")
        bundle.append(len(data).to_bytes(2, "big") + data)
        if len(bundle) == WIDTH:
            _write(staging / tile_path(ENTRIES, index // WIDTH), b"".join(bundle))
            bundle = []
        leaf = merkle.leaf_hash(data)
        frontier.append(leaf)
        _append(levels, 0, leaf, staging)
        _check_root(heads, frontier)
    if frontier.size != newest:
        raise VerificationError(f"{frontier.size} entries are fewer than the checkpoint's {newest}")
    if bundle:
        path = tile_path(ENTRIES, newest // WIDTH, len(bundle))
        _write(staging / path, b"".join(bundle))
    for number, level in enumerate(levels):
        if level.hashes:
            path = tile_path(number, level.full, len(level.hashes))
            _write(staging / path, b"".join(level.hashes))


class _Level:
    """The tile being filled on one level."""

    __slots__ = ("full", "hashes")

    def __init__(self) -> None:
        self.full = 0
        self.hashes: list[bytes] = []


def _append(levels: list[_Level], number: int, value: bytes, staging: Path) -> None:
    if number == len(levels):
        levels.append(_Level())
    level = levels[number]
    level.hashes.append(value)
    if len(level.hashes) == WIDTH:
        _write(staging / tile_path(number, level.full), b"".join(level.hashes))
        above = merkle.root(level.hashes)
        level.full += 1
        level.hashes = []
        _append(levels, number + 1, above, staging)


def _check_root(heads: dict[int, checkpoint.Checkpoint], frontier: merkle.Frontier) -> None:
    head = heads.get(frontier.size)
    if head is not None and head.root != frontier.root():
        raise VerificationError(f"the checkpoint of {head.size} entries is not of these entries")


def _write_openings(openings: Iterable[tuple[int, Opening]], path: Path) -> None:
    before = -1
    # Openings tell what the log only commits to: for the auditor who asked, nobody else.
    with open(path, "xb", opener=partial(os.open, mode=0o600)) as stream:
        for sequence, group in groupby(openings, key=lambda pair: pair[0]):
            if sequence <= before:
                raise BadInputError(f"the openings of entry {sequence} are out of order")
            before = sequence
            # by digest, as the entry lists them, so that the file has one form
            for _, opening in sorted(group, key=lambda pair: pair[1].digest):
                stream.write(opening.encode(sequence) + b"\n")


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _sync(folder: Path) -> None:
    """Flush every file below `folder`, then every folder that names one."""
    for root, _, names in os.walk(folder, topdown=False):
        for path in (*(Path(root, name) for name in names), Path(root)):
            _flush(path)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _replace(staging: Path, folder: Path) -> None:
    staging.chmod(0o755)
    if folder.is_dir():
        old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        folder.rename(old)
        staging.rename(folder)
        _flush(folder.parent)
        shutil.rmtree(old, ignore_errors=True)
    else:
        staging.rename(folder)
        _flush(folder.parent)
