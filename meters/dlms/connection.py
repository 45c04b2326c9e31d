"""The client of one association, without a socket: bytes in, events out.

Each call of :meth:`ClientConnection.associate`, `get`, `get_list`, `set`, `set_list`,
`action`, `proceed` and `release` returns the bytes to send. What comes back goes into
:meth:`ClientConnection.receive_data`; :meth:`ClientConnection.next_event` then
gives one event, or ``None`` while more bytes are needed, and
:meth:`ClientConnection.data_to_send` what the link has to say meanwhile. One
request is out at a time, as the standard has it. After a :class:`DlmsError` the
connection stays in :attr:`State.ERROR` and only closing the socket helps.
"""

from __future__ import annotations

from collections.abc import Sequence

from meters.dlms import acse, initiate, refusals, writing, xdlms
from meters.dlms.client_state import ASKED, EVENTS, SENDS, State
from meters.dlms.errors import DlmsError, LocalProtocolError
from meters.dlms.events import Associated, Continues, Event, Released
from meters.dlms.exchange import ActionExchange, Exchange, GetExchange, SetExchange
from meters.dlms.gbt import TAG as GENERAL_BLOCK
from meters.dlms.gbt import BlockTransfer
from meters.dlms.handshake import Handshake
from meters.dlms.initiate import Conformance
from meters.dlms.link import Link
from meters.dlms.security import OVERHEAD, Cipher
from meters.dlms.set_list import DESCRIPTOR_BYTES

__all__ = ["ClientConnection", "State"]

_BLOCK_OVERHEAD = 24
# A plain number: an enumeration's own operators cost more than all else that is done to a frame.
_GENERAL_BLOCKS = int(Conformance.GENERAL_BLOCK_TRANSFER)
_REFUSALS = (refusals.EXCEPTION_RESPONSE, refusals.CONFIRMED_SERVICE_ERROR)


class ClientConnection:
    """The state machine of one client.

    Parameters
    ----------
    link : Link
        The client's end of a wrapper or an HDLC link.
    mechanism : acse.Mechanism
    secret : bytes
        The password of LLS.
    max_pdu : int
        Longest APDU that the client accepts, in bytes.
    cipher : Cipher, optional
        Protects the association; HLS-GMAC needs one.
    dedicated : bool
        Make a key for this association.
    conformance : int
        What the client proposes.
    """

    def __init__(
        self,
        link: Link,
        *,
        mechanism: acse.Mechanism = acse.Mechanism.NONE,
        secret: bytes = b"",
        max_pdu: int = 1200,
        cipher: Cipher | None = None,
        dedicated: bool = False,
        conformance: int = initiate.PROPOSED,
    ) -> None:
        self.link = link
        self.receive_data = link.receive
        self.data_to_send = link.pending
        self._handshake = Handshake(mechanism, secret, conformance, max_pdu, cipher)
        self._dedicated = dedicated
        self._cipher = cipher
        self._transfer = BlockTransfer()
        self._exchange: Exchange | None = None
        self._conformance = 0
        self._max_send = 0
        self.state = State.IDLE
        self.received: list[bytes] = []
        """The APDUs that answered the last request, deciphered, for whoever hashes them."""

    def associate(self) -> bytes:
        """Return the AARQ, on a link that must be opened first what opens it."""
        return self._send("associate", self._handshake.request(dedicated=self._dedicated))

    def get(self, attribute: xdlms.Attribute, selection: bytes = b"", invoke_id: int = 1) -> bytes:
        """Return a GET-request for one attribute.

        Parameters
        ----------
        attribute : Attribute
        selection : bytes
            From :mod:`meters.dlms.selection`, or empty for all of it.
        invoke_id : int
            0 to 15; the answer must carry the same.
        """
        request = xdlms.encode_get(invoke_id, attribute, selection)
        return self._begin("get", GetExchange(invoke_id), request)

    def get_list(
        self, wanted: Sequence[tuple[xdlms.Attribute, bytes]], invoke_id: int = 1
    ) -> bytes:
        """Return a GET-request for several attributes with their selections."""
        if not 1 <= len(wanted) <= xdlms.MAX_REFERENCES:
            raise LocalProtocolError(f"a list has {len(wanted)} attributes, must have 1 to 64")
        request = xdlms.encode_get_list(invoke_id, wanted)
        return self._begin("get", GetExchange(invoke_id, len(wanted)), request)

    def set(self, attribute: xdlms.Attribute, value: bytes, invoke_id: int = 1) -> bytes:
        """Return a SET-request of an encoded value, in blocks when it is long."""
        room = self._room(Conformance.BLOCK_TRANSFER_WITH_SET)
        exchange = SetExchange(invoke_id, [(attribute, value)], room)
        return self._begin("set", exchange, exchange.first)

    def set_list(self, items: Sequence[tuple[xdlms.Attribute, bytes]], invoke_id: int = 1) -> bytes:
        """Return a SET-request of several attributes with their values, in blocks when it is long.

        Raises
        ------
        LocalProtocolError
            When there are none, or more than :attr:`most_references`.
        """
        if not 1 <= len(items) <= self.most_references:
            raise LocalProtocolError(
                f"a list has {len(items)} attributes, must have 1 to {self.most_references}"
            )
        room = self._room(Conformance.BLOCK_TRANSFER_WITH_SET)
        exchange = SetExchange(invoke_id, items, room, listed=True)
        return self._begin("set", exchange, exchange.first)

    def action(self, method: writing.Method, parameter: bytes = b"", invoke_id: int = 1) -> bytes:
        """Return an ACTION-request with an encoded parameter, or with none."""
        room = self._room(Conformance.BLOCK_TRANSFER_WITH_ACTION)
        exchange = ActionExchange(invoke_id, method, parameter, room)
        return self._begin("action", exchange, exchange.first)

    @property
    def most_references(self) -> int:
        """Attributes of one list, without selections, that the meter's longest APDU has room for.

        Half of it is left to values.
        """
        room = (self._max_send or 0xFFFF) - (OVERHEAD if self._cipher else 0)
        fit = (room - _BLOCK_OVERHEAD) // (2 * (DESCRIPTOR_BYTES + 1))
        return max(1, min(xdlms.MAX_REFERENCES, fit))

    def _room(self, service: Conformance) -> int:
        """Return the bytes of a value that fit one block; 0 when it cannot be cut."""
        if not self._conformance & service:
            return 0
        return max(0, self._max_send - _BLOCK_OVERHEAD - (OVERHEAD if self._cipher else 0))

    def proceed(self) -> bytes:
        """Return what follows a :class:`Continues`."""
        if self._transfer.under_way:
            return self.link.send(*self._transfer.proceed())
        exchange = self._exchange
        if exchange is None or exchange.following is None:
            raise LocalProtocolError(f"nothing is to follow in state {self.state.name}")
        request, exchange.following = exchange.following, None
        return self._frames(request)

    def release(self) -> bytes:
        """Return the RLRQ."""
        return self._send("release", acse.encode_rlrq())

    def close(self) -> bytes:
        """Return what closes the link; the association, if any, ends with it."""
        if self.state is not State.ERROR:
            self.state = State.CLOSED
        return self.link.close()

    @property
    def peer_counter(self) -> int | None:
        """The last invocation counter of the meter, ``None`` without ciphering."""
        return self._cipher.expected - 1 if self._cipher is not None else None

    def remember(self) -> None:
        """Keep how far the meter's counter came; at the end of every association."""
        if self._cipher is not None:
            self._cipher.remember()

    def next_event(self) -> Event | None:
        """Return what the bytes received so far mean, or ``None`` when it needs more.

        Raises
        ------
        DlmsError
            When they mean nothing that the standard allows here.
        """
        if self.state is State.ERROR:
            raise DlmsError("the association has failed before")
        event = None
        try:
            while event is None and (apdu := self.link.take()) is not None:
                event = self._event(apdu)
        except DlmsError:
            self.state = State.ERROR
            raise
        if event is not None:
            self.state = EVENTS.get(type(event), self.state)
        return event

    def _begin(self, what: str, exchange: Exchange, request: bytes) -> bytes:
        if not 0 <= exchange.invoke_id <= 15:
            raise LocalProtocolError(f"invoke id {exchange.invoke_id} is not within 0 to 15")
        octets = self._send(what, request)
        self._exchange = exchange
        return octets

    def _send(self, what: str, apdu: bytes) -> bytes:
        before, after = SENDS[what]
        if self.state is not before:
            raise LocalProtocolError(f"{what} is not allowed in state {self.state.name}")
        self.state = after
        self.received = []
        self._transfer.forget()
        return self._frames(apdu)

    def _frames(self, apdu: bytes) -> bytes:
        """Return the frames of a request, protected when that was agreed."""
        if self._cipher is not None and apdu[0] not in (acse.AARQ, acse.RLRQ):
            apdu = self._cipher.protect(apdu)
        if self._conformance & _GENERAL_BLOCKS and (
            len(apdu) > self._max_send > BlockTransfer.SMALLEST
        ):
            return self.link.send(*self._transfer.start(apdu, self._max_send))
        return self.link.send(apdu)

    def _event(self, apdu: bytes) -> Event | None:
        if apdu[0] == GENERAL_BLOCK:
            return self._general_block(apdu)
        if self.state is State.ASSOCIATING:
            return self._association(apdu)
        if self.state is State.RELEASING:
            # Meters differ in what they put into an RLRE, and nothing depends on it.
            if apdu[0] not in (acse.RLRE, refusals.EXCEPTION_RESPONSE):
                raise DlmsError(f"APDU {apdu[0]:#04x} is no answer to a release")
            return Released()
        # A refusal is not always protected; it tells nothing that anything rests on.
        if self._cipher is not None and apdu[0] not in _REFUSALS:
            apdu = self._cipher.unprotect(apdu)
        self.received.append(apdu)
        if self._exchange is None or self.state not in ASKED:
            raise DlmsError(f"APDU {apdu[0]:#04x} came unasked")
        if self.state is State.PROVING:
            self.received = []
            self._handshake.check_proof(apdu)
            return self._associated()
        return self._exchange.answer(apdu)

    def _general_block(self, apdu: bytes) -> Event | None:
        if not self._conformance & _GENERAL_BLOCKS:
            raise DlmsError("a general block came, which was not agreed")
        whole = self._transfer.receive(apdu)
        if whole is not None:
            return self._event(whole)
        if self._transfer.under_way:
            return Continues()
        self.link.more()
        return None

    def _association(self, apdu: bytes) -> Event:
        refused, plain = self._handshake.answer(apdu)
        self.received.append(plain)
        if refused is not None:
            return refused
        if not self._handshake.needs_proof:
            return self._associated()
        self.state = State.PROVING
        self._exchange = Exchange(1)
        self._exchange.following = self._handshake.proof()
        return Continues()

    def _associated(self) -> Associated:
        agreed = self._handshake.agreed
        assert agreed is not None
        self._conformance = int(agreed.conformance)
        self._max_send = agreed.max_pdu or 0xFFFF
        return Associated(agreed.conformance, agreed.max_pdu)
