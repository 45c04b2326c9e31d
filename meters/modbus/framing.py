"""Modbus requests as bytes, and the answers found in the bytes that come back.

Sans-io: nothing here knows of a socket. Requests are encoded and framed by
pymodbus; answers are checked here. Measured with pymodbus 3.16 on sockets: it
takes 2 registers where 10 were asked, an odd byte count, the answer to another
function and transaction id 0 for any, and waits for the timeout on an answer
with another unit or transaction id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadInputRegistersRequest,
    WriteMultipleRegistersRequest,
)

from meters.modbus.errors import ModbusError

MAX_GARBAGE = 256
"""Bytes that may stand before the answer on a serial line: one longest frame of someone else."""

_HEADER = 7
_MAX_LENGTH = 254
_EXCEPTION = 0x80
_READS: dict[int, type[ReadHoldingRegistersRequest]] = {
    3: ReadHoldingRegistersRequest,
    4: ReadInputRegistersRequest,
}
_WRITE = 16
_TCP = FramerSocket(DecodePDU(False))


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a unit.

    Attributes
    ----------
    unit : int
    pdu : bytes
        Function code first.
    begins : bytes
        The first bytes of the PDU of the right answer.
    size : int
        Bytes of the PDU of the right answer.
    tcp_frame : bytes
        Over TCP, all that follows the transaction id.
    """

    unit: int
    pdu: bytes
    begins: bytes
    size: int
    tcp_frame: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        frame: bytes = _TCP.encode(self.pdu, self.unit, 0)
        object.__setattr__(self, "tcp_frame", frame[2:])

    @property
    def function(self) -> int:
        """Function code."""
        return self.pdu[0]

    def mismatch(self, pdu: bytes) -> str:
        """Return what is wrong with `pdu` as an answer; empty when nothing is."""
        if pdu[0] != self.function:
            return f"answered function {pdu[0]} instead of {self.function}"
        if len(pdu) == self.size and pdu.startswith(self.begins):
            return ""
        if self.function == _WRITE:
            return "confirmed another write than the one that was asked"
        return f"answered {len(pdu) - 2} bytes of registers instead of {self.size - 2}"


@lru_cache(maxsize=4096)
def read_request(unit: int, function: int, address: int, count: int) -> Request:
    """Return the request for `count` registers from `address` on."""
    _refuse_broadcast(unit)
    body: bytes = _READS[function](address=address, count=count).encode()
    return Request(unit, bytes([function]) + body, bytes([function, 2 * count]), 2 + 2 * count)


def write_request(unit: int, address: int, words: Sequence[int]) -> Request:
    """Return the request to write `words` from `address` on (function 16)."""
    _refuse_broadcast(unit)
    body: bytes = WriteMultipleRegistersRequest(
        address=address, count=len(words), registers=list(words)
    ).encode()
    pdu = bytes([_WRITE]) + body
    return Request(unit, pdu, pdu[:5], 5)


def _refuse_broadcast(unit: int) -> None:
    # Nobody answers to unit 0, and every unit would obey.
    if not 1 <= unit <= 255:
        raise ValueError(f"unit is {unit}, must be 1 to 255")


class Exchange(Protocol):
    """One request on the wire, and the search for its answer.

    Attributes
    ----------
    frame : bytes
        What is sent.
    """

    frame: bytes

    def take(self, received: bytearray, *, last: bool = False) -> bytes | None:
        """Return the PDU of the answer in `received`, None while it is not complete.

        What belongs to the answer, and what stands before it, is removed.

        Parameters
        ----------
        last : bool
            Nothing more will come.

        Raises
        ------
        ModbusError
            When no answer to the request can follow any more.
        """
        ...


class TcpExchange:
    """An exchange with a Modbus TCP header: nothing but the answer is expected."""

    __slots__ = ("_request", "_transaction", "frame")

    def __init__(self, request: Request, transaction: int) -> None:
        self._request = request
        self._transaction = transaction
        self.frame: bytes = transaction.to_bytes(2, "big") + request.tcp_frame

    def take(self, received: bytearray, *, last: bool = False) -> bytes | None:
        """See :class:`Exchange`."""
        if len(received) < _HEADER:
            return None
        length = received[4] << 8 | received[5]
        if received[2] or received[3] or not 3 <= length <= _MAX_LENGTH:
            raise ModbusError("sent bytes that are no Modbus frame")
        if received[0] << 8 | received[1] != self._transaction:
            raise ModbusError("answered with another transaction id")
        if received[6] != self._request.unit:
            raise ModbusError(f"answered as unit {received[6]} instead of {self._request.unit}")
        if len(received) < 6 + length:
            return None
        pdu = bytes(received[_HEADER : 6 + length])
        del received[: 6 + length]
        return pdu


class RtuExchange:
    """An exchange with RTU frames, where the line may hold more than the answer.

    An echo of the request is skipped, as are whole frames of others (the late answer of a
    neighbour) and up to :data:`MAX_GARBAGE` other bytes. Where a frame ends is told by its
    content, as gateways do not keep the silence between frames.
    """

    _framer = FramerRTU(DecodePDU(False))

    def __init__(self, request: Request) -> None:
        self._request = request
        self.frame: bytes = self._framer.encode(request.pdu, request.unit, 0)
        unit = bytes([request.unit])
        self._begins = unit + request.begins
        self._size = 1 + request.size + 2
        self._refusal = unit + bytes([request.function | _EXCEPTION])
        self._may_echo = True
        self._skipped = 0
        self._unsound: set[int] = set()
        self._stranger = ""

    def take(self, received: bytearray, *, last: bool = False) -> bytes | None:
        """See :class:`Exchange`."""
        if self._may_echo and self._is_echo(received, last):
            return None
        self._skip_strangers(received)
        found = self._find(received, last)
        if found is not None:
            start, size = found
            pdu = bytes(received[start + 1 : start + size - 2])
            del received[: start + size]
            return pdu
        if self._skipped > MAX_GARBAGE or len(received) > MAX_GARBAGE + self._size:
            raise ModbusError(
                self._stranger or f"sent more than {MAX_GARBAGE} bytes that are no answer"
            )
        if last and self._stranger:
            raise ModbusError(self._stranger)
        return None

    def _is_echo(self, received: bytearray, last: bool) -> bool:
        """Remove the echo of the request; True while it may still be one in part."""
        if received.startswith(self.frame):
            del received[: len(self.frame)]
            self._may_echo = False
            return not received
        return not last and self.frame.startswith(received)

    def _skip_strangers(self, received: bytearray) -> None:
        while size := self._stranger_size(received):
            self._skipped += size
            self._unsound.clear()
            del received[:size]

    def _stranger_size(self, received: bytearray) -> int:
        """Return the bytes of the whole frame of someone else at the front, 0 for none."""
        if len(received) < 5 or received.startswith(self._begins):
            return 0
        unit, function = received[0], received[1]
        if function in _READS:
            size = 5 + received[2]
        elif function == _WRITE:
            size = 8
        elif function & _EXCEPTION and not received.startswith(self._refusal):
            size = 5
        else:
            return 0
        if len(received) < size or not self._sound(received, 0, size):
            return 0
        if unit != self._request.unit:
            self._stranger = f"answered as unit {unit} instead of {self._request.unit}"
        else:
            self._stranger = self._request.mismatch(bytes(received[1 : size - 2]))
        return size

    def _find(self, received: bytearray, last: bool) -> tuple[int, int] | None:
        """Return where an answer starts and its bytes."""
        unfinished = len(received)
        start = received.find(self._request.unit)
        while 0 <= start <= MAX_GARBAGE:
            head = received[start : start + len(self._begins)]
            if self._begins.startswith(head):
                if len(received) < start + self._size:
                    unfinished = min(unfinished, start)
                elif self._sound(received, start, self._size):
                    return start, self._size
            elif (
                head.startswith(self._refusal)
                and len(received) >= start + 5
                # Registers may look like a refusal: it counts when no answer is under way.
                and (last or start < unfinished)
                and self._sound(received, start, 5)
            ):
                return start, 5
            start = received.find(self._request.unit, start + 1)
        return None

    def _sound(self, received: bytearray, start: int, size: int) -> bool:
        """Return whether the checksum of a frame is right; a wrong one is computed once."""
        key = start << 16 | size
        if key in self._unsound:
            return False
        content = bytes(received[start : start + size - 2])
        sent = received[start + size - 2] << 8 | received[start + size - 1]
        computed: int = self._framer.compute_CRC(content)
        if computed != sent:
            self._unsound.add(key)
        return computed == sent
