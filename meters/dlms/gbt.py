"""General block transfer (IEC 62056-5-3, 9.3.3): an APDU of any service in blocks.

It stands below the protection: what it carries is one APDU, protected or not.
Links lose nothing, so a block out of order is an error and no block is sent twice.
"""

from __future__ import annotations

import struct
from collections import deque

from meters.dlms import data as axdr
from meters.dlms.errors import DlmsError

TAG = 0xE0
MAX_APDU = 0xFFFF
WINDOW = 7
"""Blocks that this side takes before it acknowledges."""

_LAST, _STREAMING, _WINDOW = 0x80, 0x40, 0x3F
_HEAD = struct.Struct(">BBHH")
OVERHEAD = _HEAD.size + 3


class BlockTransfer:
    """One side's transfers over one association, one at a time."""

    SMALLEST = OVERHEAD + 1

    def __init__(self) -> None:
        self._incoming = bytearray()
        self._received = 0
        self._outgoing: deque[bytes] = deque()
        self._sent = 0
        self._peer_window = 1
        self._owes_answer = False

    @property
    def under_way(self) -> bool:
        """Whether :meth:`proceed` has something to send."""
        return bool(self._outgoing) or self._owes_answer

    def start(self, apdu: bytes, max_pdu: int) -> list[bytes]:
        """Return the first blocks of an APDU; the rest follows by :meth:`proceed`."""
        size = max_pdu - OVERHEAD
        self._sent = 0
        self._outgoing = deque(apdu[at : at + size] for at in range(0, len(apdu), size))
        return self.proceed()

    def proceed(self) -> list[bytes]:
        """Return what follows: blocks as far as the peer's window goes, or an acknowledgement."""
        self._owes_answer = False
        if not self._outgoing:
            self._sent += 1
            return [self._encode(_LAST | WINDOW, b"")]
        count = min(self._peer_window, len(self._outgoing))
        return [self._block(streams=place < count) for place in range(1, count + 1)]

    def receive(self, apdu: bytes) -> bytes | None:
        """Take a block; return the APDU that it completes.

        ``None`` when more is to come: then :meth:`proceed`, if :attr:`under_way`.

        Raises
        ------
        DlmsError
            When it is malformed, out of order, or the APDU longer than :data:`MAX_APDU`.
        """
        if len(apdu) < _HEAD.size + 1:
            raise DlmsError("a general block is cut short")
        _, control, number, acknowledged = _HEAD.unpack_from(apdu)
        length, at = axdr.take_length(apdu, _HEAD.size)
        if at + length != len(apdu):
            raise DlmsError("bytes follow a general block")
        self._peer_window = max(1, control & _WINDOW)
        if self._outgoing:
            if acknowledged != self._sent & 0xFFFF or length:
                raise DlmsError(f"general block {acknowledged} is acknowledged, not {self._sent}")
            return None
        return self._take(control, number, apdu[at:])

    def _take(self, control: int, number: int, block: bytes) -> bytes | None:
        if number != self._received + 1:
            raise DlmsError(f"general block {number} came, must be {self._received + 1}")
        self._received = number
        self._incoming += block
        if len(self._incoming) > MAX_APDU:
            raise DlmsError(f"an APDU in general blocks is longer than {MAX_APDU} bytes")
        if control & _LAST:
            whole = bytes(self._incoming)
            self.reset()
            if not whole or whole[0] == TAG:
                raise DlmsError("general blocks hold no APDU")
            return whole
        self._owes_answer = not control & _STREAMING
        return None

    def reset(self) -> None:
        """Forget what came: the next block is a first one."""
        self._incoming.clear()
        self._received = self._sent = 0
        self._owes_answer = False

    def _block(self, *, streams: bool) -> bytes:
        block = self._outgoing.popleft()
        self._sent += 1
        control = WINDOW | (0 if self._outgoing else _LAST)
        return self._encode(control | (_STREAMING if streams and self._outgoing else 0), block)

    def _encode(self, control: int, block: bytes) -> bytes:
        head = _HEAD.pack(TAG, control, self._sent & 0xFFFF, self._received & 0xFFFF)
        return head + axdr.length_bytes(len(block)) + block
