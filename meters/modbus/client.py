"""One connection to the units behind a gateway or on a line: asks, checks, never hangs.

An answer that is late, short, long or for someone else is an error. Over TCP it
is one at once and ends the connection, so that no unit ever gets another one's
registers; on a serial line, which units share and which garbles, the client
looks on until its time is up.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import struct
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Literal, NoReturn

from meters.modbus.ahead import Answered, Pace, Run
from meters.modbus.errors import (
    GATEWAY_CODES,
    ILLEGAL_ADDRESS,
    ILLEGAL_VALUE,
    ModbusError,
    RefusedError,
    SilentError,
)
from meters.modbus.framing import (
    Exchange,
    Request,
    RtuExchange,
    TcpExchange,
    read_request,
    write_request,
)
from meters.modbus.spans import MAX_READ, Group, Span, group_of, grouped, words_of
from meters.modbus.wire import Wire
from meters.statistics import Statistics
from meters.transport import Endpoint, Serial, attach

MAX_WRITE = 123

SETTLE_S = 0.05
"""After silence on a line, how long it must be quiet before someone else is asked."""

_BITS = 11
_SILENT_CHARACTERS = 3.5
_SILENT_S = 0.00175

FramingName = Literal["tcp", "rtu"]


class Client:
    """Asks the units behind one endpoint, one request at a time.

    Parameters
    ----------
    endpoint : Endpoint
        A TCP endpoint or a serial line.
    framing : {"tcp", "rtu"}
    request_s : float
        Longest wait for a connection or for one answer, in seconds; on a
        serial line the time of its characters is added.

    Attributes
    ----------
    reachable : bool
        False after the endpoint did not take a connection.
    observers : sequence of Statistics
        They count what is asked.
    until_s : float
        Loop time at which every wait ends, whatever `request_s` is.
    ahead : deque of Answered
        What :meth:`ask_ahead` gave, for whoever asks the same questions in the same order.
    """

    def __init__(
        self, endpoint: Endpoint, framing: FramingName = "tcp", *, request_s: float
    ) -> None:
        self.endpoint = endpoint
        self.framing = framing
        self.request_s = request_s
        self.reachable = True
        self.observers: Sequence[Statistics] = ()
        self.until_s = math.inf
        self.ahead: deque[Answered] = deque()
        self._character_s = _BITS / endpoint.baud if isinstance(endpoint, Serial) else 0.0
        self._wire: Wire | None = None
        self._transaction = 0
        self._unsettled = False
        self._refused: set[tuple[int, int, int, int]] = set()
        self._received = hashlib.sha256()

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the connection; a serial line may be opened again when this returns."""
        wire = self._wire
        self._drop()
        here = wire is not None and wire.loop is asyncio.get_running_loop()
        if wire is not None and here and isinstance(self.endpoint, Serial):
            await wire.closed

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
        pdu = await self._ask(read_request(unit, function, address, count))
        return struct.unpack(f">{count}H", pdu[2:])

    async def read_spans(
        self,
        unit: int,
        function: int,
        spans: Iterable[Span],
        *,
        block: int = MAX_READ,
        gap: int = MAX_READ,
    ) -> dict[int, int]:
        """Return register values by address for all `spans`, in few requests.

        Spans are read together in blocks of at most `block` registers, with at
        most `gap` registers between them that nobody asked for. A block with an
        illegal address is read again in halves, and not asked for again by this
        client. A span is split only when it is longer than `block`.
        """
        return words_of(await self.read_groups(unit, function, grouped(spans, block, gap)))

    async def read_groups(
        self, unit: int, function: int, groups: Iterable[Group]
    ) -> dict[int, bytes]:
        """Return the bytes of registers by the address of the first, one request a group.

        As :meth:`read_spans`, for groups from :func:`grouped`: one that is refused and read in
        halves gives several entries.
        """
        found: dict[int, bytes] = {}
        ahead = self.ahead
        for group in groups:
            if ahead and ahead[0].is_right:
                request, pdu, latency_s, _ = ahead[0]
                if request is read_request(unit, function, group.start, group.size):
                    ahead.popleft()
                    found[group.start] = self._taken(request, pdu, latency_s)[2:]
                    continue
            await self._read_group(unit, function, group, found)
        return found

    def _taken(self, request: Request, pdu: bytes | ModbusError, latency_s: float) -> bytes:
        """Return the PDU of an answer that was asked ahead and is right."""
        assert isinstance(pdu, bytes)
        self._received.update(bytes((request.unit,)) + pdu)
        for observer in self.observers:
            observer.answered(latency_s)
        return pdu

    async def write(self, unit: int, address: int, words: Sequence[int]) -> None:
        """Write `words` from `address` on (function 16) and check the answer.

        Raises
        ------
        ModbusError
        """
        await self._ask(write_request(unit, address, words))

    async def _read_group(
        self, unit: int, function: int, group: Group, found: dict[int, bytes]
    ) -> None:
        start, count, spans = group
        key = (unit, function, start, count)
        if len(spans) == 1 or key not in self._refused:
            try:
                pdu = await self._ask(read_request(unit, function, start, count))
            except RefusedError as error:
                splits = error.exception_code in (ILLEGAL_ADDRESS, ILLEGAL_VALUE)
                if len(spans) == 1 or not splits:
                    raise
                self._refused.add(key)
            else:
                found[start] = pdu[2:]
                return
        middle = len(spans) // 2
        await self._read_group(unit, function, group_of(spans[:middle]), found)
        await self._read_group(unit, function, group_of(spans[middle:]), found)

    def requests(self, unit: int, function: int, groups: Iterable[Group]) -> list[Request] | None:
        """Return what :meth:`read_groups` will ask; None where it reads in smaller parts."""
        found = []
        for start, size, _ in groups:
            if (unit, function, start, size) in self._refused:
                return None
            found.append(read_request(unit, function, start, size))
        return found

    async def ask_ahead(self, requests: Sequence[Request], pace: Pace) -> deque[Answered]:
        """Return what became of the first of `requests`, asked one after the other.

        They end with the first one that is not answered rightly. Nothing is asked where there
        is no connection yet, and none on a line.
        """
        wire, loop = self._wire, asyncio.get_running_loop()
        if self.framing != "tcp" or wire is None or wire.lost or wire.loop is not loop:
            return deque()
        run = Run(wire, requests, self._transaction, pace)
        answered = run.answered
        try:
            await wire.ask(run, run.until_s)
        except (OSError, TimeoutError):
            self._give_up()
            answered.append(Answered(run.asked, SilentError(), 0.0, False))
        except asyncio.CancelledError:
            self._give_up()
            raise
        except ModbusError as error:
            self._give_up()
            answered.append(Answered(run.asked, error, 0.0, False))
        else:
            if not wire.is_quiet:
                self._drop()
        if self._wire is wire:
            self._transaction = run.transaction
        return deque(answered)

    async def _ask(self, request: Request) -> bytes:
        """Send `request` and return the PDU of its answer, function code first."""
        try:
            if self.ahead and self.ahead[0].request is request:
                _, outcome, latency_s, _ = self.ahead.popleft()
                if isinstance(outcome, ModbusError):
                    raise outcome
                pdu = self._checked(request, outcome)
            else:
                self.ahead.clear()
                pdu, latency_s = await self._answer(request)
        except ModbusError as error:
            for observer in self.observers:
                observer.failed(error.code)
            raise
        for observer in self.observers:
            observer.answered(latency_s)
        return pdu

    async def _answer(self, request: Request) -> tuple[bytes, float]:
        """Return the PDU of an answer, and how long it took."""
        loop = asyncio.get_running_loop()
        began = started = loop.time()
        wire = self._wire
        if wire is None or wire.lost or wire.loop is not loop:
            wire = await self._connected()
        if self.framing == "rtu":
            before = loop.time()
            await self._wait_for_silence(wire)
            # The wait is the line's, not the unit's.
            started += loop.time() - before
        exchange = self._exchange(request)
        travel_s = self._character_s * (len(exchange.frame) + request.size)
        until_s = min(started + self.request_s + travel_s, self.until_s)
        if until_s <= started:
            raise SilentError
        try:
            pdu = await wire.ask(exchange, until_s)
        except (OSError, TimeoutError) as error:
            self._give_up()
            raise SilentError from error
        except asyncio.CancelledError:
            self._give_up()
            raise
        except ModbusError:
            self._give_up()
            raise
        latency_s = wire.heard_s - began
        pdu = self._checked(request, pdu)
        if self.framing == "tcp" and not wire.is_quiet:
            # After more than the answer nothing tells where the next frame starts.
            self._drop()
        return pdu, latency_s

    def _checked(self, request: Request, pdu: bytes) -> bytes:
        self._received.update(bytes([request.unit]) + pdu)
        if pdu[0] == request.function | 0x80:
            self._refuse(pdu)
        if strange := request.mismatch(pdu):
            self._fail(strange)
        return pdu

    def _exchange(self, request: Request) -> Exchange:
        if self.framing == "rtu":
            return RtuExchange(request)
        self._transaction = self._transaction % 0xFFFF + 1
        return TcpExchange(request, self._transaction)

    async def _wait_for_silence(self, wire: Wire) -> None:
        """Wait for the silence between two frames, and after one that did not come, for quiet."""
        quiet_s = 0.0
        if self._character_s:
            quiet_s = max(_SILENT_S, _SILENT_CHARACTERS * self._character_s)
        if self._unsettled:
            self._unsettled = False
            quiet_s = max(quiet_s, SETTLE_S)
            await asyncio.sleep(self._within(quiet_s, wire))
        for _ in range(10):
            left_s = self._within(wire.heard_s + quiet_s - wire.loop.time(), wire)
            if left_s <= 0:
                return
            await asyncio.sleep(left_s)

    def _within(self, wait_s: float, wire: Wire) -> float:
        """Return a wait, cut where all waiting ends."""
        return min(wait_s, self.until_s - wire.loop.time())

    def _refuse(self, pdu: bytes) -> None:
        if len(pdu) != 2:
            self._fail("sent an exception of the wrong length")
        if pdu[1] in GATEWAY_CODES:
            raise SilentError
        raise RefusedError(pdu[1])

    async def _connected(self) -> Wire:
        left_s = self.until_s - asyncio.get_running_loop().time()
        if left_s <= 0:
            raise SilentError
        self.reachable = False
        try:
            async with asyncio.timeout(min(self.request_s, left_s)):
                wire = Wire()
                await attach(self.endpoint, wire)
                self._wire = wire
                await self._wire.opened
        except (OSError, TimeoutError) as error:
            self._wire = None
            raise SilentError from error
        self.reachable = True
        return self._wire

    def _fail(self, message: str) -> NoReturn:
        self._give_up()
        raise ModbusError(message)

    def _give_up(self) -> None:
        """Make sure that what is still to come is taken for no later answer."""
        if isinstance(self.endpoint, Serial):
            self._unsettled = True
            if self._wire is not None and not self._wire.lost:
                return
        self._drop()

    def _drop(self) -> None:
        if self._wire is not None:
            self._wire.drop()
            self._wire = None
            # No answer comes from one connection into the next, which counts anew.
            self._transaction = 0
