"""The list of erased persons beside the store: whoever is on it is in no store of the folder.

A line is on the disk before an erasure commits, so that a copy of the store from before, once
restored, is purged when it is opened. A line names nobody: it has a keyed digest of the party's
identifier, and the key is in a file of its own.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from grid.errors import StoreError
from grid.store.erasure import Stay

LIST_FILE = "purged.jsonl"
KEY_FILE = "purged.key"
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Purged:
    """An erased person.

    Attributes
    ----------
    number : int
        Of the erasure, from 1.
    person : str
        Keyed digest of the party's identifier, 64 hexadecimal digits.
    at_s : int
    stays : tuple of Stay
        When the person stood for which usage point.
    """

    number: int
    person: str
    at_s: int
    stays: tuple[Stay, ...]


class PurgeList:
    """The list in a site folder.

    Raises
    ------
    StoreError
        When it has lines and its key is gone, or a line is not one.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / LIST_FILE
        self._key_path = directory / KEY_FILE
        self._key = _bytes(self._key_path)
        # What a power cut left of a last line never was acknowledged.
        told, _, torn = _bytes(self._path).rpartition(b"\n")
        self._torn = len(torn)
        self.entries = [_entry(line, self._path) for line in told.splitlines()]
        if self.entries and len(self._key) != _KEY_BYTES:
            raise StoreError(f"{self._key_path} is gone: bring it back, or nobody can be purged")

    def find(self, parties: Iterable[str]) -> list[tuple[str, Purged]]:
        """Return which of some parties are on the list, each with its entry."""
        if not self.entries:
            return []
        known = {one.person: one for one in self.entries}
        named = ((party, known.get(self._digest(party))) for party in parties)
        return [(party, one) for party, one in named if one is not None]

    def add(self, party: str, at_s: int, stays: Iterable[Stay]) -> Purged:
        """Put a party on the list, and the list on the disk; return its entry."""
        if not self._key:
            self._key = secrets.token_bytes(_KEY_BYTES)
            _write(self._key_path, self._key)
        one = Purged(len(self.entries) + 1, self._digest(party), at_s, tuple(stays))
        facts = {
            "at_s": at_s,
            "number": one.number,
            "person": one.person,
            "stays": [[stay.usage_point, stay.from_s, stay.until_s] for stay in one.stays],
        }
        _write(self._path, json.dumps(facts).encode() + b"\n", cut=self._torn)
        self._torn = 0
        self.entries.append(one)
        return one

    def _digest(self, party: str) -> str:
        return hmac.digest(self._key, b"khazri/purged/v1\n" + party.encode(), "sha256").hex()


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def _entry(line: bytes, path: Path) -> Purged:
    try:
        facts = json.loads(line)
        stays = tuple(Stay(*stay) for stay in facts["stays"])
        return Purged(facts["number"], facts["person"], facts["at_s"], stays)
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{path} has a line that is no erasure: {line[:64]!r}") from error


def _write(path: Path, content: bytes, *, cut: int = 0) -> None:
    """Append to a file only its owner reads, less what was torn, and wait for the disk."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        end = os.lseek(file, 0, os.SEEK_END) - cut
        os.ftruncate(file, end)
        os.lseek(file, end, os.SEEK_SET)
        if os.write(file, content) != len(content):
            raise StoreError(f"{path}: the disk took only a part")
        os.fsync(file)
    finally:
        os.close(file)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
