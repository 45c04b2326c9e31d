"""What answers behind a unit id, whatever the wire: requests as PDUs in, answers out."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Protocol

_ILLEGAL_FUNCTION, _ILLEGAL_ADDRESS, _ILLEGAL_VALUE = 1, 2, 3


class RefuseError(Exception):
    """The server answers with an exception code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Unit(Protocol):
    """What answers behind a unit id."""

    @property
    def silent(self) -> bool:
        """Whether the unit leaves requests unanswered."""
        ...

    def read(self, function: int, address: int, count: int) -> bytes | None:
        """Return 2 × count bytes, or None when an address is illegal."""
        ...

    def write(self, address: int, words: Sequence[int]) -> bool:
        """Take registers; False when an address or value is illegal."""
        ...


class RegisterUnit:
    """Registers as they are given, with a record of what was asked and written.

    Parameters
    ----------
    words : dict of int to int
        By address; any other address is illegal.
    function : int or None
        The one function that reads them; None for both.
    longest : int
        Most registers in one request.
    """

    silent = False

    def __init__(
        self, words: dict[int, int], *, function: int | None = None, longest: int = 125
    ) -> None:
        self.words = words
        self.function = function
        self.longest = longest
        self.reads: list[tuple[int, int]] = []
        self.writes: list[tuple[int, tuple[int, ...]]] = []

    def read(self, function: int, address: int, count: int) -> bytes | None:
        """Return registers, when every one of them exists."""
        self.reads.append((address, count))
        span = range(address, address + count)
        wrong = self.function not in (None, function) or count > self.longest
        if wrong or any(word not in self.words for word in span):
            return None
        return b"".join(self.words[word].to_bytes(2, "big") for word in span)

    def write(self, address: int, words: Sequence[int]) -> bool:
        """Take any registers that exist."""
        if any(word not in self.words for word in range(address, address + len(words))):
            return False
        self.writes.append((address, tuple(words)))
        self.words.update(enumerate(words, start=address))
        return True


def answer(units: Mapping[int, Unit], unit_id: int, pdu: bytes) -> bytes | None:
    """Return the answer to a request; None where nobody answers.

    Raises
    ------
    KeyError
        When there is no such unit.
    """
    unit = units[unit_id]
    if unit.silent:
        return None
    try:
        return _execute(unit, pdu)
    except RefuseError as error:
        return bytes([pdu[0] | 0x80, error.code])


def _execute(unit: Unit, pdu: bytes) -> bytes:
    function = pdu[0]
    if function in (3, 4):
        if len(pdu) != 5:
            raise RefuseError(_ILLEGAL_VALUE)
        address, count = struct.unpack(">HH", pdu[1:])
        if not 1 <= count <= 125:
            raise RefuseError(_ILLEGAL_VALUE)
        content = unit.read(function, address, count)
        if content is None:
            raise RefuseError(_ILLEGAL_ADDRESS)
        return bytes([function, len(content)]) + content
    if function == 6:
        if len(pdu) != 5:
            raise RefuseError(_ILLEGAL_VALUE)
        address, word = struct.unpack(">HH", pdu[1:])
        if not unit.write(address, (word,)):
            raise RefuseError(_ILLEGAL_ADDRESS)
        return pdu
    if function == 16:
        if len(pdu) < 8 or len(pdu) != 6 + pdu[5] or pdu[5] % 2:
            raise RefuseError(_ILLEGAL_VALUE)
        address, count = struct.unpack(">HH", pdu[1:5])
        if pdu[5] != 2 * count or not unit.write(address, struct.unpack(f">{count}H", pdu[6:])):
            raise RefuseError(_ILLEGAL_ADDRESS)
        return pdu[:5]
    raise RefuseError(_ILLEGAL_FUNCTION)
