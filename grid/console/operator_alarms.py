"""Open alarms as an operator reads them: one row for what belongs together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import RowMapping

from grid import interval
from grid.errors import BadInputError

_GROUPS_MAX = 12


@dataclass(frozen=True, slots=True)
class Alarm:
    """One finding without what its row says already."""

    id: int
    subject: str
    at_s: int
    text: str


@dataclass(frozen=True, slots=True)
class Group:
    """Findings of one code: of one subject, or of one interval when many subjects share it."""

    code: str
    severity: str
    alarms: list[Alarm]

    @property
    def also(self) -> str:
        """The others' numbers, as the form sends them: what was on the page is acknowledged."""
        return ",".join(str(alarm.id) for alarm in self.alarms[1:])


def _alarm(row: RowMapping) -> Alarm:
    try:
        at_s = interval.parse(row["label"])
    except BadInputError:
        at_s = int(row["cycle_s"])
    text = str(row["message"]).removeprefix(f"{row['subject']} ").removeprefix(f"{row['label']} ")
    return Alarm(int(row["id"]), str(row["subject"]), at_s, text)


def grouped(rows: Sequence[RowMapping]) -> tuple[list[Group], int]:
    """Return groups, the most severe and newest first, and how many alarms are in none."""
    by_code: dict[str, list[RowMapping]] = {}
    for row in rows:
        by_code.setdefault(row["code"], []).append(row)
    groups: dict[tuple[str, str], list[RowMapping]] = {}
    for code, found in by_code.items():
        by_subject = len({row["subject"] for row in found}) <= len({row["label"] for row in found})
        for row in found:
            groups.setdefault((code, row["subject" if by_subject else "label"]), []).append(row)
    ordered = sorted(groups.values(), key=lambda group: (_rank(group), -group[0]["cycle_s"]))
    shown = [
        Group(group[0]["code"], group[0]["severity"], [_alarm(row) for row in group])
        for group in ordered[:_GROUPS_MAX]
    ]
    return shown, sum(len(group) for group in ordered[_GROUPS_MAX:])


def _rank(group: Sequence[RowMapping]) -> bool:
    return all(row["severity"] != "alarm" for row in group)


def numbers(text: str) -> list[int]:
    """Return the numbers a form sends beside the first.

    Raises
    ------
    BadInputError
        When it is no list of numbers.
    """
    parts = text.split(",") if text else []
    if not all(part.isascii() and part.isdigit() and len(part) < 16 for part in parts):
        raise BadInputError(f"also is {text[:40]!r}, must be numbers of alarms")
    return [int(part) for part in parts]
