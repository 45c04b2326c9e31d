"""An export of the log, read as facts: each with what it commits to, as far as that is opened."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grid.interval import parse
from trading.ledger.commitment import OPENING_BYTES_MAX, Opening, decode_opening
from trading.ledger.entry import Entry, Kind, decode
from trading.ledger.tiles import read_entries
from trading.replay.difference import Difference, DifferenceError

OPENINGS = "openings.jsonl"
_DECIMAL = re.compile(r"0|-?[1-9][0-9]{0,39}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Record:
    """One fact of the log: an entry, or all parts of one that was too long.

    Attributes
    ----------
    sequence : int
        Of the entry, or of its last part.
    body : dict
        What stands in clear.
    commitments : int
    openings : dict
        What was opened, by kind and subject.
    """

    sequence: int
    kind: Kind
    interval: str
    body: dict[str, Any]
    commitments: int
    openings: dict[tuple[str, str], Opening] = field(default_factory=dict)

    @property
    def is_opened(self) -> bool:
        """Whether everything it commits to is opened."""
        return len(self.openings) == self.commitments

    @property
    def start_s(self) -> int:
        """Where its interval begins, seconds UTC."""
        self.expect("interval has a label", bool(self.interval), True)
        return parse(self.interval)

    def of(self, kind: str) -> dict[str, Fields]:
        """Return what was opened of a kind, by subject in order."""
        return {
            subject: Fields(self, f"{kind} {subject}", opening.payload)
            for (one, subject), opening in sorted(self.openings.items())
            if one == kind
        }

    def differs(self, what: str, value: object, derived: object) -> DifferenceError:
        """Return the error that tells a difference in this record."""
        told = Difference(
            self.sequence, str(self.kind), self.interval, what, _shown(value), _shown(derived)
        )
        return DifferenceError(told)

    def expect(self, what: str, value: object, derived: object) -> None:
        """Refuse a value that is another than the one derived.

        Raises
        ------
        DifferenceError
        """
        if type(value) is not type(derived) or value != derived:
            raise self.differs(what, value, derived)


@dataclass(frozen=True, slots=True)
class Fields:
    """The members of one payload or body, read as what they must be.

    Each reader raises :class:`DifferenceError` where the member is something else.
    """

    record: Record
    what: str
    payload: Any

    def text(self, name: str) -> str:
        """Return a text."""
        value = self._member(name)
        if not isinstance(value, str):
            raise self.record.differs(f"{self.what} {name}", value, "a text")
        return value

    def decimal(self, name: str) -> int:
        """Return the integer of a decimal text."""
        value = self._member(name)
        if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
            raise self.record.differs(f"{self.what} {name}", value, "a decimal text")
        return int(value)

    def whole(self, name: str) -> int:
        """Return an integer of at least 0."""
        value = self._member(name)
        if type(value) is not int or value < 0:
            raise self.record.differs(f"{self.what} {name}", value, "a whole number from 0")
        return value

    def flag(self, name: str) -> bool:
        """Return a truth value."""
        value = self._member(name)
        if type(value) is not bool:
            raise self.record.differs(f"{self.what} {name}", value, "true or false")
        return value

    def tables(self, name: str, *, missing: bool = False) -> list[Fields]:
        """Return the members of a list of objects; none when it may be missing and is."""
        if missing and name not in self.members():
            return []
        value = self._member(name)
        if not isinstance(value, list):
            raise self.record.differs(f"{self.what} {name}", value, "a list")
        return [Fields(self.record, f"{self.what} {name}", one) for one in value]

    def equals(self, told: Mapping[str, object]) -> None:
        """Refuse a payload that is not `told`, naming the first member that differs."""
        for name in sorted({*self.members(), *told}):
            self.record.expect(f"{self.what} {name}", self.members().get(name), told.get(name))

    def members(self) -> dict[str, Any]:
        """Return the payload, which must be an object."""
        if not isinstance(self.payload, dict):
            raise self.record.differs(self.what, self.payload, "an object")
        return self.payload

    def _member(self, name: str) -> Any:
        return self.members().get(name)


def records(folder: Path, size: int) -> Iterator[Record]:
    """Yield the facts of an export that was verified.

    Raises
    ------
    DifferenceError
        When the parts of a long entry are not whole.
    """
    opened = _openings(folder / OPENINGS)
    pending = next(opened, None)
    held: Record | None = None
    for content in read_entries(folder, size):
        entry = decode(content)
        found: dict[tuple[str, str], Opening] = {}
        while pending is not None and pending[0] == entry.sequence:
            label = pending[1].label
            found[label.kind, label.subject] = pending[1]
            pending = next(opened, None)
        held = _joined(held, entry, found)
        if held.body.get("part", 0) == held.body.get("parts", 1) - 1:
            for name in ("part", "parts"):
                held.body.pop(name, None)
            yield held
            held = None
    if held is not None:
        raise held.differs("parts", held.body["part"] + 1, held.body["parts"])


def _joined(held: Record | None, entry: Entry, found: dict[tuple[str, str], Opening]) -> Record:
    """Return an entry as a record, with the parts before it."""
    body = {name: value for name, value in entry.body.items() if name != "commitments"}
    count = len(entry.commitments)
    one = Record(entry.sequence, entry.kind, entry.interval, body, count, found)
    if "part" in body or "parts" in body:
        numbers = Fields(one, "body", body)
        if numbers.whole("part") >= numbers.whole("parts"):
            raise one.differs("part", body["part"], f"below {body['parts']}")
    one.expect("part", body.get("part", 0), held.body["part"] + 1 if held else 0)
    if held is None:
        return one
    one.expect("kind and interval of a part", (one.kind, one.interval), (held.kind, held.interval))
    one.expect("body of a part", body, {**held.body, "part": body["part"]})
    return Record(
        one.sequence,
        one.kind,
        one.interval,
        body,
        held.commitments + count,
        held.openings | found,
    )


def _openings(path: Path) -> Iterator[tuple[int, Opening]]:
    if not path.is_file():
        return
    with path.open("rb") as stream:
        while line := stream.readline(OPENING_BYTES_MAX + 2):
            yield decode_opening(line.removesuffix(b"\n"))


def _shown(value: object) -> str:
    """Return a value for a sentence: one line that is not endless."""
    text = str(value) if isinstance(value, str | int) else repr(value)
    text = text if text.isprintable() else ascii(text)
    return text if len(text) <= 160 else f"{text[:160]}…"
