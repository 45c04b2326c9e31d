"""ProfileGeneric (IEC 62056-6-2, 4.3.6): columns, rows of registers, event logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from functools import lru_cache

from grid.quantities import INT64_MAX
from meters.dlms.civil_time import decode_date_time
from meters.dlms.cosem import scale_energy
from meters.dlms.data import Value
from meters.dlms.errors import DlmsError
from meters.dlms.selection import parse_capture_object
from meters.dlms.xdlms import Attribute
from meters.reading import MISSING, RegisterRow


def parse_capture_objects(value: Value) -> tuple[Attribute, ...]:
    """Return the columns of a ProfileGeneric.

    Raises
    ------
    DlmsError
        When the array is malformed or has more than 64 columns.
    """
    if not isinstance(value, list) or not 0 < len(value) <= 64:
        raise DlmsError("the capture objects are no array of 1 to 64 columns")
    return tuple(parse_capture_object(column) for column in value)


def parse_rows(
    value: Value,
    columns: tuple[Attribute, ...],
    registers: tuple[Attribute, ...],
    scalers: Mapping[Attribute, int],
    *,
    clock: Attribute,
    period_s: int,
    zone: tzinfo | None = None,
) -> list[RegisterRow]:
    """Return the rows of a ProfileGeneric buffer, in the meter's order.

    A null clock means the previous row plus `period_s`; a null in any other
    column is a value that the meter does not have, and keeps its place.

    Parameters
    ----------
    value : list of tuple
        The decoded buffer.
    columns : tuple of Attribute
        From :func:`parse_capture_objects`.
    registers : tuple of Attribute
        The four that make a row, in channel order; one that is not captured is
        ``MISSING`` throughout.
    scalers : mapping of Attribute to int
        Power of ten of `registers`; one without is ``MISSING`` throughout.
    clock : Attribute
    period_s : int
        Capture period in seconds.

    Raises
    ------
    DlmsError
        When a row has another number of columns, or a value is malformed.
    """
    if clock not in columns:
        raise DlmsError("the load profile has no clock column")
    if not isinstance(value, list):
        raise DlmsError("the load profile is no array")
    if not value:
        return []
    if set(map(type, value)) != {tuple} or set(map(len, value)) != {len(columns)}:
        raise DlmsError(f"a load-profile row has not {len(columns)} columns")
    captured = list(zip(*value, strict=True))
    cells = captured[columns.index(clock)]
    known = set(map(type, cells)) <= {bytes, type(None)}
    times = (_known_times if known else _times)(cells, period_s, zone)
    energies = [
        _energies(captured[columns.index(register)], scalers[register])
        if register in columns and register in scalers
        else [MISSING] * len(value)
        for register in registers
    ]
    return [
        RegisterRow(at_s, (a, b, c, d)) for at_s, a, b, c, d in zip(times, *energies, strict=True)
    ]


def _times(cells: tuple[Value, ...], period_s: int, zone: tzinfo | None) -> tuple[int, ...]:
    times: list[int] = []
    for cell in cells:
        if cell is not None:
            times.append(decode_date_time(cell, zone).at_s)
        elif times and period_s > 0:
            times.append(times[-1] + period_s)
        else:
            raise DlmsError("a load-profile row has no time, and no row or period before it")
    return tuple(times)


# A fleet's meters capture at the same instants and say the same day, each of them.
_known_times = lru_cache(maxsize=256)(_times)


def _energies(cells: Sequence[Value], power: int) -> Sequence[int]:
    """Return a column in Wh or varh; errors as of :func:`scale_energy`."""
    if set(map(type, cells)) == {int} and min(cells) >= 0 and max(cells) <= INT64_MAX:
        if power == 0:
            return cells
        divisor = 10**-power if power < 0 else 0
        if divisor and not any(cell % divisor for cell in cells):
            return [cell // divisor for cell in cells]
    return [scale_energy(cell, power) for cell in cells]


@dataclass(frozen=True, slots=True)
class EventRow:
    """One entry of an event log: seconds UTC and the meter's own code."""

    at_s: int
    code: int


def parse_events(
    value: Value,
    columns: tuple[Attribute, ...],
    *,
    clock: Attribute,
    code: Attribute,
    zone: tzinfo | None = None,
) -> list[EventRow]:
    """Return the entries of an event log, in the meter's order.

    Raises
    ------
    DlmsError
        When it has no such columns, or an entry is malformed.
    """
    if clock not in columns or code not in columns:
        raise DlmsError("the event log has no column of the clock or of the event code")
    if not isinstance(value, list):
        raise DlmsError("the event log is no array")
    clock_at, code_at = columns.index(clock), columns.index(code)
    events = []
    for row in value:
        if not isinstance(row, tuple) or len(row) != len(columns):
            raise DlmsError(f"an entry of the event log has not {len(columns)} columns")
        if type(row[code_at]) is not int:
            raise DlmsError("an entry of the event log has no code")
        events.append(EventRow(decode_date_time(row[clock_at], zone).at_s, row[code_at]))
    return events
