"""A-XDR encoding of COSEM data (IEC 62056-6-2, 4.1; IEC 62056-5-3, annex C).

Decoded values are plain Python: ``None``, ``bool``, ``int``, ``float``,
``str``, ``bytes`` (octet strings, and the raw bytes of date, time and
date-time), :class:`BitString`, ``list`` (array) and ``tuple`` (structure).
Every element takes at least one byte, so a count above the bytes that remain is
refused before anything is built from it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from meters.dlms.alike import take_alike
from meters.dlms.compact import take_array
from meters.dlms.errors import DlmsError, LocalProtocolError
from meters.dlms.primitives import (
    FIXED,
    MAX_DEPTH,
    SCALAR,
    STRINGS,
    BitString,
    Tag,
    Typed,
    Value,
    bit_string,
    length_bytes,
    take_length,
    text,
)

# Of plain numbers: looking an enumeration up costs more than taking a value does.
_NULLS = frozenset((int(Tag.NULL), int(Tag.DONT_CARE)))
_SEQUENCES = frozenset((int(Tag.ARRAY), int(Tag.STRUCTURE)))
_STRUCTURE = int(Tag.STRUCTURE)
_ARRAY = int(Tag.ARRAY)
_MANY = 8

__all__ = ["BitString", "Tag", "Typed", "Value", "length_bytes", "take_length"]


def decode(data: bytes) -> Value:
    """Return the one value that `data` holds.

    Raises
    ------
    DlmsError
        When it is cut short, deeper than :data:`MAX_DEPTH`, of an unknown
        type, or followed by more bytes.
    """
    value, at = take(data, 0)
    if at != len(data):
        raise DlmsError(f"{len(data) - at} bytes follow the value")
    return value


def skip(data: bytes, at: int) -> int:
    """Return the position after the value at position `at`; errors as of :func:`decode`."""
    return _take(data, at, 0)[1]


def check(data: bytes, at: int) -> None:
    """Raise :class:`DlmsError` unless one value stands from position `at` to the end."""
    end = skip(data, at)
    if end != len(data):
        raise DlmsError(f"{len(data) - end} bytes follow the value")


def take(data: bytes, at: int) -> tuple[Value, int]:
    """Return the value at position `at` and the position after it."""
    return _take(data, at, 0)


def _take(data: bytes, at: int, depth: int) -> tuple[Value, int]:
    if at >= len(data):
        raise DlmsError("a value is cut short")
    tag = data[at]
    at += 1
    if scalar := SCALAR.get(tag):
        unpack, size = scalar
        if at + size > len(data):
            raise DlmsError("a value is cut short")
        return unpack(data, at)[0], at + size
    if tag in _NULLS:
        return None, at
    if tag in STRINGS:
        length, at = take_length(data, at)
        return text(tag, data[at : at + length]), at + length
    if tag in _SEQUENCES:
        if depth >= MAX_DEPTH:
            raise DlmsError(f"values stand deeper in each other than {MAX_DEPTH}")
        count, at = take_length(data, at)
        elements: list[Value] = []
        may_be_alike = tag == _ARRAY and depth + 1 < MAX_DEPTH
        while (left := count - len(elements)) > 0:
            if may_be_alike and left >= _MANY and at < len(data) and data[at] == _STRUCTURE:
                rows, at = take_alike(data, at, left)
                elements += rows
                if len(rows) == left:
                    break
            element, at = _take(data, at, depth + 1)
            elements.append(element)
        return (tuple(elements) if tag == _STRUCTURE else elements), at
    if tag == Tag.BIT_STRING:
        return bit_string(data, at)
    if tag == Tag.COMPACT_ARRAY:
        return take_array(data, at)
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
