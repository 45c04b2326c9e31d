"""Modbus RTU servers: over TCP, and on a pseudo-terminal.

On a line a unit that is not there says nothing, and bytes that are no request
are passed over one by one.
"""

from __future__ import annotations

import asyncio
import os
import tty
from collections.abc import Iterator, Mapping

from meters.simulator.connections import ServedConnection
from meters.simulator.units import Unit, answer

_LONGEST = 256
_FIXED = 8
_WRITE, _WRITE_HEAD = 16, 9


def checksum(content: bytes) -> bytes:
    """Return the CRC-16 of a frame, low byte first."""
    crc = 0xFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc.to_bytes(2, "little")


def answers(units: Mapping[int, Unit], received: bytearray) -> Iterator[bytes]:
    """Yield the frame that answers each request in `received`, and remove what is done."""
    while len(received) >= _FIXED:
        size = _FIXED
        if received[1] == _WRITE:
            size = _WRITE_HEAD + received[6]
        if size <= _LONGEST and len(received) < size:
            return
        frame = bytes(received[:size])
        if size > _LONGEST or checksum(frame[:-2]) != frame[-2:]:
            del received[0]
            continue
        del received[:size]
        if frame[0] not in units:
            continue
        told = answer(units, frame[0], frame[1:-2])
        if told is not None:
            content = frame[:1] + told
            yield content + checksum(content)


class RtuConnection(ServedConnection):
    """One client of a gateway that passes RTU frames on; `units` by unit id."""

    def __init__(self, units: dict[int, Unit], open_connections: set[asyncio.Transport]) -> None:
        self._units = units
        super().__init__(open_connections)
        self._received = bytearray()

    def data_received(self, data: bytes) -> None:
        """Answer each complete request."""
        assert self._transport is not None
        self._received += data
        for frame in answers(self._units, self._received):
            self._transport.write(frame)


class SerialLine:
    """Units on a pseudo-terminal.

    Attributes
    ----------
    device : str
        What a client opens.
    """

    def __init__(self, units: Mapping[int, Unit]) -> None:
        self._units = units
        self._received = bytearray()
        self._ours, self._theirs = os.openpty()
        tty.setraw(self._ours)
        tty.setraw(self._theirs)
        os.set_blocking(self._ours, False)
        self.device = os.ttyname(self._theirs)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._ours, self._answer)

    def close(self) -> None:
        """Take the line away."""
        self._loop.remove_reader(self._ours)
        os.close(self._ours)
        os.close(self._theirs)

    def _answer(self) -> None:
        self._received += os.read(self._ours, 4096)
        for frame in answers(self._units, self._received):
            os.write(self._ours, frame)
