"""What both ends of an HDLC link share (IEC 62056-46): numbered frames, segments and windows."""

from __future__ import annotations

from collections import deque
from enum import Enum, auto

from meters.dlms import hdlc
from meters.dlms.errors import DlmsError, LocalProtocolError
from meters.dlms.hdlc import POLL, RR, Frame, Parameters

MAX_APDU = 0xFFFF
RETRY_S = 2.0
MAX_SILENT_FRAMES = 64
"""Frames in a row that bring nothing new; beyond, the peer is refused."""


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
        self._has_word = False
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
                self._has_word = frame.control & POLL != 0
                self._take_frame(frame)
        return self._apdus.popleft()

    def more(self) -> None:
        """Give the word back for the rest, when the peer gave it with an APDU that has one."""
        if self._has_word:
            self._speak()

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

    def _queue(self, *apdus: bytes) -> None:
        for apdu in apdus:
            if not 0 < len(apdu) <= MAX_APDU:
                raise LocalProtocolError(f"an APDU of {len(apdu)} bytes does not fit the link")
            octets = self._send_head + apdu
            size = self.agreed.send_information
            for at in range(0, len(octets), size):
                self._waiting.append((octets[at : at + size], at + size < len(octets)))

    def _emit(self, control: int, information: bytes = b"", *, segmented: bool = False) -> None:
        if control & POLL:
            self._has_word = False
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
