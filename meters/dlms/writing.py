"""The SET and ACTION services (IEC 62056-5-3, 9.3): APDUs as values."""

from __future__ import annotations

from dataclasses import dataclass

from meters.dlms import action_blocks, datablock, set_list
from meters.dlms import data as axdr
from meters.dlms.action_blocks import ActionBlock, ActionNext, ActionResponseBlock, Method
from meters.dlms.datablock import ACTION_REQUEST, ACTION_RESPONSE, SET_REQUEST, SET_RESPONSE
from meters.dlms.errors import DlmsError
from meters.dlms.refusals import Refusal, refusal
from meters.dlms.set_list import SetList, SetListBlock, SetListResponse
from meters.dlms.xdlms import DESCRIPTOR, INVOKE, Attribute, take_attribute

__all__ = ["ACTION_REQUEST", "ACTION_RESPONSE", "SET_REQUEST", "SET_RESPONSE", "Method"]


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
    return (
        head + DESCRIPTOR.pack(attribute.class_id, attribute.obis, attribute.index) + b"\0" + value
    )


def encode_set_block(block: SetBlock) -> bytes:
    """Return a SET-request with the first or another data block."""
    kind = 3 if block.attribute is None else 2
    octets = bytes((SET_REQUEST, kind, INVOKE | block.invoke_id))
    if block.attribute is not None:
        what = block.attribute
        octets += DESCRIPTOR.pack(what.class_id, what.obis, what.index) + b"\0"
    return octets + datablock.encode(block.number, block.last, block.data)


def decode_set_request(apdu: bytes) -> SetRequest | SetBlock | SetList | SetListBlock:
    """Return the SET-request of an APDU.

    Raises
    ------
    DlmsError
        When it is malformed or of another kind.
    """
    if len(apdu) < 3 or apdu[0] != SET_REQUEST:
        raise DlmsError("the APDU is no SET-request")
    kind, invoke_id, at = apdu[1], apdu[2] & 0x0F, 3
    if kind in (set_list.WITH_LIST, set_list.WITH_LIST_AND_BLOCK):
        return set_list.decode_request(apdu)
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
    return SetBlock(invoke_id, attribute, *datablock.take(apdu, at))


def encode_set_response(invoke_id: int, result: int) -> bytes:
    """Return a SET-response-normal."""
    return bytes((SET_RESPONSE, 1, INVOKE | invoke_id, result))


def encode_set_next(invoke_id: int, number: int) -> bytes:
    """Return the SET-response that asks for the block after `number`."""
    return bytes((SET_RESPONSE, 2, INVOKE | invoke_id)) + number.to_bytes(4, "big")


def encode_set_last(invoke_id: int, result: int, number: int) -> bytes:
    """Return the SET-response to the last block."""
    return bytes((SET_RESPONSE, 3, INVOKE | invoke_id, result)) + number.to_bytes(4, "big")


def decode_set_response(apdu: bytes) -> SetResponse | SetNext | SetListResponse | Refusal:
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
    if kind in (4, 5):
        return set_list.decode_response(apdu)
    raise DlmsError("a SET-response is malformed")


def encode_action(invoke_id: int, method: Method, parameter: bytes = b"") -> bytes:
    """Return an ACTION-request-normal with an encoded parameter, or with none."""
    head = bytes((ACTION_REQUEST, 1, INVOKE | invoke_id))
    what = DESCRIPTOR.pack(method.class_id, method.obis, method.index)
    return head + what + (b"\x01" + parameter if parameter else b"\0")


def decode_action_request(apdu: bytes) -> ActionRequest | ActionBlock | ActionNext:
    """Return the ACTION-request of an APDU.

    Raises
    ------
    DlmsError
        When it is malformed or of another kind.
    """
    if len(apdu) < 3 or apdu[0] != ACTION_REQUEST:
        raise DlmsError("the APDU is no ACTION-request")
    if apdu[1] != 1:
        return action_blocks.decode_request(apdu)
    if len(apdu) < 13:
        raise DlmsError("an ACTION-request is cut short")
    method = Method(*DESCRIPTOR.unpack_from(apdu, 3))
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


def decode_action_response(
    apdu: bytes,
) -> ActionResponse | ActionResponseBlock | ActionNext | Refusal:
    """Return the answer to an ACTION-request.

    Raises
    ------
    DlmsError
        When it is malformed or another service.
    """
    if (refused := refusal(apdu)) is not None:
        return refused
    if len(apdu) < 4 or apdu[0] != ACTION_RESPONSE:
        raise DlmsError("the APDU is no ACTION-response")
    if apdu[1] != 1:
        return action_blocks.decode_response(apdu)
    return action_result(apdu[2] & 0x0F, apdu[3:])


def action_result(invoke_id: int, content: bytes) -> ActionResponse:
    """Return what follows the invoke id of an ACTION-response, or what its blocks held.

    Raises
    ------
    DlmsError
        When it is malformed.
    """
    result, rest = content[0] if content else 0, content[1:]
    if content and rest in (b"", b"\0"):
        return ActionResponse(invoke_id, result)
    if rest[:2] == b"\x01\x01" and len(rest) == 3:
        return ActionResponse(invoke_id, result, b"", rest[2])
    if rest[:2] != b"\x01\x00":
        raise DlmsError("an ACTION-response is malformed")
    axdr.check(rest, 2)
    return ActionResponse(invoke_id, result, rest[2:])
