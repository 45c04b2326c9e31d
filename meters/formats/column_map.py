"""What the columns of a CSV file mean, told in a TOML file.

::

    separator = ";"
    decimal = ","
    interval_minutes = 15

    [time]
    column = "Zeitstempel"
    format = "%d.%m.%Y %H:%M"       # or "iso", or "epoch"
    zone = "Europe/Berlin"
    stamps = "start"                # or "end"
    ambiguous = "order"             # or "refuse": the hour that an autumn day has twice

    [usage_point]
    column = "Zähler"               # or value = "UP-001", for a file of one

    [import_wh]
    column = "Bezug"
    unit = "kWh"
    counts = "interval"             # or "register": a total that rises

    [quality]
    column = "Status"
    values = { W = "valid", E = "estimated_linear" }

    [points]
    "DE0001" = "UP-001"
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from grid.errors import BadInputError
from grid.interval import zone
from meters.formats.nem_records import Scale, scale
from meters.reading import CHANNELS
from meters.vee.quality import Quality

MAP_BYTES: Final = 1 << 20
_LETTER: Final = dict(zip(CHANNELS, "EBQK", strict=True))
_TOP: Final = {"separator", "decimal", "interval_minutes", "skip_lines"}
_TABLES: Final = {
    "time": {"column", "format", "zone", "stamps", "ambiguous"},
    "usage_point": {"column", "value"},
    "quality": {"column", "values"},
    **{register: {"column", "unit", "counts"} for register in CHANNELS},
}


@dataclass(frozen=True, slots=True)
class ValueColumn:
    """One column of energy.

    Attributes
    ----------
    register : str
        One of :data:`meters.reading.CHANNELS`.
    column, unit : str
    scale : Scale
        From millionths of the unit to Wh or varh.
    rises : bool
        A total since ever, of which the differences count.
    """

    register: str
    column: str
    unit: str
    scale: Scale
    rises: bool


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """What the columns of a CSV file mean.

    Attributes
    ----------
    time_column, time_format, time_zone : str
        The format is one of ``strptime``, ``"iso"`` or ``"epoch"``.
    ends : bool
        A line is stamped with the end of its interval.
    by_order : bool
        An hour that a local day has twice is told apart by the order of lines.
    values : tuple of ValueColumn
    interval_s : int
    usage_point_column, usage_point : str
        One of both is empty.
    quality_column : str
    qualities : mapping of str to Quality
    separator, decimal : str
    skip_lines : int
        Before the header.
    points : mapping of str to str
        By the file's word for a usage point, ours.
    """

    time_column: str
    time_format: str
    time_zone: str
    ends: bool
    by_order: bool
    values: tuple[ValueColumn, ...]
    interval_s: int
    usage_point_column: str
    usage_point: str
    quality_column: str
    qualities: Mapping[str, Quality]
    separator: str = ","
    decimal: str = "."
    skip_lines: int = 0
    points: Mapping[str, str] = field(default_factory=dict)


def load_map(path: Path) -> ColumnMap:
    """Read a column map.

    Raises
    ------
    BadInputError
        Naming the key that is unknown, missing or wrong.
    """
    try:
        content = path.read_bytes()
        if len(content) > MAP_BYTES:
            raise BadInputError(f"{path}: must have at most {MAP_BYTES} bytes")
        return parse_map(tomllib.loads(content.decode()))
    except OSError as error:
        raise BadInputError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{path}: {error}") from error
    except BadInputError as error:
        raise BadInputError(f"{path}: {error}") from error


def parse_map(given: Mapping[str, Any]) -> ColumnMap:
    """Return the column map of parsed TOML.

    Raises
    ------
    BadInputError
        Naming the key.
    """
    for key, value in given.items():
        if key in _TOP or key == "points":
            continue
        if key not in _TABLES or not isinstance(value, dict):
            raise BadInputError(f"key {key!r} is unknown; known: {sorted(_TOP | {*_TABLES})}")
        for inner in value.keys() - _TABLES[key]:
            raise BadInputError(f"key {key}.{inner} is unknown; known: {sorted(_TABLES[key])}")
    time, point = given.get("time", {}), given.get("usage_point", {})
    qualities = given.get("quality", {}).get("values", {})
    points = given.get("points", {})
    if not all(isinstance(one, dict) for one in (qualities, points)):
        raise BadInputError("quality.values and points must be tables")
    minutes = given.get("interval_minutes", 15)
    if not isinstance(minutes, int) or minutes < 1 or (60 % minutes):
        raise BadInputError(f"interval_minutes {minutes!r} must be a whole part of an hour")
    column, fixed = (
        _text(point, "column", "usage_point", ""),
        _text(point, "value", "usage_point", ""),
    )
    if bool(column) == bool(fixed):
        raise BadInputError("usage_point needs one of column and value")
    values = tuple(_value(register, given[register]) for register in CHANNELS if register in given)
    if not values:
        raise BadInputError(f"no column of energy: one of {', '.join(CHANNELS)} is needed")
    time_zone = _text(time, "zone", "time", "UTC")
    zone(time_zone)
    skip_lines = given.get("skip_lines", 0)
    if not isinstance(skip_lines, int) or not 0 <= skip_lines <= 1000:
        raise BadInputError(f"skip_lines {skip_lines!r} must be within 0 to 1000")
    return ColumnMap(
        time_column=_text(time, "column", "time"),
        time_format=_format(_text(time, "format", "time", "iso")),
        time_zone=time_zone,
        ends=_one_of(time, "stamps", "time", ("start", "end")) == "end",
        by_order=_one_of(time, "ambiguous", "time", ("order", "refuse")) == "order",
        values=values,
        interval_s=60 * minutes,
        usage_point_column=column,
        usage_point=fixed,
        quality_column=_text(given.get("quality", {}), "column", "quality", ""),
        qualities={str(text): _quality(name) for text, name in qualities.items()},
        separator=_sign(given, "separator", ",", ",;\t|"),
        decimal=_sign(given, "decimal", ".", ".,"),
        skip_lines=skip_lines,
        points={str(word): str(ours) for word, ours in points.items()},
    )


def _text(table: Mapping[str, Any], key: str, name: str, default: str | None = None) -> str:
    value = table.get(key, default)
    if not isinstance(value, str) or (default is None and not value):
        raise BadInputError(f"key {name}.{key} is needed, a text")
    return value


def _format(text: str) -> str:
    try:
        datetime.strptime("", text)  # noqa: DTZ007  nothing is read
    except re.error as error:
        raise BadInputError(f"time.format {text[:40]!r} says something twice") from error
    except ValueError:
        pass  # an empty text is of no format
    return text


def _one_of(table: Mapping[str, Any], key: str, name: str, allowed: tuple[str, ...]) -> str:
    value = table.get(key, allowed[0])
    if value not in allowed:
        raise BadInputError(f"{name}.{key} {value!r} must be one of {', '.join(allowed)}")
    return str(value)


def _sign(given: Mapping[str, Any], key: str, default: str, allowed: str) -> str:
    value = given.get(key, default)
    if not isinstance(value, str) or len(value) != 1 or value not in allowed:
        raise BadInputError(f"{key} {value!r} must be one of {' '.join(map(repr, allowed))}")
    return value


def _quality(name: object) -> Quality:
    words = {quality.name.lower(): quality for quality in Quality}
    if not isinstance(name, str) or name not in words:
        raise BadInputError(f"quality {name!r} must be one of {', '.join(words)}")
    return words[name]


def _value(register: str, table: Mapping[str, Any]) -> ValueColumn:
    unit = _text(table, "unit", register)
    found = scale(_LETTER[register], unit)
    if found.register != register:
        raise BadInputError(f"{register}.unit {unit!r} does not measure {register}")
    rises = _one_of(table, "counts", register, ("interval", "register")) == "register"
    return ValueColumn(register, _text(table, "column", register), unit, found, rises)
