"""``SITE.toml`` → :class:`grid.site.Site`, every error with its line."""

from __future__ import annotations

import dataclasses
import re
import tomllib
import types
import typing
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from grid import ids, interval
from grid.errors import BadInputError
from grid.quantities import INT64_MAX, NANO, WH_PER_KWH, Ratio, parse_money, parse_price
from grid.site import Amount, Outage, Price, Site
from grid.site_facts import FactError
from grid.site_lines import Lines
from grid.site_references import check_references

_ID_TYPES = (
    *(ids.AssetId, ids.MeterId, ids.PartyId, ids.SensorId, ids.TariffId, ids.UsagePointId),
)
_TOP_LEVEL = ("id", "name", "time_zone", "currency", "interval_s")
SITE_FILE = "SITE.toml"
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
_INTERVAL_S = 900
_PRICE_MAX = 1_000_000
"""Currency per kWh: with a GWh in an interval its amount is still an int64."""
_AMOUNT_MAX = 1_000_000_000
_NOT: dict[type, tuple[type, ...]] = {int: (bool,), date: (datetime,)}


class SiteFileError(BadInputError):
    """Everything wrong with a site file, one line each: ``FILE:LINE: message``."""

    def __init__(self, errors: Iterable[str]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(self.errors))


def _money(kind: Any, value: object) -> int:
    """Return a price or amount, which is never below zero."""
    if not isinstance(value, str):
        raise BadInputError(f'{value!r} must be a decimal in quotes, such as "0.084"')
    nano = parse_price(value) if kind is Price else parse_money(value)
    unit, most = (NANO // WH_PER_KWH, _PRICE_MAX) if kind is Price else (NANO, _AMOUNT_MAX)
    if not 0 <= nano <= most * unit:
        raise BadInputError(f"{value!r} must be within 0 to {most}")
    return nano


class _Binder:
    def __init__(self, name: str, lines: Lines) -> None:
        self.name = name
        self.lines = lines
        self.errors: list[tuple[int, str]] = []
        self._nested: Counter[str] = Counter()

    def refuse(self, table: str, number: int, key: str, message: str) -> None:
        self.errors.append((self.lines.of(table, number, key), message))

    def scalar(self, kind: Any, value: object) -> object:
        if kind is Price or kind is Amount:
            return _money(kind, value)
        if kind is Ratio:
            return Ratio.parse(str(value))
        if kind in _ID_TYPES:
            if not isinstance(value, str):
                raise BadInputError(f"{value!r} must be text")
            return ids.check(value, "identifier")
        if typing.get_origin(kind) in (types.UnionType, typing.Union):
            (inner,) = (part for part in typing.get_args(kind) if part is not type(None))
            return self.scalar(inner, value)
        if typing.get_origin(kind) is tuple:
            if not isinstance(value, list):
                raise BadInputError(f"{value!r} must be a list")
            return tuple(self.scalar(typing.get_args(kind)[0], item) for item in value)
        if kind is int and isinstance(value, int) and abs(value) > INT64_MAX:
            raise BadInputError(f"{value!r} must be within {-INT64_MAX} to {INT64_MAX}")
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            try:
                return float(value)
            except OverflowError as error:
                raise BadInputError("the number is too large") from error
        if isinstance(kind, type) and issubclass(kind, str) and kind is not str:
            try:
                return kind(value)
            except ValueError as error:
                choices = ", ".join(typing.cast("type[StrEnum]", kind))
                raise BadInputError(f"{value!r} must be one of {choices}") from error
        # To Python true is a number and a date-time is a date.
        if not isinstance(value, kind) or type(value) in _NOT.get(kind, ()):
            raise BadInputError(f"{value!r} must be {kind.__name__}")
        if isinstance(value, str) and not value.isprintable():
            raise BadInputError(f"{value!r} has characters that cannot be printed")
        return value

    def tables(self, cls: type, raw: list[object], path: str) -> tuple[Any, ...]:
        """Bind the tables within a table; their lines count on from table to table."""
        first = self._nested[path]
        self._nested[path] += len(raw)
        return tuple(self.table(cls, item, path, first + i) for i, item in enumerate(raw))

    def table(self, cls: type, raw: object, path: str, number: int) -> Any:
        """Bind one TOML table to dataclass `cls`; ``None`` when it has errors."""
        if not isinstance(raw, dict):
            self.refuse(path, number, "", f"[{path}] must be a table")
            return None
        hints = typing.get_type_hints(cls)
        fields = {field.name: field for field in dataclasses.fields(cls)}
        values: dict[str, Any] = {}
        before = len(self.errors)
        for key, value in raw.items():
            if key not in fields:
                known = ", ".join(fields)
                self.refuse(path, number, key, f"unknown key {key!r} in [{path}]; known: {known}")
                continue
            nested = _nested(hints[key])
            try:
                if nested is not None and isinstance(value, list):
                    values[key] = self.tables(nested, value, f"{path}.{key}")
                else:
                    values[key] = self.scalar(hints[key], value)
            except BadInputError as error:
                self.refuse(path, number, key, f"[{path}] {key}: {error}")
        for name, field in fields.items():
            if name not in raw and field.default is dataclasses.MISSING:
                self.refuse(path, number, "", f"[{path}] has no {name!r}")
        if len(self.errors) > before:
            return None
        try:
            return cls(**values)
        except FactError as error:
            for key, message in error.faults:
                self.refuse(path, number, key, message)
            return None


def _nested(kind: Any) -> type | None:
    """Return the dataclass held by a tuple type, if any."""
    if typing.get_origin(kind) is tuple:
        inner = typing.get_args(kind)[0]
        if dataclasses.is_dataclass(inner) and isinstance(inner, type):
            return inner
    return None


def _one(kind: Any) -> Any:
    """Return the dataclass of a table, which may be optional."""
    parts = typing.get_args(kind) or (kind,)
    return next(part for part in parts if part is not type(None))


def _outages(binder: _Binder, raw: object) -> tuple[Outage | None, ...]:
    tables = raw if isinstance(raw, list) else [raw]
    return tuple(_outage(binder, table, number) for number, table in enumerate(tables))


def _outage(binder: _Binder, table: object, number: int) -> Outage | None:
    if not isinstance(table, dict) or set(table) != {"start", "end"}:
        binder.refuse("outage", number, "", "[[outage]] has just start and end")
        return None
    at_s: dict[str, int] = {}
    for key, value in table.items():
        try:
            at_s[key] = interval.parse(str(value))
            if at_s[key] % _INTERVAL_S:
                raise BadInputError(f"{value} must be where an interval of {_INTERVAL_S} s begins")
        except BadInputError as error:
            binder.refuse("outage", number, key, f"outage: {key} {error}")
            at_s.pop(key, None)
    if len(at_s) < 2:
        return None
    try:
        return Outage(at_s["start"], at_s["end"])
    except FactError as error:
        binder.refuse("outage", number, "end", str(error))
        return None


class Draft:
    """A site file as far as it could be read, and what is wrong with it so far."""

    def __init__(self, binder: _Binder, values: dict[str, Any]) -> None:
        self._binder = binder
        self._values = values

    def rows(self, table: str) -> Iterator[tuple[int, Any]]:
        """Yield position and fact of each sound table of that name."""
        value = self._values.get(table)
        facts = value if isinstance(value, tuple) else (value,)
        yield from ((number, fact) for number, fact in enumerate(facts) if fact is not None)

    def refuse(self, table: str, number: int, key: str, message: str) -> None:
        """Add an error at a key, the position of its table counted from 0."""
        self._binder.refuse(table, number, key, message)

    def site(self) -> Site:
        """Return the site.

        Raises
        ------
        SiteFileError
            With every error, in the order of the lines.
        """
        if self._binder.errors:
            name, errors = self._binder.name, sorted(set(self._binder.errors))
            raise SiteFileError(f"{name}:{line}: {message}" for line, message in errors)
        return Site(**self._values)


def draft(text: str, name: str = SITE_FILE) -> Draft:
    """Return what a text in TOML says of a site, for more checks than :func:`parse` makes.

    Raises
    ------
    SiteFileError
        When it is not TOML.
    """
    raw = _toml(text, name)
    binder = _Binder(name, Lines(text))
    values = _bound(binder, raw)
    check_references(raw, binder.refuse)
    return Draft(binder, values)


def _bound(binder: _Binder, raw: dict[str, Any]) -> dict[str, Any]:
    """Return the value of each key of the site, ``None`` where it has errors."""
    hints = typing.get_type_hints(Site)
    values: dict[str, Any] = {}
    for key, value in raw.items():
        if key not in hints:
            what = "table" if isinstance(value, (dict, list)) else "key"
            binder.refuse(key if what == "table" else "", 0, key, f"unknown {what} {key!r}")
        elif key == "outage":
            values[key] = _outages(binder, value)
        elif key in _TOP_LEVEL:
            try:
                values[key] = _top_level(key, binder.scalar(hints[key], value))
            except BadInputError as error:
                binder.refuse("", 0, key, f"{key}: {error}")
        elif (nested := _nested(hints[key])) is not None:
            items = value if isinstance(value, list) else [value]
            values[key] = tuple(binder.table(nested, item, key, i) for i, item in enumerate(items))
        else:
            values[key] = binder.table(_one(hints[key]), value, key, 0)
    for field in dataclasses.fields(Site):
        if field.name not in raw and field.default is dataclasses.MISSING:
            binder.refuse("", 0, field.name, f"{field.name!r} is missing")
    return values


def _top_level(key: str, value: Any) -> object:
    if key == "id":
        ids.check(value, "site")
    elif key == "currency" and not _CURRENCY.fullmatch(value):
        raise BadInputError(f"{value!r} must be three letters A to Z, as in ISO 4217")
    elif key == "time_zone":
        interval.zone(value)
    elif key == "interval_s" and value != _INTERVAL_S:
        raise BadInputError(f"is {value}, must be {_INTERVAL_S}")
    return value


def tables(
    text: str, name: str, kinds: Mapping[str, type], assumed: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, tuple[Any, ...]], dict[str, Any]]:
    """Return the tables of a TOML text that are facts, by their key, and all other keys.

    Parameters
    ----------
    kinds : mapping of str to dataclass
        What the tables of each key are.
    assumed : mapping of str to mapping
        Values of each key's tables that need not be given.

    Raises
    ------
    SiteFileError
        With every error, each as ``NAME:LINE: message``.
    """
    raw = _toml(text, name)
    binder = _Binder(name, Lines(text))
    found: dict[str, tuple[Any, ...]] = dict.fromkeys(kinds, ())
    for key, kind in kinds.items():
        items = raw.pop(key, [])
        for number, item in enumerate(items if isinstance(items, list) else [items]):
            whole = {**assumed.get(key, {}), **item} if isinstance(item, dict) else item
            found[key] += (binder.table(kind, whole, key, number),)
    if binder.errors:
        raise SiteFileError(f"{name}:{at}: {said}" for at, said in sorted(set(binder.errors)))
    return found, raw


def _toml(text: str, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # Endless digits and nesting are no errors of TOML's own.
        where = re.search(r"at line (\d+)", str(error))
        raise SiteFileError([f"{name}:{where[1] if where else 1}: {error}"]) from error


def parse(text: str, name: str = SITE_FILE) -> Site:
    """Return the site that a text in TOML describes.

    Raises
    ------
    SiteFileError
        With every error of the file, each as ``NAME:LINE: message``.
    """
    return draft(text, name).site()


def read(path: Path) -> Site:
    """Return the site of a file.

    Raises
    ------
    BadInputError
        When the file cannot be read; :class:`SiteFileError` when it is wrong.
    """
    return parse(read_text(path), path.name)


def read_text(path: Path) -> str:
    """Return the text of a site file.

    Raises
    ------
    BadInputError
        When it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInputError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadInputError(f"{path}: byte {error.start} is not UTF-8") from error
