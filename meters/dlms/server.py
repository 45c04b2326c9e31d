"""The meter's side of an association, without a socket: bytes in, events out.

What a simulated meter needs: one association of one client. The values come encoded
from the caller; this side protects them and cuts them into blocks.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from meters.dlms import acse, initiate, writing, xdlms
from meters.dlms import data as axdr
from meters.dlms.acse import Context, Mechanism
from meters.dlms.errors import DlmsError, LocalProtocolError, ReplayError, SecurityError
from meters.dlms.gbt import TAG as GENERAL_BLOCK
from meters.dlms.gbt import BlockTransfer
from meters.dlms.handshake import CHALLENGE_BYTES, REPLY_TO_HLS
from meters.dlms.initiate import Conformance, InitiateRequest, InitiateResponse
from meters.dlms.link import Link
from meters.dlms.security import OVERHEAD, Cipher
from meters.dlms.wrapper import WrapperServerLink

OFFERED = (
    Conformance.GENERAL_PROTECTION
    | Conformance.GENERAL_BLOCK_TRANSFER
    | Conformance.BLOCK_TRANSFER_WITH_GET
    | Conformance.BLOCK_TRANSFER_WITH_SET
    | Conformance.MULTIPLE_REFERENCES
    | Conformance.GET
    | Conformance.SET
    | Conformance.SELECTIVE_ACCESS
    | Conformance.ACTION
)
MAX_SET = 1 << 16
_BLOCK_OVERHEAD = 12
_NOT_ALLOWED, _NOT_POSSIBLE = 1, 1
_DECIPHERING_ERROR, _COUNTER_ERROR = 5, 6


@dataclass(frozen=True, slots=True)
class ReleaseRequested:
    """The client closes the association."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A request that this side answers itself; :attr:`apdu` is what to send, if anything."""

    apdu: bytes


Request = (
    acse.AssociationRequest
    | xdlms.GetRequest
    | xdlms.GetList
    | xdlms.GetNext
    | writing.SetRequest
    | writing.ActionRequest
    | ReleaseRequested
    | Answered
)


class ServerConnection:
    """One client's connection to a meter.

    Parameters
    ----------
    link : Link, optional
        The meter's end of the link; a TCP wrapper when not given.
    max_pdu : int
        Longest APDU sent and taken, in bytes; longer values go in blocks.
    new_cipher : callable, optional
        Gives the protection of one association; without it none is ciphered.
    """

    def __init__(
        self,
        link: Link | None = None,
        *,
        max_pdu: int = 512,
        new_cipher: Callable[[], Cipher] | None = None,
    ) -> None:
        self.link = WrapperServerLink() if link is None else link
        self.receive_data = self.link.receive
        self.data_to_send = self.link.pending
        self._own_max_pdu = max_pdu
        self._new_cipher = new_cipher
        self._forget()

    def _forget(self) -> None:
        self._cipher: Cipher | None = None
        self._transfer = BlockTransfer()
        self._max_pdu = self._own_max_pdu
        self._conformance = 0
        self._blocks: list[bytes] = []
        self._sent = 0
        self._set: writing.SetBlock | None = None
        self._set_value = bytearray()
        self._challenges: tuple[bytes, bytes] | None = None
        self.associated = False

    def next_request(self) -> Request | None:
        """Return the next request, or ``None`` when more bytes are needed.

        Raises
        ------
        DlmsError
            When the bytes are no request; the connection must then be closed.
        """
        apdu = self.link.take()
        return None if apdu is None else self._request(apdu)

    def _request(self, apdu: bytes) -> Request:
        if apdu[0] == GENERAL_BLOCK and self._conformance & Conformance.GENERAL_BLOCK_TRANSFER:
            whole = self._transfer.receive(apdu)
            if whole is not None:
                return self._request(whole)
            if self._transfer.under_way:
                return Answered(b"".join(map(self.link.send, self._transfer.proceed())))
            return Answered(b"")
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
                return Answered(self._refuse_service(_COUNTER_ERROR, counter))
            except SecurityError:
                return Answered(self._refuse_service(_DECIPHERING_ERROR))
        return self._service(apdu)

    def _service(self, apdu: bytes) -> Request:
        if apdu[0] == xdlms.GET_REQUEST:
            return xdlms.decode_request(apdu)
        if apdu[0] == writing.ACTION_REQUEST:
            request = writing.decode_action_request(apdu)
            return self._proof(request) if self._challenges else request
        if apdu[0] != writing.SET_REQUEST:
            raise DlmsError(f"APDU {apdu[0]:#04x} is no request that this meter knows")
        written = writing.decode_set_request(apdu)
        return written if isinstance(written, writing.SetRequest) else self._set_block(written)

    def _association(self, apdu: bytes) -> Request:
        """Take an AARQ; what can only be refused is answered at once."""
        self._forget()
        request = acse.decode_aarq(apdu)
        content = request.initiate
        if request.context == Context.CIPHERED and self._new_cipher is not None:
            self._cipher = self._new_cipher()
            try:
                self._cipher.meet(request.title)
                content = self._cipher.unprotect(content)
                self._cipher.remember()
            except ReplayError:
                counter = self._cipher.expected
                return Answered(self._refuse_service(_COUNTER_ERROR, counter))
            except SecurityError:
                return Answered(self._refuse_service(_DECIPHERING_ERROR))
        elif request.context != Context.PLAIN:
            return Answered(self.refuse(acse.CONTEXT_NOT_SUPPORTED))
        wanted = initiate.decode_request(content)
        self._take_wishes(wanted)
        if request.mechanism == Mechanism.HLS_GMAC:
            if self._cipher is None or not 8 <= len(request.secret) <= 64:
                return Answered(self.refuse(acse.AUTHENTICATION_FAILURE))
            self._challenges = request.secret, os.urandom(CHALLENGE_BYTES)
        return request

    def _take_wishes(self, wanted: InitiateRequest) -> None:
        self._conformance = wanted.conformance & OFFERED
        limit = wanted.max_pdu or 0xFFFF
        floor = _BLOCK_OVERHEAD + 1 + (OVERHEAD if self._cipher else 0)
        self._max_pdu = max(floor, min(self._own_max_pdu, limit))
        self._dedicated = wanted.dedicated_key

    def accept(self) -> bytes:
        """Return the AARE that opens the association, or asks for the proof of HLS."""
        agreed = initiate.encode_response(InitiateResponse(self._conformance, self._own_max_pdu))
        challenge = b"" if self._challenges is None else self._challenges[1]
        diagnostic = acse.AUTHENTICATION_REQUIRED if challenge else 0
        self.associated = not challenge
        if self._cipher is None:
            return self.link.send(acse.encode_aare(acse.AssociationResponse(0, diagnostic, agreed)))
        title = self._cipher.title
        response = acse.AssociationResponse(
            0, diagnostic, self._cipher.protect(agreed), Context.CIPHERED, title, challenge
        )
        octets = self.link.send(acse.encode_aare(response))
        if self._dedicated:
            self._cipher.use_dedicated(self._dedicated)
        return octets

    def refuse(self, diagnostic: int) -> bytes:
        """Return the AARE that refuses the association for good."""
        self._forget()
        return self.link.send(acse.encode_aare(acse.AssociationResponse(1, diagnostic)))

    def _proof(self, request: writing.ActionRequest) -> Request:
        """Check the client's proof and give the meter's."""
        assert self._challenges is not None
        assert self._cipher is not None
        theirs, ours = self._challenges
        self._challenges = None
        try:
            if request.method != REPLY_TO_HLS or not request.data:
                raise SecurityError("another request came in place of the proof")
            self._cipher.check_proof(ours, axdr.decode(request.data))
        except SecurityError:
            refusal = writing.encode_action_response(request.invoke_id, xdlms.DENIED)
            return Answered(self._frames(refusal))
        self.associated = True
        proof = axdr.encode(axdr.Tag.OCTET_STRING, self._cipher.prove(theirs))
        return Answered(self._frames(writing.encode_action_response(request.invoke_id, 0, proof)))

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
        self._blocks = []
        room = self._max_pdu - (OVERHEAD if self._cipher else 0)
        if len(whole) <= room or self._conformance & Conformance.GENERAL_BLOCK_TRANSFER:
            return self._frames(whole)
        size = room - _BLOCK_OVERHEAD
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
        """Return a data-access-result to a GET."""
        return self._frames(xdlms.encode_access_result(invoke_id, access_result))

    def written(self, invoke_id: int, access_result: int) -> bytes:
        """Return the result of a SET, 0 being success."""
        if self._set is None:
            return self._frames(writing.encode_set_response(invoke_id, access_result))
        number, self._set = self._set.number, None
        return self._frames(writing.encode_set_last(invoke_id, access_result, number))

    def acted(self, invoke_id: int, result: int, value: bytes = b"") -> bytes:
        """Return the result of an ACTION, 0 being success, and what it gave."""
        return self._frames(writing.encode_action_response(invoke_id, result, value))

    def not_associated(self) -> bytes:
        """Return the exception-response to a service outside an association."""
        return self.link.send(xdlms.encode_exception(_NOT_ALLOWED, _NOT_POSSIBLE))

    def release(self) -> bytes:
        """Return the RLRE."""
        self._forget()
        return self.link.send(acse.encode_rlre())

    def _refuse_service(self, error: int, counter: int | None = None) -> bytes:
        if not self.associated:
            self._forget()
        return self.link.send(xdlms.encode_exception(_NOT_ALLOWED, error, counter))

    def _set_block(self, block: writing.SetBlock) -> Request:
        if block.attribute is not None:
            self._set, self._set_value = block, bytearray()
        before = self._set
        expected = 1 if block.attribute is not None else before.number + 1 if before else 0
        self._set_value += block.data
        if before is None or block.number != expected or len(self._set_value) > MAX_SET:
            self._set = None
            refusal = writing.encode_set_response(block.invoke_id, xdlms.BLOCK_NUMBER_INVALID)
            return Answered(self._frames(refusal))
        self._set = writing.SetBlock(
            block.invoke_id, before.attribute, block.number, block.last, b""
        )
        if not block.last:
            return Answered(self._frames(writing.encode_set_next(block.invoke_id, block.number)))
        assert before.attribute is not None
        value = bytes(self._set_value)
        axdr.check(value, 0)
        return writing.SetRequest(block.invoke_id, before.attribute, value)

    def _next(self, invoke_id: int) -> bytes:
        block = self._blocks[self._sent]
        self._sent += 1
        last = self._sent == len(self._blocks)
        if last:
            self._blocks = []
        return self._frames(xdlms.encode_block(invoke_id, self._sent, last, block))

    def _frames(self, apdu: bytes) -> bytes:
        """Return the frames of an answer, protected, in general blocks when that was agreed."""
        if self._cipher is not None:
            apdu = self._cipher.protect(apdu)
        general = self._conformance & Conformance.GENERAL_BLOCK_TRANSFER
        if general and len(apdu) > self._max_pdu > BlockTransfer.SMALLEST:
            return b"".join(map(self.link.send, self._transfer.start(apdu, self._max_pdu)))
        return self.link.send(apdu)
