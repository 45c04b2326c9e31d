"""SET and ACTION requests that come to a meter in blocks, put together."""

from __future__ import annotations

from meters.dlms import action_blocks, set_list, writing, xdlms
from meters.dlms import data as axdr
from meters.dlms.action_blocks import ActionBlock
from meters.dlms.datablock import Assembly
from meters.dlms.errors import DlmsError
from meters.dlms.set_list import SetList, SetListBlock
from meters.dlms.writing import ActionRequest, SetBlock, SetRequest

MAX_VALUE = 1 << 16
"""Bytes of one value that is written or given to a method."""

Block = SetBlock | SetListBlock | ActionBlock
Whole = SetRequest | SetList | ActionRequest


class LongRequests:
    """The request that comes in blocks, one at a time.

    Attributes
    ----------
    number : int
        The last block of the request that is answered next; 0 when that came whole.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Forget what came: a request that is none of its blocks ends it."""
        self._first: Block | None = None
        self._parts = Assembly(MAX_VALUE)
        self.number = 0

    def take(self, block: Block) -> Whole | bytes:
        """Return the request that a block completes, or the APDU that answers the block.

        Raises
        ------
        DlmsError
            When the whole of them is malformed.
        """
        if _begins(block):
            self.forget()
            self._first = block
        first = self._first
        if first is None or _service(first) != _service(block):
            self.forget()
            return _refusal(block, xdlms.NO_LONG_SET, xdlms.NO_LONG_ACTION)
        try:
            self._same(first, block)
            self._parts.take(block.number, block.data)
        except DlmsError:
            self.forget()
            return _refusal(block, xdlms.BLOCK_NUMBER_INVALID, xdlms.LONG_ACTION_ABORTED)
        if not block.last:
            return _acknowledgement(block)
        content = self._parts.whole()
        self.forget()
        self.number = block.number
        return _whole(first, content)

    def _same(self, first: Block, block: Block) -> None:
        if first.invoke_id != block.invoke_id:
            raise DlmsError(f"a block has invoke id {block.invoke_id}, not {first.invoke_id}")


def _begins(block: Block) -> bool:
    if isinstance(block, SetListBlock):
        return True
    return (block.method if isinstance(block, ActionBlock) else block.attribute) is not None


def _service(block: Block) -> str:
    return "action" if isinstance(block, ActionBlock) else "set"


def _refusal(block: Block, set_result: int, action_result: int) -> bytes:
    if isinstance(block, ActionBlock):
        return writing.encode_action_response(block.invoke_id, action_result)
    return writing.encode_set_response(block.invoke_id, set_result)


def _acknowledgement(block: Block) -> bytes:
    if isinstance(block, ActionBlock):
        return action_blocks.encode_response_next(block.invoke_id, block.number)
    return writing.encode_set_next(block.invoke_id, block.number)


def _whole(first: Block, content: bytes) -> Whole:
    if isinstance(first, SetListBlock):
        values = set_list.take_values(content, len(first.attributes))
        return SetList(first.invoke_id, tuple(zip(first.attributes, values, strict=True)))
    axdr.check(content, 0)
    if isinstance(first, ActionBlock):
        assert first.method is not None
        return ActionRequest(first.invoke_id, first.method, content)
    assert first.attribute is not None
    return SetRequest(first.invoke_id, first.attribute, content)
