"""Where each table and key stands in the text of a TOML file."""

from __future__ import annotations

import re


class Lines:
    """Where each table and key stands in the text of a TOML file."""

    _HEADER = re.compile(r"\s*(\[\[?)\s*([A-Za-z0-9_.-]+)\s*\]")
    _KEY = re.compile(r"\s*([A-Za-z0-9_-]+)\s*=")

    def __init__(self, text: str) -> None:
        self._at: dict[tuple[str, int, str], int] = {}
        counts: dict[str, int] = {}
        table, number = "", 0
        for line_number, line in enumerate(text.splitlines(), start=1):
            if header := self._HEADER.match(line):
                table = header[2]
                number = counts.get(table, 0)
                counts[table] = number + 1
                self._at[table, number, ""] = line_number
            elif key := self._KEY.match(line):
                self._at.setdefault((table, number, key[1]), line_number)

    def of(self, table: str, number: int, key: str) -> int:
        """Return the line of a key, else of its table, else 1."""
        return self._at.get((table, number, key)) or self._at.get((table, number, "")) or 1
