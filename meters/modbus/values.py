"""Every value of a SunSpec device by its published name and unit."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from meters.modbus.chain import Device, Found
from meters.modbus.client import Client
from meters.modbus.errors import ModbusError
from meters.modbus.registers import decode
from meters.modbus.tables import HEADER, KNOWN, Group, Point, table

_READ = 3
_MAX_SCALE = 10


@dataclass(frozen=True, slots=True)
class Value:
    """A value in its unit, scaled exactly; None where the device does not implement it."""

    value: int | float | str | Decimal | None
    unit: str


@dataclass(frozen=True, slots=True)
class Block:
    """The values of a model, or of one repetition of a group in it.

    Attributes
    ----------
    name : str
        The model's number, or the group's name.
    values : mapping of str to Value
        By point.
    groups : mapping of str to tuple of Block
        By group, in the order of its repetitions.
    """

    name: str
    values: Mapping[str, Value]
    groups: Mapping[str, tuple[Block, ...]]


@dataclass(slots=True)
class Placed:
    """A group where it stands: `points` with their offsets from the model's ID register."""

    name: str
    points: list[tuple[Point, int]]
    groups: list[Placed] = field(default_factory=list)

    def walk(self) -> Iterator[tuple[Point, int]]:
        """Yield every point and its offset, groups included."""
        yield from self.points
        for group in self.groups:
            yield from group.walk()


async def read_values(
    client: Client, device: Device, wanted: Collection[int] = KNOWN
) -> list[Block]:
    """Return the values of every model of `device` that is wanted and has a table.

    Raises
    ------
    ModbusError
        When an answer is wrong, a scale factor is outside -10 to 10, or more
        groups are told than the model has registers for.
    """
    blocks = []
    for found in device.found:
        if found.model in KNOWN and found.model in wanted:
            words, placed = await read_words(client, device, found)
            blocks.append(parse(placed, words, found.model))
    return blocks


async def read_words(client: Client, device: Device, found: Found) -> tuple[dict[int, int], Placed]:
    """Return the registers of a model by offset, and where its points stand.

    No value is read in two requests: one that counts on between them would be torn.
    """
    layout = table(found.model)
    end = HEADER + found.length
    fixed, _ = _points(layout.points, HEADER, end)
    words = await _read(client, device.unit, found.address, fixed)
    placed = place(layout, end, words)
    rest = [one for one in placed.walk() if one[1] not in words]
    return words | await _read(client, device.unit, found.address, rest), placed


async def _read(
    client: Client, unit: int, address: int, points: Sequence[tuple[Point, int]]
) -> dict[int, int]:
    spans = [(address + offset, point.size) for point, offset in points]
    words = await client.read_spans(unit, _READ, spans)
    return {at - address: word for at, word in words.items()}


def place(layout: Group, end: int, words: Mapping[int, int]) -> Placed:
    """Return where the points of a model stand; those past its `end` are not there.

    Parameters
    ----------
    words : mapping of int to int
        By offset, with at least the points before any group: they tell how
        often groups are repeated.
    """
    points, at = _points(layout.points, HEADER, end)
    counts = {
        point.name: words[offset] if words[offset] != 0xFFFF else 0
        for point, offset in points
        if point.size == 1
    }
    top = Placed(layout.name, points)
    if len(points) == len(layout.points):
        _place_groups(layout.groups, top, at, end, counts, layout.name)
    return top


def _points(points: Sequence[Point], at: int, end: int) -> tuple[list[tuple[Point, int]], int]:
    placed = []
    for point in points:
        if at + point.size > end:
            break
        placed.append((point, at))
        at += point.size
    return placed, at


def _place_groups(
    groups: Sequence[Group],
    parent: Placed,
    at: int,
    end: int,
    counts: Mapping[str, int],
    model: str,
) -> int:
    for group in groups:
        for _ in range(counts.get(group.count, 0) if group.count else 1):
            points, after = _points(group.points, at, end)
            if len(points) != len(group.points):
                if group.count:
                    raise ModbusError(
                        f"has {group.count} of SunSpec model {model} at {counts[group.count]}: "
                        f"so many do not fit in {end - HEADER} registers"
                    )
                return at
            placed = Placed(group.name, points)
            parent.groups.append(placed)
            at = _place_groups(group.groups, placed, after, end, counts, model)
    return at


def parse(placed: Placed, words: Mapping[int, int], model: int) -> Block:
    """Return the values in the registers of a model.

    Raises
    ------
    ModbusError
        When a scale factor is outside -10 to 10.
    """
    return _block(placed, words, {}, model)


def _block(
    placed: Placed, words: Mapping[int, int], above: Mapping[str, int | None], model: int
) -> Block:
    raw = {point.name: raw_value(point, offset, words) for point, offset in placed.points}
    scales = dict(above)
    for point, _ in placed.points:
        if point.type == "sunssf":
            scales[point.name] = _scale(raw[point.name], point.name, model)
    groups: dict[str, list[Block]] = {}
    for inner in placed.groups:
        groups.setdefault(inner.name, []).append(_block(inner, words, scales, model))
    return Block(
        placed.name,
        {
            point.name: Value(_scaled(raw[point.name], point, scales), point.unit)
            for point, _ in placed.points
            if point.type != "pad"
        },
        {name: tuple(blocks) for name, blocks in groups.items()},
    )


def raw_value(point: Point, offset: int, words: Mapping[int, int]) -> int | float | str | None:
    """Return what the registers of a point hold; None where it is not implemented."""
    content = [words[at] for at in range(offset, offset + point.size)]
    if point.type == "string":
        text = b"".join(word.to_bytes(2, "big") for word in content).split(b"\0", 1)[0]
        return text.decode("utf-8", "replace").strip() or None
    value = decode(point.type, content)
    return value if value is None or math.isfinite(value) else None


def _scale(value: int | float | str | None, name: str, model: int) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or not -_MAX_SCALE <= value <= _MAX_SCALE:
        raise ModbusError(f"has {name} of SunSpec model {model} at {value}, outside -10 to 10")
    return value


def _scaled(
    value: int | float | str | None, point: Point, scales: Mapping[str, int | None]
) -> int | float | str | Decimal | None:
    if not point.scale or not isinstance(value, int):
        return value
    # Without its scale factor a number says nothing.
    scale = scales.get(point.scale)
    return None if scale is None else Decimal(value).scaleb(scale)
