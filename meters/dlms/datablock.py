"""Data blocks of SET and ACTION (IEC 62056-5-3, 9.3): a long value in numbered pieces."""

from __future__ import annotations

import struct

from meters.dlms import data as axdr
from meters.dlms.errors import DlmsError

SET_REQUEST, SET_RESPONSE = 0xC1, 0xC5
ACTION_REQUEST, ACTION_RESPONSE = 0xC3, 0xC7

MAX_BLOCKS = 1 << 14
_BLOCK = struct.Struct(">BI")


def encode(number: int, last: bool, content: bytes) -> bytes:
    """Return a DataBlock-SA."""
    return _BLOCK.pack(last, number) + axdr.length_bytes(len(content)) + content


def take(apdu: bytes, at: int) -> tuple[int, bool, bytes]:
    """Return number, whether it is the last, and content of the block that ends an APDU.

    Raises
    ------
    DlmsError
        When it is cut short, or bytes follow it.
    """
    if len(apdu) < at + _BLOCK.size + 1:
        raise DlmsError("a data block is cut short")
    last, number = _BLOCK.unpack_from(apdu, at)
    length, at = axdr.take_length(apdu, at + _BLOCK.size)
    if at + length != len(apdu):
        raise DlmsError("bytes follow a data block")
    return number, last != 0, apdu[at:]


def cut(content: bytes, first: int, room: int) -> list[bytes]:
    """Return pieces of `content`: one of `first` bytes, the others of `room`."""
    return [content[:first], *(content[at : at + room] for at in range(first, len(content), room))]


class Assembly:
    """Puts a value together from its blocks.

    Parameters
    ----------
    limit : int
        Bytes of all blocks.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pieces: list[bytes] = []
        self._size = 0

    @property
    def number(self) -> int:
        """The number of the last block that came, 0 before the first."""
        return len(self._pieces)

    def take(self, number: int, content: bytes) -> None:
        """Take the next block.

        Raises
        ------
        DlmsError
            When it is out of order, or the value is longer than the limit.
        """
        expected = len(self._pieces) + 1
        if number != expected:
            raise DlmsError(f"data block {number} came, must be {expected}")
        self._size += len(content)
        if self._size > self._limit or expected > MAX_BLOCKS:
            raise DlmsError(f"a value is longer than {self._limit} bytes or {MAX_BLOCKS} blocks")
        self._pieces.append(content)

    def whole(self) -> bytes:
        """Return the value as far as it came."""
        return b"".join(self._pieces)
