"""A picture and what it says in words and in a table."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

Cell = str | int | float | None

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Picture:
    """An SVG picture with its alternative for people and machines that cannot see it.

    Attributes
    ----------
    svg : str
        One ``<svg>`` element with `title` and `description` in it.
    title, description : str
    table : tuple of rows
        The first row is the header; what is not known is None.
    left_out : int
        Labels that found no free place. Their values are in the table.
    """

    svg: str
    title: str
    description: str
    table: tuple[tuple[Cell, ...], ...]
    left_out: int = 0

    def csv(self) -> str:
        """Return the table as CSV (RFC 4180); a text that a spreadsheet would run is quoted."""
        buffer = io.StringIO(newline="")
        writer = csv.writer(buffer)
        for row in self.table:
            writer.writerow(["" if cell is None else _plain(cell) for cell in row])
        return buffer.getvalue()


def _plain(cell: Cell) -> Cell:
    if isinstance(cell, str) and cell.startswith(_FORMULA):
        return f"'{cell}"
    return cell
