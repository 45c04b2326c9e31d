"""The SET and ACTION services (IEC 62056-5-3, 9.3): APDUs as values."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from meters.dlms import data as axdr
from meters.dlms.errors import DlmsError
from meters.dlms.xdlms import INVOKE, Attribute, Refusal, refusal, take_attribute

SET_REQUEST, SET_RESPONSE = 0xC1, 0xC5
ACTION_REQUEST, ACTION_RESPONSE = 0xC3, 0xC7

_BLOCK = struct.Struct(">BI")
_HEAD = struct.Struct(">H6sb")


@dataclass(frozen=True, slots=True)
class SetRequest:
    """SET-request-normal, or one put together from its blocks; the value still encoded."""

    invoke_id: int
    attribute: Attribute
    data: bytes


@dataclass(frozen=True, slots=True)
class SetBlock:
    """One block of a SET-request; the first one says of which attribute."""

    invoke_id: int
    attribute: Attribute | None
    number: int
    last: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class SetResponse:
    """The result of a SET; 0 is success."""

    invoke_id: int
    access_result: int


@dataclass(frozen=True, slots=True)
class SetNext:
    """The meter has block `number` of a SET-request."""

    invoke_id: int
    number: int


@dataclass(frozen=True, slots=True)
class Method:
    """One method of one COSEM object."""

    class_id: int
    obis: bytes
    index: int


@dataclass(frozen=True, slots=True)
class ActionRequest:
    """ACTION-request-normal; `data` is the parameter, still encoded, empty without one."""

    invoke_id: int
    method: Method
    data: bytes


@dataclass(frozen=True, slots=True)
class ActionResponse:
    """The result of an ACTION, 0 being success, and what it returned, still encoded."""

    invoke_id: int
    result: int
    data: bytes = b""
    access_result: int = 0


def encode_set(invoke_id: int, attribute: Attribute, value: bytes) -> bytes:
    """Return a SET-request-normal of an encoded value."""
    head = bytes((SET_REQUEST, 1, INVOKE | invoke_id))
    return head + _HEAD.pack(attribute.class_id, attribute.obis, attribute.index) + b"\0" + value


def encode_set_block(block: SetBlock) -> bytes:
    """Return a SET-request with the first or another data block."""
    kind = 3 if block.attribute is None else 2
    octets = bytes((SET_REQUEST, kind, INVOKE | block.invoke_id))
    if block.attribute is not None:
        what = block.attribute
        octets += _HEAD.pack(what.class_id, what.obis, what.index) + b"\0"
    octets += _BLOCK.pack(block.last, block.number)
    return octets + axdr.length_bytes(len(block.data)) + block.data


def decode_set_request(apdu: bytes) -> SetRequest | SetBlock:
    """Return the SET-request of an APDU.

    Raises
    ------
    DlmsError
        When it is malformed or of another kind.
    """
    if len(apdu) < 3 or apdu[0] != SET_REQUEST:
        raise DlmsError("the APDU is no SET-request")
    kind, invoke_id, at = apdu[1], apdu[2] & 0x0F, 3
    if kind not in (1, 2, 3):
        raise DlmsError(f"a SET-request of kind {kind} is not known")
    attribute = None
    if kind != 3:
        attribute, at = take_attribute(apdu, at)
        if apdu[at : at + 1] != b"\0":
            raise DlmsError("a SET-request selects a part, which is not known")
        at += 1
    if kind == 1 and attribute is not None:
        axdr.check(apdu, at)
        return SetRequest(invoke_id, attribute, apdu[at:])
    if len(apdu) < at + _BLOCK.size + 1:
        raise DlmsError("a SET-request is cut short")
    last, number = _BLOCK.unpack_from(apdu, at)
    length, at = axdr.take_length(apdu, at + _BLOCK.size)
    if at + length != len(apdu):
        raise DlmsError("bytes follow a data block")
    return SetBlock(invoke_id, attribute, number, last != 0, apdu[at:])


def encode_set_response(invoke_id: int, result: int) -> bytes:
    """Return a SET-response-normal."""
    return bytes((SET_RESPONSE, 1, INVOKE | invoke_id, result))


def encode_set_next(invoke_id: int, number: int) -> bytes:
    """Return the SET-response that asks for the block after `number`."""
    return bytes((SET_RESPONSE, 2, INVOKE | invoke_id)) + number.to_bytes(4, "big")


def encode_set_last(invoke_id: int, result: int, number: int) -> bytes:
    """Return the SET-response to the last block."""
    return bytes((SET_RESPONSE, 3, INVOKE | invoke_id, result)) + number.to_bytes(4, "big")


def decode_set_response(apdu: bytes) -> SetResponse | SetNext | Refusal:
    """Return the answer to a SET-request.

    Raises
    ------
    DlmsError
        When it is malformed or another service.
    """
    if (refused := refusal(apdu)) is not None:
        return refused
    if len(apdu) < 4 or apdu[0] != SET_RESPONSE:
        raise DlmsError("the APDU is no SET-response")
    kind, invoke_id = apdu[1], apdu[2] & 0x0F
    if (kind, len(apdu)) in ((1, 4), (3, 8)):
        return SetResponse(invoke_id, apdu[3])
    if (kind, len(apdu)) == (2, 7):
        return SetNext(invoke_id, int.from_bytes(apdu[3:], "big"))
    raise DlmsError("a SET-response is malformed")


def encode_action(invoke_id: int, method: Method, parameter: bytes = b"") -> bytes:
    """Return an ACTION-request-normal with an encoded parameter, or with none."""
    head = bytes((ACTION_REQUEST, 1, INVOKE | invoke_id))
    what = _HEAD.pack(method.class_id, method.obis, method.index)
    return head + what + (b"\x01" + parameter if parameter else b"\0")


def decode_action_request(apdu: bytes) -> ActionRequest:
    """Return the ACTION-request of an APDU.

    Raises
    ------
    DlmsError
        When it is malformed or of another kind.
    """
    if len(apdu) < 13 or apdu[0] != ACTION_REQUEST or apdu[1] != 1:
        raise DlmsError("the APDU is no ACTION-request")
    method = Method(*_HEAD.unpack_from(apdu, 3))
    if apdu[12] == 0 and len(apdu) == 13:
        return ActionRequest(apdu[2] & 0x0F, method, b"")
    if apdu[12] == 0:
        raise DlmsError("bytes follow an ACTION-request")
    axdr.check(apdu, 13)
    return ActionRequest(apdu[2] & 0x0F, method, apdu[13:])


def encode_action_response(invoke_id: int, result: int, data: bytes = b"") -> bytes:
    """Return an ACTION-response-normal; `data` is what the method returns, encoded."""
    head = bytes((ACTION_RESPONSE, 1, INVOKE | invoke_id, result))
    return head + (b"\x01\x00" + data if data else b"\0")


def decode_action_response(apdu: bytes) -> ActionResponse | Refusal:
    """Return the answer to an ACTION-request.

    Raises
    ------
    DlmsError
        When it is malformed or another service.
    """
    if (refused := refusal(apdu)) is not None:
        return refused
    if len(apdu) < 4 or apdu[0] != ACTION_RESPONSE or apdu[1] != 1:
        raise DlmsError("the APDU is no ACTION-response-normal")
    invoke_id, result, rest = apdu[2] & 0x0F, apdu[3], apdu[4:]
    if rest in (b"", b"\0"):
        return ActionResponse(invoke_id, result)
    if rest[:2] == b"\x01\x01" and len(rest) == 3:
        return ActionResponse(invoke_id, result, b"", rest[2])
    if rest[:2] != b"\x01\x00":
        raise DlmsError("an ACTION-response is malformed")
    axdr.check(rest, 2)
    return ActionResponse(invoke_id, result, rest[2:])
