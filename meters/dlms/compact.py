"""Compact arrays of COSEM data (IEC 62056-6-2, 4.1.5): the type once, then values without tags.

A null in the type takes no bytes of the contents, so the bytes that remain do not bound
what is built; :class:`Budget` does.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from meters.dlms import primitives as axdr
from meters.dlms.errors import DlmsError
from meters.dlms.primitives import FIXED, SCALAR, STRINGS, Tag, Value

MAX_VALUES = 1 << 15
"""Values of all compact arrays in one answer, arrays, structures and types counted too,
without those of arrays of plain numbers.

A day of quarter-hours in 64 columns has 6,240 of them, a month of hours in 40 has 29,520.
"""

PER_BYTE = 4
"""Values for each byte of an answer: one of structures of one byte has two, its types one."""

_FEW = 256
_EACH = 8
"""What one compact array counts for at least: its making takes as long as eight values do."""

Reader = Callable[[bytes, int], tuple[Value, int]]

_NULL, _STRUCTURE, _ARRAY = int(Tag.NULL), int(Tag.STRUCTURE), int(Tag.ARRAY)
_BIT_STRING, _OCTETS = int(Tag.BIT_STRING), int(Tag.OCTET_STRING)
_FORMATS = {int(tag): form.format.lstrip(">") for tag, form in FIXED.items()}


class Budget:
    """What may still be built of the compact arrays of one answer of `octets` bytes."""

    __slots__ = ("_limit", "left")

    def __init__(self, octets: int) -> None:
        self._limit = self.left = min(MAX_VALUES, PER_BYTE * octets + _FEW)

    def spend(self, count: int) -> None:
        """Count values.

        Raises
        ------
        DlmsError
            When there are more than :data:`MAX_VALUES`, or many more than bytes.
        """
        self.left -= count
        if self.left < 0:
            raise DlmsError(f"compact arrays hold more than {self._limit} values")


def take_array(octets: bytes, at: int, budget: Budget | None = None) -> tuple[list[Value], int]:
    """Return the elements of a compact array whose type begins at `at`, and the position after it.

    Raises
    ------
    DlmsError
        When it is cut short, of an unknown type, or too long.
    """
    budget = budget or Budget(len(octets))
    budget.spend(_EACH)
    tag = octets[at] if at < len(octets) else _NULL
    if scalar := SCALAR.get(tag):
        # At once, and bounded by the bytes: not counted.
        length, at = axdr.take_length(octets, at + 1)
        count, rest = divmod(length, scalar[1])
        if rest:
            raise DlmsError("a value is cut short")
        values = struct.unpack(f">{_FORMATS[tag] * count}", octets[at : at + length])
        return list(values), at + length
    read, at = _type(octets, at, 0, budget)
    length, at = axdr.take_length(octets, at)
    contents = octets[at : at + length]
    elements: list[Value] = []
    here = 0
    while here < length:
        before = here
        element, here = read(contents, here)
        if here == before:
            raise DlmsError("an element of a compact array takes no bytes")
        elements.append(element)
    return elements, at + length


def _type(octets: bytes, at: int, depth: int, budget: Budget) -> tuple[Reader, int]:
    """Return what reads a value of the type described at `at`, and the position after it."""
    if at >= len(octets):
        raise DlmsError("a type description is cut short")
    if depth >= axdr.MAX_DEPTH:
        raise DlmsError(f"types stand deeper in each other than {axdr.MAX_DEPTH}")
    budget.spend(1)
    tag = octets[at]
    at += 1
    if tag == _STRUCTURE:
        count, at = axdr.take_length(octets, at)
        kinds = octets[at : at + count]
        if count and all(kind in SCALAR or kind == _NULL for kind in kinds):
            budget.spend(count)
            return _flat(kinds, budget), at + count
        parts = []
        for _ in range(count):
            part, at = _type(octets, at, depth + 1, budget)
            parts.append(part)
        return _structure(parts, budget), at
    if tag == _ARRAY:
        if at + 2 > len(octets):
            raise DlmsError("a type description is cut short")
        count = int.from_bytes(octets[at : at + 2], "big")
        part, at = _type(octets, at + 2, depth + 1, budget)
        return _array(part, count, budget), at
    return _simple(tag, budget), at


def _flat(kinds: bytes, budget: Budget) -> Reader:
    """Return what reads a structure of numbers and nulls, all its numbers at once."""
    form = struct.Struct(">" + "".join(_FORMATS[kind] for kind in kinds if kind != _NULL))
    unpack, size, cost = form.unpack_from, form.size, 1 + len(kinds)
    nulls = [place for place, kind in enumerate(kinds) if kind == _NULL]

    def read(contents: bytes, at: int) -> tuple[Value, int]:
        budget.spend(cost)
        end = at + size
        if end > len(contents):
            raise DlmsError("a value is cut short")
        values = unpack(contents, at)
        if nulls:
            cells = list(values)
            for place in nulls:
                cells.insert(place, None)
            values = tuple(cells)
        return values, end

    return read


def _structure(parts: list[Reader], budget: Budget) -> Reader:
    def read(contents: bytes, at: int) -> tuple[Value, int]:
        budget.spend(1)
        values = []
        for part in parts:
            value, at = part(contents, at)
            values.append(value)
        return tuple(values), at

    return read


def _array(part: Reader, count: int, budget: Budget) -> Reader:
    def read(contents: bytes, at: int) -> tuple[Value, int]:
        budget.spend(1)
        values = []
        for _ in range(count):
            value, at = part(contents, at)
            values.append(value)
        return values, at

    return read


def _simple(tag: int, budget: Budget) -> Reader:
    if scalar := SCALAR.get(tag):
        return _scalar(*scalar, budget)
    if tag in STRINGS:
        return _text(tag, budget)
    if tag not in (_NULL, _BIT_STRING):
        raise DlmsError(f"data type {tag} is not known in a compact array")

    def read(contents: bytes, at: int) -> tuple[Value, int]:
        budget.spend(1)
        if tag == _NULL:
            return None, at
        budget.spend(1)  # a bit string takes as long as two others
        return axdr.bit_string(contents, at)

    return read


def _text(tag: int, budget: Budget) -> Reader:
    def read(contents: bytes, at: int) -> tuple[Value, int]:
        budget.spend(1)
        length, at = axdr.take_length(contents, at)
        end = at + length
        octets = contents[at:end]
        if tag == _OCTETS:
            return octets, end
        return axdr.text(tag, octets) if octets else "", end

    return read


def _scalar(unpack: Callable[[bytes, int], tuple[Value, ...]], size: int, budget: Budget) -> Reader:
    def read(contents: bytes, at: int) -> tuple[Value, int]:
        budget.spend(1)
        end = at + size
        if end > len(contents):
            raise DlmsError("a value is cut short")
        return unpack(contents, at)[0], end

    return read
