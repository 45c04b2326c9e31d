"""Tariffs in a TOML file of their own, in the words of a site file."""

from __future__ import annotations

from pathlib import Path

from grid.site_file import SiteFileError, read_text, tables
from grid.site_lines import Lines
from grid.site_tariff import Tariff


def parse_tariffs(text: str, name: str) -> tuple[Tariff, ...]:
    """Return the tariffs of a text that has only ``[[tariff]]``, as a site file has them.

    Raises
    ------
    SiteFileError
        With every error of the file, each as ``NAME:LINE: message``.
    """
    found, others = tables(text, name, {"tariff": Tariff}, {})
    lines = Lines(text)
    errors = [(lines.of(key, 0, key), f"unknown key {key!r}") for key in others]
    seen: set[str] = set()
    for number, tariff in enumerate(found["tariff"]):
        if tariff.id in seen:
            errors.append((lines.of("tariff", number, "id"), f"tariff {tariff.id} stands twice"))
        seen.add(tariff.id)
    if not seen:
        errors.append((1, "there is no [[tariff]]"))
    if errors:
        raise SiteFileError(f"{name}:{line}: {message}" for line, message in sorted(errors))
    return found["tariff"]


def read_tariffs(path: Path) -> tuple[Tariff, ...]:
    """Return the tariffs of a file.

    Raises
    ------
    BadInputError
        When it cannot be read; :class:`SiteFileError` when it is wrong.
    """
    return parse_tariffs(read_text(path), path.name)
