"""CSV files read strictly: a known header, and every error with its line."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection
from pathlib import Path

from grid.errors import BadInputError

_FEW = 20


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file.

    Raises
    ------
    BadInputError
        When it cannot be read.
    """
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path}: cannot be read: {error}") from error


def take_lines(
    text: str,
    name: str,
    *,
    required: Collection[str],
    optional: Collection[str],
    take: Callable[[int, dict[str, str]], None],
) -> None:
    """Give `take` the number and the fields of each line after the header.

    Parameters
    ----------
    required, optional : Collection of str
        The columns, in any order.
    take : Callable
        Refuses a line by a :class:`BadInputError`.

    Raises
    ------
    BadInputError
        One line ``NAME:LINE: message`` for each of the first errors.
    """
    rows = csv.reader(io.StringIO(text), strict=True)
    errors: list[str] = []
    try:
        header = next(rows, [])
        _check_header(header, required, optional)
        for row in rows:
            line = rows.line_num
            try:
                if len(row) != len(header):
                    raise BadInputError(f"has {len(row)} columns, the header has {len(header)}")
                take(line, dict(zip(header, row, strict=True)))
            except BadInputError as error:
                errors.append(f"{name}:{line}: {error}")
    except (csv.Error, BadInputError) as error:
        errors.append(f"{name}:{max(rows.line_num, 1)}: {error}")
    if errors:
        more = len(errors) - _FEW
        raise BadInputError(
            "\n".join(errors[:_FEW] + ([f"{name}: {more} more errors"] if more > 0 else []))
        )


def _check_header(header: list[str], required: Collection[str], optional: Collection[str]) -> None:
    missing = [column for column in required if column not in header]
    unknown = [column for column in header if column not in (*required, *optional)]
    if missing or unknown or len(set(header)) != len(header):
        raise BadInputError(
            f"header {','.join(header)!r} must have {','.join(required)} once each, "
            f"may have {','.join(optional)}, and nothing else"
        )
