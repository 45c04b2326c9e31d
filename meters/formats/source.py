"""The lines of a file, plain or in a zip archive, bounded in length, size and expansion."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from grid.errors import BadInputError, Finding, Severity

LINE_BYTES: Final = 65_536
FILE_BYTES: Final = 4 << 30
MEMBERS: Final = 1
EXPANSION: Final = 250
"""How many times its packed size a member may have, once it is beyond :data:`FREE_BYTES`."""
FREE_BYTES: Final = 16 << 20
EMPTY_LINES: Final = 100_000
REFUSED_SHOWN: Final = 1000
REFUSED_MOST: Final = 100_000
"""Refused lines after which a file is not of the format at all."""
_CHUNK: Final = 1 << 16
_ZIP_FAILURES: Final = (
    *(zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError),
    UnicodeDecodeError,
)


@dataclass(slots=True)
class Refused:
    """The lines of one file that are not taken: all counted, the first in words.

    Attributes
    ----------
    name : str
        The file's name, the first word of each message.
    code : str
        Of the findings, e.g. ``"nem12.refused"``.
    count : int
    findings : list of Finding
        At most :data:`REFUSED_SHOWN`.
    """

    name: str
    code: str
    count: int = 0
    findings: list[Finding] = field(default_factory=list)

    def add(self, line: int, reason: str, subject: str = "") -> None:
        """Refuse the line of that number, from 1.

        Raises
        ------
        BadInputError
            When it is one too many.
        """
        self.count += 1
        if self.count > REFUSED_MOST:
            raise BadInputError(f"{self.findings[0].message}\n{self.name}: and {REFUSED_MOST} more")
        if len(self.findings) < REFUSED_SHOWN:
            message = f"{self.name} line {line}: {reason}"
            self.findings.append(
                Finding(self.code, subject[:64], "", Severity.WARNING, message[:1000])
            )

    def raise_first(self) -> None:
        """Raise with the first refused lines when there are any.

        Raises
        ------
        BadInputError
        """
        if self.count:
            shown = [finding.message for finding in self.findings[:20]]
            shown.append(f"{self.name}: {self.count} lines refused, nothing taken")
            raise BadInputError("\n".join(shown))


class Source:
    """An open file of text lines.

    Attributes
    ----------
    name : str
        Of the file, without its folder.
    sha256 : str
        Of the file as it lies there, packed or not.
    size_bytes : int
    read_bytes : int
        How many bytes of content were read so far.
    """

    def __init__(self, name: str, sha256: str, size_bytes: int, stream: IO[bytes]) -> None:
        self.name = name
        self.sha256 = sha256
        self.size_bytes = size_bytes
        self.read_bytes = 0
        self._stream = stream
        self._most_bytes = FILE_BYTES

    def limit(self, packed_bytes: int) -> None:
        """Refuse more content than a member of that packed size may have."""
        self._most_bytes = min(FILE_BYTES, max(FREE_BYTES, packed_bytes * EXPANSION))

    def chunks(self) -> Iterator[bytes]:
        """Yield the content in pieces.

        Raises
        ------
        BadInputError
            When the archive is broken, or its content is larger than allowed.
        """
        while True:
            try:
                chunk = self._stream.read(_CHUNK)
            except _ZIP_FAILURES as error:
                raise BadInputError(f"{self.name}: the archive is broken: {error}") from error
            if not chunk:
                return
            self.read_bytes += len(chunk)
            if self.read_bytes > self._most_bytes:
                raise BadInputError(
                    f"{self.name}: more than {self._most_bytes} bytes of content, the limit "
                    f"({EXPANSION} times the packed size, at most {FILE_BYTES})"
                )
            yield chunk

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield each line with its number from 1, without its end (LF or CRLF).

        Raises
        ------
        BadInputError
            As :meth:`chunks`; when a line has more than :data:`LINE_BYTES`, or there are
            more than :data:`EMPTY_LINES` empty ones.
        """
        number, empty, rest = 0, 0, b""
        for chunk in self.chunks():
            lines = (rest + chunk).split(b"\n")
            rest = lines.pop()
            empty += lines.count(b"")
            if empty > EMPTY_LINES:
                raise BadInputError(f"{self.name}: more than {EMPTY_LINES} empty lines")
            for line in lines:
                number += 1
                if len(line) > LINE_BYTES:
                    break
                yield number, line.removesuffix(b"\r")
            else:
                if len(rest) <= LINE_BYTES:
                    continue
                number += 1
            raise BadInputError(f"{self.name} line {number}: longer than {LINE_BYTES} bytes")
        if rest:
            yield number + 1, rest.removesuffix(b"\r")


@contextmanager
def open_source(path: Path | str) -> Iterator[Source]:
    """Open a file, or the one member of a zip archive.

    Raises
    ------
    BadInputError
        When there is no such file, or the archive holds other than one member.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size_bytes = file.tell()
            file.seek(0)
            if not zipfile.is_zipfile(file):
                file.seek(0)
                yield Source(path.name, digest, size_bytes, file)
                return
            file.seek(0)
            with _member(path, file) as (info, stream):
                source = Source(path.name, digest, info.file_size, stream)
                source.limit(info.compress_size)
                yield source
    except OSError as error:
        raise BadInputError(f"{path}: {error.strerror or error}") from error


@contextmanager
def _member(path: Path, file: IO[bytes]) -> Iterator[tuple[zipfile.ZipInfo, IO[bytes]]]:
    try:
        archive = zipfile.ZipFile(file)
        # Not by is_dir, which fails on a member without a name.
        members = [info for info in archive.infolist() if not info.filename.endswith("/")]
        if len(members) != MEMBERS:
            raise BadInputError(f"{path.name}: the archive must hold one file, not {len(members)}")
        stream = archive.open(members[0])
    except _ZIP_FAILURES as error:
        raise BadInputError(f"{path.name}: the archive is broken: {error}") from error
    with archive, stream:
        yield members[0], stream
