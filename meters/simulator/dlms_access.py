"""What a simulated meter tells of its objects, and which part of a profile a client selects."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from meters import obis
from meters.dlms import civil_time, cosem, data
from meters.dlms.data import Tag
from meters.dlms.selection import Range, parse_selection
from meters.dlms.xdlms import Attribute

Row = TypeVar("Row")

Key = tuple[int, bytes, int]
"""Class, logical name and attribute."""

_READ, _READ_WRITE = 1, 3
_VERSIONS = {cosem.PROFILE_GENERIC: 1, cosem.ASSOCIATION: 1}
_METHODS = {cosem.DISCONNECT_CONTROL: (1, 2), cosem.ASSOCIATION: (1,)}


def _attribute_access(class_id: int, index: int) -> bytes:
    writable = class_id == cosem.CLOCK and index == 2
    selectable = class_id == cosem.PROFILE_GENERIC and index == 2
    selectors = data.array([data.encode(Tag.INT8, one) for one in (1, 2)])
    return data.structure(
        [
            data.encode(Tag.INT8, index),
            data.encode(Tag.ENUM, _READ_WRITE if writable else _READ),
            selectors if selectable else b"\x00",
        ]
    )


def _access(index: int, mode: int) -> bytes:
    return data.structure([data.encode(Tag.INT8, index), data.encode(Tag.ENUM, mode)])


def object_list(shown: Iterable[Key]) -> bytes:
    """Return the encoded object list of an association, of the attributes that are shown."""
    keys = set(shown)
    keys |= {(cosem.PROFILE_GENERIC, code, 2) for code in (obis.LOAD_PROFILE, obis.EVENT_LOG)}
    keys.add((cosem.ASSOCIATION, obis.ASSOCIATION, 2))
    by_object: dict[tuple[int, bytes], list[int]] = {}
    for class_id, code, index in sorted(keys):
        by_object.setdefault((class_id, code), [1]).append(index)
    entries = []
    for (class_id, code), indices in by_object.items():
        attributes = [_attribute_access(class_id, index) for index in indices]
        methods = [_access(method, 1) for method in _METHODS.get(class_id, ())]
        entries.append(
            data.structure(
                [
                    data.encode(Tag.UINT16, class_id),
                    data.encode(Tag.UINT8, _VERSIONS.get(class_id, 0)),
                    data.encode(Tag.OCTET_STRING, code),
                    data.structure([data.array(attributes), data.array(methods)]),
                ]
            )
        )
    return data.array(entries)


def selected(
    selection: tuple[int, data.Value] | None,
    rows: Sequence[Row],
    at_s: Callable[[Row], int],
    columns: Sequence[Attribute],
) -> tuple[Sequence[Row], Sequence[int]]:
    """Return the rows and the places of the columns that a client selects."""
    if selection is None:
        return rows, range(len(columns))
    wanted = parse_selection(*selection)
    if isinstance(wanted, Range):
        first_s = civil_time.decode_date_time(wanted.from_time).at_s
        last_s = civil_time.decode_date_time(wanted.to_time).at_s
        begin = bisect_left(rows, first_s, key=at_s)
        places = [place for place, column in enumerate(columns) if column in wanted.columns]
        end = bisect_right(rows, last_s, key=at_s)
        return rows[begin:end], places or range(len(columns))
    end = wanted.last or len(rows)
    last_column = wanted.last_column or len(columns)
    return (
        rows[wanted.first - 1 : end],
        range(len(columns))[wanted.first_column - 1 : last_column],
    )
