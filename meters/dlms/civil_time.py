"""Date-times of COSEM (IEC 62056-6-2, 4.1.6.1).

Civil time ends here: what leaves is seconds UTC.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from functools import lru_cache

from meters.dlms.data import Value
from meters.dlms.errors import DlmsError

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
    return _decode(octets, zone)


# Meters capture at the same instants, and a fleet says each of them thousands of times.
@lru_cache(maxsize=1 << 14)
def _decode(octets: bytes, zone: tzinfo | None) -> Instant:
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
