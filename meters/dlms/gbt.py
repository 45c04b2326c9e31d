"""General block transfer (IEC 62056-5-3, 9.3.3): an APDU of any service in blocks.

It stands below the protection: what it carries is one APDU, protected or not. A side that
misses a block acknowledges the last one before it at the end of the window, and the sender
goes back to there. A window that is lost as a whole is left to who waits for the answer.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from meters.dlms import data as axdr
from meters.dlms.errors import DlmsError, LocalProtocolError

TAG = 0xE0
MAX_APDU = 0xFFFF
"""Bytes of one APDU, so that not even blocks of one byte come to number 65,536."""

WINDOW = 7
"""Blocks that this side takes before it acknowledges."""

MAX_REPEATS = 3
"""Times in a row that a window is sent again without the peer getting further."""

MAX_IDLE = 64
"""Blocks in a row that bring nothing new: one more than the longest window."""

_LAST, _STREAMING, _WINDOW = 0x80, 0x40, 0x3F
_HEAD = struct.Struct(">BBHH")
OVERHEAD = _HEAD.size + 3


class BlockTransfer:
    """One side's transfers over one association, one at a time."""

    SMALLEST = OVERHEAD + 1

    def __init__(self) -> None:
        self._peer_window = 1
        self.forget()

    def forget(self) -> None:
        """Forget what was under way: a request begins, in blocks or not."""
        self._incoming = bytearray()
        self._received = self._acknowledges = self._idle = 0
        self._blocks: Sequence[bytes] = ()
        self._sent = self._taken = self._repeats = 0
        self._owes = False

    @property
    def under_way(self) -> bool:
        """Whether :meth:`proceed` has something to send."""
        return self._owes

    def start(self, apdu: bytes, max_pdu: int) -> list[bytes]:
        """Return the first blocks of an APDU; the rest follows by :meth:`proceed`.

        Raises
        ------
        LocalProtocolError
            When it is longer than :data:`MAX_APDU`.
        """
        if len(apdu) > MAX_APDU:
            raise LocalProtocolError(f"an APDU of {len(apdu)} bytes does not fit general blocks")
        size = max_pdu - OVERHEAD
        self._blocks = [apdu[at : at + size] for at in range(0, len(apdu), size)]
        self._sent = self._taken = self._repeats = 0
        return self.proceed()

    def proceed(self) -> list[bytes]:
        """Return what follows: blocks as far as the peer's window goes, or an acknowledgement."""
        self._owes = False
        if self._taken == len(self._blocks):
            self._sent += 1
            return [self._encode(_LAST | WINDOW, b"")]
        end = min(self._taken + self._peer_window, len(self._blocks))
        return [self._next(end) for _ in range(self._taken, end)]

    def _next(self, end: int) -> bytes:
        """Return the block after the one that was sent last; the window ends with block `end`."""
        self._sent += 1
        control = WINDOW | (_LAST if self._sent == len(self._blocks) else 0)
        streaming = _STREAMING if self._sent < end else 0
        return self._encode(control | streaming, self._blocks[self._sent - 1])

    def receive(self, apdu: bytes) -> bytes | None:
        """Take a block; return the APDU that it completes.

        ``None`` when more is to come: then :meth:`proceed`, if :attr:`under_way`.

        Raises
        ------
        DlmsError
            When it is malformed, acknowledges what was not sent, the same is lost again and
            again, or the APDU is longer than :data:`MAX_APDU`.
        """
        if len(apdu) < _HEAD.size + 1:
            raise DlmsError("a general block is cut short")
        _, control, number, acknowledged = _HEAD.unpack_from(apdu)
        length, at = axdr.take_length(apdu, _HEAD.size)
        if at + length != len(apdu):
            raise DlmsError("bytes follow a general block")
        window = control & _WINDOW
        if self._taken < len(self._blocks):
            if not length:
                self._acknowledge(acknowledged, window)
                return None
            if self._sent < len(self._blocks):
                raise DlmsError(f"a general block came before block {len(self._blocks)} was sent")
            self._taken = len(self._blocks)  # the answer says that the question came whole
        self._peer_window = max(1, window)
        return self._take(control, number, apdu[at:])

    def _acknowledge(self, number: int, window: int) -> None:
        """Go on after block `number`, which is the last that the peer has."""
        if not window:
            raise DlmsError("the peer's window is 0: it takes no general blocks")
        if not self._taken <= number <= self._sent:
            raise DlmsError(
                f"general block {number} is acknowledged, must be {self._taken} to {self._sent}"
            )
        self._repeats = 0 if number > self._taken else self._repeats + 1
        if self._repeats > MAX_REPEATS:
            raise DlmsError(f"general block {number + 1} was lost {self._repeats} times")
        self._peer_window = window
        self._taken = self._sent = number
        self._owes = number < len(self._blocks)

    def _take(self, control: int, number: int, block: bytes) -> bytes | None:
        is_last = control & _LAST != 0
        is_end = is_last or not control & _STREAMING
        if number != self._received + 1:
            # One was lost, or came again: the end of the window says how far we are.
            self._idle += 1
            if self._idle > MAX_IDLE:
                raise DlmsError(f"general block {self._received + 1} does not come")
            self._owes = is_end
            return None
        if not block and not (is_last and self._incoming):
            raise DlmsError("general blocks hold no APDU")
        self._idle = 0
        self._received = self._acknowledges = number
        self._incoming += block
        if len(self._incoming) > MAX_APDU:
            raise DlmsError(f"an APDU in general blocks is longer than {MAX_APDU} bytes")
        self._owes = is_end and not is_last
        if not is_last:
            return None
        whole = bytes(self._incoming)
        self._incoming.clear()
        self._received = 0
        if whole[0] == TAG:
            raise DlmsError("general blocks hold general blocks")
        return whole

    def _encode(self, control: int, block: bytes) -> bytes:
        head = _HEAD.pack(TAG, control, self._sent & 0xFFFF, self._acknowledges)
        return head + axdr.length_bytes(len(block)) + block
