"""The meter's side of an association, without a socket: bytes in, events out.

What a simulated meter needs: one association, GET normal and next. The values
come encoded from the caller; this side cuts them into blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

from meters.dlms import acse, wrapper, xdlms
from meters.dlms.errors import DlmsError, LocalProtocolError

OFFERED = (
    acse.Conformance.BLOCK_TRANSFER_WITH_GET
    | acse.Conformance.GET
    | acse.Conformance.SELECTIVE_ACCESS
)
_BLOCK_OVERHEAD = 12


@dataclass(frozen=True, slots=True)
class ReleaseRequested:
    """The client closes the association."""


Request = acse.AssociationRequest | xdlms.GetRequest | xdlms.GetNext | ReleaseRequested


class ServerConnection:
    """One client's connection to a meter.

    Parameters
    ----------
    max_pdu : int
        Longest APDU sent, in bytes; longer values go in blocks.
    """

    def __init__(self, *, max_pdu: int = 512) -> None:
        self._buffer = wrapper.FrameBuffer()
        self._ports = 0, 0
        self._own_max_pdu = max_pdu
        self._max_pdu = max_pdu
        self._conformance = 0
        self._blocks: list[bytes] = []
        self._sent = 0
        self.associated = False

    def receive_data(self, received: bytes) -> None:
        """Take bytes from the socket."""
        self._buffer.feed(received)

    def next_request(self) -> Request | None:
        """Return the next request, or ``None`` when more bytes are needed.

        Raises
        ------
        DlmsError
            When the bytes are no request; the connection must then be closed.
        """
        frame = self._buffer.take()
        if frame is None:
            return None
        client, own, apdu = frame
        self._ports = own, client
        if apdu[0] == xdlms.GET_REQUEST:
            return xdlms.decode_request(apdu)
        if apdu[0] == acse.AARQ:
            request = acse.decode_aarq(apdu)
            self._conformance = request.conformance & OFFERED
            wanted = request.max_pdu or wrapper.MAX_APDU
            self._max_pdu = max(_BLOCK_OVERHEAD + 1, min(self._own_max_pdu, wanted))
            return request
        if apdu[0] == acse.RLRQ:
            return ReleaseRequested()
        raise DlmsError(f"APDU {apdu[0]:#04x} is no request that this meter knows")

    def accept(self) -> bytes:
        """Return the AARE that opens the association."""
        self.associated = True
        response = acse.AssociationResponse(0, 0, self._conformance, self._own_max_pdu)
        return self._frame(acse.encode_aare(response))

    def refuse(self, diagnostic: int) -> bytes:
        """Return the AARE that refuses the association for good."""
        self.associated = False
        return self._frame(acse.encode_aare(acse.AssociationResponse(1, diagnostic, 0, 0)))

    def answer(self, invoke_id: int, value: bytes) -> bytes:
        """Return the answer with an encoded value, or its first block."""
        if not self.associated:
            raise LocalProtocolError("a value may be sent in an association only")
        self._blocks = []
        if len(value) + 4 <= self._max_pdu:
            return self._frame(xdlms.encode_response(invoke_id, value))
        size = self._max_pdu - _BLOCK_OVERHEAD
        self._blocks = [value[at : at + size] for at in range(0, len(value), size)]
        self._sent = 0
        return self._next(invoke_id)

    def answer_next(self, request: xdlms.GetNext) -> bytes:
        """Return the block after the one that the client has."""
        if not self._blocks:
            return self.deny(request.invoke_id, xdlms.NO_LONG_GET)
        if request.number != self._sent:
            self._blocks = []
            return self.deny(request.invoke_id, xdlms.BLOCK_NUMBER_INVALID)
        return self._next(request.invoke_id)

    def deny(self, invoke_id: int, access_result: int) -> bytes:
        """Return a data-access-result."""
        return self._frame(xdlms.encode_access_result(invoke_id, access_result))

    def not_associated(self) -> bytes:
        """Return the exception-response to a service outside an association."""
        return self._frame(bytes((xdlms.EXCEPTION_RESPONSE, 1, 1)))

    def release(self) -> bytes:
        """Return the RLRE."""
        self.associated = False
        return self._frame(acse.encode_rlre())

    def _next(self, invoke_id: int) -> bytes:
        block = self._blocks[self._sent]
        self._sent += 1
        last = self._sent == len(self._blocks)
        if last:
            self._blocks = []
        return self._frame(xdlms.encode_block(invoke_id, self._sent, last, block))

    def _frame(self, apdu: bytes) -> bytes:
        return wrapper.frame(*self._ports, apdu)
