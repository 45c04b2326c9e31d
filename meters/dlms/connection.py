"""The client of one association, without a socket: bytes in, events out.

Each call of :meth:`ClientConnection.associate`, `get`, `next_block` and
`release` returns the bytes to send. What comes back goes into
:meth:`ClientConnection.receive_data`; :meth:`ClientConnection.next_event` then
gives one event, or ``None`` while more bytes are needed. One request is out at
a time, as the standard has it. After a :class:`DlmsError` the connection stays
in :attr:`State.ERROR` and only closing the socket helps.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from meters.dlms import acse, wrapper, xdlms
from meters.dlms import data as axdr
from meters.dlms.errors import DlmsError, LocalProtocolError

MAX_RESPONSE = 1 << 16
"""Bytes of one value over all its blocks; decoding the worst of them takes 30 to 60 ms."""

MAX_BLOCKS = 1 << 14


class State(Enum):
    """Whose turn it is, and for what."""

    IDLE = auto()
    ASSOCIATING = auto()
    READY = auto()
    GETTING = auto()
    BLOCK_HELD = auto()
    RELEASING = auto()
    CLOSED = auto()
    ERROR = auto()


@dataclass(frozen=True, slots=True)
class Associated:
    """The meter let us in; `conformance` is what both sides can do."""

    conformance: int
    max_pdu: int


@dataclass(frozen=True, slots=True)
class AssociationRefused:
    """The meter did not let us in."""

    reason: str


@dataclass(frozen=True, slots=True)
class ValueReceived:
    """The whole value of the attribute asked for, decoded."""

    value: axdr.Value


@dataclass(frozen=True, slots=True)
class BlockReceived:
    """One block of a long value: call :meth:`ClientConnection.next_block`."""

    number: int


@dataclass(frozen=True, slots=True)
class AccessRefused:
    """The meter answered the GET with a refusal; the association stays open."""

    reason: str


@dataclass(frozen=True, slots=True)
class Released:
    """The association is closed, however badly the meter said so."""


Event = Associated | AssociationRefused | ValueReceived | BlockReceived | AccessRefused | Released

# The state in which each request may be sent, and the state that it leads to.
_SENDS = {
    "associate": (State.IDLE, State.ASSOCIATING),
    "get": (State.READY, State.GETTING),
    "next_block": (State.BLOCK_HELD, State.GETTING),
    "release": (State.READY, State.RELEASING),
}
# The state that each event leads to.
_EVENTS: dict[type, State] = {
    Associated: State.READY,
    AssociationRefused: State.CLOSED,
    ValueReceived: State.READY,
    BlockReceived: State.BLOCK_HELD,
    AccessRefused: State.READY,
    Released: State.CLOSED,
}


class ClientConnection:
    """The state machine of one client.

    Parameters
    ----------
    client_port, server_port : int
        Wrapper ports: the client's address and the logical device.
    mechanism : acse.Mechanism
    secret : bytes
        The password of LLS.
    max_pdu : int
        Longest APDU that the client accepts, in bytes.
    """

    def __init__(
        self,
        client_port: int,
        server_port: int,
        *,
        mechanism: acse.Mechanism = acse.Mechanism.NONE,
        secret: bytes = b"",
        max_pdu: int = 1200,
    ) -> None:
        if len(secret) > 64:
            raise LocalProtocolError("an LLS password has at most 64 bytes")
        self._ports = client_port, server_port
        self._mechanism = mechanism
        self._secret = secret
        self._max_pdu = max_pdu
        self._buffer = wrapper.FrameBuffer()
        self._invoke_id = 0
        self._blocks: list[bytes] = []
        self._block_bytes = 0
        self.state = State.IDLE
        self.received: list[bytes] = []
        """The APDUs that answered the last request, for whoever hashes them."""

    def associate(self) -> bytes:
        """Return the AARQ."""
        request = acse.AssociationRequest(
            self._mechanism, self._secret, acse.PROPOSED, self._max_pdu
        )
        return self._send("associate", acse.encode_aarq(request))

    def get(self, attribute: xdlms.Attribute, selection: bytes = b"", invoke_id: int = 1) -> bytes:
        """Return a GET-request for one attribute.

        Parameters
        ----------
        attribute : Attribute
        selection : bytes
            From :func:`meters.dlms.xdlms.encode_range`, or empty for all of it.
        invoke_id : int
            0 to 15; the answer must carry the same.
        """
        if not 0 <= invoke_id <= 15:
            raise LocalProtocolError(f"invoke id {invoke_id} is not within 0 to 15")
        self._invoke_id = invoke_id
        self._blocks = []
        self._block_bytes = 0
        return self._send("get", xdlms.encode_get(invoke_id, attribute, selection))

    def next_block(self) -> bytes:
        """Return the GET-request-next that acknowledges the block held."""
        request = xdlms.encode_next(self._invoke_id, len(self._blocks))
        return self._send("next_block", request)

    def release(self) -> bytes:
        """Return the RLRQ."""
        return self._send("release", acse.encode_rlrq())

    def receive_data(self, received: bytes) -> None:
        """Take bytes from the socket."""
        self._buffer.feed(received)

    def next_event(self) -> Event | None:
        """Return what the bytes received so far mean, or ``None`` when it needs more.

        Raises
        ------
        DlmsError
            When they mean nothing that the standard allows here.
        """
        if self.state is State.ERROR:
            raise DlmsError("the association has failed before")
        try:
            frame = self._buffer.take()
            if frame is None:
                return None
            event = self._event(*frame)
        except DlmsError:
            self.state = State.ERROR
            raise
        self.state = _EVENTS[type(event)]
        return event

    def _send(self, what: str, apdu: bytes) -> bytes:
        before, after = _SENDS[what]
        if self.state is not before:
            raise LocalProtocolError(f"{what} is not allowed in state {self.state.name}")
        self.state = after
        if what != "next_block":
            self.received = []
        return wrapper.frame(*self._ports, apdu)

    def _event(self, source: int, destination: int, apdu: bytes) -> Event:
        if (destination, source) != self._ports:
            raise DlmsError("the answer is for another client or from another logical device")
        self.received.append(apdu)
        if self.state is State.ASSOCIATING:
            return self._association(apdu)
        if self.state is State.GETTING:
            return self._answer(apdu)
        if self.state is State.RELEASING:
            # Meters differ in what they put into an RLRE, and nothing depends on it.
            if apdu[0] not in (acse.RLRE, xdlms.EXCEPTION_RESPONSE):
                raise DlmsError(f"APDU {apdu[0]:#04x} is no answer to a release")
            return Released()
        raise DlmsError(f"APDU {apdu[0]:#04x} came unasked")

    def _association(self, apdu: bytes) -> Event:
        if apdu[0] in (xdlms.EXCEPTION_RESPONSE, xdlms.CONFIRMED_SERVICE_ERROR):
            refusal = xdlms.decode_response(apdu)
            assert isinstance(refusal, xdlms.Refusal)
            return AssociationRefused(refusal.text)
        response = acse.decode_aare(apdu)
        if response.result != 0:
            return AssociationRefused(response.reason)
        if response.diagnostic != 0:
            # An accepted HLS association stands at 14, authentication required.
            raise DlmsError(f"the meter accepts the association with {response.reason}")
        if not response.conformance & acse.Conformance.GET:
            return AssociationRefused("the meter does not offer the GET service")
        return Associated(response.conformance, response.max_pdu)

    def _answer(self, apdu: bytes) -> Event:
        response = xdlms.decode_response(apdu)
        if isinstance(response, xdlms.Refusal):
            return AccessRefused(response.text)
        if response.invoke_id != self._invoke_id:
            raise DlmsError(
                f"the answer has invoke id {response.invoke_id}, must have {self._invoke_id}"
            )
        if response.access_result:
            code = response.access_result
            return AccessRefused(xdlms.ACCESS_RESULTS.get(code, f"data access result {code}"))
        if isinstance(response, xdlms.GetBlock):
            return self._block(response)
        if self._blocks:
            raise DlmsError("a whole value came in the middle of a block transfer")
        return ValueReceived(axdr.decode(response.data))

    def _block(self, block: xdlms.GetBlock) -> Event:
        expected = len(self._blocks) + 1
        if block.number != expected:
            raise DlmsError(f"data block {block.number} came, must be {expected}")
        self._blocks.append(block.data)
        self._block_bytes += len(block.data)
        if self._block_bytes > MAX_RESPONSE or expected > MAX_BLOCKS:
            raise DlmsError(f"a value is longer than {MAX_RESPONSE} bytes or {MAX_BLOCKS} blocks")
        if not block.last:
            return BlockReceived(block.number)
        return ValueReceived(axdr.decode(b"".join(self._blocks)))
