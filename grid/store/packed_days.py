"""How a day of intervals is packed: each register's values as narrow as they are.

The bytes of one usage point, day and quantity begin with one byte per register, its
:class:`Kind`; then follow the values of each register in turn. All zero takes no more
than that byte, a constant takes one value, and what the register before it has, nothing.
Numbers are little-endian.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from meters.reading import MISSING

Array = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]


class Kind(IntEnum):
    """How the values of one register follow. Kinds are stored: old ones stay as they are."""

    ZERO = 0
    INT8 = 1
    ONE_INT8 = 2
    INT16 = 3
    ONE_INT16 = 4
    INT32 = 5
    ONE_INT32 = 6
    INT64 = 7
    ONE_INT64 = 8
    FLOAT32 = 9
    ONE_FLOAT32 = 10
    SAME = 11


_TYPE: Final = {
    kind: np.dtype(name)
    for name, kinds in (
        ("i1", (Kind.INT8, Kind.ONE_INT8)),
        ("<i2", (Kind.INT16, Kind.ONE_INT16)),
        ("<i4", (Kind.INT32, Kind.ONE_INT32)),
        ("<i8", (Kind.INT64, Kind.ONE_INT64)),
        ("<f4", (Kind.FLOAT32, Kind.ONE_FLOAT32)),
    )
    for kind in kinds
}
_ALONE: Final = frozenset(kind for kind in Kind if kind.name.startswith("ONE_"))
_BITS: Final = 4
"""Of a kind, so that those of sixteen registers fit a number."""


NONE: Final = bytes([Kind.ONE_INT8]) + np.int8(MISSING).tobytes()
"""The part of a packed day of a register of which nothing is known."""


def _size(kind: int, slots: int) -> int:
    if kind in (Kind.ZERO, Kind.SAME):
        return 0
    return _TYPE[Kind(kind)].itemsize * (1 if kind in _ALONE else slots)


@dataclass(frozen=True, slots=True)
class Cut:
    """The bytes of some rows: those of row n are `length` bytes from ``n * stride``."""

    content: bytes
    stride: int
    length: int


class Quantity:
    """One quantity of several registers, to be packed by rows.

    Parameters
    ----------
    registers : sequence of ndarray (row, slot)
        All integers or all float32. An array that is given twice is looked at once.
    """

    def __init__(self, registers: Sequence[Array]) -> None:
        self._registers = registers
        seen: dict[int, tuple[npt.NDArray[np.uint8], Array]] = {}
        for values in registers:
            if id(values) not in seen:
                seen[id(values)] = _kinds(values)
        self._kinds = np.stack([seen[id(values)][0] for values in registers])
        self._low = [seen[id(values)][1] for values in registers]
        for number in range(len(registers) - 1, 0, -1):
            self._mark_same(number)

    def _mark_same(self, number: int) -> None:
        """Mark the rows in which a register varies as the one before it does."""
        values, before = self._registers[number], self._registers[number - 1]
        kinds = self._kinds[number]
        varies = (kinds == Kind.INT8) | (kinds == Kind.INT16)
        if values is not before:
            # Marks are the same for all registers as a rule; energies hardly ever.
            if values.dtype != np.int16:
                return
            varies &= (values == before).all(axis=1)
        kinds[varies] = Kind.SAME

    @property
    def shape(self) -> npt.NDArray[np.uint64]:
        """A number per row, equal where rows are packed in the same way."""
        weight = np.uint64(1) << np.arange(0, _BITS * len(self._registers), _BITS, dtype=np.uint64)
        return weight @ self._kinds.astype(np.uint64)

    def cut(self, rows: Ints | slice) -> Cut:
        """Return the bytes of `rows`, which are all of one :attr:`shape`."""
        kinds = self._kinds[:, rows][:, 0]
        count, slots = self._registers[0][rows].shape
        low = [of[rows] for of in self._low]
        alone = all(kind == Kind.ZERO or kind in _ALONE for kind in kinds)
        same = alone and all((of == of[0]).all() for of in low)
        content = np.empty(
            (1 if same else count, kinds.size + sum(_size(kind, slots) for kind in kinds)), np.uint8
        )
        content[:, : kinds.size] = kinds
        at = kinds.size
        for values, least, kind in zip(self._registers, low, kinds, strict=True):
            end = at + _size(kind, slots)
            if end > at:
                place = content[:, at:end].view(_TYPE[Kind(kind)])
                given = least[: len(content), None] if kind in _ALONE else values[rows]
                np.copyto(place, given, casting="unsafe")
            at = end
        return Cut(content.tobytes(), 0 if same else content.shape[1], content.shape[1])


def _kinds(values: Array) -> tuple[npt.NDArray[np.uint8], Array]:
    """Return the kind of each row, and its least value."""
    low, high = values.min(axis=1), values.max(axis=1)
    if values.dtype.kind == "f":
        # NaN equals nothing and stays an array.
        kinds = np.where(low == high, np.uint8(Kind.ONE_FLOAT32), np.uint8(Kind.FLOAT32))
    else:
        wide = np.zeros(len(low), np.uint8)
        for most in (2**7, 2**15, 2**31):
            wide += (low < -most) | (high >= most)
        kinds = 2 * wide + np.where(low == high, np.uint8(Kind.ONE_INT8), np.uint8(Kind.INT8))
    kinds[(low == 0) & (high == 0)] = Kind.ZERO
    return kinds.astype(np.uint8), low


def unpack(
    contents: Sequence[bytes],
    rows: Sequence[int],
    into: Array,
    *,
    held: int,
    registers: Sequence[tuple[int, int]],
    part: slice = slice(None),
) -> None:
    """Write packed days into rows of an array.

    Parameters
    ----------
    contents : sequence of bytes
        Of each day, in the order of `rows`.
    into : ndarray (row, register, slot)
    held : int
        How many registers a day holds.
    registers : sequence of (int, int)
        Place along the second axis of `into`, and number in the day, of each that is wanted.
    part : slice
        The slots that are wanted.
    """
    groups: dict[bytes, list[int]] = {}
    for number, content in enumerate(contents):
        groups.setdefault(content[:held], []).append(number)
    for head, numbers in groups.items():
        alike = contents if len(groups) == 1 else [contents[number] for number in numbers]
        packed = np.frombuffer(b"".join(alike), np.uint8).reshape(len(alike), -1)
        where = as_slice(np.asarray(rows)[numbers])
        ends = _ends(head, packed.shape[1])
        for place, asked in registers:
            number = _meant(head, asked)
            kind = Kind(head[number])
            if kind is Kind.ZERO:
                into[where, place] = 0
                continue
            values = packed[:, ends[number] : ends[number + 1]].view(_TYPE[kind])
            into[where, place] = values if kind in _ALONE else values[:, part]


def parts(content: bytes, held: int) -> list[bytes]:
    """Return kind and values of each register of a packed day: equal where the values are."""
    head = content[:held]
    ends = _ends(head, len(content))
    meant = [_meant(head, number) for number in range(held)]
    return [head[at : at + 1] + content[ends[at] : ends[at + 1]] for at in meant]


def _meant(head: bytes, number: int) -> int:
    """Return the register whose values are those of register `number`."""
    while head[number] == Kind.SAME:
        number -= 1
    return number


def _ends(head: bytes, length: int) -> list[int]:
    """Return where the values of each register begin, and where the last ones end."""
    alone = sum(_size(kind, 0) for kind in head)
    one = sum(_size(kind, 1) for kind in head) - alone
    slots = (length - len(head) - alone) // one if one else 0
    ends = [len(head)]
    for kind in head:
        ends.append(ends[-1] + _size(kind, slots))
    return ends


def as_slice(rows: Ints) -> Ints | slice:
    """Return rows that follow each other as a slice, for which copying is quicker."""
    if rows.size and rows[-1] - rows[0] == rows.size - 1 and (np.diff(rows) == 1).all():
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return rows
