"""A client's way into an association: what it says, and what it takes for an answer."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from meters.dlms import acse, initiate, refusals, writing
from meters.dlms import data as axdr
from meters.dlms.acse import Context, Mechanism
from meters.dlms.errors import AccessError, DlmsError, LocalProtocolError, SecurityError
from meters.dlms.events import AssociationRefused
from meters.dlms.initiate import InitiateRequest, InitiateResponse
from meters.dlms.security import Cipher

REPLY_TO_HLS = writing.Method(15, bytes.fromhex("0000280000ff"), 1)
CHALLENGE_BYTES = 16
_CHALLENGES = range(8, 65)


@dataclass(slots=True)
class Handshake:
    """The opening of one association.

    Attributes
    ----------
    mechanism : Mechanism
    secret : bytes
        The password of LLS.
    conformance, max_pdu : int
        What the client proposes.
    cipher : Cipher or None
    agreed : InitiateResponse or None
        What the meter agreed to, once it did.
    """

    mechanism: Mechanism
    secret: bytes = field(repr=False)
    conformance: int
    max_pdu: int
    cipher: Cipher | None = None
    agreed: InitiateResponse | None = None
    _own_challenge: bytes = field(default=b"", repr=False)
    _peer_challenge: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) > 64:
            raise LocalProtocolError("an LLS password has at most 64 bytes")
        if self.mechanism is Mechanism.HLS_GMAC and self.cipher is None:
            raise LocalProtocolError("HLS-GMAC needs the client's title and keys")

    def request(self, *, dedicated: bool) -> bytes:
        """Return the AARQ."""
        cipher = self.cipher
        key = cipher.make_dedicated() if cipher and dedicated else b""
        wanted = initiate.encode_request(InitiateRequest(self.conformance, self.max_pdu, key))
        secret = self.secret
        if self.mechanism is Mechanism.HLS_GMAC:
            secret = self._own_challenge = os.urandom(CHALLENGE_BYTES)
        if cipher is None:
            return acse.encode_aarq(acse.AssociationRequest(self.mechanism, secret, wanted))
        return acse.encode_aarq(
            acse.AssociationRequest(
                self.mechanism, secret, cipher.protect(wanted), Context.CIPHERED, cipher.title
            )
        )

    def answer(self, apdu: bytes) -> tuple[AssociationRefused | None, bytes]:
        """Take the meter's answer; return its refusal, if it is one, and what was said plain.

        Raises
        ------
        DlmsError
            When it is malformed; :class:`SecurityError` when it is less than was asked.
        """
        if (refused := refusals.refusal(apdu)) is not None:
            return AssociationRefused(refused.text, refused.counter), apdu
        response = acse.decode_aare(apdu)
        if response.result != 0:
            return AssociationRefused(response.reason), apdu
        self._check(response)
        content = response.initiate
        if self.cipher is not None:
            self.cipher.meet(response.title)
            content = self.cipher.unprotect(content)
            # What was said in clear holds challenges, which are new each time.
            apdu = content
        if content[:1] == bytes((refusals.CONFIRMED_SERVICE_ERROR,)):
            refused = refusals.refusal(content)
            assert refused is not None
            return AssociationRefused(refused.text), apdu
        self.agreed = initiate.decode_response(content)
        if not self.agreed.conformance & initiate.Conformance.GET:
            return AssociationRefused("the meter does not offer the GET service"), apdu
        if self.cipher is not None:
            self.cipher.use_dedicated()
        return None, apdu

    def _check(self, response: acse.AssociationResponse) -> None:
        context = Context.PLAIN if self.cipher is None else Context.CIPHERED
        if response.context != context:
            raise SecurityError(
                f"the meter accepts application context {response.context}, asked was {context}"
            )
        if self.mechanism is not Mechanism.HLS_GMAC:
            # An accepted HLS association stands at 14, authentication required.
            if response.diagnostic != 0:
                raise DlmsError(f"the meter accepts the association with {response.reason}")
            return
        if response.diagnostic != acse.AUTHENTICATION_REQUIRED:
            raise SecurityError(f"the meter asks for no proof: it says {response.reason}")
        if len(response.challenge) not in _CHALLENGES:
            size = len(response.challenge)
            raise SecurityError(f"the meter's challenge has {size} bytes, must have 8 to 64")
        if response.challenge == self._own_challenge:
            raise SecurityError("the meter's challenge is our own")
        self._peer_challenge = response.challenge

    @property
    def needs_proof(self) -> bool:
        """Whether :meth:`proof` comes before the association is open."""
        return bool(self._peer_challenge)

    def proof(self) -> bytes:
        """Return the ACTION that proves who we are, still to be protected."""
        assert self.cipher is not None
        octets = axdr.encode(axdr.Tag.OCTET_STRING, self.cipher.prove(self._peer_challenge))
        return writing.encode_action(1, REPLY_TO_HLS, octets)

    def check_proof(self, apdu: bytes) -> None:
        """Check the meter's answer to :meth:`proof`.

        Raises
        ------
        AccessError
            When the meter refuses ours.
        SecurityError
            When its own does not hold.
        """
        response = writing.decode_action_response(apdu)
        if isinstance(response, refusals.Refusal):
            raise AccessError(f"refused the proof: {response.text}")
        if not isinstance(response, writing.ActionResponse):
            raise SecurityError("the meter gave no proof but a block")
        if response.result != 0 or response.access_result != 0:
            raise AccessError("refused the proof")
        if not response.data:
            raise SecurityError("the meter gave no proof")
        assert self.cipher is not None
        self.cipher.check_proof(self._own_challenge, axdr.decode(response.data))
