"""``SITE.toml`` → :class:`grid.site.Site`, every error with its line."""

from __future__ import annotations

import dataclasses
import re
import tomllib
import types
import typing
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Any

from grid import ids, interval
from grid.errors import BadInputError
from grid.quantities import parse_money, parse_price
from grid.site import Amount, MeterRole, Outage, Price, Site, UsageKind

_ID_TYPES = (ids.AssetId, ids.MeterId, ids.PartyId, ids.TariffId, ids.UsagePointId)
_ASSETS = ("battery", "solar", "wind", "genset", "shedding")
_TOP_LEVEL = ("id", "name", "time_zone", "currency", "interval_s")


class _Lines:
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


class SiteFileError(BadInputError):
    """Everything wrong with a site file, one line each: ``FILE:LINE: message``."""

    def __init__(self, errors: Iterable[str]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(self.errors))


class _Binder:
    def __init__(self, name: str, lines: _Lines) -> None:
        self.name = name
        self.lines = lines
        self.errors: list[str] = []

    def refuse(self, table: str, number: int, key: str, message: str) -> None:
        self.errors.append(f"{self.name}:{self.lines.of(table, number, key)}: {message}")

    def scalar(self, kind: Any, value: object) -> object:
        if kind is Price or kind is Amount:
            if not isinstance(value, str):
                raise BadInputError(f'{value!r} must be a decimal in quotes, such as "0.084"')
            return parse_price(value) if kind is Price else parse_money(value)
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
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if isinstance(kind, type) and issubclass(kind, str) and kind is not str:
            choices = [str(choice) for choice in typing.cast("type[StrEnum]", kind)]
            if value not in choices:
                raise BadInputError(f"{value!r} must be one of {', '.join(choices)}")
            return kind(value)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise BadInputError(f"{value!r} must be {kind.__name__}")
        return value

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
                    values[key] = tuple(
                        self.table(nested, item, f"{path}.{key}", i) for i, item in enumerate(value)
                    )
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
        except BadInputError as error:
            self.refuse(path, number, "", str(error))
            return None


def _nested(kind: Any) -> type | None:
    """Return the dataclass held by a tuple type, if any."""
    if typing.get_origin(kind) is tuple:
        inner = typing.get_args(kind)[0]
        if dataclasses.is_dataclass(inner) and isinstance(inner, type):
            return inner
    return None


def _outages(binder: _Binder, raw: object) -> tuple[Outage, ...]:
    result: list[Outage] = []
    tables = raw if isinstance(raw, list) else [raw]
    for number, table in enumerate(tables):
        try:
            if not isinstance(table, dict) or set(table) != {"start", "end"}:
                raise BadInputError("[[outage]] has just start and end")
            result.append(
                Outage(interval.parse(str(table["start"])), interval.parse(str(table["end"])))
            )
        except BadInputError as error:
            binder.refuse("outage", number, "", str(error))
    return tuple(result)


def _references(site: Site, binder: _Binder) -> None:
    """Refuse duplicate identifiers and references to what does not exist."""
    groups: dict[str, tuple[Any, ...]] = {
        name: getattr(site, name) for name in ("tariff", "party", "usage_point", "meter", *_ASSETS)
    }
    seen: dict[str, set[str]] = {}
    for table, items in groups.items():
        owner = "asset" if table in _ASSETS else table
        known = seen.setdefault(owner, {site.grid.id} if owner == "asset" else set())
        for number, item in enumerate(items):
            if item.id in known:
                binder.refuse(table, number, "id", f"{table} {item.id} stands twice")
            known.add(item.id)
    targets = {"party": seen["party"], "tariff": seen["tariff"], "usage_point": seen["usage_point"]}
    for table, items in groups.items():
        for number, item in enumerate(items):
            for key, known in targets.items():
                value = getattr(item, key, None)
                if value is not None and value not in known:
                    binder.refuse(table, number, key, f"{table} {item.id}: no {key} {value}")
            for value in getattr(item, "usage_points", ()):
                if value not in known and value not in targets["usage_point"]:
                    message = f"{table} {item.id}: no usage_point {value}"
                    binder.refuse(table, number, "usage_points", message)
    metered = {meter.usage_point for meter in site.meter}
    for number, point in enumerate(site.usage_point):
        if point.id not in metered:
            binder.refuse("usage_point", number, "id", f"usage point {point.id} has no meter")
    heads = [meter for meter in site.meter if meter.role is MeterRole.FEEDER_HEAD]
    if len(heads) != 1:
        binder.refuse("meter", 0, "", f"there are {len(heads)} feeder-head meters, must be 1")
    if not any(party.kind is UsageKind.COMMUNITY for party in site.party):
        binder.refuse("party", 0, "", "no party has kind 'community'")
    if site.outage and not any(battery.forming for battery in site.battery):
        binder.refuse("outage", 0, "", "an outage needs a battery with forming = true")


def parse(text: str, name: str = "SITE.toml") -> Site:
    """Return the site that a text in TOML describes.

    Raises
    ------
    SiteFileError
        With every error of the file, each as ``NAME:LINE: message``.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        where = re.search(r"at line (\d+)", str(error))
        raise SiteFileError([f"{name}:{where[1] if where else 1}: {error}"]) from error
    lines = _Lines(text)
    binder = _Binder(name, lines)
    hints = typing.get_type_hints(Site)
    values: dict[str, Any] = {}
    for key, value in raw.items():
        if key not in hints:
            what = "table" if isinstance(value, (dict, list)) else "key"
            table = key if what == "table" else ""
            binder.refuse(table, 0, key, f"unknown {what} {key!r}")
        elif key == "outage":
            values[key] = _outages(binder, value)
        elif key in _TOP_LEVEL:
            try:
                values[key] = binder.scalar(hints[key], value)
            except BadInputError as error:
                binder.refuse("", 0, key, f"{key}: {error}")
        elif (nested := _nested(hints[key])) is not None:
            items = value if isinstance(value, list) else [value]
            values[key] = tuple(binder.table(nested, item, key, i) for i, item in enumerate(items))
        else:
            values[key] = binder.table(hints[key], value, key, 0)
    for field in dataclasses.fields(Site):
        if field.name not in raw and field.default is dataclasses.MISSING:
            binder.refuse("", 0, field.name, f"{field.name!r} is missing")
    if not binder.errors:
        site = Site(**values)
        try:
            interval.zone(site.time_zone)
        except BadInputError as error:
            binder.refuse("", 0, "time_zone", str(error))
        if site.interval_s != 900:
            binder.refuse("", 0, "interval_s", f"interval_s is {site.interval_s}, must be 900")
        _references(site, binder)
    if binder.errors:
        raise SiteFileError(binder.errors)
    return site


def read(path: Path) -> Site:
    """Return the site of a file.

    Raises
    ------
    BadInputError
        When the file cannot be read; :class:`SiteFileError` when it is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path}: {error}") from error
    return parse(text, path.name)
