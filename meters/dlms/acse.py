"""Opening and closing an association (IEC 62056-5-3, 7.2 and 7.3): AARQ, AARE, RLRQ, RLRE."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, IntFlag

from meters.dlms.errors import DlmsError

AARQ, AARE, RLRQ, RLRE = 0x60, 0x61, 0x62, 0x63

_OID = bytes.fromhex("6085740508")  # 2.16.756.5.8
_LN_CONTEXT = bytes.fromhex("a1090607") + _OID + b"\x01\x01"
_CONFORMANCE = bytes.fromhex("5f1f0400")


class Mechanism(IntEnum):
    """Who must prove what when an association opens."""

    NONE = 0
    LLS = 1


class Conformance(IntFlag):
    """Services that both sides know; bit 0 of the standard is the highest of 24."""

    BLOCK_TRANSFER_WITH_GET = 1 << (23 - 11)
    GET = 1 << (23 - 19)
    SELECTIVE_ACCESS = 1 << (23 - 21)


PROPOSED = 0x00007E1F
"""The conformance of the standard's own example of an LN association."""

_DIAGNOSTICS = {
    0: "no diagnostic",
    1: "no reason given",
    2: "application context not supported",
    11: "authentication mechanism not recognised",
    12: "authentication mechanism required",
    13: "authentication failure",
    14: "authentication required",
}


@dataclass(frozen=True, slots=True)
class AssociationRequest:
    """An AARQ: the mechanism, the password of LLS, and what the client can do."""

    mechanism: int
    secret: bytes
    conformance: int
    max_pdu: int


@dataclass(frozen=True, slots=True)
class AssociationResponse:
    """An AARE: ``result`` 0 is accepted; `conformance` and `max_pdu` are then the meter's."""

    result: int
    diagnostic: int
    conformance: int
    max_pdu: int

    @property
    def reason(self) -> str:
        """The diagnostic in words."""
        return _DIAGNOSTICS.get(self.diagnostic, f"diagnostic {self.diagnostic}")


def _tlv(tag: int, content: bytes) -> bytes:
    if len(content) > 0x7F:
        return bytes((tag, 0x81, len(content))) + content
    return bytes((tag, len(content))) + content


def _fields(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Cut BER into tags and contents; each takes at least two bytes, so this ends."""
    at = 0
    while at < len(content):
        if at + 2 > len(content):
            raise DlmsError("a field of an association is cut short")
        tag, length = content[at], content[at + 1]
        at += 2
        if length == 0x81 and at < len(content):
            length = content[at]
            at += 1
        elif length >= 0x80:
            raise DlmsError("a field of an association has a length form that is not allowed")
        if at + length > len(content):
            raise DlmsError("a field of an association is cut short")
        yield tag, content[at : at + length]
        at += length


def _body(apdu: bytes, tag: int) -> bytes:
    parts = list(_fields(apdu))
    if len(parts) != 1 or parts[0][0] != tag:
        raise DlmsError(f"bytes follow the association APDU {tag:#04x}")
    return parts[0][1]


def _integer(content: bytes, inner: tuple[int, ...], what: str) -> int:
    for tag, value in _fields(content):
        if tag in inner and len(value) == 1:
            return value[0]
    raise DlmsError(f"the {what} of an association is malformed")


def encode_aarq(request: AssociationRequest) -> bytes:
    """Return the AARQ of an LN association without ciphering."""
    initiate = b"\x01\x00\x00\x00\x06" + _CONFORMANCE
    initiate += request.conformance.to_bytes(3, "big") + request.max_pdu.to_bytes(2, "big")
    parts = [_LN_CONTEXT]
    if request.mechanism != Mechanism.NONE:
        parts.append(bytes.fromhex("8a0207808b07") + _OID + bytes((2, request.mechanism)))
        parts.append(_tlv(0xAC, _tlv(0x80, request.secret)))
    parts.append(_tlv(0xBE, _tlv(0x04, initiate)))
    return _tlv(AARQ, b"".join(parts))


def decode_aarq(apdu: bytes) -> AssociationRequest:
    """Return what a client asks for.

    Raises
    ------
    DlmsError
        When the AARQ is malformed or asks for another context than LN without
        ciphering.
    """
    mechanism, secret, initiate, context = int(Mechanism.NONE), b"", b"", b""
    for tag, content in _fields(_body(apdu, AARQ)):
        if tag == 0xA1:
            context = content
        elif tag == 0x8B:
            if len(content) != 7 or content[:6] != _OID + b"\x02":
                raise DlmsError("the authentication mechanism is malformed")
            mechanism = content[6]
        elif tag == 0xAC:
            secret = next((value for inner, value in _fields(content) if inner == 0x80), b"")
        elif tag == 0xBE:
            initiate = next((value for inner, value in _fields(content) if inner == 0x04), b"")
    if context != _LN_CONTEXT[2:]:
        raise DlmsError("the application context is not LN without ciphering")
    if len(initiate) != 14 or initiate[:5] != b"\x01\x00\x00\x00\x06":
        raise DlmsError("the InitiateRequest is malformed")
    if initiate[5:9] != _CONFORMANCE:
        raise DlmsError("the conformance block is malformed")
    conformance = int.from_bytes(initiate[9:12], "big")
    return AssociationRequest(mechanism, secret, conformance, int.from_bytes(initiate[12:], "big"))


def encode_aare(response: AssociationResponse) -> bytes:
    """Return an AARE; a refusal carries no InitiateResponse."""
    parts = [
        _LN_CONTEXT,
        bytes((0xA2, 3, 2, 1, response.result)),
        bytes((0xA3, 5, 0xA1, 3, 2, 1, response.diagnostic)),
    ]
    if response.result == 0:
        initiate = b"\x08\x00\x06" + _CONFORMANCE + response.conformance.to_bytes(3, "big")
        initiate += response.max_pdu.to_bytes(2, "big") + b"\x00\x07"
        parts.append(_tlv(0xBE, _tlv(0x04, initiate)))
    return _tlv(AARE, b"".join(parts))


def decode_aare(apdu: bytes) -> AssociationResponse:
    """Return what the meter answered to an AARQ.

    Raises
    ------
    DlmsError
        When the AARE is malformed, or accepts another context than was asked.
    """
    context, initiate = b"", b""
    result = diagnostic = None
    for tag, content in _fields(_body(apdu, AARE)):
        if tag == 0xA1:
            context = content
        elif tag == 0xA2:
            result = _integer(content, (0x02,), "result")
        elif tag == 0xA3:
            inner = next((value for kind, value in _fields(content) if kind in (0xA1, 0xA2)), b"")
            diagnostic = _integer(inner, (0x02,), "diagnostic")
        elif tag == 0xBE:
            initiate = next((value for kind, value in _fields(content) if kind == 0x04), b"")
    if result is None or diagnostic is None:
        raise DlmsError("an AARE has no result or no diagnostic")
    if result != 0:
        return AssociationResponse(result, diagnostic, 0, 0)
    if context != _LN_CONTEXT[2:]:
        raise DlmsError("the meter accepted another application context than LN without ciphering")
    conformance, max_pdu = _initiate_response(initiate)
    return AssociationResponse(0, diagnostic, conformance, max_pdu)


def _initiate_response(content: bytes) -> tuple[int, int]:
    if len(content) == 15 and content[:3] == b"\x08\x01" + content[2:3]:
        content = content[:1] + b"\x00" + content[3:]  # a quality of service was negotiated
    if len(content) != 14 or content[:3] != b"\x08\x00\x06":
        raise DlmsError("the InitiateResponse is malformed")
    if content[3:7] != _CONFORMANCE or content[12:] != b"\x00\x07":
        raise DlmsError("the InitiateResponse is not of an LN association")
    return int.from_bytes(content[7:10], "big"), int.from_bytes(content[10:12], "big")


def encode_rlrq() -> bytes:
    """Return an RLRQ with the reason *normal*."""
    return b"\x62\x03\x80\x01\x00"


def encode_rlre() -> bytes:
    """Return an RLRE with the reason *normal*."""
    return b"\x63\x03\x80\x01\x00"
