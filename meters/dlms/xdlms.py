"""The GET service and its refusals (IEC 62056-5-3, 9.3): APDUs as values."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from meters.dlms import data as axdr
from meters.dlms.errors import DlmsError
from meters.dlms.refusals import Refusal, refusal

GET_REQUEST, GET_RESPONSE = 0xC0, 0xC4

INVOKE = 0xC0
"""Invoke-id-and-priority of a confirmed request of high priority with invoke id 0."""

DESCRIPTOR = struct.Struct(">H6sb")
"""Class, logical name and index of an attribute or a method."""

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
    17: "long set aborted",
    18: "no long set in progress",
    19: "data block number invalid",
    250: "other reason",
}
ACTION_RESULTS = {code: text for code, text in ACCESS_RESULTS.items() if not 15 <= code <= 19}
ACTION_RESULTS |= {15: "long action aborted", 16: "no long action in progress"}
DENIED, OBJECT_UNDEFINED, TYPE_UNMATCHED, OTHER_REASON = 3, 4, 12, 250
BLOCK_NUMBER_INVALID, NO_LONG_GET, NO_LONG_SET, LONG_SET_ABORTED = 19, 16, 18, 17
LONG_ACTION_ABORTED, NO_LONG_ACTION = 15, 16
MAX_REFERENCES = 64
"""Attributes in one GET-request."""


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
class GetList:
    """GET-request-with-list: several attributes at once."""

    invoke_id: int
    items: tuple[GetRequest, ...]


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
class GetListResponse:
    """GET-response-with-list, still encoded; see :func:`take_results`."""

    invoke_id: int
    data: bytes


@dataclass(frozen=True, slots=True)
class GetBlock:
    """GET-response-with-datablock."""

    invoke_id: int
    number: int
    last: bool
    data: bytes
    access_result: int = 0


def _cut(what: str) -> DlmsError:
    return DlmsError(f"a {what} is cut short")


def encode_get(invoke_id: int, attribute: Attribute, selection: bytes = b"") -> bytes:
    """Return a GET-request-normal; `selection` is an encoded selector with parameters."""
    head = bytes((GET_REQUEST, 1, INVOKE | invoke_id))
    what = DESCRIPTOR.pack(attribute.class_id, attribute.obis, attribute.index)
    return head + what + (b"\x01" + selection if selection else b"\x00")


def encode_next(invoke_id: int, number: int) -> bytes:
    """Return a GET-request-next."""
    return bytes((GET_REQUEST, 2, INVOKE | invoke_id)) + number.to_bytes(4, "big")


def encode_get_list(invoke_id: int, wanted: Sequence[tuple[Attribute, bytes]]) -> bytes:
    """Return a GET-request-with-list of attributes with their encoded selections."""
    octets = bytes((GET_REQUEST, 3, INVOKE | invoke_id, len(wanted)))
    for attribute, selection in wanted:
        octets += DESCRIPTOR.pack(attribute.class_id, attribute.obis, attribute.index)
        octets += b"\x01" + selection if selection else b"\x00"
    return octets


def take_attribute(apdu: bytes, at: int) -> tuple[Attribute, int]:
    """Return the attribute at position `at` and the position after it."""
    if at + DESCRIPTOR.size > len(apdu):
        raise _cut("request")
    return Attribute(*DESCRIPTOR.unpack_from(apdu, at)), at + DESCRIPTOR.size


def decode_request(apdu: bytes) -> GetRequest | GetNext | GetList:
    """Return the GET-request of an APDU.

    Raises
    ------
    DlmsError
        When it is malformed or another service.
    """
    if len(apdu) < 3 or apdu[0] != GET_REQUEST:
        raise DlmsError("the APDU is no GET-request")
    kind, invoke_id = apdu[1], apdu[2] & 0x0F
    budget = axdr.Budget(len(apdu))
    if kind == 2:
        if len(apdu) != 7:
            raise _cut("GET-request")
        return GetNext(invoke_id, int.from_bytes(apdu[3:], "big"))
    if kind == 1:
        request, at = _take_request(apdu, 3, invoke_id, budget)
        items = [request]
    elif kind == 3:
        items, at = [], 4
        count = apdu[3] if len(apdu) > 3 else 0
        if not 1 <= count <= MAX_REFERENCES:
            raise DlmsError(f"a GET-request has {count} attributes, must have 1 to 64")
        for _ in range(count):
            request, at = _take_request(apdu, at, invoke_id, budget)
            items.append(request)
    else:
        raise DlmsError(f"a GET-request of kind {kind} is not known")
    if at != len(apdu):
        raise DlmsError("bytes follow a GET-request")
    return items[0] if kind == 1 else GetList(invoke_id, tuple(items))


def _take_request(
    apdu: bytes, at: int, invoke_id: int, budget: axdr.Budget
) -> tuple[GetRequest, int]:
    attribute, at = take_attribute(apdu, at)
    if at >= len(apdu):
        raise _cut("GET-request")
    if apdu[at] == 0:
        return GetRequest(invoke_id, attribute), at + 1
    if at + 1 >= len(apdu):
        raise _cut("GET-request")
    parameters, end = axdr.take(apdu, at + 2, budget)
    return GetRequest(invoke_id, attribute, (apdu[at + 1], parameters)), end


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


def encode_list_response(invoke_id: int, results: bytes) -> bytes:
    """Return a GET-response-with-list; `results` from :func:`encode_results`."""
    return bytes((GET_RESPONSE, 3, INVOKE | invoke_id)) + results


def encode_results(results: Sequence[bytes | int]) -> bytes:
    """Return encoded values and data-access-results, as one value of a list."""
    parts = [
        bytes((1, result)) if isinstance(result, int) else b"\0" + result for result in results
    ]
    return axdr.length_bytes(len(parts)) + b"".join(parts)


def take_results(content: bytes) -> list[tuple[bool, axdr.Value]]:
    """Return the results of a list: each whether it refuses, and the code or the value.

    Raises
    ------
    DlmsError
        When it is malformed.
    """
    count, at = axdr.take_length(content, 0)
    results: list[tuple[bool, axdr.Value]] = []
    budget = axdr.Budget(len(content))
    for _ in range(count):
        if at + 1 >= len(content):
            raise _cut("list of results")
        if content[at] == 0:
            value, at = axdr.take(content, at + 1, budget)
            results.append((False, value))
        elif content[at] == 1 and content[at + 1]:
            results.append((True, content[at + 1]))
            at += 2
        else:
            raise DlmsError("a list of results has a malformed data-access-result")
    if at != len(content):
        raise DlmsError("bytes follow a list of results")
    return results


def decode_response(apdu: bytes) -> GetResponse | GetBlock | GetListResponse | Refusal:
    """Return the answer to a GET-request.

    Raises
    ------
    DlmsError
        When it is malformed or another service.
    """
    if (refused := refusal(apdu)) is not None:
        return refused
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
    if kind == 3:
        return GetListResponse(invoke_id, apdu[3:])
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
