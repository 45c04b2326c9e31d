"""What COSEM data is made of: its types, lengths, numbers and strings (IEC 62056-6-2, 4.1)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Any

from meters.dlms.errors import DlmsError

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
    COMPACT_ARRAY = 19
    INT64 = 20
    UINT64 = 21
    ENUM = 22
    FLOAT32 = 23
    FLOAT64 = 24
    DATE_TIME = 25
    DATE = 26
    TIME = 27
    DONT_CARE = 255


@dataclass(frozen=True, slots=True)
class BitString:
    """`length` bits, the first one in the most significant bit of `octets`."""

    length: int
    octets: bytes


Value = Any
"""A decoded value; recursive, and narrowed where it is used."""

Typed = tuple[Tag, Any]
"""A value to be encoded; arrays and structures hold sequences of these."""

FIXED = {
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
SCALAR: dict[int, tuple[Callable[[bytes, int], tuple[Any, ...]], int]] = {
    int(tag): (form.unpack_from, form.size) for tag, form in FIXED.items()
}
_OCTETS, _VISIBLE = int(Tag.OCTET_STRING), int(Tag.VISIBLE_STRING)
STRINGS = frozenset(map(int, (Tag.OCTET_STRING, Tag.VISIBLE_STRING, Tag.UTF8_STRING)))


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


def text(tag: int, octets: bytes) -> bytes | str:
    """Return the value of a string of type `tag`."""
    if tag == _OCTETS:
        return octets
    try:
        return octets.decode("ascii" if tag == _VISIBLE else "utf-8") if octets else ""
    except UnicodeDecodeError:
        raise DlmsError(f"a string of type {tag} has bytes that are no text") from None


def bit_string(data: bytes, at: int) -> tuple[BitString, int]:
    """Return the bit string at position `at` and the position after it."""
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
    end = at + (length + 7) // 8
    if end > len(data):
        raise DlmsError(f"{length} bits are claimed, {len(data) - at} bytes remain")
    return (short_bits if length <= 8 else BitString)(length, data[at:end]), end


# Making a frozen one takes longer than all else; of up to eight bits there are 2,049.
short_bits = lru_cache(maxsize=2049)(BitString)
