"""The meter's side of an association, without a socket: bytes in, events out.

What a simulated meter needs: one association of one client. The values come encoded
from the caller; this side protects them and cuts them into blocks.
"""

from __future__ import annotations

from collections.abc import Sequence

from meters.dlms import acse, action_blocks, set_list, writing, xdlms
from meters.dlms.action_blocks import ActionBlock, ActionNext, ActionResponseBlock
from meters.dlms.errors import DlmsError, LocalProtocolError, ReplayError, SecurityError
from meters.dlms.gbt import MAX_APDU
from meters.dlms.gbt import TAG as GENERAL_BLOCK
from meters.dlms.initiate import Conformance
from meters.dlms.long_requests import LongRequests
from meters.dlms.security import OVERHEAD
from meters.dlms.served_association import (
    BLOCK_OVERHEAD,
    COUNTER_ERROR,
    DECIPHERING_ERROR,
    OFFERED,
    Answered,
    ReleaseRequested,
    ServedAssociation,
)
from meters.dlms.set_list import SetList, SetListBlock, SetListResponse
from meters.dlms.writing import ActionRequest, SetBlock, SetRequest

__all__ = ["OFFERED", "Answered", "ReleaseRequested", "Request", "ServerConnection"]

Request = (
    acse.AssociationRequest
    | xdlms.GetRequest
    | xdlms.GetList
    | xdlms.GetNext
    | SetRequest
    | SetList
    | ActionRequest
    | ReleaseRequested
    | Answered
)


class ServerConnection(ServedAssociation):
    """One client's connection to a meter: its requests, and their answers in blocks."""

    def _forget(self) -> None:
        super()._forget()
        self._long = LongRequests()
        self._keep(0, b"", 1)

    def _keep(self, service: int, value: bytes, size: int) -> None:
        """Keep the blocks of a long answer of `service`, in place of what was kept."""
        self._cut_for = service
        self._blocks = [value[at : at + size] for at in range(0, len(value), size)]
        self._sent = 0

    def next_request(self) -> Request | None:
        """Return the next request, or ``None`` when more bytes are needed.

        Raises
        ------
        DlmsError
            When the bytes are no request; the connection must then be closed.
        """
        apdu = self.link.take()
        if apdu is None:
            return None
        if apdu[0] != GENERAL_BLOCK:
            self._transfer.forget()
            return self._request(apdu)
        if not self._conformance & Conformance.GENERAL_BLOCK_TRANSFER:
            raise DlmsError("a general block came, which was not agreed")
        whole = self._transfer.receive(apdu)
        if whole is not None:
            return self._request(whole)
        if self._transfer.under_way:
            return Answered(self.link.send(*self._transfer.proceed()))
        self.link.more()
        return Answered(b"")

    def _request(self, apdu: bytes) -> Request:
        if apdu[0] == acse.AARQ:
            return self._association(apdu)
        if apdu[0] == acse.RLRQ:
            return ReleaseRequested()
        if self._cipher is not None:
            try:
                apdu = self._cipher.unprotect(apdu)
                self._cipher.remember()
            except ReplayError:
                counter = self._cipher.expected
                return Answered(self._refuse_service(COUNTER_ERROR, counter))
            except SecurityError:
                return Answered(self._refuse_service(DECIPHERING_ERROR))
        return self._service(apdu)

    def _service(self, apdu: bytes) -> Request:
        if apdu[0] == xdlms.GET_REQUEST:
            self._long.forget()
            return xdlms.decode_request(apdu)
        if apdu[0] == writing.SET_REQUEST:
            return self._changes(writing.decode_set_request(apdu))
        if apdu[0] != writing.ACTION_REQUEST:
            raise DlmsError(f"APDU {apdu[0]:#04x} is no request that this meter knows")
        acts = writing.decode_action_request(apdu)
        return self._proof(acts) if self._challenges else self._changes(acts)

    def _changes(
        self,
        request: SetRequest
        | SetBlock
        | SetList
        | SetListBlock
        | ActionRequest
        | ActionBlock
        | ActionNext,
    ) -> Request:
        """Take what changes something, whole or one of its blocks."""
        if isinstance(request, SetRequest | SetList | ActionRequest):
            self._long.forget()
            return request
        if not self.associated:
            return Answered(self.not_associated())
        if isinstance(request, ActionNext):
            return Answered(self._next_result(request))
        whole = self._long.take(request)
        return Answered(self._frames(whole)) if isinstance(whole, bytes) else whole

    def answer(self, invoke_id: int, value: bytes) -> bytes:
        """Return the answer with an encoded value, or its first block."""
        return self._answer(invoke_id, value, xdlms.encode_response(invoke_id, value))

    def answer_list(self, invoke_id: int, results: list[bytes | int]) -> bytes:
        """Return encoded values and data-access-results, or their first block."""
        content = xdlms.encode_results(results)
        return self._answer(invoke_id, content, xdlms.encode_list_response(invoke_id, content))

    def _answer(self, invoke_id: int, value: bytes, whole: bytes) -> bytes:
        if not self.associated:
            raise LocalProtocolError("a value may be sent in an association only")
        if self._fits(whole):
            return self._frames(whole)
        self._keep(xdlms.GET_RESPONSE, value, self._room() - BLOCK_OVERHEAD)
        return self._next(invoke_id)

    def _fits(self, whole: bytes) -> bool:
        """Whether an answer goes as it is, or in general blocks; if not, its value is cut."""
        self._keep(0, b"", 1)
        general = self._conformance & Conformance.GENERAL_BLOCK_TRANSFER
        return len(whole) <= self._room() or bool(general and len(whole) + OVERHEAD <= MAX_APDU)

    def answer_next(self, request: xdlms.GetNext) -> bytes:
        """Return the block after the one that the client has."""
        if self._cut_for != xdlms.GET_RESPONSE:
            return self.deny(request.invoke_id, xdlms.NO_LONG_GET)
        if request.number != self._sent:
            self._keep(0, b"", 1)
            return self.deny(request.invoke_id, xdlms.BLOCK_NUMBER_INVALID)
        return self._next(request.invoke_id)

    def deny(self, invoke_id: int, access_result: int) -> bytes:
        """Return a data-access-result to a GET."""
        return self._frames(xdlms.encode_access_result(invoke_id, access_result))

    def written(self, invoke_id: int, access_result: int) -> bytes:
        """Return the result of a SET, 0 being success."""
        number, self._long.number = self._long.number, 0
        if not number:
            return self._frames(writing.encode_set_response(invoke_id, access_result))
        return self._frames(writing.encode_set_last(invoke_id, access_result, number))

    def written_list(self, invoke_id: int, access_results: Sequence[int]) -> bytes:
        """Return the results of a SET with a list, 0 being success, in its order."""
        number, self._long.number = self._long.number, 0
        response = SetListResponse(invoke_id, tuple(access_results), number)
        return self._frames(set_list.encode_response(response))

    def acted(self, invoke_id: int, result: int, value: bytes = b"") -> bytes:
        """Return the result of an ACTION, 0 being success, and what it gave, in blocks if long."""
        self._long.number = 0
        whole = writing.encode_action_response(invoke_id, result, value)
        can_cut = self._conformance & Conformance.BLOCK_TRANSFER_WITH_ACTION
        if self._fits(whole) or not can_cut:
            return self._frames(whole)
        self._keep(writing.ACTION_RESPONSE, whole[3:], self._room() - BLOCK_OVERHEAD)
        return self._next_result(ActionNext(invoke_id, 0))

    def _next_result(self, request: ActionNext) -> bytes:
        """Return the block of an ACTION's result after the one that the client has."""
        under_way = self._cut_for == writing.ACTION_RESPONSE
        if not under_way or request.number != self._sent:
            self._keep(0, b"", 1)
            code = xdlms.LONG_ACTION_ABORTED if under_way else xdlms.NO_LONG_ACTION
            return self._frames(writing.encode_action_response(request.invoke_id, code))
        number, last, block = self._take_block()
        return self._frames(
            action_blocks.encode_response_block(
                ActionResponseBlock(request.invoke_id, number, last, block)
            )
        )

    def _next(self, invoke_id: int) -> bytes:
        number, last, block = self._take_block()
        return self._frames(xdlms.encode_block(invoke_id, number, last, block))

    def _take_block(self) -> tuple[int, bool, bytes]:
        """Return the next block of an answer: its number, whether it is the last, its content."""
        block = self._blocks[self._sent]
        self._sent += 1
        last = self._sent == len(self._blocks)
        if last:
            self._cut_for = 0
        return self._sent, last, block
