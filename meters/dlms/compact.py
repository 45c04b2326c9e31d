"""Compact arrays of COSEM data (IEC 62056-6-2, 4.1.5): the type once, then values without tags.

A null in the type takes no bytes of the contents, so the bytes that remain do not bound
what is built; :data:`MAX_VALUES` does.
"""

from __future__ import annotations

from collections.abc import Callable

from meters.dlms import primitives as axdr
from meters.dlms.errors import DlmsError
from meters.dlms.primitives import SCALAR, STRINGS, Tag, Value

MAX_VALUES = 1 << 14
"""Values, arrays and structures counted too, in one compact array."""

Reader = Callable[[bytes, int], tuple[Value, int]]


class _Budget:
    """What may still be built of one compact array."""

    def __init__(self) -> None:
        self.left = MAX_VALUES

    def spend(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise DlmsError(f"a compact array holds more than {MAX_VALUES} values")


def take_array(octets: bytes, at: int) -> tuple[list[Value], int]:
    """Return the elements of a compact array whose type begins at `at`, and the position after it.

    Raises
    ------
    DlmsError
        When it is cut short, of an unknown type, or too long.
    """
    budget = _Budget()
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


def _type(octets: bytes, at: int, depth: int, budget: _Budget) -> tuple[Reader, int]:
    """Return what reads a value of the type described at `at`, and the position after it."""
    if at >= len(octets):
        raise DlmsError("a type description is cut short")
    if depth >= axdr.MAX_DEPTH:
        raise DlmsError(f"types stand deeper in each other than {axdr.MAX_DEPTH}")
    budget.spend(1)
    tag = octets[at]
    at += 1
    if tag == Tag.STRUCTURE:
        count, at = axdr.take_length(octets, at)
        parts = []
        for _ in range(count):
            part, at = _type(octets, at, depth + 1, budget)
            parts.append(part)
        return _structure(parts, budget), at
    if tag == Tag.ARRAY:
        if at + 2 > len(octets):
            raise DlmsError("a type description is cut short")
        count = int.from_bytes(octets[at : at + 2], "big")
        part, at = _type(octets, at + 2, depth + 1, budget)
        return _array(part, count, budget), at
    return _simple(tag, budget), at


def _structure(parts: list[Reader], budget: _Budget) -> Reader:
    def read(contents: bytes, at: int) -> tuple[Value, int]:
        budget.spend(1)
        values = []
        for part in parts:
            value, at = part(contents, at)
            values.append(value)
        return tuple(values), at

    return read


def _array(part: Reader, count: int, budget: _Budget) -> Reader:
    def read(contents: bytes, at: int) -> tuple[Value, int]:
        budget.spend(1)
        values = []
        for _ in range(count):
            value, at = part(contents, at)
            values.append(value)
        return values, at

    return read


def _simple(tag: int, budget: _Budget) -> Reader:
    scalar = SCALAR.get(tag)
    if scalar is None and tag not in STRINGS and tag not in (Tag.NULL, Tag.BIT_STRING):
        raise DlmsError(f"data type {tag} is not known in a compact array")

    def read(contents: bytes, at: int) -> tuple[Value, int]:
        budget.spend(1)
        if scalar is not None:
            unpack, size = scalar
            if at + size > len(contents):
                raise DlmsError("a value is cut short")
            return unpack(contents, at)[0], at + size
        if tag == Tag.NULL:
            return None, at
        if tag == Tag.BIT_STRING:
            return axdr.bit_string(contents, at)
        length, at = axdr.take_length(contents, at)
        return axdr.text(tag, contents[at : at + length]), at + length

    return read
