"""A-XDR encoding of COSEM data (IEC 62056-6-2, 4.1; IEC 62056-5-3, annex C).

Decoded values are plain Python: ``None``, ``bool``, ``int``, ``float``,
``str``, ``bytes`` (octet strings, and the raw bytes of date, time and
date-time), :class:`BitString`, ``list`` (array) and ``tuple`` (structure).
Every element takes at least one byte, so a count above the bytes that remain is
refused before anything is built from it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from meters.dlms.errors import DlmsError, LocalProtocolError

MAX_DEPTH = 16
"""Arrays and structures inside each other; a meter's objects need five."""


class Tag(IntEnum):
    """The types of COSEM data that this codec knows."""

    NULL = 0
    ARRAY = 1
    STRUCTURE = 2
    BOOLEAN = 3
    BIT_STRING = 4
    INT32 = 5
    UINT32 = 6
    OCTET_STRING = 9
    VISIBLE_STRING = 10
    UTF8_STRING = 12
    INT8 = 15
    INT16 = 16
    UINT8 = 17
    UINT16 = 18
    INT64 = 20
    UINT64 = 21
    ENUM = 22
    FLOAT32 = 23
    FLOAT64 = 24
    DATE_TIME = 25
    DATE = 26
    TIME = 27


@dataclass(frozen=True, slots=True)
class BitString:
    """`length` bits, the first one in the most significant bit of `octets`."""

    length: int
    octets: bytes


Value = Any
"""A decoded value; recursive, and narrowed where it is used."""

Typed = tuple[Tag, Any]
"""A value to be encoded; arrays and structures hold sequences of these."""

_FIXED = {
    Tag.INT8: struct.Struct(">b"),
    Tag.INT16: struct.Struct(">h"),
    Tag.INT32: struct.Struct(">i"),
    Tag.INT64: struct.Struct(">q"),
    Tag.UINT8: struct.Struct(">B"),
    Tag.UINT16: struct.Struct(">H"),
    Tag.UINT32: struct.Struct(">I"),
    Tag.UINT64: struct.Struct(">Q"),
    Tag.ENUM: struct.Struct(">B"),
    Tag.FLOAT32: struct.Struct(">f"),
    Tag.FLOAT64: struct.Struct(">d"),
    Tag.DATE_TIME: struct.Struct("12s"),
    Tag.DATE: struct.Struct("5s"),
    Tag.TIME: struct.Struct("4s"),
    Tag.BOOLEAN: struct.Struct("?"),
}
_SCALAR: dict[int, tuple[Callable[[bytes, int], tuple[Any, ...]], int]] = {
    int(tag): (form.unpack_from, form.size) for tag, form in _FIXED.items()
}
_STRINGS = frozenset((Tag.OCTET_STRING, Tag.VISIBLE_STRING, Tag.UTF8_STRING))


def length_bytes(length: int) -> bytes:
    """Return an A-XDR length."""
    if length < 0x80:
        return bytes((length,))
    size = (length.bit_length() + 7) // 8
    return bytes((0x80 | size,)) + length.to_bytes(size, "big")


def take_length(data: bytes, at: int) -> tuple[int, int]:
    """Return an A-XDR length and the position after it.

    Raises
    ------
    DlmsError
        When it is cut short, takes more than four bytes, or claims more bytes
        than remain.
    """
    if at >= len(data):
        raise DlmsError("a length is cut short")
    length = data[at]
    at += 1
    if length >= 0x80:
        size = length & 0x7F
        if not 1 <= size <= 4:
            raise DlmsError(f"a length takes {size} bytes, must be 1 to 4")
        if at + size > len(data):
            raise DlmsError("a length is cut short")
        length = int.from_bytes(data[at : at + size], "big")
        at += size
    if length > len(data) - at:
        raise DlmsError(f"{length} bytes or elements are claimed, {len(data) - at} bytes remain")
    return length, at


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
    if scalar := _SCALAR.get(tag):
        unpack, size = scalar
        if at + size > len(data):
            raise DlmsError("a value is cut short")
        return unpack(data, at)[0], at + size
    if tag == Tag.NULL:
        return None, at
    if tag in _STRINGS:
        length, at = take_length(data, at)
        return _text(tag, data[at : at + length]), at + length
    if tag in (Tag.STRUCTURE, Tag.ARRAY):
        if depth >= MAX_DEPTH:
            raise DlmsError(f"values stand deeper in each other than {MAX_DEPTH}")
        count, at = take_length(data, at)
        elements = []
        for _ in range(count):
            element, at = _take(data, at, depth + 1)
            elements.append(element)
        return (tuple(elements) if tag == Tag.STRUCTURE else elements), at
    if tag == Tag.BIT_STRING:
        return _bit_string(data, at)
    raise DlmsError(f"data type {tag} is not known")


def _text(tag: int, octets: bytes) -> bytes | str:
    if tag == Tag.OCTET_STRING:
        return octets
    try:
        return octets.decode("ascii" if tag == Tag.VISIBLE_STRING else "utf-8")
    except UnicodeDecodeError:
        raise DlmsError(f"a string of type {tag} has bytes that are no text") from None


def _bit_string(data: bytes, at: int) -> tuple[BitString, int]:
    # The length counts bits, so the bytes that remain bound its eighth part.
    if at >= len(data):
        raise DlmsError("a length is cut short")
    length = data[at]
    at += 1
    if length >= 0x80:
        size = length & 0x7F
        if not 1 <= size <= 4 or at + size > len(data):
            raise DlmsError("the length of a bit string is cut short or too long")
        length = int.from_bytes(data[at : at + size], "big")
        at += size
    octets = (length + 7) // 8
    if octets > len(data) - at:
        raise DlmsError(f"{length} bits are claimed, {len(data) - at} bytes remain")
    return BitString(length, data[at : at + octets]), at + octets


def encode(tag: Tag, value: Any = None) -> bytes:
    """Return the bytes of one value, its tag first.

    Raises
    ------
    LocalProtocolError
        When the value does not fit the type.
    """
    if form := _FIXED.get(tag):
        try:
            return bytes((tag,)) + form.pack(value)
        except (struct.error, OverflowError) as error:
            raise LocalProtocolError(f"{value!r} does not fit {tag.name}: {error}") from error
    if tag == Tag.NULL:
        return b"\x00"
    octets: bytes
    if tag in _STRINGS:
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
