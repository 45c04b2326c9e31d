"""Which format a file has, by its first bytes, and the reader of each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from grid.errors import BadInputError
from meters.formats import columns, espi, nem
from meters.formats.blocks import Block
from meters.formats.column_map import ColumnMap
from meters.formats.history import HEADER
from meters.formats.source import Refused, Source, open_source

FORMATS: Final = ("history", "nem12", "espi", "csv")
_BOM: Final = b"\xef\xbb\xbf"


def detect(path: Path | str, *, mapped: bool) -> str:
    """Return the format of a file.

    Parameters
    ----------
    mapped : bool
        Whether a column map is at hand: then what is no other format is CSV.

    Raises
    ------
    BadInputError
        When no format fits.
    """
    with open_source(path) as source:
        head = next(source.chunks(), b"")[:4096].removeprefix(_BOM)
        text = head.lstrip()
        if head.startswith(",".join(HEADER[:2]).encode()):
            return "history"
        if text[:1] == b"<":
            return "espi"
        if text[:4] in (b"100,", b"200,"):
            return "nem12"
        if mapped:
            return "csv"
        raise BadInputError(
            f"{source.name}: no format known by its first line; a CSV file needs a column map "
            "(--map), others a --format"
        )


def read_blocks(
    source: Source, file_format: str, refused: Refused, column_map: ColumnMap | None
) -> Iterator[Block]:
    """Yield the readings of a file of that format; what is wrong is refused by line.

    Raises
    ------
    BadInputError
        When the file as a whole cannot be read.
    """
    if file_format == "nem12":
        return nem.NemReader(refused).read(source.lines())
    if file_format == "espi":
        return espi.read(source, refused)
    if file_format != "csv":
        raise BadInputError(f"{source.name}: format {file_format!r} must be one of {FORMATS}")
    if column_map is None:
        raise BadInputError(f"{source.name}: a CSV file needs a column map (--map)")
    return columns.read(source, refused, column_map)
