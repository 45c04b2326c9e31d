"""Green Button (ESPI) feeds: an Atom feed of usage points, meter readings and interval blocks.

Entries find each other by their links: a block's ``up`` is one of its meter reading's
``related``, and so on upward. The XML is read as it comes, without a tree, entities or a
document type.
"""

from __future__ import annotations

import itertools
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from xml.parsers import expat

import numpy as np

from grid.errors import BadInputError
from meters.formats.blocks import FLAG, Block
from meters.formats.source import Refused, Source
from meters.vee.quality import Quality, least_certain

ATOM: Final = "http://www.w3.org/2005/Atom"
ESPI: Final = "http://naesb.org/espi"
WH, VARH = 72, 73
FORWARD, REVERSE = 1, 19
REGISTERS: Final = {
    (WH, FORWARD): "import_wh",
    (WH, REVERSE): "export_wh",
    (VARH, FORWARD): "import_varh",
    (VARH, REVERSE): "export_varh",
}
DELTA: Final = 4
"""accumulationBehaviour of what was counted within an interval."""

QUALITIES: Final = {
    0: Quality.VALID,
    7: Quality.EDITED,
    8: Quality.ESTIMATED_LIKE_DAY,
    9: Quality.ESTIMATED_LINEAR,
    10: Quality.SUSPECT,
    11: Quality.SCALED,
    12: Quality.ESTIMATED_LIKE_DAY,
    13: Quality.SUSPECT,
    14: Quality.SUSPECT,
    15: Quality.EDITED,
    16: Quality.SUSPECT,
    17: Quality.VALID,
    18: Quality.VALID,
    19: Quality.VALID,
}
"""ReadingQuality by its number; 0 together with 11 is BACKFILLED."""
BACKFILLED: Final = frozenset({0, 11})

DEPTH: Final = 24
TEXT: Final = 4096
READINGS: Final = 20_000_000
ENTRIES: Final = 1_000_000
_TOKEN_BYTES: Final = 1 << 20
_WHOLE: Final = re.compile(r"-?[0-9]{1,15}", re.ASCII)
_KINDS: Final = ("UsagePoint", "MeterReading", "ReadingType", "IntervalBlock")


@dataclass(slots=True)
class _Readings:
    """The readings of one block entry, and where each stands."""

    start_s: array[int] = field(default_factory=lambda: array("q"))
    duration_s: array[int] = field(default_factory=lambda: array("q"))
    value: array[int] = field(default_factory=lambda: array("q"))
    quality: array[int] = field(default_factory=lambda: array("q"))
    line: array[int] = field(default_factory=lambda: array("q"))


@dataclass(slots=True)
class _Entry:
    line: int
    kind: str = ""
    own: str = ""
    up: str = ""
    related: set[str] = field(default_factory=set)
    facts: dict[str, str] = field(default_factory=dict)
    readings: _Readings = field(default_factory=_Readings)


class _Feed:
    """What expat tells, gathered by entry."""

    def __init__(self, refused: Refused) -> None:
        self.entries: dict[str, list[_Entry]] = {kind: [] for kind in _KINDS}
        self.count = 0
        self._refused = refused
        self._path: list[str] = []
        self._text: list[str] = []
        self._length = 0
        self._entry: _Entry | None = None
        self._reading: dict[str, Any] | None = None
        self.parser = parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartDoctypeDeclHandler = self._doctype
        parser.EntityDeclHandler = self._doctype

    def _doctype(self, *_: object) -> None:
        raise BadInputError("a document type or entity is not taken")

    def _characters(self, text: str) -> None:
        self._length += len(text)
        if self._length > TEXT:
            raise BadInputError(f"element {self._path[-1:]} has more than {TEXT} characters")
        self._text.append(text)

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        space, _, name = tag.rpartition(" ")
        if not self._path and (space, name) not in ((ATOM, "feed"), (ATOM, "entry")):
            raise BadInputError(f"root element {tag[:80]!r} must be an Atom feed")
        self._path.append(name)
        if len(self._path) > DEPTH:
            raise BadInputError(f"elements are nested deeper than {DEPTH}")
        self._text, self._length = [], 0
        entry = self._entry
        if name == "entry" and space == ATOM:
            self.count += 1
            if entry is not None or self.count > ENTRIES:
                raise BadInputError(f"entries must not be nested, at most {ENTRIES}")
            self._entry = _Entry(self.parser.CurrentLineNumber)
        elif entry is None:
            return
        elif name == "link" and space == ATOM:
            self._link(entry, attributes)
        elif space == ESPI and self._path[-2:-1] == ["content"]:
            entry.kind = name
        elif name == "IntervalReading":
            if len(entry.readings.value) >= READINGS:
                raise BadInputError(f"more than {READINGS} readings")
            self._reading = {"line": self.parser.CurrentLineNumber, "quality": set()}

    def _link(self, entry: _Entry, attributes: dict[str, str]) -> None:
        href = attributes.get("href", "").rstrip("/")
        if len(href) > TEXT:
            raise BadInputError(f"a link has more than {TEXT} characters")
        relation = attributes.get("rel", "")
        if relation == "self":
            entry.own = href
        elif relation == "up":
            entry.up = href
        elif relation == "related" and len(entry.related) < ENTRIES:
            entry.related.add(href)

    def _end(self, tag: str) -> None:
        name = self._path.pop()
        text = "".join(self._text).strip()
        self._text, self._length = [], 0
        entry = self._entry
        if entry is None:
            return
        if name == "entry":
            if entry.kind in self.entries:
                self.entries[entry.kind].append(entry)
            self._entry = None
        elif name == "IntervalReading" and self._reading is not None:
            self._take(entry, self._reading)
            self._reading = None
        elif self._reading is not None:
            if name == "quality":
                self._reading["quality"].add(text)
            elif name in ("start", "duration", "value"):
                self._reading[name] = text
        elif self._path and self._path[-1] == "ReadingType":
            entry.facts[name] = text

    def _take(self, entry: _Entry, reading: dict[str, Any]) -> None:
        line = reading["line"]
        numbers = {}
        for name in ("start", "duration", "value"):
            text = reading.get(name, "")
            if not _WHOLE.fullmatch(text):
                self._refused.add(line, f"{name} {text[:40]!r}: must be a whole number")
                return
            numbers[name] = int(text)
        if not 1 <= numbers["duration"] <= 40_000_000 or not 0 <= numbers["start"] < 2**33:
            shown = f"start {numbers['start']}, duration {numbers['duration']}"
            self._refused.add(line, f"{shown}: no time that can have been metered")
            return
        codes = set()
        for text in reading["quality"]:
            if not _WHOLE.fullmatch(text) or int(text) not in QUALITIES:
                self._refused.add(line, f"quality {text[:40]!r}: must be one of {[*QUALITIES]}")
                return
            codes.add(int(text))
        kept = entry.readings
        kept.start_s.append(numbers["start"])
        kept.duration_s.append(numbers["duration"])
        kept.value.append(numbers["value"])
        kept.quality.append(sum(1 << code for code in codes))
        kept.line.append(line)


def read(source: Source, refused: Refused) -> Iterator[Block]:
    """Yield the readings of a feed, by runs of equal intervals.

    Raises
    ------
    BadInputError
        When the XML is not well formed, has a document type, or is beyond a bound; the
        message has the line.
    """
    feed = _Feed(refused)
    fed = 0
    try:
        for chunk in source.chunks():
            feed.parser.Parse(chunk, False)
            fed += len(chunk)
            if fed - max(feed.parser.CurrentByteIndex, 0) > _TOKEN_BYTES:
                raise BadInputError(f"one tag or text has more than {_TOKEN_BYTES} bytes")
        feed.parser.Parse(b"", True)
    except (expat.ExpatError, BadInputError, LookupError, ValueError) as error:
        line = feed.parser.CurrentLineNumber
        told = expat.errors.messages.get(getattr(error, "code", 0), str(error))
        raise BadInputError(f"{source.name} line {line}: {told}") from error
    if not feed.entries["IntervalBlock"]:
        refused.add(feed.parser.CurrentLineNumber, "the feed has no IntervalBlock")
    yield from _resolved(feed, refused)


def _parents(entries: list[_Entry]) -> dict[str, _Entry]:
    """Return entries by the links under which their children stand."""
    found: dict[str, _Entry] = {}
    for entry in entries:
        for href in (*entry.related, entry.own):
            found.setdefault(href, entry)
    return found


def _parent(parents: dict[str, _Entry], up: str) -> _Entry | None:
    return parents.get(up) or parents.get(up.rpartition("/")[0]) if up else None


def _resolved(feed: _Feed, refused: Refused) -> Iterator[Block]:
    points, readings = (_parents(feed.entries[kind]) for kind in ("UsagePoint", "MeterReading"))
    types = {entry.own: entry for entry in feed.entries["ReadingType"]}
    for entry in feed.entries["IntervalBlock"]:
        reading = _parent(readings, entry.up)
        point = _parent(points, reading.up) if reading else None
        kind = next(
            (types[href] for href in (reading.related if reading else ()) if href in types), None
        )
        if reading is None or point is None or kind is None:
            missing = (
                "MeterReading"
                if reading is None
                else "UsagePoint"
                if point is None
                else "ReadingType"
            )
            refused.add(entry.line, f"IntervalBlock {entry.up[:80]!r}: no {missing} by its links")
            continue
        try:
            yield from _blocks(point.own.rpartition("/")[2][:64] or "feed", kind, entry)
        except BadInputError as error:
            refused.add(entry.line, f"IntervalBlock {entry.up[:80]!r}: {error}")


def _number(facts: dict[str, str], name: str, default: int, low: int, high: int) -> int:
    text = facts.get(name, "") or str(default)
    if not _WHOLE.fullmatch(text) or not low <= int(text) <= high:
        raise BadInputError(f"{name} {text[:40]!r}: must be a whole number within {low} to {high}")
    return int(text)


def _blocks(point: str, kind: _Entry, entry: _Entry) -> Iterator[Block]:
    facts = kind.facts
    uom = _number(facts, "uom", 0, 0, 1000)
    flow = _number(facts, "flowDirection", FORWARD, 0, 100)
    power = _number(facts, "powerOfTenMultiplier", 0, -12, 12)
    default = _number(facts, "defaultQuality", 0, 0, 19)
    register = REGISTERS.get((uom, flow), "")
    if _number(facts, "accumulationBehaviour", DELTA, 0, 100) != DELTA:
        register = ""
    order = np.argsort(np.array(entry.readings.start_s, np.int64), kind="stable")
    columns = ("start_s", "duration_s", "value", "quality", "line")
    start_s, duration_s, value, code, line = (
        np.array(getattr(entry.readings, name), np.int64)[order] for name in columns
    )
    if not len(value):
        return
    quality, flag = _qualities(code, default)
    follows = (start_s[1:] == start_s[:-1] + duration_s[:-1]) & (duration_s[1:] == duration_s[:-1])
    edges = [0, *(np.flatnonzero(~follows) + 1).tolist(), len(value)]
    for low, high in itertools.pairwise(edges):
        run = slice(low, high)
        yield Block(
            point, register or f"uom {uom} flow {flow}", register, f"uom {uom}",
            int(start_s[low]), int(duration_s[low]), value[run], 10 ** max(power, 0),
            10 ** max(-power, 0), quality[run], flag[run], int(line[low]),
        )  # fmt: skip


def _qualities(code: np.ndarray, default: int) -> tuple[np.ndarray, np.ndarray]:
    """Return qualities in our words and the feed's, each distinct set of numbers once."""
    distinct, index = np.unique(code, return_inverse=True)
    quality = np.zeros(len(distinct), np.uint16)
    flag = np.zeros(len(distinct), FLAG)
    for at, bits in enumerate(distinct.tolist()):
        codes = [number for number in QUALITIES if bits >> number & 1] or [default]
        found = np.array([Quality.VALID], np.uint16)
        for number in codes:
            one = QUALITIES.get(number, Quality.SUSPECT)
            found = least_certain(found, np.array([one], np.uint16))
        quality[at] = Quality.BACKFILLED if set(codes) == BACKFILLED else found[0]
        flag[at] = str(codes[-1]).encode()
    return quality[index], flag[index]
