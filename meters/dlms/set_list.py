"""The SET service for several attributes at once (IEC 62056-5-3, 9.3.4): APDUs as values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from meters.dlms import data as axdr
from meters.dlms import datablock
from meters.dlms.datablock import SET_REQUEST, SET_RESPONSE
from meters.dlms.errors import DlmsError
from meters.dlms.xdlms import DESCRIPTOR, INVOKE, MAX_REFERENCES, Attribute, take_attribute

WITH_LIST, WITH_LIST_AND_BLOCK = 4, 5
DESCRIPTOR_BYTES = 10
"""What one attribute takes in a request, without a selection."""


@dataclass(frozen=True, slots=True)
class SetList:
    """SET-request-with-list, or one put together from its blocks; the values still encoded."""

    invoke_id: int
    items: tuple[tuple[Attribute, bytes], ...]


@dataclass(frozen=True, slots=True)
class SetListBlock:
    """SET-request-with-list-and-first-datablock."""

    invoke_id: int
    attributes: tuple[Attribute, ...]
    number: int
    last: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class SetListResponse:
    """The results of a SET with a list, 0 being success; `number` of its last block, if any."""

    invoke_id: int
    results: tuple[int, ...]
    number: int = 0


def encode_descriptors(attributes: Sequence[Attribute]) -> bytes:
    """Return how many attributes there are and which, each without a selection."""
    what = [DESCRIPTOR.pack(one.class_id, one.obis, one.index) + b"\0" for one in attributes]
    return bytes((len(what),)) + b"".join(what)


def encode_values(values: Sequence[bytes]) -> bytes:
    """Return encoded values as the list that a request or its blocks hold."""
    return bytes((len(values),)) + b"".join(values)


def encode_set_list(invoke_id: int, items: Sequence[tuple[Attribute, bytes]]) -> bytes:
    """Return a SET-request-with-list."""
    head = bytes((SET_REQUEST, WITH_LIST, INVOKE | invoke_id))
    which = encode_descriptors([attribute for attribute, _ in items])
    return head + which + encode_values([value for _, value in items])


def encode_first(block: SetListBlock) -> bytes:
    """Return a SET-request-with-list-and-first-datablock."""
    head = bytes((SET_REQUEST, WITH_LIST_AND_BLOCK, INVOKE | block.invoke_id))
    which = encode_descriptors(block.attributes)
    return head + which + datablock.encode(block.number, block.last, block.data)


def decode_request(apdu: bytes) -> SetList | SetListBlock:
    """Return the SET-request of an APDU whose kind is one of the two here.

    Raises
    ------
    DlmsError
        When it is malformed.
    """
    count, at = apdu[3] if len(apdu) > 3 else 0, 4
    if not 1 <= count <= MAX_REFERENCES:
        raise DlmsError(f"a SET-request has {count} attributes, must have 1 to {MAX_REFERENCES}")
    attributes = []
    for _ in range(count):
        attribute, at = take_attribute(apdu, at)
        if apdu[at : at + 1] != b"\0":
            raise DlmsError("a SET-request selects a part, which is not known")
        attributes.append(attribute)
        at += 1
    invoke_id = apdu[2] & 0x0F
    if apdu[1] == WITH_LIST_AND_BLOCK:
        return SetListBlock(invoke_id, tuple(attributes), *datablock.take(apdu, at))
    values = take_values(apdu[at:], count)
    return SetList(invoke_id, tuple(zip(attributes, values, strict=True)))


def take_values(content: bytes, count: int) -> list[bytes]:
    """Return the `count` encoded values that `content` holds.

    Raises
    ------
    DlmsError
        When there are more or fewer, or one is malformed.
    """
    if content[:1] != bytes((count,)):
        raise DlmsError(f"a SET-request has other than {count} values")
    at = 1
    values = []
    budget = axdr.Budget(len(content))
    for _ in range(count):
        end = axdr.skip(content, at, budget)
        values.append(content[at:end])
        at = end
    if at != len(content):
        raise DlmsError("bytes follow a list of values")
    return values


def encode_response(response: SetListResponse) -> bytes:
    """Return the SET-response to a list, or to the last of its blocks."""
    kind = 4 if response.number else 5
    head = bytes((SET_RESPONSE, kind, INVOKE | response.invoke_id, len(response.results)))
    octets = head + bytes(response.results)
    return octets + response.number.to_bytes(4, "big") if response.number else octets


def decode_response(apdu: bytes) -> SetListResponse:
    """Return the SET-response of an APDU of kind 4 or 5.

    Raises
    ------
    DlmsError
        When it is malformed.
    """
    count = apdu[3] if len(apdu) > 3 else 0
    end = 4 + count
    number = int.from_bytes(apdu[end:], "big") if apdu[1] == 4 else 0
    if not count or len(apdu) != end + (4 if apdu[1] == 4 else 0):
        raise DlmsError("a SET-response with a list is malformed")
    return SetListResponse(apdu[2] & 0x0F, tuple(apdu[4:end]), number)
