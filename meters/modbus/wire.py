"""The bytes between a client and one endpoint: one exchange at a time, one timer each."""

from __future__ import annotations

import asyncio

from meters.modbus.errors import ModbusError
from meters.modbus.framing import Exchange

MAX_UNASKED = 4096
"""Bytes taken while nothing was asked; what talks more is not a Modbus unit."""


class Wire(asyncio.Protocol):
    """One connection.

    Attributes
    ----------
    lost : bool
        Nothing can be asked any more.
    heard_s : float
        Loop time of the last byte.
    opened, closed : Future
        A serial line is open a little later than it is there.
    """

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.lost = False
        self.heard_s = 0.0
        self.opened: asyncio.Future[None] = self.loop.create_future()
        self.closed: asyncio.Future[None] = self.loop.create_future()
        self._received = bytearray()
        self._unasked = 0
        self._exchange: Exchange | None = None
        self._waiter: asyncio.Future[bytes] | None = None
        self._transport: asyncio.Transport | None = None

    @property
    def is_quiet(self) -> bool:
        """Whether nothing was received since the last answer."""
        return not self._received and not self._unasked

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        self._transport = transport  # type: ignore[assignment]
        self.opened.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the exchange under way."""
        self.lost = True
        if not self.closed.done():
            self.closed.set_result(None)
        self._end(ConnectionResetError())

    def data_received(self, data: bytes) -> None:
        """Look for the answer."""
        self.heard_s = self.loop.time()
        if self._exchange is None:
            self._unasked += len(data)
            if self._unasked > MAX_UNASKED:
                self.drop()
            return
        self._received += data
        self._look(last=False)

    async def ask(self, exchange: Exchange, wait_s: float) -> bytes:
        """Return the PDU of the answer to an exchange.

        Bytes that came before are forgotten.

        Raises
        ------
        ModbusError
            When another answer came.
        OSError, TimeoutError
            When none came within `wait_s`, or the connection was lost.
        """
        if self.lost or self._transport is None:
            raise ConnectionResetError
        self._received.clear()
        self._unasked = 0
        waiter: asyncio.Future[bytes] = self.loop.create_future()
        self._waiter = waiter
        self._exchange = exchange
        timer = self.loop.call_later(wait_s, self._expire)
        self._transport.write(exchange.frame)
        try:
            return await waiter
        finally:
            timer.cancel()
            self._exchange = self._waiter = None

    def drop(self) -> None:
        """End the connection at once."""
        self.lost = True
        if self._transport is not None and not self.loop.is_closed():
            self._transport.abort()

    def _look(self, *, last: bool) -> None:
        exchange, waiter = self._exchange, self._waiter
        if exchange is None or waiter is None:
            return
        try:
            pdu = exchange.take(self._received, last=last)
        except ModbusError as error:
            self._end(error)
            return
        if pdu is not None and not waiter.done():
            self._exchange = None
            waiter.set_result(pdu)

    def _expire(self) -> None:
        self._look(last=True)
        self._end(TimeoutError())

    def _end(self, error: Exception) -> None:
        self._exchange = None
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)
