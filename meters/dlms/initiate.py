"""What both sides can do (IEC 62056-5-3, 9.3.1): InitiateRequest and InitiateResponse."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntFlag

from meters.dlms.errors import DlmsError

REQUEST, RESPONSE = 0x01, 0x08

_CONFORMANCE = bytes.fromhex("5f1f0400")
_VERSION = 6
_LN_OBJECTS = b"\x00\x07"


class Conformance(IntFlag):
    """Services that both sides know; bit 0 of the standard is the highest of 24."""

    GENERAL_PROTECTION = 1 << (23 - 1)
    GENERAL_BLOCK_TRANSFER = 1 << (23 - 2)
    BLOCK_TRANSFER_WITH_GET = 1 << (23 - 11)
    BLOCK_TRANSFER_WITH_SET = 1 << (23 - 12)
    BLOCK_TRANSFER_WITH_ACTION = 1 << (23 - 13)
    MULTIPLE_REFERENCES = 1 << (23 - 14)
    DATA_NOTIFICATION = 1 << (23 - 16)
    GET = 1 << (23 - 19)
    SET = 1 << (23 - 20)
    SELECTIVE_ACCESS = 1 << (23 - 21)
    ACTION = 1 << (23 - 23)


PROPOSED = 0x00007E1F
"""The conformance of the standard's own example of an LN association."""


@dataclass(frozen=True, slots=True)
class InitiateRequest:
    """What a client can do, and the key it made for this association, if any."""

    conformance: int
    max_pdu: int
    dedicated_key: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class InitiateResponse:
    """What both can do, and the longest APDU that the meter accepts."""

    conformance: int
    max_pdu: int


def encode_request(request: InitiateRequest) -> bytes:
    """Return an InitiateRequest."""
    key = request.dedicated_key
    own = b"\x01" + bytes((len(key),)) + key if key else b"\x00"
    return b"\x01" + own + b"\x00\x00\x06" + _services(request.conformance, request.max_pdu)


def _services(conformance: int, max_pdu: int) -> bytes:
    return _CONFORMANCE + conformance.to_bytes(3, "big") + max_pdu.to_bytes(2, "big")


def decode_request(content: bytes) -> InitiateRequest:
    """Return what a client can do.

    Raises
    ------
    DlmsError
        When it is malformed.
    """
    key, rest = b"", content[2:]
    if content[:2] == b"\x01\x01" and len(content) > 3:
        key, rest = content[3 : 3 + content[2]], content[3 + content[2] :]
    elif content[:2] != b"\x01\x00":
        raise DlmsError("the InitiateRequest is malformed")
    if rest[:2] == b"\x01\x00":
        rest = b"\x00" + rest[2:]  # response-allowed, said although it is the default
    if rest[:2] == b"\x00\x01":
        rest = b"\x00\x00" + rest[3:]  # a quality of service is proposed
    if len(rest) != 12 or rest[:3] != bytes((0, 0, _VERSION)):
        raise DlmsError("the InitiateRequest is malformed")
    if rest[3:7] != _CONFORMANCE:
        raise DlmsError("the conformance block is malformed")
    conformance, max_pdu = (int.from_bytes(part, "big") for part in (rest[7:10], rest[10:]))
    return InitiateRequest(conformance, max_pdu, key)


def encode_response(response: InitiateResponse) -> bytes:
    """Return an InitiateResponse of an LN association."""
    return b"\x08\x00\x06" + _services(response.conformance, response.max_pdu) + _LN_OBJECTS


def decode_response(content: bytes) -> InitiateResponse:
    """Return what the meter agreed to.

    Raises
    ------
    DlmsError
        When it is malformed or not of an LN association.
    """
    if len(content) == 15 and content[:3] == b"\x08\x01" + content[2:3]:
        content = content[:1] + b"\x00" + content[3:]  # a quality of service was negotiated
    if len(content) != 14 or content[:3] != bytes((RESPONSE, 0, _VERSION)):
        raise DlmsError("the InitiateResponse is malformed")
    if content[3:7] != _CONFORMANCE or content[12:] != _LN_OBJECTS:
        raise DlmsError("the InitiateResponse is not of an LN association")
    conformance, max_pdu = (int.from_bytes(part, "big") for part in (content[7:10], content[10:12]))
    return InitiateResponse(conformance, max_pdu)
