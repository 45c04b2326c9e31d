"""Rows that are encoded alike, taken at once: the buffer of a load profile.

What is not alike is left to :mod:`meters.dlms.data`, which also says what is wrong with it;
nothing here ever raises on what a meter sent.
"""

from __future__ import annotations

import struct
from functools import lru_cache

from meters.dlms.primitives import FIXED, Tag, Value

_FORMATS = {int(tag): form.format.lstrip(">") for tag, form in FIXED.items()}
_NULL, _OCTETS = int(Tag.NULL), int(Tag.OCTET_STRING)
_SHORT = 0x80


def take_alike(data: bytes, at: int, count: int) -> tuple[list[Value], int]:
    """Return as many of `count` structures from position `at` on as are encoded as the first.

    That is: of scalars, nulls and short octet strings of the same types and lengths.

    Returns
    -------
    list of tuple
        Possibly none.
    int
        The position after them.
    """
    shape = _shape(data, at)
    if shape is None:
        return [], at
    form, marks, nulls = _row(shape)
    size = form.size
    whole = min(count, (len(data) - at) // size)
    until = at + whole * size
    # Position by position over all rows, which is far fewer steps than row by row.
    for place, mark in marks:
        column = data[at + place : until : size]
        same = len(column) - len(column.lstrip(mark))
        until = min(until, at + same * size)
    rows: list[Value] = list(form.iter_unpack(memoryview(data)[at:until]))
    for place in nulls:
        rows = [(*row[:place], None, *row[place:]) for row in rows]
    return rows, until


def _shape(data: bytes, at: int) -> bytes | None:
    """Return the bytes of the structure at `at` that are no content; None when it is not plain."""
    start, end = at, len(data)
    if at + 2 > end or not 0 < data[at + 1] < _SHORT:
        return None
    shape = bytearray(data[start : at + 2])
    at += 2
    for _ in range(data[start + 1]):
        if at >= end:
            return None
        tag = data[at]
        if tag in FIXED:
            shape.append(tag)
            at += 1 + FIXED[Tag(tag)].size
        elif tag == _NULL:
            shape.append(tag)
            at += 1
        elif tag == _OCTETS and at + 1 < end and data[at + 1] < _SHORT:
            shape += data[at : at + 2]
            at += 2 + data[at + 1]
        else:
            return None
    return bytes(shape)


@lru_cache(maxsize=256)
def _row(shape: bytes) -> tuple[struct.Struct, tuple[tuple[int, bytes], ...], tuple[int, ...]]:
    """Return the format of a row's contents, its marks with their places, and which are null."""
    form, place = ">2x", 2
    marks = [(0, shape[:1]), (1, shape[1:2])]
    nulls: list[int] = []
    column, at = 0, 2
    while at < len(shape):
        tag = shape[at]
        mark = shape[at : at + (2 if tag == _OCTETS else 1)]
        at += len(mark)
        marks += [(place + n, mark[n : n + 1]) for n in range(len(mark))]
        if tag == _NULL:
            nulls.append(column)
            content = ""
        else:
            content = f"{mark[-1]}s" if tag == _OCTETS else _FORMATS[tag]
        form += f"{len(mark)}x{content}"
        place += len(mark) + struct.calcsize(f">{content}")
        column += 1
    return struct.Struct(form), tuple(marks), tuple(nulls)
