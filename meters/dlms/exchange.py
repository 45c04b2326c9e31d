"""One question and its answer, with all their blocks: GET, SET, ACTION."""

from __future__ import annotations

from meters.dlms import data as axdr
from meters.dlms import writing, xdlms
from meters.dlms.errors import DlmsError
from meters.dlms.events import (
    AccessRefused,
    Acted,
    Continues,
    Event,
    ValueReceived,
    ValuesReceived,
    Written,
)

MAX_RESPONSE = 1 << 16
"""Bytes of one value over all its blocks; decoding the worst of them takes 30 to 60 ms."""

MAX_BLOCKS = 1 << 14


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

    __slots__ = ("_blocks", "_listed", "_size")

    def __init__(self, invoke_id: int, listed: int = 0) -> None:
        super().__init__(invoke_id)
        self._listed = listed
        self._blocks: list[bytes] = []
        self._size = 0

    def answer(self, apdu: bytes) -> Event:
        """Return a value, a refusal, or that another block is to be asked for."""
        response = xdlms.decode_response(apdu)
        if isinstance(response, xdlms.Refusal):
            return AccessRefused(response.text, response.counter)
        self._same(response.invoke_id)
        if isinstance(response, xdlms.GetListResponse):
            if self._blocks or not self._listed:
                raise DlmsError("a list came, which was not asked for")
            return self._list(response.data)
        if response.access_result:
            return refused(response.access_result)
        if isinstance(response, xdlms.GetBlock):
            return self._block(response)
        if self._blocks or self._listed:
            raise DlmsError("a whole value came in the middle of a block transfer or for a list")
        return ValueReceived(axdr.decode(response.data))

    def _block(self, block: xdlms.GetBlock) -> Event:
        expected = len(self._blocks) + 1
        if block.number != expected:
            raise DlmsError(f"data block {block.number} came, must be {expected}")
        self._blocks.append(block.data)
        self._size += len(block.data)
        if self._size > MAX_RESPONSE or expected > MAX_BLOCKS:
            raise DlmsError(f"a value is longer than {MAX_RESPONSE} bytes or {MAX_BLOCKS} blocks")
        if not block.last:
            self.following = xdlms.encode_next(self.invoke_id, expected)
            return Continues()
        whole = b"".join(self._blocks)
        return self._list(whole) if self._listed else ValueReceived(axdr.decode(whole))

    def _list(self, content: bytes) -> Event:
        results = xdlms.take_results(content)
        if len(results) != self._listed:
            raise DlmsError(f"{len(results)} results came, {self._listed} were asked for")
        return ValuesReceived(
            tuple(
                refused(result.access_result)
                if result.access_result
                else ValueReceived(axdr.decode(result.data))
                for result in results
            )
        )


class SetExchange(Exchange):
    """A SET, in blocks of at most `room` bytes when that is needed."""

    __slots__ = ("_blocks", "_number", "first")

    def __init__(self, invoke_id: int, attribute: xdlms.Attribute, value: bytes, room: int) -> None:
        super().__init__(invoke_id)
        self._number = 1
        self._blocks: list[bytes] = []
        if not 0 < room < len(value):
            self.first = writing.encode_set(invoke_id, attribute, value)
            return
        self._blocks = [value[at : at + room] for at in range(0, len(value), room)]
        block = writing.SetBlock(invoke_id, attribute, 1, False, self._blocks.pop(0))
        self.first = writing.encode_set_block(block)

    def answer(self, apdu: bytes) -> Event:
        """Return that it is done, a refusal, or that another block is to be sent."""
        response = writing.decode_set_response(apdu)
        if isinstance(response, xdlms.Refusal):
            return AccessRefused(response.text, response.counter)
        self._same(response.invoke_id)
        if isinstance(response, writing.SetResponse):
            if response.access_result:
                return refused(response.access_result)
            if self._blocks:
                raise DlmsError("a SET was answered before its last block")
            return Written()
        if response.number != self._number or not self._blocks:
            raise DlmsError(f"SET block {response.number} is acknowledged, which was not sent")
        self._number += 1
        block = self._blocks.pop(0)
        last = not self._blocks
        self.following = writing.encode_set_block(
            writing.SetBlock(self.invoke_id, None, self._number, last, block)
        )
        return Continues()


class ActionExchange(Exchange):
    """An ACTION."""

    __slots__ = ()

    def answer(self, apdu: bytes) -> Event:
        """Return what the method returned, or a refusal."""
        response = writing.decode_action_response(apdu)
        if isinstance(response, xdlms.Refusal):
            return AccessRefused(response.text, response.counter)
        self._same(response.invoke_id)
        if code := response.result or response.access_result:
            return refused(code)
        return Acted(axdr.decode(response.data) if response.data else None)


def refused(code: int) -> AccessRefused:
    """Return the refusal of a data-access-result or an action-result."""
    return AccessRefused(xdlms.ACCESS_RESULTS.get(code, f"data access result {code}"))
