"""How a meter lets a client in: what both can do, who proved what, and how answers go out."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from meters.dlms import acse, initiate, refusals, writing, xdlms
from meters.dlms import data as axdr
from meters.dlms.acse import Context, Mechanism
from meters.dlms.action_blocks import ActionBlock, ActionNext
from meters.dlms.errors import ReplayError, SecurityError
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
    | Conformance.BLOCK_TRANSFER_WITH_ACTION
    | Conformance.MULTIPLE_REFERENCES
    | Conformance.GET
    | Conformance.SET
    | Conformance.SELECTIVE_ACCESS
    | Conformance.ACTION
)
BLOCK_OVERHEAD = 12
_NOT_ALLOWED, _NOT_POSSIBLE = 1, 1
DECIPHERING_ERROR, COUNTER_ERROR = 5, 6


@dataclass(frozen=True, slots=True)
class ReleaseRequested:
    """The client closes the association."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A request that this side answers itself; :attr:`apdu` is what to send, if anything."""

    apdu: bytes


class ServedAssociation:
    """One client's connection to a meter, as far as it is let in.

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
        self._challenges: tuple[bytes, bytes] | None = None
        self.associated = False

    def _association(self, apdu: bytes) -> acse.AssociationRequest | Answered:
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
                return Answered(self._refuse_service(COUNTER_ERROR, counter))
            except SecurityError:
                return Answered(self._refuse_service(DECIPHERING_ERROR))
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
        floor = BLOCK_OVERHEAD + 1 + (OVERHEAD if self._cipher else 0)
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

    def _proof(self, request: writing.ActionRequest | ActionBlock | ActionNext) -> Answered:
        """Check the client's proof and give the meter's."""
        assert self._challenges is not None
        assert self._cipher is not None
        theirs, ours = self._challenges
        self._challenges = None
        try:
            if not isinstance(request, writing.ActionRequest) or request.method != REPLY_TO_HLS:
                raise SecurityError("another request came in place of the proof")
            if not request.data:
                raise SecurityError("the proof is empty")
            self._cipher.check_proof(ours, axdr.decode(request.data))
        except SecurityError:
            refusal = writing.encode_action_response(request.invoke_id, xdlms.DENIED)
            return Answered(self._frames(refusal))
        self.associated = True
        proof = axdr.encode(axdr.Tag.OCTET_STRING, self._cipher.prove(theirs))
        return Answered(self._frames(writing.encode_action_response(request.invoke_id, 0, proof)))

    def not_associated(self) -> bytes:
        """Return the exception-response to a service outside an association."""
        return self.link.send(refusals.encode_exception(_NOT_ALLOWED, _NOT_POSSIBLE))

    def release(self) -> bytes:
        """Return the RLRE."""
        self._forget()
        return self.link.send(acse.encode_rlre())

    def _refuse_service(self, error: int, counter: int | None = None) -> bytes:
        if not self.associated:
            self._forget()
        return self.link.send(refusals.encode_exception(_NOT_ALLOWED, error, counter))

    def _room(self) -> int:
        return self._max_pdu - (OVERHEAD if self._cipher else 0)

    def _frames(self, apdu: bytes) -> bytes:
        """Return the frames of an answer, protected, in general blocks when that was agreed."""
        if self._cipher is not None:
            apdu = self._cipher.protect(apdu)
        general = self._conformance & Conformance.GENERAL_BLOCK_TRANSFER
        if general and len(apdu) > self._max_pdu > BlockTransfer.SMALLEST:
            return self.link.send(*self._transfer.start(apdu, self._max_pdu))
        return self.link.send(apdu)
