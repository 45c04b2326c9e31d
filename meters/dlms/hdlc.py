"""HDLC frames (IEC 62056-46): frame format type 3, without transparency.

A frame says its own length, so a flag inside it is no end. What does not check is
passed over to the next flag, as on a line with noise; a frame that was lost so
is asked for again by the link.
"""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from meters.dlms.errors import DlmsError, LocalProtocolError

FLAG = 0x7E
MAX_FRAME = 0x7FF
"""Highest length that a frame can state: all between its flags."""

MAX_INFORMATION = 2030
MAX_WINDOW = 7
DEFAULT_INFORMATION, DEFAULT_WINDOW = 128, 1

_SEGMENTED = 0x08
_REVERSED = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))
_PARAMETERS = {5: "send_information", 6: "receive_information", 7: "send_window"}
_PARAMETERS |= {8: "receive_window"}


class Unnumbered(IntEnum):
    """Control fields without their poll bit."""

    UI = 0x03
    DM = 0x0F
    DISC = 0x43
    UA = 0x63
    SNRM = 0x83
    FRMR = 0x87


POLL = 0x10
RR, RNR, REJ = 0x01, 0x05, 0x09


def fcs(octets: bytes) -> bytes:
    """Return the check sequence of `octets` (CRC-16/X-25), as it is sent."""
    # The reflected CRC is the plain one of reflected bytes; the plain one is in C.
    value = crc_hqx(octets.translate(_REVERSED), 0xFFFF) ^ 0xFFFF
    return value.to_bytes(2, "big").translate(_REVERSED)


def address(number: int) -> bytes:
    """Return an address of one, two or four bytes, the shortest that holds `number`.

    The upper half names the logical device and the lower half the physical one:
    logical 1 of physical 17 is ``1 << 7 | 17``.
    """
    for size in (1, 2, 4):
        if 0 <= number < 1 << 7 * size:
            groups = [number >> 7 * place & 0x7F for place in range(size - 1, -1, -1)]
            return bytes([group << 1 for group in groups[:-1]] + [groups[-1] << 1 | 1])
    raise LocalProtocolError(f"HDLC address {number} does not fit four bytes")


def number(octets: bytes) -> int:
    """Return the number of an address."""
    value = 0
    for octet in octets:
        value = value << 7 | octet >> 1
    return value


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame; the addresses as their bytes."""

    destination: bytes
    source: bytes
    control: int
    information: bytes = b""
    segmented: bool = False


def encode(frame: Frame) -> bytes:
    """Return a frame between its flags."""
    header_size = 3 + len(frame.destination) + len(frame.source)
    length = header_size + 2 + (len(frame.information) + 2 if frame.information else 0)
    if length > MAX_FRAME:
        raise LocalProtocolError(f"an HDLC frame of {length} bytes is longer than {MAX_FRAME}")
    kind = 0xA0 | (_SEGMENTED if frame.segmented else 0) | length >> 8
    body = bytes((kind, length & 0xFF)) + frame.destination + frame.source
    body += bytes((frame.control,))
    if frame.information:
        body += fcs(body) + frame.information
    return b"\x7e" + body + fcs(body) + b"\x7e"


def decode(body: bytes) -> Frame | None:
    """Return the frame between two flags; ``None`` when it does not check."""
    if len(body) < 7 or fcs(body[:-2]) != body[-2:]:
        return None
    ends = []
    at = 2
    for _ in range(2):
        begin = at
        while at < len(body) - 3 and not body[at] & 1 and at - begin < 3:
            at += 1
        at += 1
        if at - begin == 3 or not body[at - 1] & 1:
            return None
        ends.append(body[begin:at])
    head = at + 1
    information = b""
    if len(body) != head + 2:
        if len(body) < head + 5 or fcs(body[:head]) != body[head : head + 2]:
            return None
        information = body[head + 2 : -2]
    return Frame(ends[0], ends[1], body[at], information, bool(body[0] & _SEGMENTED))


class FrameBuffer:
    """Bytes received, cut into frames; holds one frame and what follows it."""

    __slots__ = ("_bytes",)

    def __init__(self) -> None:
        self._bytes = bytearray()

    def __len__(self) -> int:
        return len(self._bytes)

    def feed(self, received: bytes) -> None:
        """Keep `received` for :meth:`take`."""
        self._bytes += received

    def resync(self) -> None:
        """Give up the frame that is waited for: its length may have been noise."""
        del self._bytes[:1]

    def take(self) -> Frame | None:
        """Return the next frame that checks, or ``None`` when more bytes are needed."""
        held = self._bytes
        while held:
            start = held.find(FLAG)
            if start < 0:
                held.clear()
                return None
            del held[:start]
            if len(held) < 3:
                return None
            length = (held[1] & 0x07) << 8 | held[2]
            if held[1] & 0xF0 != 0xA0 or length < 7:
                del held[:1]
                continue
            if len(held) < length + 2:
                return None
            frame = decode(bytes(held[1 : length + 1])) if held[length + 1] == FLAG else None
            if frame is None:
                del held[:1]
                continue
            # The closing flag may open the next frame.
            del held[: length + 1]
            return frame
        return None


@dataclass(frozen=True, slots=True)
class Parameters:
    """What one side can send and receive: bytes of information in a frame, frames in a window."""

    send_information: int = DEFAULT_INFORMATION
    receive_information: int = DEFAULT_INFORMATION
    send_window: int = DEFAULT_WINDOW
    receive_window: int = DEFAULT_WINDOW

    def agreed(self, peer: Parameters) -> Parameters:
        """Return what this side may do with a peer of other parameters."""
        return Parameters(
            min(self.send_information, peer.receive_information),
            min(self.receive_information, peer.send_information),
            min(self.send_window, peer.receive_window),
            min(self.receive_window, peer.send_window),
        )


def encode_parameters(parameters: Parameters) -> bytes:
    """Return the information field of an SNRM or UA."""
    fields = b""
    for kind, name in _PARAMETERS.items():
        value = getattr(parameters, name)
        size = 4 if kind > 6 else 1 if value < 0x100 else 2
        fields += bytes((kind, size)) + value.to_bytes(size, "big")
    return b"\x81\x80" + bytes((len(fields),)) + fields


def decode_parameters(information: bytes) -> Parameters:
    """Return the parameters of an SNRM or UA; what it does not say has its default.

    Raises
    ------
    DlmsError
        When it is malformed or a value is out of range.
    """
    if not information:
        return Parameters()
    if len(information) < 3 or information[:2] != b"\x81\x80":
        raise DlmsError("the parameters of an HDLC link are malformed")
    if information[2] != len(information) - 3:
        raise DlmsError("the parameters of an HDLC link are cut short")
    said: dict[str, int] = {}
    for kind, value in _fields(information[3:]):
        name = _PARAMETERS.get(kind)
        limit = MAX_WINDOW if kind > 6 else MAX_INFORMATION
        if name is None:
            continue
        if not 1 <= value <= (limit if kind > 6 else 0xFFFF):
            raise DlmsError(f"the {name} of an HDLC link is {value}, must be 1 to {limit}")
        said[name] = min(value, limit)
    return Parameters(**said)


def _fields(content: bytes) -> Iterator[tuple[int, int]]:
    at = 0
    while at < len(content):
        size = content[at + 1] if at + 1 < len(content) else 0
        if not 1 <= size <= 4 or at + 2 + size > len(content):
            raise DlmsError("the parameters of an HDLC link are cut short")
        yield content[at], int.from_bytes(content[at + 2 : at + 2 + size], "big")
        at += 2 + size
