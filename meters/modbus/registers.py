"""Values in 16-bit registers, and the values that mean "not implemented".

Type names and not-implemented values are those of the SunSpec Device
Information Model Specification; SDM-like meters use the same types. A type is
tested for "not implemented" before any scale factor is applied.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

# An accumulator of SunSpec (acc) that stands at 0 does not count.
_INTEGERS: dict[str, tuple[int, bool, int]] = {
    "uint16": (1, False, 0xFFFF),
    "enum16": (1, False, 0xFFFF),
    "bitfield16": (1, False, 0xFFFF),
    "int16": (1, True, -0x8000),
    "sunssf": (1, True, -0x8000),
    "count": (1, False, 0xFFFF),
    "pad": (1, True, -0x8000),
    "acc16": (1, False, 0),
    "acc32": (2, False, 0),
    "acc64": (4, False, 0),
    "enum32": (2, False, 0xFFFF_FFFF),
    "uint32": (2, False, 0xFFFF_FFFF),
    "bitfield32": (2, False, 0xFFFF_FFFF),
    "int32": (2, True, -0x8000_0000),
    "bitfield64": (4, False, 0xFFFF_FFFF_FFFF_FFFF),
    "uint64": (4, False, 0xFFFF_FFFF_FFFF_FFFF),
    "int64": (4, True, -0x8000_0000_0000_0000),
}

SIZES = {**{name: facts[0] for name, facts in _INTEGERS.items()}, "float32": 2, "float64": 4}
"""Registers that a value of each type takes."""

FORMATS = {
    **{
        name: {1: "h", 2: "i", 4: "q"}[size] if signed else {1: "H", 2: "I", 4: "Q"}[size]
        for name, (size, signed, _) in _INTEGERS.items()
    },
    "float32": "f",
    "float64": "d",
}
"""The letter of each type in formats of :mod:`struct`."""

INTEGERS = {name: (signed, absent) for name, (_, signed, absent) in _INTEGERS.items()}
"""Of each integer type whether it is signed, and the value that means "not implemented"."""


def decode(
    kind: str, words: Sequence[int], *, little_words: bool = False, absent: int | None = None
) -> int | float | None:
    """Return the value in `words`, or None when it means "not implemented".

    Parameters
    ----------
    kind : str
        A key of :data:`SIZES`.
    words : sequence of int, shape (SIZES[kind],)
        Register values, 0 to 65535, in the order of their addresses.
    little_words : bool
        The least significant word comes first.
    absent : int, optional
        The integer that means "not implemented" where a maker uses another one.
    """
    if len(words) != SIZES[kind]:
        raise ValueError(f"{kind} takes {SIZES[kind]} registers, not {len(words)}")
    ordered = reversed(words) if little_words else words
    content = b"".join(word.to_bytes(2, "big") for word in ordered)
    if kind in ("float32", "float64"):
        value: float = struct.unpack(">f" if kind == "float32" else ">d", content)[0]
        return None if math.isnan(value) else value
    signed, usual = INTEGERS[kind]
    number = int.from_bytes(content, "big", signed=signed)
    return None if number == (usual if absent is None else absent) else number


def encode(kind: str, value: float | None, *, little_words: bool = False) -> tuple[int, ...]:
    """Return the registers that hold `value`; None gives "not implemented".

    Raises
    ------
    OverflowError
        When the value does not fit, or would read as "not implemented".
    """
    if kind in ("float32", "float64"):
        number = math.nan if value is None else float(value)
        content = struct.pack(">f" if kind == "float32" else ">d", number)
    else:
        size, signed, absent = _INTEGERS[kind]
        if value is not None and int(value) == absent:
            raise OverflowError(f"{value} means not implemented in {kind}")
        whole = absent if value is None else int(value)
        content = whole.to_bytes(2 * size, "big", signed=signed)
    words = struct.unpack(f">{len(content) // 2}H", content)
    return tuple(reversed(words)) if little_words else words
