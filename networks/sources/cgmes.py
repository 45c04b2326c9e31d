"""Networks of CGMES (IEC 61970-600): XML looked through before a parser sees it, then pandapower's.

A document type can define entities that grow without end or stand for other files,
so none may be there. Archives are unpacked here, by size and never by their names.
"""

from __future__ import annotations

import io
import lzma
import re
import struct
import zipfile
import zlib
from pathlib import Path

from grid.errors import BadInputError, Finding, Severity
from networks.sources.converter import convert, need
from networks.sources.exchange import from_records
from networks.sources.tables import Tables, read_bytes

MAX_FILES = 40
MAX_XML_BYTES = 64_000_000
"""All files of a network together, unpacked."""

_DECLARATION = re.compile(
    r"<\?xml\s+version\s*=\s*(['\"])1\.[01]\1(?:\s+encoding\s*=\s*(['\"])([\w.\-]+)\2)?"
    r"(?:\s+standalone\s*=\s*(['\"])(?:yes|no)\4)?\s*\?>",
)
_DAMAGED = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, NotImplementedError, RuntimeError,
    OSError, EOFError, ValueError, IndexError,
)  # fmt: skip
_ENCODINGS = ("utf-8", "us-ascii", "ascii")


def read_cgmes(path: Path) -> tuple[Tables, list[Finding]]:
    """Return the tables of a CGMES ``.zip``, ``.xml`` or folder of ``.xml``, and what was noted.

    The profiles of equipment, steady state and topology have to be there, short
    circuit, state and places where they are wanted. Measurements and tap controls are
    left out. An equivalent injection is a load.

    Raises
    ------
    BadInputError
        Naming the file: a document type or entity, another encoding than UTF-8, an
        archive that is too large, too deep or encrypted; or the converter refuses
        it, or is not installed; or it holds what the file has no table for.
    PeerError
        When the converter crashed or gave no answer.
    """
    need("lxml", "cgmes", "a CGMES file")
    documents = _documents(path)
    for name, content in documents.items():
        check_xml(content, name)
    files = {f"{number}.xml": content for number, content in enumerate(documents.values())}
    answer = convert("cgmes", files)
    tables = from_records(answer["records"], answer["facts"], path.name)
    findings = [
        Finding("network.import.approximated", "network", "", Severity.WARNING, note)
        for note in answer["notes"]
    ]
    return tables, sorted(findings)


def _documents(path: Path) -> dict[str, bytes]:
    """Return the XML documents of a network by name."""
    if path.is_dir():
        found = sorted(file for file in path.iterdir() if file.suffix.lower() == ".xml")
        documents = {file.name: read_bytes(file) for file in found[: MAX_FILES + 1]}
    elif path.suffix.lower() == ".zip":
        documents = unpacked(read_bytes(path), path.name)
    else:
        documents = {path.name: read_bytes(path)}
    total = sum(map(len, documents.values()))
    if len(documents) > MAX_FILES or total > MAX_XML_BYTES:
        raise BadInputError(
            f"{path}: more than {MAX_FILES} files or {MAX_XML_BYTES} bytes of XML are not read"
        )
    if not documents:
        raise BadInputError(f"{path}: holds no .xml")
    return documents


def unpacked(content: bytes, subject: str) -> dict[str, bytes]:
    """Return the ``.xml`` of an archive by name, none of it written to disk.

    Raises
    ------
    BadInputError
        When it is no archive, encrypted, holds archives, or grows too large.
    """
    documents: dict[str, bytes] = {}
    left = MAX_XML_BYTES
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            infos = [info for info in archive.infolist() if not info.filename.endswith("/")]
            if len(infos) > MAX_FILES:
                raise BadInputError(f"{subject}: holds {len(infos)} files, limit {MAX_FILES}")
            for info in infos:
                name = f"{subject} {info.filename!r:.80}"
                if info.flag_bits & 1:
                    raise BadInputError(f"{name}: is encrypted")
                if info.filename.lower().endswith(".zip"):
                    raise BadInputError(f"{name}: is an archive in an archive; unpack it first")
                if not info.filename.lower().endswith(".xml"):
                    continue
                with archive.open(info) as file:
                    documents[info.filename] = file.read(left + 1)
                left -= len(documents[info.filename])
                if left < 0:
                    raise BadInputError(f"{name}: unpacks to more than {MAX_XML_BYTES} bytes")
    except _DAMAGED as error:
        raise BadInputError(f"{subject}: is no archive that can be read: {error!s:.100}") from error
    return documents


def check_xml(content: bytes, subject: str) -> str:
    """Return a document's text when nothing in it is for a parser to expand or fetch.

    Raises
    ------
    BadInputError
        When it is not UTF-8, or has a document type, an entity, a CDATA section or
        a processing instruction.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInputError(f"{subject}: is not XML in UTF-8: {error}") from error
    # A parser takes text of two bytes a character for what it is, without a mark too.
    if "\x00" in text:
        raise BadInputError(f"{subject}: is not XML in UTF-8: holds the character 0")
    declaration = _DECLARATION.match(text)
    encoding = declaration[3] if declaration else None
    if encoding is not None and encoding.lower() not in _ENCODINGS:
        raise BadInputError(f"{subject}: is in {encoding[:40]!r}, must be in UTF-8")
    body = text[declaration.end() :] if declaration else text
    for found in re.finditer(r"<[!?]", body):
        at = body[found.start() : found.start() + 9]
        if not at.startswith("<!--"):
            raise BadInputError(
                f"{subject}: holds {at!r}: a document type, an entity or an instruction is not read"
            )
    if not body.lstrip().startswith("<"):
        raise BadInputError(f"{subject}: is no XML")
    return text
