"""CSV files of other systems, by a column map; local time across the changes of the clock."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from grid import interval
from grid.errors import BadInputError
from meters.formats.blocks import FLAG, NOTHING, Block
from meters.formats.column_map import ColumnMap
from meters.formats.source import Refused, Source
from meters.vee.quality import Quality

RUN: Final = 96
"""Readings of a usage point that wait to be kept together."""
POINTS_MAX: Final = 100_000
_PLACES: Final = 6
_EPOCH: Final = re.compile(r"[0-9]{1,10}", re.ASCII)
_POINT: Final = re.compile(r"[^\s\x00-\x1f\x7f]{1,64}")


@dataclass(slots=True)
class _Run:
    """The readings of one usage point that follow one another."""

    start_s: int = 0
    line: int = 0
    values: list[list[int]] = field(default_factory=list)
    quality: list[int] = field(default_factory=list)
    flag: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Point:
    """What is known of one usage point so far."""

    run: _Run = field(default_factory=_Run)
    last_s: int | None = None
    totals: dict[str, tuple[int, int]] = field(default_factory=dict)


def read(source: Source, refused: Refused, column_map: ColumnMap) -> Iterator[Block]:
    """Yield the readings of a CSV file, by runs of one usage point.

    Raises
    ------
    BadInputError
        When a column that the map names is not in the header.
    """
    return _Reader(source, refused, column_map).read()


class _Reader:
    def __init__(self, source: Source, refused: Refused, column_map: ColumnMap) -> None:
        self._source = source
        self._refused = refused
        self._map = column_map
        self._points: dict[str, _Point] = {}
        decimal = re.escape(column_map.decimal)
        self._number = re.compile(rf"([0-9]{{1,12}})(?:{decimal}([0-9]{{0,{_PLACES}}}))?", re.ASCII)

    def read(self) -> Iterator[Block]:
        rows = self._rows()
        line, header = next(rows, (self._map.skip_lines + 1, []))
        places = self._places(line, [name.strip() for name in header])
        width = max(places.values()) + 1
        for line, row in rows:
            if not any(row):
                continue
            try:
                if len(row) < width:
                    raise BadInputError(f"has {len(row)} fields, must have {width}")
                cells = {name: row[at].strip() for name, at in places.items()}
                yield from self._line(line, cells)
            except BadInputError as error:
                self._refused.add(line, str(error))
        for name, point in self._points.items():
            yield from self._flush(name, point)

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield each line's number and fields; a quoted field ends on its line."""
        for number, line in self._source.lines():
            if number <= self._map.skip_lines:
                continue
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                yield (
                    number,
                    next(csv.reader([text], delimiter=self._map.separator, strict=True), []),
                )
            except (UnicodeDecodeError, csv.Error, StopIteration) as error:
                self._refused.add(number, f"is no line of CSV: {error}")

    def _places(self, line: int, header: list[str]) -> dict[str, int]:
        wanted = {self._map.time_column, *(one.column for one in self._map.values)}
        wanted |= {self._map.usage_point_column, self._map.quality_column} - {""}
        for name in sorted(wanted):
            if header.count(name) != 1:
                raise BadInputError(
                    f"{self._source.name} line {line}: column {name!r} must stand in the "
                    f"header once, stands {header.count(name)} times"
                )
        return {name: header.index(name) for name in wanted}

    def _line(self, line: int, cells: dict[str, str]) -> Iterable[Block]:
        name = self._map.usage_point or cells[self._map.usage_point_column]
        if not _POINT.fullmatch(name):
            raise BadInputError(f"usage point {name[:70]!r}: must be 1 to 64 characters, no space")
        point = self._points.get(name)
        if point is None:
            if len(self._points) >= POINTS_MAX:
                raise BadInputError(f"usage point {name!r}: more than {POINTS_MAX} of them")
            point = self._points[name] = _Point()
        stamp_s = self._instant(cells[self._map.time_column], point)
        values = [self._value(one.column, cells[one.column]) for one in self._map.values]
        flag = cells.get(self._map.quality_column, "")
        quality = self._quality(flag)
        point.last_s = stamp_s
        # A register read at an instant closes the interval before it.
        rises = any(one.rises for one in self._map.values)
        start_s = stamp_s - self._map.interval_s if self._map.ends or rises else stamp_s
        for at, one in enumerate(self._map.values):
            if one.rises:
                values[at] = self._difference(point, one.column, stamp_s, values[at])
        run = point.run
        expected_s = run.start_s + self._map.interval_s * len(run.values)
        flushed: list[Block] = []
        if run.values and (start_s != expected_s or len(run.values) >= RUN):
            flushed = list(self._flush(name, point))
            run = point.run
        if not run.values:
            run.start_s, run.line = start_s, line
        run.values.append(values)
        run.quality.append(quality)
        run.flag.append(flag[:3])
        return flushed

    def _difference(self, point: _Point, column: str, at_s: int, total: int) -> int:
        before = point.totals.get(column)
        if total == NOTHING:
            return NOTHING
        if before is not None and total < before[1]:
            raise BadInputError(
                f"{column} fell from {before[1] / 1e6:g} to {total / 1e6:g}: a register rises"
            )
        point.totals[column] = (at_s, total)
        if before is None or at_s - before[0] != self._map.interval_s:
            return NOTHING
        return total - before[1]

    def _value(self, column: str, text: str) -> int:
        if text == "":
            return NOTHING
        match = self._number.fullmatch(text)
        if match is None:
            raise BadInputError(
                f"{column} {text[:40]!r}: must be a decimal with {self._map.decimal!r}, at most "
                f"{_PLACES} places, not negative"
            )
        return int(match[1]) * 10**_PLACES + int((match[2] or "").ljust(_PLACES, "0"))

    def _quality(self, text: str) -> Quality:
        if not self._map.quality_column:
            return Quality.VALID
        found = self._map.qualities.get(text)
        if found is None:
            known = ", ".join(map(repr, self._map.qualities))
            raise BadInputError(f"quality {text[:40]!r}: must be one of {known}")
        return found

    def _instant(self, text: str, point: _Point) -> int:
        """Return the instant of a line's stamp, aligned to the interval."""
        name = self._map.time_column
        try:
            at_s = self._parsed(text, point)
        except (ValueError, OverflowError) as error:
            raise BadInputError(f"{name} {text[:40]!r}: {error}") from error
        except BadInputError as error:
            raise BadInputError(f"{name} {text[:40]!r}: {error}") from error
        if at_s % self._map.interval_s:
            raise BadInputError(
                f"{name} {text[:40]!r}: not on a multiple of {self._map.interval_s} s"
            )
        return at_s

    def _parsed(self, text: str, point: _Point) -> int:
        if self._map.time_format == "epoch":
            if not _EPOCH.fullmatch(text):
                raise BadInputError("must be seconds since 1970")
            return int(text)
        if self._map.time_format == "iso":
            moment = datetime.fromisoformat(text)
        else:
            moment = datetime.strptime(text, self._map.time_format)  # noqa: DTZ007  zone follows
        if not 1980 <= moment.year <= 2199:
            raise BadInputError("must be of the years 1980 to 2199")
        if moment.tzinfo is not None:
            return int(moment.timestamp())
        return self._local(moment, point)

    def _local(self, moment: datetime, point: _Point) -> int:
        """Return the instant of a local time; of two, the one that follows the line before."""
        tz = interval.zone(self._map.time_zone)
        first, second = (int(moment.replace(tzinfo=tz, fold=fold).timestamp()) for fold in (0, 1))
        shown = datetime.fromtimestamp(first, UTC).astimezone(tz).replace(tzinfo=None)
        if abs(shown - moment) > timedelta(0):
            raise BadInputError(f"does not exist in {self._map.time_zone}: the clock went forward")
        if first == second:
            return first
        if not self._map.by_order:
            raise BadInputError(f"stands twice in {self._map.time_zone}: the clock went back")
        if point.last_s is None or first > point.last_s:
            return first
        if second > point.last_s:
            return second
        raise BadInputError("stands twice there, and the lines are out of order")

    def _flush(self, name: str, point: _Point) -> Iterator[Block]:
        run, point.run = point.run, _Run()
        if not run.values:
            return
        raw = np.array(run.values, np.int64)
        quality = np.array(run.quality, np.uint16)
        flag = np.array([one.encode("ascii", "replace") for one in run.flag], FLAG)
        for at, one in enumerate(self._map.values):
            yield Block(
                name, one.register, one.register, one.unit, run.start_s, self._map.interval_s,
                raw[:, at], one.scale.up, one.scale.down, quality, flag, run.line,
            )  # fmt: skip
