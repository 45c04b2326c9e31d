"""A-XDR encoding of COSEM data (IEC 62056-6-2, 4.1; IEC 62056-5-3, annex C).

Decoded values are plain Python: ``None``, ``bool``, ``int``, ``float``,
``str``, ``bytes`` (octet strings, and the raw bytes of date, time and
date-time), :class:`BitString`, ``list`` (array) and ``tuple`` (structure).
Every element takes at least one byte, so a count above the bytes that remain is
refused before anything is built from it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from meters.dlms.alike import take_alike
from meters.dlms.compact import Budget, take_array
from meters.dlms.errors import DlmsError, LocalProtocolError
from meters.dlms.primitives import (
    FIXED,
    MAX_DEPTH,
    STRINGS,
    BitString,
    Tag,
    Typed,
    Value,
    bit_string,
    length_bytes,
    short_bits,
    take_length,
    text,
)

# Of plain numbers: looking an enumeration up costs more than taking a value does.
_STRUCTURE, _ARRAY, _OCTETS = int(Tag.STRUCTURE), int(Tag.ARRAY), int(Tag.OCTET_STRING)
_BIT_STRING, _COMPACT = int(Tag.BIT_STRING), int(Tag.COMPACT_ARRAY)
_SEQUENCES = frozenset((_STRUCTURE, _ARRAY))
_SHORT = 0x80
# By tag: the bytes after it, -1 when they are not always as many; what takes them; what
# takes many in a row, tags included.
_SIZES = [-1] * 256
_UNPACK: list[Callable[[bytes, int], tuple[Any, ...]]] = [struct.Struct("").unpack_from] * 256
_UNPACK_MANY: list[Callable[[bytes], Iterator[tuple[Any, ...]]]] = [
    struct.Struct("x").iter_unpack
] * 256
for _tag, _form in FIXED.items():
    _SIZES[_tag] = _form.size
    _UNPACK[_tag] = _form.unpack_from
    _UNPACK_MANY[_tag] = struct.Struct(">x" + _form.format.lstrip(">")).iter_unpack
_SIZES[Tag.NULL] = _SIZES[Tag.DONT_CARE] = 0

_LOOK = 512
"""Elements of which it is looked at once whether they are alike."""

_MANY = 8
"""Elements alike from which on it pays to take them at once."""

_RUNS = [bytes((_tag,)) * _MANY for _tag in range(256)]
_MOST_PATIENT = 256
"""Structures in a row of which it is not looked whether they are alike."""

__all__ = ["BitString", "Budget", "Tag", "Typed", "Value", "length_bytes", "take_length"]


def decode(data: bytes) -> Value:
    """Return the one value that `data` holds.

    Raises
    ------
    DlmsError
        When it is cut short, deeper than :data:`MAX_DEPTH`, of an unknown
        type, or followed by more bytes.
    """
    # Most answers are one number.
    if data and _SIZES[data[0]] == len(data) - 1 > 0:
        return _UNPACK[data[0]](data, 1)[0]
    value, at = take(data, 0)
    if at != len(data):
        raise DlmsError(f"{len(data) - at} bytes follow the value")
    return value


def skip(data: bytes, at: int, budget: Budget | None = None) -> int:
    """Return the position after the value at position `at`; as :func:`take`."""
    return take(data, at, budget)[1]


def check(data: bytes, at: int) -> None:
    """Raise :class:`DlmsError` unless one value stands from position `at` to the end."""
    end = skip(data, at)
    if end != len(data):
        raise DlmsError(f"{len(data) - end} bytes follow the value")


def take(data: bytes, at: int, budget: Budget | None = None) -> tuple[Value, int]:
    """Return the value at position `at` and the position after it.

    Parameters
    ----------
    data : bytes
    at : int
    budget : Budget, optional
        Shared by all values of one APDU, of which there are several.

    Raises
    ------
    DlmsError
        As of :func:`decode`.
    """
    elements, at = _elements(data, at, 1, 0, budget or Budget(len(data)), False)
    return elements[0], at


def _elements(
    data: bytes, at: int, count: int, depth: int, budget: Budget, in_array: bool
) -> tuple[list[Value], int]:
    """Return the `count` values from position `at` on, which stand in `depth` others."""
    end = len(data)
    elements: list[Value] = []
    wait, patience = 0, 1
    while count:
        if at >= end:
            raise DlmsError("a value is cut short")
        tag = data[at]
        size = _SIZES[tag]
        if size >= 0:
            after = at + 1 + size
            if after > end:
                raise DlmsError("a value is cut short")
            if (
                count >= _MANY
                and after < end
                and data[after] == tag
                and data[at : at + _MANY * (1 + size) : 1 + size] == _RUNS[tag]
            ):
                run = _run(data, at, count, 1 + size)
                until = at + run * (1 + size)
                if size:
                    elements += [one for (one,) in _UNPACK_MANY[tag](data[at:until])]
                else:
                    elements += [None] * run
                at = until
                count -= run
                continue
            elements.append(_UNPACK[tag](data, at + 1)[0] if size else None)
            at = after
        elif tag in _SEQUENCES:
            if depth >= MAX_DEPTH:
                raise DlmsError(f"values stand deeper in each other than {MAX_DEPTH}")
            if in_array and tag == _STRUCTURE and count >= _MANY:
                if not wait:
                    rows, at = take_alike(data, at, count)
                    if rows:
                        elements += rows
                        count -= len(rows)
                    # Looking is dear where nothing is alike: look ever more seldom.
                    if len(rows) >= _MANY:
                        patience = 1
                    else:
                        wait, patience = patience, min(2 * patience, _MOST_PATIENT)
                    if rows:
                        continue
                else:
                    wait -= 1
            length = data[at + 1] if at + 1 < end else _SHORT
            if length < _SHORT and length <= end - at - 2:
                at += 2
            else:
                length, at = take_length(data, at + 1)
            inner: list[Value] = []
            if length:
                inner, at = _elements(data, at, length, depth + 1, budget, tag == _ARRAY)
            elements.append(tuple(inner) if tag == _STRUCTURE else inner)
        elif tag in STRINGS:
            length = data[at + 1] if at + 1 < end else _SHORT
            at += 2
            if length >= _SHORT or length > end - at:
                length, at = take_length(data, at - 1)
            after = at + length
            if tag == _OCTETS or not length:
                elements.append(data[at:after] if tag == _OCTETS else "")
            else:
                elements.append(text(tag, data[at:after]))
            at = after
        elif tag == _BIT_STRING and at + 2 < end and data[at + 1] <= 8:
            length = data[at + 1]
            after = at + (3 if length else 2)
            elements.append(short_bits(length, data[at + 2 : after]))
            at = after
        else:
            value, at = _other(data, at, tag, budget)
            elements.append(value)
        count -= 1
    return elements, at


def _run(data: bytes, at: int, count: int, step: int) -> int:
    """Return how many of `count` values of one type and size stand from position `at` on."""
    marks = data[at : at + min(count, _LOOK) * step : step]
    alike = len(marks) - len(marks.lstrip(marks[:1]))
    return min(alike, (len(data) - at) // step)


def _other(data: bytes, at: int, tag: int, budget: Budget) -> tuple[Value, int]:
    """Return the value at position `at` of a rarer type, and the position after it."""
    if tag == _BIT_STRING:
        return bit_string(data, at + 1)
    if tag == _COMPACT:
        return take_array(data, at + 1, budget)
    raise DlmsError(f"data type {tag} is not known")


def encode(tag: Tag, value: Any = None) -> bytes:
    """Return the bytes of one value, its tag first.

    Raises
    ------
    LocalProtocolError
        When the value does not fit the type.
    """
    if form := FIXED.get(tag):
        try:
            return bytes((tag,)) + form.pack(value)
        except (struct.error, OverflowError) as error:
            raise LocalProtocolError(f"{value!r} does not fit {tag.name}: {error}") from error
    if tag == Tag.NULL:
        return b"\x00"
    octets: bytes
    if tag in STRINGS:
        octets = value if tag == Tag.OCTET_STRING else value.encode()
        return bytes((tag,)) + length_bytes(len(octets)) + octets
    if tag == Tag.BIT_STRING:
        octets = value.octets
        return b"\x04" + length_bytes(value.length) + octets
    return _sequence(tag, [encode(*element) for element in value])


def array(elements: Sequence[bytes]) -> bytes:
    """Return an array of elements that are already encoded."""
    return _sequence(Tag.ARRAY, elements)


def structure(elements: Sequence[bytes]) -> bytes:
    """Return a structure of elements that are already encoded."""
    return _sequence(Tag.STRUCTURE, elements)


def _sequence(tag: Tag, elements: Sequence[bytes]) -> bytes:
    return bytes((tag,)) + length_bytes(len(elements)) + b"".join(elements)
