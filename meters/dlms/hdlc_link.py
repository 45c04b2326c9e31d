"""The two ends of an HDLC link (IEC 62056-46): who may speak, what was received.

The client has the word first and gives it with the poll bit; the meter answers
and gives it back with the final bit. Numbered frames are acknowledged by the
next frame of the other side, so that an undisturbed exchange costs no frame more.
"""

from __future__ import annotations

from collections import deque
from enum import Enum, auto

from meters.dlms import hdlc
from meters.dlms.errors import DlmsError, LocalProtocolError
from meters.dlms.hdlc import POLL, RNR, RR, Frame, Parameters, Unnumbered

MAX_APDU = 0xFFFF
OFFERED = Parameters(1024, 1024, 1, 1)
RETRY_S = 2.0
MAX_SILENT_FRAMES = 64
"""Frames in a row that bring nothing new; beyond, the peer is refused."""

_TO_SERVER, _TO_CLIENT = bytes.fromhex("e6e600"), bytes.fromhex("e6e700")


class Phase(Enum):
    """Where a link stands."""

    CLOSED = auto()
    OPENING = auto()
    OPEN = auto()
    CLOSING = auto()


class HdlcLink:
    """What both ends share: numbered frames, segments and windows."""

    retry_s: float | None = RETRY_S
    _send_head: bytes
    _receive_head: bytes

    def __init__(self, own: bytes, peer: bytes, offered: Parameters) -> None:
        self._own = own
        self._peer = peer
        self._offered = offered
        self._buffer = hdlc.FrameBuffer()
        self.receive = self._buffer.feed
        self.phase = Phase.CLOSED
        self._apdus: deque[bytes] = deque()
        self._out = bytearray()
        self._idle_frames = 0
        self._reset(Parameters())

    @property
    def is_open(self) -> bool:
        """Whether there is something to close."""
        return self.phase in (Phase.OPENING, Phase.OPEN)

    @property
    def is_closing(self) -> bool:
        """Whether a DISC was sent and not answered."""
        return self.phase is Phase.CLOSING

    def _reset(self, agreed: Parameters) -> None:
        self.agreed = agreed
        self._sent = self._acknowledged = self._expected = 0
        self._waiting: deque[tuple[bytes, bool]] = deque()
        self._unacknowledged: deque[tuple[bytes, bool]] = deque()
        self._incoming = bytearray()

    def take(self) -> bytes | None:
        """Return the next whole APDU, or ``None`` when more bytes are needed."""
        while not self._apdus:
            frame = self._buffer.take()
            if frame is None:
                return None
            if self._is_ours(frame):
                self._take_frame(frame)
        return self._apdus.popleft()

    def pending(self) -> bytes:
        """Return, once, the acknowledgements and segments that are to go out."""
        if not self._out:
            return b""
        out = bytes(self._out)
        self._out.clear()
        return out

    def _is_ours(self, frame: Frame) -> bool:
        return frame.destination == self._own and frame.source == self._peer

    def _take_frame(self, frame: Frame) -> None:
        raise NotImplementedError

    def _queue(self, apdu: bytes) -> None:
        if not 0 < len(apdu) <= MAX_APDU:
            raise LocalProtocolError(f"an APDU of {len(apdu)} bytes does not fit the link")
        octets = self._send_head + apdu
        size = self.agreed.send_information
        for at in range(0, len(octets), size):
            self._waiting.append((octets[at : at + size], at + size < len(octets)))

    def _emit(self, control: int, information: bytes = b"", *, segmented: bool = False) -> None:
        frame = Frame(self._peer, self._own, control, information, segmented)
        self._out += hdlc.encode(frame)

    def _pump(self) -> bool:
        """Send what the window allows and give the word away; False when that is nothing."""
        room = self.agreed.send_window - len(self._unacknowledged)
        count = min(room, len(self._waiting))
        for place in range(count):
            segment = self._waiting.popleft()
            self._unacknowledged.append(segment)
            self._number(segment, last=place == count - 1)
        return count > 0

    def _number(self, segment: tuple[bytes, bool], *, last: bool) -> None:
        control = self._expected << 5 | (POLL if last else 0) | self._sent << 1
        self._sent = (self._sent + 1) % 8
        self._emit(control, segment[0], segmented=segment[1])

    def _repeat(self) -> None:
        """Send again what was not acknowledged."""
        self._sent = self._acknowledged
        for place, segment in enumerate(self._unacknowledged, start=1):
            self._number(segment, last=place == len(self._unacknowledged))

    def _ready(self) -> None:
        """Acknowledge, and give the word away."""
        self._emit(self._expected << 5 | POLL | RR)

    def _acknowledge(self, number: int) -> bool:
        """Drop what the peer has; True when that was something."""
        count = (number - self._acknowledged) % 8
        if count > len(self._unacknowledged):
            raise DlmsError(f"HDLC frame {number} is acknowledged, which was not sent")
        for _ in range(count):
            self._unacknowledged.popleft()
        self._acknowledged = number
        return count > 0

    def _numbered(self, frame: Frame) -> bool:
        """Take an I frame; True when it brought something new."""
        moved = self._acknowledge(frame.control >> 5)
        if frame.control >> 1 & 7 == self._expected:
            self._expected = (self._expected + 1) % 8
            self._segment(frame)
            moved = True
        self._count(moved=moved)
        return moved

    def _count(self, *, moved: bool) -> None:
        self._idle_frames = 0 if moved else self._idle_frames + 1
        if self._idle_frames > MAX_SILENT_FRAMES:
            raise DlmsError(f"{MAX_SILENT_FRAMES} HDLC frames in a row bring nothing new")

    def _segment(self, frame: Frame) -> None:
        self._incoming += frame.information
        if len(self._incoming) > MAX_APDU + 3:
            raise DlmsError(f"an APDU is longer than {MAX_APDU} bytes")
        if frame.segmented:
            return
        octets = bytes(self._incoming)
        self._incoming.clear()
        if octets[:3] != self._receive_head or len(octets) < 4:
            raise DlmsError("an APDU does not begin with its LLC header")
        self._apdus.append(octets[3:])

    def _speak(self) -> None:
        """Use the word: repeat what was lost, send what waits, ask for the rest."""
        if self._unacknowledged:
            self._repeat()
        elif not self._pump():
            self._ready()


class HdlcClientLink(HdlcLink):
    """A client's link; the first APDU opens it.

    Parameters
    ----------
    client, server : int
        Addresses; the server's as of :func:`meters.dlms.hdlc.address`.
    offered : Parameters
        What this side can do.
    """

    _send_head, _receive_head = _TO_SERVER, _TO_CLIENT

    def __init__(self, client: int, server: int, offered: Parameters = OFFERED) -> None:
        super().__init__(hdlc.address(client), hdlc.address(server), offered)
        self.client = client
        self._first = b""

    def send(self, apdu: bytes) -> bytes:
        """Return the frames of an APDU that the window allows, or first an SNRM."""
        if self.phase is Phase.CLOSED:
            self._first = apdu
            self.phase = Phase.OPENING
            self._connect()
        elif self.phase is Phase.OPEN:
            self._queue(apdu)
            self._pump()
        else:
            raise LocalProtocolError(f"the HDLC link is {self.phase.name.lower()}")
        return self.pending()

    def retry(self) -> bytes:
        """Return what to send when an answer was lost."""
        self._buffer.resync()
        if self.phase is Phase.OPENING:
            self._connect()
        elif self.phase is Phase.CLOSING:
            self._emit(Unnumbered.DISC | POLL)
        elif self.phase is Phase.OPEN:
            if self._unacknowledged:
                self._repeat()
            else:
                self._ready()
        return self.pending()

    def close(self) -> bytes:
        """Return a DISC; its answer makes :attr:`phase` closed."""
        if not self.is_open:
            return b""
        self.phase = Phase.CLOSING
        self._emit(Unnumbered.DISC | POLL)
        return self.pending()

    def _connect(self) -> None:
        self._emit(Unnumbered.SNRM | POLL, hdlc.encode_parameters(self._offered))

    def _take_frame(self, frame: Frame) -> None:
        control = frame.control
        if self.phase in (Phase.OPENING, Phase.CLOSING):
            self._unnumbered(frame)
        elif control & 1 == 0:
            # A whole APDU is acknowledged by the next request. A frame that came
            # twice is left to the timer: an answer to it would be repeated for ever.
            if self._numbered(frame) and control & POLL and not self._apdus:
                self._speak()
        elif control & 0x0F == RR:
            self._count(moved=self._acknowledge(control >> 5))
            if control & POLL and (self._unacknowledged or self._waiting):
                self._speak()
        elif control & 0x0F == RNR:
            self._count(moved=False)  # asked again by a retry
        elif control & ~POLL & 0xFF == Unnumbered.UI:
            self._count(moved=False)
        elif control & ~POLL & 0xFF == Unnumbered.UA:
            self._count(moved=False)  # the answer to an SNRM that was sent again
        else:
            raise DlmsError(f"the meter left the HDLC link with frame {control:#04x}")

    def _unnumbered(self, frame: Frame) -> None:
        kind = frame.control & ~POLL & 0xFF
        if self.phase is Phase.CLOSING:
            if kind in (Unnumbered.UA, Unnumbered.DM):
                self.phase = Phase.CLOSED
            else:
                self._count(moved=False)
            return
        if kind == Unnumbered.DM:
            raise DlmsError("the meter refuses the HDLC link")
        if kind != Unnumbered.UA:
            self._count(moved=False)
            return
        self._reset(self._offered.agreed(hdlc.decode_parameters(frame.information)))
        self.phase = Phase.OPEN
        self._queue(self._first)
        self._pump()


class HdlcServerLink(HdlcLink):
    """A meter's link: one client at a time, the one that sent the last SNRM.

    Parameters
    ----------
    server : int
        The meter's address.
    offered : Parameters
    """

    retry_s = None
    _send_head, _receive_head = _TO_CLIENT, _TO_SERVER

    def __init__(self, server: int, offered: Parameters = OFFERED) -> None:
        super().__init__(hdlc.address(server), b"", offered)

    @property
    def client(self) -> int:
        """The address of the client that opened the link."""
        return hdlc.number(self._peer)

    def send(self, apdu: bytes) -> bytes:
        """Return the frames of an answer that the window allows."""
        if self.phase is not Phase.OPEN:
            raise LocalProtocolError("the HDLC link is not open")
        self._queue(apdu)
        self._pump()
        return self.pending()

    def retry(self) -> bytes:
        """Return nothing: only a client asks again."""
        return b""

    close = retry

    def _is_ours(self, frame: Frame) -> bool:
        if frame.control == Unnumbered.SNRM | POLL:
            return frame.destination == self._own
        return super()._is_ours(frame)

    def _take_frame(self, frame: Frame) -> None:
        control = frame.control
        if control == Unnumbered.SNRM | POLL:
            self._opened(frame)
        elif control == Unnumbered.DISC | POLL:
            answer = Unnumbered.UA if self.phase is Phase.OPEN else Unnumbered.DM
            self.phase = Phase.CLOSED
            self._emit(answer | POLL)
        elif self.phase is not Phase.OPEN:
            self._emit(Unnumbered.DM | POLL)
        elif control & 1 == 0:
            before = len(self._apdus)
            self._numbered(frame)
            if control & POLL and len(self._apdus) == before:
                self._speak()
        elif control & 0x0F in (RR, RNR):
            self._count(moved=self._acknowledge(control >> 5))
            if control & POLL and control & 0x0F == RR:
                self._speak()
        else:
            self._count(moved=False)

    def _opened(self, frame: Frame) -> None:
        self._peer = frame.source
        self._apdus.clear()
        agreed = self._offered.agreed(hdlc.decode_parameters(frame.information))
        self._reset(agreed)
        self.phase = Phase.OPEN
        self._emit(Unnumbered.UA | POLL, hdlc.encode_parameters(agreed))
