"""The two ends of an HDLC link (IEC 62056-46): who may speak, what was received.

The client has the word first and gives it with the poll bit; the meter answers
and gives it back with the final bit. Numbered frames are acknowledged by the
next frame of the other side, so that an undisturbed exchange costs no frame more.
"""

from __future__ import annotations

from meters.dlms import hdlc
from meters.dlms.errors import DlmsError, LocalProtocolError
from meters.dlms.hdlc import POLL, RNR, RR, Frame, Parameters, Unnumbered
from meters.dlms.hdlc_numbered import HdlcLink, Phase

__all__ = ["OFFERED", "HdlcClientLink", "HdlcLink", "HdlcServerLink", "Phase"]

OFFERED = Parameters(1024, 1024, 1, 1)
_TO_SERVER, _TO_CLIENT = bytes.fromhex("e6e600"), bytes.fromhex("e6e700")


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
        self._first: tuple[bytes, ...] = ()

    def send(self, *apdus: bytes) -> bytes:
        """Return the frames of APDUs that the window allows, or first an SNRM."""
        if self.phase is Phase.CLOSED:
            self._first = apdus
            self.phase = Phase.OPENING
            self._connect()
        elif self.phase is Phase.OPEN:
            self._queue(*apdus)
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
        self._queue(*self._first)
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

    def send(self, *apdus: bytes) -> bytes:
        """Return the frames of an answer that the window allows."""
        if self.phase is not Phase.OPEN:
            raise LocalProtocolError("the HDLC link is not open")
        self._queue(*apdus)
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
