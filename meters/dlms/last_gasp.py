"""The last thing that a meter says when its supply fails: a data-notification with its name.

Its value is a structure of the COSEM logical device name (IEC 62056-6-2, object
0-0:42.0.0.255) and the event code of a power failure; its date-time is when. The code is
that of the standard event log in the IDIS companion specification, package 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from meters.dlms import civil_time
from meters.dlms import data as axdr
from meters.dlms.errors import DlmsError
from meters.dlms.push import Notification

POWER_DOWN: Final = 1
_NAME_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class LastGasp:
    """Which device lost its supply, and when by its own clock; None where it has none."""

    name: str
    at_s: int | None


def value_of(name: bytes) -> bytes:
    """Return the encoded value of a last gasp of a device with an encoded name."""
    return axdr.structure([name, axdr.encode(axdr.Tag.UINT8, POWER_DOWN)])


def last_gasp(told: Notification) -> LastGasp | None:
    """Return the last gasp that a notification is, or None when it is another one.

    Raises
    ------
    DlmsError
        When its name or its time is malformed.
    """
    match told.value:
        case [bytes() as name, int() as code] if type(code) is int and code == POWER_DOWN:
            pass
        case _:
            return None
    text = name.decode("ascii", "replace")
    if not 0 < len(text) <= _NAME_MAX or not text.isprintable() or not text.isascii():
        raise DlmsError("a last gasp has no name that can be read")
    at_s = civil_time.decode_date_time(told.date_time).at_s if told.date_time else None
    return LastGasp(text, at_s)
