"""The bytes between a client and one endpoint: one exchange at a time, one timer for all."""

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
        self._timer: asyncio.TimerHandle | None = None
        self._until_s = 0.0

    @property
    def is_quiet(self) -> bool:
        """Whether nothing was received since the last answer."""
        return not self._received and not self._unasked

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        self._transport = transport  # type: ignore[assignment]  # of TCP or a serial line
        self.opened.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the exchange under way."""
        self.lost = True
        self._stop()
        if not self.closed.done():
            self.closed.set_result(None)
        self._end(ConnectionResetError())

    def data_received(self, data: bytes) -> None:
        """Look for the answer."""
        self.heard_s = self.loop.time()
        if self._waiter is None or self._waiter.done():
            self._unasked += len(data)
            if self._unasked > MAX_UNASKED:
                self.drop()
            return
        self._received += data
        self._look(last=False)

    def ask(self, exchange: Exchange, until_s: float) -> asyncio.Future[bytes]:
        """Begin an exchange; return the PDU of its answer, to be awaited.

        Bytes that came before are forgotten. The future fails with ModbusError when another
        answer came, with OSError or TimeoutError when none came before `until_s` of loop time
        or the connection was lost. Whoever gives up waiting must cancel it.
        """
        waiter: asyncio.Future[bytes] = self.loop.create_future()
        if self.lost or self._transport is None:
            waiter.set_exception(ConnectionResetError())
            return waiter
        self._received.clear()
        self._unasked = 0
        self._waiter = waiter
        self._exchange = exchange
        if self._timer is None or self._timer.when() > until_s:
            self._wake(until_s)
        self._until_s = until_s
        self._transport.write(exchange.frame)
        return waiter

    def go_on(self, frame: bytes, until_s: float) -> None:
        """Send what an exchange that is under way has to ask next."""
        if self._transport is None:
            return
        if self._timer is None or self._timer.when() > until_s:
            self._wake(until_s)
        self._until_s = until_s
        self._transport.write(frame)

    def drop(self) -> None:
        """End the connection at once."""
        self.lost = True
        self._stop()
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
            self._exchange = self._waiter = None
            waiter.set_result(pdu)

    def _wake(self, until_s: float) -> None:
        # One timer serves many exchanges: one that rings too early is set again.
        self._stop()
        self._timer = self.loop.call_at(until_s, self._expire)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        self._timer = None
        if self._waiter is None or self._waiter.done():
            return
        if self.loop.time() < self._until_s:
            self._wake(self._until_s)
            return
        self._look(last=True)
        self._end(TimeoutError())

    def _end(self, error: Exception) -> None:
        waiter = self._waiter
        self._exchange = self._waiter = None
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)
