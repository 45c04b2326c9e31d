"""Opening and closing an association (IEC 62056-5-3, 7.2 and 7.3): AARQ, AARE, RLRQ, RLRE."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum

from meters.dlms.errors import DlmsError

AARQ, AARE, RLRQ, RLRE = 0x60, 0x61, 0x62, 0x63
AUTHENTICATION_FAILURE, AUTHENTICATION_REQUIRED, NOT_RECOGNISED = 13, 14, 11
CONTEXT_NOT_SUPPORTED = 2

_OID = bytes.fromhex("6085740508")  # 2.16.756.5.8
_CONTEXT = bytes.fromhex("0607") + _OID + b"\x01"


class Mechanism(IntEnum):
    """Who must prove what when an association opens."""

    NONE = 0
    LLS = 1
    HLS_GMAC = 5


class Context(IntEnum):
    """How the APDUs of an association look: logical names, without or with ciphering."""

    PLAIN = 1
    CIPHERED = 3


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
    """An AARQ.

    Attributes
    ----------
    mechanism : int
    secret : bytes
        The password of LLS, the challenge of HLS.
    initiate : bytes
        The InitiateRequest, ciphered in a ciphered context.
    context : int
    title : bytes
        The client's system title; empty when it says none.
    """

    mechanism: int
    secret: bytes = field(repr=False)
    initiate: bytes = field(repr=False)
    context: int = Context.PLAIN
    title: bytes = b""


@dataclass(frozen=True, slots=True)
class AssociationResponse:
    """An AARE: ``result`` 0 is accepted, and `initiate` then holds the InitiateResponse.

    `challenge` is the meter's, in HLS, and `title` its system title.
    """

    result: int
    diagnostic: int
    initiate: bytes = b""
    context: int = Context.PLAIN
    title: bytes = b""
    challenge: bytes = b""

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


def _inner(content: bytes, tags: tuple[int, ...]) -> bytes:
    """Return the first field of `content` that has one of `tags`; empty when none has."""
    return next((value for tag, value in _fields(content) if tag in tags), b"")


def _integer(content: bytes, what: str) -> int:
    value = _inner(content, (0x02,))
    if len(value) != 1:
        raise DlmsError(f"the {what} of an association is malformed")
    return value[0]


def _context(content: bytes) -> int:
    if len(content) != 9 or content[:8] != _CONTEXT:
        raise DlmsError("the application context is not one of DLMS")
    return content[8]


def encode_aarq(request: AssociationRequest) -> bytes:
    """Return the AARQ of an association with logical names."""
    parts = [_tlv(0xA1, _CONTEXT + bytes((request.context,)))]
    if request.title:
        parts.append(_tlv(0xA6, _tlv(0x04, request.title)))
    if request.mechanism != Mechanism.NONE:
        parts.append(bytes.fromhex("8a0207808b07") + _OID + bytes((2, request.mechanism)))
        parts.append(_tlv(0xAC, _tlv(0x80, request.secret)))
    parts.append(_tlv(0xBE, _tlv(0x04, request.initiate)))
    return _tlv(AARQ, b"".join(parts))


def decode_aarq(apdu: bytes) -> AssociationRequest:
    """Return what a client asks for.

    Raises
    ------
    DlmsError
        When the AARQ is malformed.
    """
    mechanism, secret, initiate, title = int(Mechanism.NONE), b"", b"", b""
    context = None
    for tag, content in _fields(_body(apdu, AARQ)):
        if tag == 0xA1:
            context = _context(content)
        elif tag == 0xA6:
            title = _inner(content, (0x04,))
        elif tag == 0x8B:
            if len(content) != 7 or content[:6] != _OID + b"\x02":
                raise DlmsError("the authentication mechanism is malformed")
            mechanism = content[6]
        elif tag == 0xAC:
            secret = _inner(content, (0x80,))
        elif tag == 0xBE:
            initiate = _inner(content, (0x04,))
    if context is None:
        raise DlmsError("an AARQ has no application context")
    return AssociationRequest(mechanism, secret, initiate, context, title)


def encode_aare(response: AssociationResponse) -> bytes:
    """Return an AARE; a refusal carries no InitiateResponse."""
    parts = [
        _tlv(0xA1, _CONTEXT + bytes((response.context,))),
        bytes((0xA2, 3, 2, 1, response.result)),
        bytes((0xA3, 5, 0xA1, 3, 2, 1, response.diagnostic)),
    ]
    if response.title:
        parts.append(_tlv(0xA4, _tlv(0x04, response.title)))
    if response.challenge:
        parts.append(bytes.fromhex("880207808907") + _OID + bytes((2, Mechanism.HLS_GMAC)))
        parts.append(_tlv(0xAA, _tlv(0x80, response.challenge)))
    if response.initiate:
        parts.append(_tlv(0xBE, _tlv(0x04, response.initiate)))
    return _tlv(AARE, b"".join(parts))


def decode_aare(apdu: bytes) -> AssociationResponse:
    """Return what the meter answered to an AARQ.

    Raises
    ------
    DlmsError
        When the AARE is malformed.
    """
    initiate, title, challenge = b"", b"", b""
    context = result = diagnostic = None
    for tag, content in _fields(_body(apdu, AARE)):
        if tag == 0xA1:
            context = _context(content)
        elif tag == 0xA2:
            result = _integer(content, "result")
        elif tag == 0xA3:
            diagnostic = _integer(_inner(content, (0xA1, 0xA2)), "diagnostic")
        elif tag == 0xA4:
            title = _inner(content, (0x04,))
        elif tag == 0xAA:
            challenge = _inner(content, (0x80,))
        elif tag == 0xBE:
            initiate = _inner(content, (0x04,))
    if result is None or diagnostic is None:
        raise DlmsError("an AARE has no result or no diagnostic")
    if context is None:
        raise DlmsError("an AARE has no application context")
    return AssociationResponse(result, diagnostic, initiate, context, title, challenge)


def encode_rlrq() -> bytes:
    """Return an RLRQ with the reason *normal*."""
    return b"\x62\x03\x80\x01\x00"


def encode_rlre() -> bytes:
    """Return an RLRE with the reason *normal*."""
    return b"\x63\x03\x80\x01\x00"
