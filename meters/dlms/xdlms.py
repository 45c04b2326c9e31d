"""The GET service and its refusals (IEC 62056-5-3, 9.3): APDUs as values."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from meters.dlms import data as axdr
from meters.dlms.errors import DlmsError

GET_REQUEST, GET_RESPONSE = 0xC0, 0xC4
CONFIRMED_SERVICE_ERROR, EXCEPTION_RESPONSE = 0x0E, 0xD8

INVOKE = 0xC0
"""Invoke-id-and-priority of a confirmed request of high priority with invoke id 0."""

_ATTRIBUTE = struct.Struct(">H6sb")
_BLOCK = struct.Struct(">BIB")

ACCESS_RESULTS = {
    1: "hardware fault",
    2: "temporary failure",
    3: "read-write denied",
    4: "object undefined",
    9: "object class inconsistent",
    11: "object unavailable",
    12: "type unmatched",
    13: "scope of access violated",
    14: "data block unavailable",
    15: "long get aborted",
    16: "no long get in progress",
    19: "data block number invalid",
    250: "other reason",
}
OBJECT_UNDEFINED, OTHER_REASON = 4, 250
BLOCK_NUMBER_INVALID, NO_LONG_GET = 19, 16


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of one COSEM object."""

    class_id: int
    obis: bytes
    index: int


@dataclass(frozen=True, slots=True)
class GetRequest:
    """GET-request-normal; `selection` is an access selector and its decoded parameters."""

    invoke_id: int
    attribute: Attribute
    selection: tuple[int, axdr.Value] | None = None


@dataclass(frozen=True, slots=True)
class GetNext:
    """GET-request-next: the client has block `number`."""

    invoke_id: int
    number: int


@dataclass(frozen=True, slots=True)
class GetResponse:
    """GET-response-normal with a value still encoded, or with a data-access-result."""

    invoke_id: int
    data: bytes
    access_result: int = 0


@dataclass(frozen=True, slots=True)
class GetBlock:
    """GET-response-with-datablock."""

    invoke_id: int
    number: int
    last: bool
    data: bytes
    access_result: int = 0


@dataclass(frozen=True, slots=True)
class Refusal:
    """An exception-response or a confirmed service error."""

    text: str


def _cut(what: str) -> DlmsError:
    return DlmsError(f"a {what} is cut short")


def encode_get(invoke_id: int, attribute: Attribute, selection: bytes = b"") -> bytes:
    """Return a GET-request-normal; `selection` is an encoded selector with parameters."""
    head = bytes((GET_REQUEST, 1, INVOKE | invoke_id))
    what = _ATTRIBUTE.pack(attribute.class_id, attribute.obis, attribute.index)
    return head + what + (b"\x01" + selection if selection else b"\x00")


def encode_next(invoke_id: int, number: int) -> bytes:
    """Return a GET-request-next."""
    return bytes((GET_REQUEST, 2, INVOKE | invoke_id)) + number.to_bytes(4, "big")


def encode_range(from_time: bytes, to_time: bytes, clock: bytes) -> bytes:
    """Return a selection by range over the clock column of a ProfileGeneric.

    Parameters
    ----------
    from_time, to_time : bytes
        Date-times of 12 bytes, both included.
    clock : bytes
        Logical name of the captured Clock.
    """
    restricting = bytes.fromhex("0204120008") + b"\x09\x06" + clock + bytes.fromhex("0f02120000")
    times = b"\x09\x0c" + from_time + b"\x09\x0c" + to_time
    return b"\x01" + b"\x02\x04" + restricting + times + b"\x01\x00"


def decode_request(apdu: bytes) -> GetRequest | GetNext:
    """Return the GET-request of an APDU.

    Raises
    ------
    DlmsError
        When it is malformed or another service.
    """
    if len(apdu) < 3 or apdu[0] != GET_REQUEST:
        raise DlmsError("the APDU is no GET-request")
    kind, invoke_id = apdu[1], apdu[2] & 0x0F
    if kind == 2:
        if len(apdu) != 7:
            raise _cut("GET-request")
        return GetNext(invoke_id, int.from_bytes(apdu[3:], "big"))
    if kind != 1:
        raise DlmsError(f"a GET-request of kind {kind} is not known")
    if len(apdu) < 13:
        raise _cut("GET-request")
    attribute = Attribute(*_ATTRIBUTE.unpack_from(apdu, 3))
    if apdu[12] == 0:
        if len(apdu) > 13:
            raise DlmsError("bytes follow a GET-request")
        return GetRequest(invoke_id, attribute)
    if len(apdu) < 14:
        raise _cut("GET-request")
    return GetRequest(invoke_id, attribute, (apdu[13], axdr.decode(apdu[14:])))


def encode_response(invoke_id: int, data: bytes) -> bytes:
    """Return a GET-response-normal with an encoded value."""
    return bytes((GET_RESPONSE, 1, INVOKE | invoke_id, 0)) + data


def encode_access_result(invoke_id: int, result: int) -> bytes:
    """Return a GET-response-normal that refuses."""
    return bytes((GET_RESPONSE, 1, INVOKE | invoke_id, 1, result))


def encode_block(invoke_id: int, number: int, last: bool, data: bytes) -> bytes:
    """Return a GET-response-with-datablock."""
    head = bytes((GET_RESPONSE, 2, INVOKE | invoke_id)) + _BLOCK.pack(last, number, 0)
    return head + axdr.length_bytes(len(data)) + data


def decode_response(apdu: bytes) -> GetResponse | GetBlock | Refusal:
    """Return the answer to a GET-request.

    Raises
    ------
    DlmsError
        When it is malformed or another service.
    """
    if not apdu:
        raise _cut("response")
    if apdu[0] == EXCEPTION_RESPONSE:
        return _exception(apdu)
    if apdu[0] == CONFIRMED_SERVICE_ERROR:
        if len(apdu) != 4:
            raise _cut("confirmed service error")
        return Refusal(f"confirmed service error {apdu[1]}.{apdu[2]}.{apdu[3]}")
    if apdu[0] != GET_RESPONSE:
        raise DlmsError(f"APDU {apdu[0]:#04x} is no answer to a GET-request")
    if len(apdu) < 5:
        raise _cut("GET-response")
    kind, invoke_id = apdu[1], apdu[2] & 0x0F
    if kind == 1:
        if apdu[3] == 0:
            return GetResponse(invoke_id, apdu[4:])
        if apdu[3] != 1 or len(apdu) != 5 or apdu[4] == 0:
            raise DlmsError("a GET-response has a malformed data-access-result")
        return GetResponse(invoke_id, b"", apdu[4])
    if kind == 2:
        return _block(apdu, invoke_id)
    raise DlmsError(f"a GET-response of kind {kind} was not asked for")


def _block(apdu: bytes, invoke_id: int) -> GetBlock:
    if len(apdu) < 10:
        raise _cut("data block")
    last, number, choice = _BLOCK.unpack_from(apdu, 3)
    if choice == 0:
        length, at = axdr.take_length(apdu, 9)
        if at + length != len(apdu):
            raise DlmsError("bytes follow a data block")
        return GetBlock(invoke_id, number, last != 0, apdu[at:])
    if choice != 1 or len(apdu) != 10 or apdu[9] == 0:
        raise DlmsError("a data block has a malformed data-access-result")
    return GetBlock(invoke_id, number, last != 0, b"", apdu[9])


def _exception(apdu: bytes) -> Refusal:
    # Service error 6 carries the invocation counter of a ciphered association.
    if len(apdu) != 3 and not (len(apdu) == 7 and apdu[2] == 6):
        raise _cut("exception-response")
    states = {1: "service not allowed", 2: "service unknown"}
    errors = {1: "operation not possible", 2: "service not supported", 3: "other reason"}
    errors |= {4: "PDU too long", 5: "deciphering error", 6: "invocation counter error"}
    state = states.get(apdu[1], f"state {apdu[1]}")
    return Refusal(f"exception: {state}, {errors.get(apdu[2], f'error {apdu[2]}')}")
