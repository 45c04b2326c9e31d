"""The socket of one association."""

from __future__ import annotations

import asyncio

from meters.dlms.connection import BlockReceived, ClientConnection, Event
from meters.dlms.errors import DlmsError, SilentError

_RELEASE_S = 0.5


class Session(asyncio.Protocol):
    """Carries the bytes of a :class:`ClientConnection`, one question at a time."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Event] | None = None
        self._lost = False

    @classmethod
    async def open(cls, host: str, port: int, connection: ClientConnection) -> Session:
        """Return a session whose socket is connected; OSError when it cannot be."""
        loop = asyncio.get_running_loop()
        _, session = await loop.create_connection(lambda: cls(connection), host, port)
        return session

    def close(self) -> None:
        """Close the socket, whatever is under way."""
        if self._transport is not None:
            self._transport.abort()

    async def ask(self, request: bytes) -> Event:
        """Send a request and return what it led to, a long value with all its blocks.

        Raises
        ------
        DlmsError
            When the answer is malformed; :class:`SilentError` when the peer left.
        """
        event = await self._exchange(request)
        while type(event) is BlockReceived:
            event = await self._exchange(self.connection.next_block())
        return event

    async def release(self) -> None:
        """Close the association; what the meter says to that changes nothing."""
        try:
            async with asyncio.timeout(_RELEASE_S):
                await self.ask(self.connection.release())
        except (DlmsError, TimeoutError, OSError):
            pass

    async def _exchange(self, request: bytes) -> Event:
        if self._lost or self._transport is None:
            raise SilentError("gave no complete answer")
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        self._pump()
        try:
            return await self._waiting
        finally:
            self._waiting = None

    def _pump(self) -> None:
        waiting = self._waiting
        if waiting is None or waiting.done():
            return
        try:
            event = self.connection.next_event()
        except DlmsError as error:
            waiting.set_exception(error)
            return
        if event is not None:
            waiting.set_result(event)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Hand bytes to the codec and wake who waits."""
        self.connection.receive_data(data)
        self._pump()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake who waits for an answer that will not come."""
        self._lost = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(SilentError("gave no complete answer"))
