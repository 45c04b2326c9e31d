"""The published layouts of SunSpec models: ``meters/modbus/tables/MODEL.toml``.

A table has one line a point: name, type, scale factor (a point or ``-``),
access (``r`` or ``rw``) and unit; the registers follow each other in that
order, after the ID and the length. Source: SunSpec Alliance, "Information
Model Reference" and the published model definitions.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from meters.modbus.registers import SIZES

HEADER = 2
"""Registers before the first point: ID and length."""

_ALIKE = {102: 101, 103: 101, 112: 111, 113: 111, 203: 202, 204: 202, 708: 707, 710: 709}
KNOWN = frozenset(
    {1, 101, 111, *range(120, 125), 160, 201, 202, *range(701, 708), 709, *range(711, 715), 802}
    | set(_ALIKE)
)
"""Models that have a table; any other is passed over by its length."""


@dataclass(frozen=True, slots=True)
class Point:
    """A value of a model.

    Attributes
    ----------
    name, type : str
    size : int
        Registers.
    scale : str
        The point with the scale factor, empty for none.
    writable : bool
    unit : str
        As published; empty for none.
    """

    name: str
    type: str
    size: int
    scale: str
    writable: bool
    unit: str


@dataclass(frozen=True, slots=True)
class Group:
    """Points in a row, then groups, repeated as often as the point `count` says; else once."""

    name: str
    count: str
    points: tuple[Point, ...]
    groups: tuple[Group, ...]


@cache
def table(model: int) -> Group:
    """Return the layout of a model of :data:`KNOWN`."""
    name = f"{_ALIKE.get(model, model)}.toml"
    source = files("meters").joinpath("modbus", "tables", name)
    facts = tomllib.loads(source.read_text(encoding="utf-8"))
    return _group({"name": str(model), **facts})


@cache
def offsets(model: int) -> Mapping[str, tuple[int, Point]]:
    """Return where the points before any group stand, from the model's ID register on."""
    found = {}
    at = HEADER
    for point in table(model).points:
        found[point.name] = at, point
        at += point.size
    return found


def _group(facts: Mapping[str, Any]) -> Group:
    return Group(
        name=facts["name"],
        count=facts.get("count", ""),
        points=tuple(_point(line) for line in facts["points"].splitlines()),
        groups=tuple(_group(inner) for inner in facts.get("group", ())),
    )


def _point(line: str) -> Point:
    name, kind, scale, access, unit = [*line.split(" ", 4), "", "", "", ""][:5]
    if kind.startswith("string"):
        size, kind = int(kind.removeprefix("string")), "string"
    else:
        size = SIZES[kind]
    return Point(name, kind, size, "" if scale == "-" else scale, access == "rw", unit)
