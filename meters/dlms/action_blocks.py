"""The ACTION service in blocks (IEC 62056-5-3, 9.3.5): long parameters and long results.

The blocks of a request hold the encoded parameter; those of a response hold what follows
the invoke id of an ACTION-response-normal: the result and what the method returned.
"""

from __future__ import annotations

from dataclasses import dataclass

from meters.dlms import datablock
from meters.dlms.datablock import ACTION_REQUEST, ACTION_RESPONSE
from meters.dlms.errors import DlmsError
from meters.dlms.xdlms import DESCRIPTOR, INVOKE

NEXT, FIRST, FOLLOWING = 2, 4, 6
RESPONSE_BLOCK, RESPONSE_NEXT = 2, 4


@dataclass(frozen=True, slots=True)
class Method:
    """One method of one COSEM object."""

    class_id: int
    obis: bytes
    index: int


@dataclass(frozen=True, slots=True)
class ActionBlock:
    """One block of an ACTION-request; the first one says of which method."""

    invoke_id: int
    method: Method | None
    number: int
    last: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class ActionNext:
    """Whoever sends it has block `number`: a client of a response, a meter of a request."""

    invoke_id: int
    number: int


@dataclass(frozen=True, slots=True)
class ActionResponseBlock:
    """One block of an ACTION-response."""

    invoke_id: int
    number: int
    last: bool
    data: bytes


def encode_block(block: ActionBlock) -> bytes:
    """Return an ACTION-request with the first or another block."""
    kind = FOLLOWING if block.method is None else FIRST
    octets = bytes((ACTION_REQUEST, kind, INVOKE | block.invoke_id))
    if block.method is not None:
        octets += DESCRIPTOR.pack(block.method.class_id, block.method.obis, block.method.index)
    return octets + datablock.encode(block.number, block.last, block.data)


def encode_next(request: ActionNext) -> bytes:
    """Return the ACTION-request that asks for the block after the one it names."""
    head = bytes((ACTION_REQUEST, NEXT, INVOKE | request.invoke_id))
    return head + request.number.to_bytes(4, "big")


def decode_request(apdu: bytes) -> ActionBlock | ActionNext:
    """Return the ACTION-request of an APDU whose kind is one of those here.

    Raises
    ------
    DlmsError
        When it is malformed or of another kind.
    """
    kind, invoke_id = apdu[1], apdu[2] & 0x0F
    if kind == NEXT:
        if len(apdu) != 7:
            raise DlmsError("an ACTION-request for the next block is malformed")
        return ActionNext(invoke_id, int.from_bytes(apdu[3:], "big"))
    if kind == FOLLOWING:
        return ActionBlock(invoke_id, None, *datablock.take(apdu, 3))
    if kind != FIRST:
        raise DlmsError(f"an ACTION-request of kind {kind} is not known")
    if len(apdu) < 3 + DESCRIPTOR.size:
        raise DlmsError("an ACTION-request is cut short")
    method = Method(*DESCRIPTOR.unpack_from(apdu, 3))
    return ActionBlock(invoke_id, method, *datablock.take(apdu, 3 + DESCRIPTOR.size))


def encode_response_next(invoke_id: int, number: int) -> bytes:
    """Return the ACTION-response that asks for the block after `number`."""
    head = bytes((ACTION_RESPONSE, RESPONSE_NEXT, INVOKE | invoke_id))
    return head + number.to_bytes(4, "big")


def encode_response_block(block: ActionResponseBlock) -> bytes:
    """Return an ACTION-response with a block."""
    head = bytes((ACTION_RESPONSE, RESPONSE_BLOCK, INVOKE | block.invoke_id))
    return head + datablock.encode(block.number, block.last, block.data)


def decode_response(apdu: bytes) -> ActionResponseBlock | ActionNext:
    """Return the ACTION-response of an APDU whose kind is one of those here.

    Raises
    ------
    DlmsError
        When it is malformed or of another kind.
    """
    kind, invoke_id = apdu[1], apdu[2] & 0x0F
    if kind == RESPONSE_BLOCK:
        return ActionResponseBlock(invoke_id, *datablock.take(apdu, 3))
    if kind != RESPONSE_NEXT or len(apdu) != 7:
        raise DlmsError(f"an ACTION-response of kind {kind} is malformed or not known")
    return ActionNext(invoke_id, int.from_bytes(apdu[3:], "big"))
