"""Values of COSEM objects (IEC 62056-6-2): Clock, Register, ProfileGeneric.

Registers stay exact: a value with its scaler is an integer of Wh or varh or it
is refused. Civil time ends here: what leaves is seconds UTC.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from fractions import Fraction

from grid.quantities import INT64_MAX
from meters.dlms.data import Value
from meters.dlms.errors import DlmsError
from meters.dlms.xdlms import Attribute
from meters.reading import MISSING, RegisterRow

DATA, REGISTER, PROFILE_GENERIC, CLOCK = 1, 3, 7, 8
UNIT_WH, UNIT_VARH, UNIT_VOLT = 30, 32, 35
_UNIT_NAMES = {UNIT_WH: "Wh", UNIT_VARH: "varh", UNIT_VOLT: "V"}

_DATE_TIME = struct.Struct(">HBBBBBBBhB")
_UNSPECIFIED = -0x8000
_DAYLIGHT_SAVING, _INVALID, _STATUS_UNKNOWN = 0x80, 0x01, 0xFF
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - a reference for civil times without a zone
_MAX_DEVIATION = 840
_FIRST_YEAR, _LAST_YEAR = 1990, 2200


@dataclass(frozen=True, slots=True)
class Instant:
    """A date-time of a meter.

    Attributes
    ----------
    at_s : int
        Seconds UTC; hundredths are cut off.
    deviation_minutes : int or None
        UTC minus local time as the meter states it; ``None`` unspecified.
    valid : bool
        False when the clock status says that the time is not valid.
    """

    at_s: int
    deviation_minutes: int | None
    valid: bool


def decode_date_time(octets: Value, zone: tzinfo | None = None) -> Instant:
    """Return the instant of 12 bytes.

    Parameters
    ----------
    octets : bytes
        An octet-string or date-time of COSEM.
    zone : tzinfo, optional
        Applies when the meter leaves its deviation unspecified. The daylight
        saving bit of the clock status tells the two hours of an autumn change
        apart.

    Raises
    ------
    DlmsError
        When a field is unspecified or out of range, or the time could be two
        instants.
    """
    if not isinstance(octets, bytes) or len(octets) != 12:
        raise DlmsError("a date-time has not 12 bytes")
    year, month, day, _, hour, minute, second, _, deviation, status = _DATE_TIME.unpack(octets)
    try:
        local = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - civil time
    except ValueError:
        raise DlmsError(f"date-time {octets.hex()} is not a time") from None
    if not _FIRST_YEAR <= year <= _LAST_YEAR:
        raise DlmsError(f"year {year}, must be within {_FIRST_YEAR} to {_LAST_YEAR}")
    valid = status == _STATUS_UNKNOWN or not status & _INVALID
    seconds = int((local - _EPOCH).total_seconds())
    if deviation != _UNSPECIFIED:
        if abs(deviation) > _MAX_DEVIATION:
            raise DlmsError(f"deviation of {deviation} minutes, must be within {_MAX_DEVIATION}")
        return Instant(seconds + 60 * deviation, deviation, valid)
    if zone is None:
        raise DlmsError("a date-time has no deviation, and no standard zone is configured")
    return Instant(seconds - _offset_s(local, status, zone, octets), None, valid)


def _offset_s(local: datetime, status: int, zone: tzinfo, octets: bytes) -> int:
    both = [local.replace(tzinfo=zone, fold=fold) for fold in (0, 1)]
    if both[0].utcoffset() != both[1].utcoffset():
        if status == _STATUS_UNKNOWN:
            raise DlmsError(f"date-time {octets.hex()} could be two instants")
        summer = bool(status & _DAYLIGHT_SAVING)
        both = [one for one in both if bool(one.dst()) == summer]
    offset = both[0].utcoffset() if both else None
    if offset is None:
        raise DlmsError(f"date-time {octets.hex()} does not fit the zone {zone}")
    return int(offset.total_seconds())


def encode_date_time(
    at_s: int, deviation_minutes: int | None = 0, zone: tzinfo | None = None
) -> bytes:
    """Return the 12 bytes of an instant, in local time of a deviation or of a zone.

    With `deviation_minutes` ``None`` the deviation is left unspecified.
    """
    if deviation_minutes is not None:
        zone = timezone(timedelta(minutes=-deviation_minutes))
    local = datetime.fromtimestamp(at_s, zone)
    summer = deviation_minutes is None and bool(local.dst())
    return _DATE_TIME.pack(
        local.year,
        local.month,
        local.day,
        local.isoweekday(),
        local.hour,
        local.minute,
        local.second,
        0,
        _UNSPECIFIED if deviation_minutes is None else deviation_minutes,
        _DAYLIGHT_SAVING if summer else 0,
    )


def parse_scaler(value: Value, unit: int) -> int:
    """Return the power of ten of a scaler_unit.

    Raises
    ------
    DlmsError
        When it is malformed, of another unit, or beyond ±12.
    """
    if not (isinstance(value, tuple) and len(value) == 2 and _integers(value)):
        raise DlmsError("a scaler_unit is malformed")
    scaler: int = value[0]
    stated: int = value[1]
    if stated != unit:
        raise DlmsError(f"a register has unit {stated}, must be {unit} ({_UNIT_NAMES[unit]})")
    if abs(scaler) > 12:
        raise DlmsError(f"a register has scaler {scaler}, must be within -12 to 12")
    return scaler


def _integers(values: tuple[Value, ...]) -> bool:
    return all(isinstance(value, int) and not isinstance(value, bool) for value in values)


def scale_energy(value: Value, scaler: int) -> int:
    """Return value × 10^scaler, an exact integer of Wh or varh; ``MISSING`` for null.

    Raises
    ------
    DlmsError
        When it is no number, negative, not whole, or above int64.
    """
    if value is None:
        return MISSING
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DlmsError("an energy register holds no number")
    if isinstance(value, float) and not math.isfinite(value):
        raise DlmsError(f"an energy register holds {value}")
    if isinstance(value, int) and scaler >= 0:
        energy: int = value * 10**scaler
    else:
        exact = Fraction(value) * Fraction(10) ** scaler
        if exact.denominator != 1:
            raise DlmsError(f"an energy register holds {value} with scaler {scaler}: not whole")
        energy = exact.numerator
    if not 0 <= energy <= INT64_MAX:
        raise DlmsError(f"an energy register holds {energy}, must be within 0 to {INT64_MAX}")
    return energy


def scale_voltage(value: Value, scaler: int) -> float:
    """Return value × 10^scaler in volts.

    Raises
    ------
    DlmsError
        When it is no number or out of 0 to 1,000,000 V.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DlmsError("a voltage register holds no number")
    volts: float = value / 10**-scaler if scaler < 0 else float(value * 10**scaler)
    if not 0.0 <= volts <= 1e6:
        raise DlmsError(f"a voltage register holds {volts} V, must be within 0 to 1000000")
    return volts


def parse_capture_objects(value: Value) -> tuple[Attribute, ...]:
    """Return the columns of a ProfileGeneric.

    Raises
    ------
    DlmsError
        When the array is malformed or has more than 64 columns.
    """
    if not isinstance(value, list) or not 0 < len(value) <= 64:
        raise DlmsError("the capture objects are no array of 1 to 64 columns")
    columns = []
    for column in value:
        if not isinstance(column, tuple) or len(column) != 4:
            raise DlmsError("a capture object is malformed")
        class_id, obis, index, part = column
        if not _integers((class_id, index, part)) or not isinstance(obis, bytes):
            raise DlmsError("a capture object is malformed")
        if len(obis) != 6:
            raise DlmsError("a capture object is malformed")
        columns.append(Attribute(class_id, obis, index))
    return tuple(columns)


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
    clock_at = columns.index(clock)
    places = [
        columns.index(register) if register in columns and register in scalers else None
        for register in registers
    ]
    powers = [scalers.get(register, 0) for register in registers]
    rows: list[RegisterRow] = []
    for row in value:
        if not isinstance(row, tuple) or len(row) != len(columns):
            raise DlmsError(f"a load-profile row has not {len(columns)} columns")
        if row[clock_at] is not None:
            at_s = decode_date_time(row[clock_at], zone).at_s
        elif rows and period_s > 0:
            at_s = rows[-1].at_s + period_s
        else:
            raise DlmsError("a load-profile row has no time, and no row or period before it")
        a, b, c, d = (
            MISSING if place is None else scale_energy(row[place], power)
            for place, power in zip(places, powers, strict=True)
        )
        rows.append(RegisterRow(at_s, (a, b, c, d)))
    return rows
