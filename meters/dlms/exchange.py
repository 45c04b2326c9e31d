"""One question and its answer, with all their blocks: GET, SET, ACTION."""

from __future__ import annotations

from collections.abc import Sequence

from meters.dlms import action_blocks, datablock, refusals, set_list, writing, xdlms
from meters.dlms import data as axdr
from meters.dlms.action_blocks import ActionBlock, ActionNext, ActionResponseBlock
from meters.dlms.datablock import Assembly
from meters.dlms.errors import DlmsError, LocalProtocolError
from meters.dlms.events import (
    AccessRefused,
    Acted,
    Continues,
    Event,
    ListWritten,
    ValueReceived,
    ValuesReceived,
    Written,
)
from meters.dlms.set_list import SetListBlock, SetListResponse

MAX_RESPONSE = 1 << 16
"""Bytes of one value over all its blocks; decoding the worst of them takes 30 to 60 ms."""

_NOT_SENT = "block {} is acknowledged, which was not sent"


class Exchange:
    """What all have: an invoke id, and the request that follows a :class:`Continues`."""

    __slots__ = ("following", "invoke_id")

    def __init__(self, invoke_id: int) -> None:
        self.invoke_id = invoke_id
        self.following: bytes | None = None

    def answer(self, apdu: bytes) -> Event:
        """Return what an answer means; raise :class:`DlmsError` when it is none."""
        raise NotImplementedError

    def _same(self, invoke_id: int) -> None:
        if invoke_id != self.invoke_id:
            raise DlmsError(f"the answer has invoke id {invoke_id}, must have {self.invoke_id}")


class GetExchange(Exchange):
    """A GET of one attribute, or of `listed` ones."""

    __slots__ = ("_blocks", "_listed")

    def __init__(self, invoke_id: int, listed: int = 0) -> None:
        super().__init__(invoke_id)
        self._listed = listed
        self._blocks = Assembly(MAX_RESPONSE)

    def answer(self, apdu: bytes) -> Event:
        """Return a value, a refusal, or that another block is to be asked for."""
        response = xdlms.decode_response(apdu)
        if isinstance(response, refusals.Refusal):
            return AccessRefused(response.text, response.counter)
        self._same(response.invoke_id)
        if isinstance(response, xdlms.GetListResponse):
            if self._blocks.number or not self._listed:
                raise DlmsError("a list came, which was not asked for")
            return self._list(response.data)
        if response.access_result:
            return refused(response.access_result)
        if isinstance(response, xdlms.GetBlock):
            return self._block(response)
        if self._blocks.number or self._listed:
            raise DlmsError("a whole value came in the middle of a block transfer or for a list")
        return ValueReceived(axdr.decode(response.data))

    def _block(self, block: xdlms.GetBlock) -> Event:
        self._blocks.take(block.number, block.data)
        if not block.last:
            self.following = xdlms.encode_next(self.invoke_id, block.number)
            return Continues()
        whole = self._blocks.whole()
        return self._list(whole) if self._listed else ValueReceived(axdr.decode(whole))

    def _list(self, content: bytes) -> Event:
        results = xdlms.take_results(content)
        if len(results) != self._listed:
            raise DlmsError(f"{len(results)} results came, {self._listed} were asked for")
        return ValuesReceived(
            tuple(
                refused(result) if refuses else ValueReceived(result) for refuses, result in results
            )
        )


class SetExchange(Exchange):
    """A SET of one attribute, or of a list of them, in blocks of at most `room` bytes when
    that is needed; 0 for no blocks.
    """

    __slots__ = ("_blocks", "_listed", "_number", "first")

    def __init__(
        self,
        invoke_id: int,
        items: Sequence[tuple[xdlms.Attribute, bytes]],
        room: int,
        *,
        listed: bool = False,
    ) -> None:
        super().__init__(invoke_id)
        self._number = 1
        self._listed = len(items) if listed else 0
        self._blocks: list[bytes] = []
        attributes = tuple(attribute for attribute, _ in items)
        values = [value for _, value in items]
        content = set_list.encode_values(values) if listed else values[0]
        head = 1 + set_list.DESCRIPTOR_BYTES * len(items) if listed else 0
        if room <= 0 or head + len(content) <= room:
            self.first = (
                set_list.encode_set_list(invoke_id, items)
                if listed
                else writing.encode_set(invoke_id, attributes[0], content)
            )
            return
        if head >= room:
            raise LocalProtocolError(f"{len(items)} attributes do not fit a block of {room} bytes")
        self._blocks = datablock.cut(content, room - head, room)
        begins = self._blocks.pop(0)
        if listed:
            first = SetListBlock(invoke_id, attributes, 1, False, begins)
            self.first = set_list.encode_first(first)
        else:
            block = writing.SetBlock(invoke_id, attributes[0], 1, False, begins)
            self.first = writing.encode_set_block(block)

    def answer(self, apdu: bytes) -> Event:
        """Return that it is done, a refusal, or that another block is to be sent."""
        response = writing.decode_set_response(apdu)
        if isinstance(response, refusals.Refusal):
            return AccessRefused(response.text, response.counter)
        self._same(response.invoke_id)
        if isinstance(response, writing.SetResponse):
            if response.access_result:
                return refused(response.access_result)
            if self._listed:
                raise DlmsError(f"one result came for {self._listed} attributes")
            return self._done(Written())
        if isinstance(response, SetListResponse):
            if len(response.results) != self._listed:
                raise DlmsError(f"{len(response.results)} results came for {self._listed} values")
            results = [refused(code) if code else Written() for code in response.results]
            return self._done(ListWritten(tuple(results)))
        if response.number != self._number or not self._blocks:
            raise DlmsError(f"SET {_NOT_SENT.format(response.number)}")
        self._number += 1
        block = self._blocks.pop(0)
        self.following = writing.encode_set_block(
            writing.SetBlock(self.invoke_id, None, self._number, not self._blocks, block)
        )
        return Continues()

    def _done(self, event: Event) -> Event:
        if self._blocks:
            raise DlmsError("a SET was answered before its last block")
        return event


class ActionExchange(Exchange):
    """An ACTION, its parameter in blocks of at most `room` bytes when that is needed."""

    __slots__ = ("_blocks", "_number", "_result", "first")

    def __init__(
        self, invoke_id: int, method: writing.Method, parameter: bytes = b"", room: int = 0
    ) -> None:
        super().__init__(invoke_id)
        self._number = 1
        self._blocks: list[bytes] = []
        self._result = Assembly(MAX_RESPONSE)
        if not 0 < room < len(parameter):
            self.first = writing.encode_action(invoke_id, method, parameter)
            return
        self._blocks = datablock.cut(parameter, room, room)
        block = ActionBlock(invoke_id, method, 1, False, self._blocks.pop(0))
        self.first = action_blocks.encode_block(block)

    def answer(self, apdu: bytes) -> Event:
        """Return what the method returned, a refusal, or that another block is to follow."""
        response = writing.decode_action_response(apdu)
        if isinstance(response, refusals.Refusal):
            return AccessRefused(response.text, response.counter)
        self._same(response.invoke_id)
        if isinstance(response, ActionNext):
            return self._next(response.number)
        if isinstance(response, ActionResponseBlock):
            return self._block(response)
        if self._result.number:
            raise DlmsError("a whole result came in the middle of a block transfer")
        return self._done(response)

    def _next(self, number: int) -> Event:
        if number != self._number or not self._blocks:
            raise DlmsError(f"ACTION {_NOT_SENT.format(number)}")
        self._number += 1
        content = self._blocks.pop(0)
        block = ActionBlock(self.invoke_id, None, self._number, not self._blocks, content)
        self.following = action_blocks.encode_block(block)
        return Continues()

    def _block(self, block: ActionResponseBlock) -> Event:
        if self._blocks:
            raise DlmsError("an ACTION was answered before its last block")
        self._result.take(block.number, block.data)
        if block.last:
            return self._done(writing.action_result(self.invoke_id, self._result.whole()))
        self.following = action_blocks.encode_next(ActionNext(self.invoke_id, block.number))
        return Continues()

    def _done(self, response: writing.ActionResponse) -> Event:
        if code := response.result or response.access_result:
            return refused(code, xdlms.ACTION_RESULTS)
        if self._blocks:
            raise DlmsError("an ACTION was answered before its last block")
        return Acted(axdr.decode(response.data) if response.data else None)


def refused(code: int, known: dict[int, str] = xdlms.ACCESS_RESULTS) -> AccessRefused:
    """Return the refusal of a data-access-result, or of an action-result."""
    return AccessRefused(known.get(code, f"data access result {code}"))
