"""What a meter tells unasked (IEC 62056-5-3, 9.3.10): data-notification."""

from __future__ import annotations

from dataclasses import dataclass

from meters.dlms import data as axdr
from meters.dlms.errors import DlmsError, LocalProtocolError

TAG = 0x0F


@dataclass(frozen=True, slots=True)
class Notification:
    """A data-notification.

    Attributes
    ----------
    invoke_id : int
        Long invoke id, 24 bits.
    date_time : bytes
        Of 12 bytes, or empty when the meter says none.
    value : Value
        Decoded.
    """

    invoke_id: int
    date_time: bytes
    value: axdr.Value


def encode_notification(notification: Notification, body: bytes) -> bytes:
    """Return a data-notification with an encoded body in place of the decoded value."""
    if len(notification.date_time) not in (0, 12):
        raise LocalProtocolError("a data-notification has a date-time of 12 bytes, or none")
    head = bytes((TAG,)) + notification.invoke_id.to_bytes(4, "big")
    return head + bytes((len(notification.date_time),)) + notification.date_time + body


def decode_notification(apdu: bytes) -> Notification:
    """Return what a meter tells.

    Raises
    ------
    DlmsError
        When it is malformed or another service.
    """
    if len(apdu) < 7 or apdu[0] != TAG:
        raise DlmsError("the APDU is no data-notification")
    invoke_id = int.from_bytes(apdu[1:5], "big") & 0xFF_FFFF
    # Some meters write the date-time as data, its tag before its length.
    at = 6 if apdu[5] == axdr.Tag.OCTET_STRING and apdu[6] == 12 else 5
    size = apdu[at]
    if size not in (0, 12):
        raise DlmsError(f"a data-notification has a date-time of {size} bytes, must be 12 or none")
    date_time = apdu[at + 1 : at + 1 + size]
    return Notification(invoke_id, date_time, axdr.decode(apdu[at + 1 + size :]))
