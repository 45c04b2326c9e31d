"""One connection to a Modbus TCP gateway: asks, checks each answer, never hangs.

Requests are framed by pymodbus; answers are checked here and its client is not
used. Measured with pymodbus 3.16 on sockets: it takes 2 registers where 10 were
asked, an odd byte count, the answer to another function and transaction id 0
for any, and waits for the timeout on an answer with another unit or
transaction id. Here each of these is an error at once and ends the connection,
so that no unit ever gets another one's registers.
"""

from __future__ import annotations

import asyncio
import hashlib
import struct
from collections.abc import Iterable, Sequence
from typing import NoReturn

from pymodbus.framer import FramerSocket
from pymodbus.pdu import DecodePDU, ModbusPDU
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadInputRegistersRequest,
    WriteMultipleRegistersRequest,
)

from meters.modbus.errors import (
    GATEWAY_CODES,
    ILLEGAL_ADDRESS,
    ILLEGAL_VALUE,
    ModbusError,
    RefusedError,
    SilentError,
)

MAX_READ = 125
MAX_WRITE = 123
_HEADER = 7
_MAX_LENGTH = 254

Span = tuple[int, int]
"""First register and number of registers."""

_READS: dict[int, type[ReadHoldingRegistersRequest]] = {
    3: ReadHoldingRegistersRequest,
    4: ReadInputRegistersRequest,
}


class Client:
    """Asks the units behind one gateway, one request at a time.

    Parameters
    ----------
    host, port : str, int
    request_s : float
        Longest wait for a connection or for one answer, in seconds.

    Attributes
    ----------
    reachable : bool
        False after the gateway did not take a connection.
    """

    def __init__(self, host: str, port: int, *, request_s: float) -> None:
        self.host = host
        self.port = port
        self.request_s = request_s
        self.reachable = True
        self._framer = FramerSocket(DecodePDU(False))
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._transaction = 0
        self._refused: set[tuple[int, int, int, int]] = set()
        self._received = hashlib.sha256()

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._drop()

    def start_digest(self) -> None:
        """Forget what was received: the next digest starts here."""
        self._received = hashlib.sha256()

    def digest(self) -> bytes:
        """Return the SHA-256 over unit and PDU of each answer since `start_digest`."""
        return self._received.digest()

    async def read(self, unit: int, function: int, address: int, count: int) -> tuple[int, ...]:
        """Return `count` registers from `address` on, in one request.

        Raises
        ------
        ModbusError
            When the answer is late, refused, short, long or for someone else.
        """
        request = _READS[function](address=address, count=count, dev_id=unit)
        pdu = await self._ask(request)
        if len(pdu) != 2 + 2 * count or pdu[1] != 2 * count:
            self._fail(f"answered {len(pdu) - 2} bytes of registers instead of {2 * count}")
        return struct.unpack(f">{count}H", pdu[2:])

    async def read_spans(
        self, unit: int, function: int, spans: Iterable[Span], *, block: int = MAX_READ
    ) -> dict[int, int]:
        """Return register values by address for all `spans`, in few requests.

        Spans are read together in blocks of at most `block` registers; a block
        with an illegal address is read again in halves, and not asked for again
        by this client. A span is split only when it is longer than `block`.
        """
        found: dict[int, int] = {}
        for group in _grouped(spans, block):
            await self._read_group(unit, function, group, found)
        return found

    async def write(self, unit: int, address: int, words: Sequence[int]) -> None:
        """Write `words` from `address` on (function 16) and check the answer.

        Raises
        ------
        ModbusError
        """
        request = WriteMultipleRegistersRequest(
            address=address, count=len(words), registers=list(words), dev_id=unit
        )
        pdu = await self._ask(request)
        expected = address.to_bytes(2, "big") + len(words).to_bytes(2, "big")
        if pdu[1:] != expected:
            self._fail("confirmed another write than the one that was asked")

    async def _read_group(
        self, unit: int, function: int, group: Sequence[Span], found: dict[int, int]
    ) -> None:
        start = group[0][0]
        count = max(first + size for first, size in group) - start
        key = (unit, function, start, count)
        if len(group) == 1 or key not in self._refused:
            try:
                words = await self.read(unit, function, start, count)
            except RefusedError as error:
                splits = error.exception_code in (ILLEGAL_ADDRESS, ILLEGAL_VALUE)
                if len(group) == 1 or not splits:
                    raise
                self._refused.add(key)
            else:
                found.update(zip(range(start, start + count), words, strict=True))
                return
        middle = len(group) // 2
        await self._read_group(unit, function, group[:middle], found)
        await self._read_group(unit, function, group[middle:], found)

    async def _ask(self, request: ModbusPDU) -> bytes:
        """Send `request` and return the PDU of its answer, function code first."""
        self._transaction = self._transaction % 0xFFFF + 1
        request.transaction_id = self._transaction
        try:
            async with asyncio.timeout(self.request_s):
                reader, writer = await self._connected()
                writer.write(self._framer.buildFrame(request))
                header = await reader.readexactly(_HEADER)
                length = int.from_bytes(header[4:6], "big")
                self._check_header(header, length, request)
                pdu = await reader.readexactly(length - 1)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            self._drop()
            raise SilentError from error
        except asyncio.CancelledError:
            self._drop()
            raise
        self._received.update(header[6:7] + pdu)
        if pdu[0] == request.function_code | 0x80:
            self._refuse(pdu)
        if pdu[0] != request.function_code:
            self._fail(f"answered function {pdu[0]} instead of {request.function_code}")
        return pdu

    def _check_header(self, header: bytes, length: int, request: ModbusPDU) -> None:
        if header[2:4] != b"\0\0" or not 3 <= length <= _MAX_LENGTH:
            self._fail("sent bytes that are no Modbus frame")
        if int.from_bytes(header[0:2], "big") != request.transaction_id:
            self._fail("answered with another transaction id")
        if header[6] != request.dev_id:
            self._fail(f"answered as unit {header[6]} instead of {request.dev_id}")

    def _refuse(self, pdu: bytes) -> None:
        if len(pdu) != 2:
            self._fail("sent an exception of the wrong length")
        if pdu[1] in GATEWAY_CODES:
            raise SilentError
        raise RefusedError(pdu[1])

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            self.reachable = False
            try:
                self._streams = await asyncio.open_connection(self.host, self.port, limit=2**12)
            except UnicodeError as error:
                raise OSError(f"{self.host!r} is not a host name") from error
            self.reachable = True
        return self._streams

    def _fail(self, message: str) -> NoReturn:
        # After such an answer nothing tells where the next frame starts.
        self._drop()
        raise ModbusError(message)

    def _drop(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None


def _grouped(spans: Iterable[Span], block: int) -> list[list[Span]]:
    """Return `spans` in order of address, packed into groups of at most `block` registers."""
    groups: list[list[Span]] = []
    for span in sorted(set(spans)):
        for start in range(span[0], span[0] + span[1], block):
            piece = (start, min(block, span[0] + span[1] - start))
            if groups and piece[0] + piece[1] - groups[-1][0][0] <= block:
                groups[-1].append(piece)
            else:
                groups.append([piece])
    return groups
