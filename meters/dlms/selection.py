"""Which part of a ProfileGeneric is asked for (IEC 62056-6-2, 4.3.6): by range, by entry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from meters.dlms import data as axdr
from meters.dlms.data import Tag
from meters.dlms.errors import DlmsError, LocalProtocolError
from meters.dlms.xdlms import Attribute

RANGE, ENTRY = 1, 2
CLOCK_CLASS = 8


def encode_range(
    from_time: bytes, to_time: bytes, clock: bytes, columns: Sequence[Attribute] = ()
) -> bytes:
    """Return a selection by range over the clock column of a ProfileGeneric.

    Parameters
    ----------
    from_time, to_time : bytes
        Date-times of 12 bytes, both included.
    clock : bytes
        Logical name of the captured Clock.
    columns : sequence of Attribute
        The columns wanted; all when empty.
    """
    restricting = capture_object(Attribute(CLOCK_CLASS, clock, 2))
    times = b"\x09\x0c" + from_time + b"\x09\x0c" + to_time
    wanted = axdr.array([capture_object(column) for column in columns])
    return bytes((RANGE,)) + b"\x02\x04" + restricting + times + wanted


def encode_entries(first: int, last: int, first_column: int = 1, last_column: int = 0) -> bytes:
    """Return a selection of entries, the oldest being 1.

    Parameters
    ----------
    first, last : int
        Both included; 0 as `last` is the newest.
    first_column, last_column : int
        Places of columns, the first being 1, both included; 0 is the last.
    """
    if first < 1 or first_column < 1:
        raise LocalProtocolError(f"entries and columns count from 1, not {first}, {first_column}")
    numbers = [axdr.encode(Tag.UINT32, number) for number in (first, last)]
    numbers += [axdr.encode(Tag.UINT16, number) for number in (first_column, last_column)]
    return bytes((ENTRY,)) + axdr.structure(numbers)


def capture_object(attribute: Attribute, index: int = 0) -> bytes:
    """Return the definition of a column."""
    return axdr.structure(
        [
            axdr.encode(Tag.UINT16, attribute.class_id),
            axdr.encode(Tag.OCTET_STRING, attribute.obis),
            axdr.encode(Tag.INT8, attribute.index),
            axdr.encode(Tag.UINT16, index),
        ]
    )


def parse_capture_object(value: axdr.Value) -> Attribute:
    """Return the column of a definition.

    Raises
    ------
    DlmsError
        When it is malformed.
    """
    if not isinstance(value, tuple) or len(value) != 4:
        raise DlmsError("a capture object is malformed")
    class_id, obis, index, part = value
    if any(type(number) is not int for number in (class_id, index, part)):
        raise DlmsError("a capture object is malformed")
    if not isinstance(obis, bytes) or len(obis) != 6:
        raise DlmsError("a capture object is malformed")
    return Attribute(class_id, obis, index)


@dataclass(frozen=True, slots=True)
class Range:
    """Rows whose clock stands within two date-times, and the columns wanted."""

    from_time: bytes
    to_time: bytes
    columns: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class Entries:
    """Rows and columns by their places; 0 as the last one is the end."""

    first: int
    last: int
    first_column: int
    last_column: int


def parse_selection(selector: int, parameters: axdr.Value) -> Range | Entries:
    """Return what a client selects.

    Raises
    ------
    DlmsError
        When it is malformed or of another kind.
    """
    if not isinstance(parameters, tuple) or len(parameters) != 4:
        raise DlmsError("a selection is malformed")
    if selector == RANGE:
        _, since, until, wanted = parameters
        if not (isinstance(since, bytes) and isinstance(until, bytes) and type(wanted) is list):
            raise DlmsError("a selection by range is malformed")
        return Range(since, until, tuple(parse_capture_object(column) for column in wanted))
    if selector == ENTRY:
        if any(type(number) is not int for number in parameters):
            raise DlmsError("a selection by entry is malformed")
        return Entries(*parameters)
    raise DlmsError(f"a selection of kind {selector} is not known")
