"""Rows that are encoded alike, taken at once: the buffer of a load profile.

What is not alike is left to :mod:`meters.dlms.data`, which also says what is wrong with it;
nothing here ever raises on what a meter sent.
"""

from __future__ import annotations

import struct
from functools import lru_cache

from meters.dlms.primitives import FIXED, Tag, Value

_FORMATS = {int(tag): form.format.lstrip(">") for tag, form in FIXED.items()}
_FORMATS[int(Tag.NULL)] = "0s"
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
    whole = min(count, (len(data) - at) // form.size)
    rows: list[Value] = []
    for row in form.iter_unpack(memoryview(data)[at : at + whole * form.size]):
        if row[::2] != marks:
            break
        values = row[1::2]
        if nulls:
            cells = list(values)
            for place in nulls:
                cells[place] = None
            values = tuple(cells)
        rows.append(values)
    return rows, at + len(rows) * form.size


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
def _row(shape: bytes) -> tuple[struct.Struct, tuple[bytes, ...], tuple[int, ...]]:
    """Return the format of a row, marks and contents in turn, the marks, and which are null."""
    form = ">"
    marks: list[bytes] = []
    nulls: list[int] = []
    mark = shape[:2]
    at = 2
    while at < len(shape):
        tag = shape[at]
        mark += shape[at : at + (2 if tag == _OCTETS else 1)]
        at += 2 if tag == _OCTETS else 1
        if tag == _NULL:
            nulls.append(len(marks))
        content = f"{mark[-1]}s" if tag == _OCTETS else _FORMATS[tag]
        form += f"{len(mark)}s{content}"
        marks.append(mark)
        mark = b""
    return struct.Struct(form), tuple(marks), tuple(nulls)
