"""The socket or serial line of one association."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from meters.dlms.connection import ClientConnection
from meters.dlms.errors import DlmsError, SilentError
from meters.dlms.events import AccessRefused, AssociationRefused, Continues, Event
from meters.statistics import Statistics
from meters.transport import Endpoint, attach

_RELEASE_S = 0.5
_CLOSE_S = 0.5


@dataclass(frozen=True, slots=True)
class Watch:
    """Who watches a session.

    Attributes
    ----------
    answer_s : float or None
        Longest wait for one answer, the opening of the connection included; without it only
        the caller's own limit ends a wait.
    observers : tuple of Statistics
        Count each question and how long its answer took.
    """

    answer_s: float | None = None
    observers: tuple[Statistics, ...] = ()

    def answered(self, event: Event, latency_s: float) -> None:
        """Count an answer; a refusal is one too, of its own kind."""
        is_refusal = isinstance(event, AccessRefused | AssociationRefused)
        for one in self.observers:
            if is_refusal:
                one.failed("access")
            else:
                one.answered(latency_s)

    def failed(self, kind: str) -> None:
        """Count a question without a right answer."""
        for one in self.observers:
            one.failed(kind)


UNWATCHED = Watch()


class Session(asyncio.Protocol):
    """Carries the bytes of a :class:`ClientConnection`, one question at a time."""

    def __init__(self, connection: ClientConnection, watch: Watch = UNWATCHED) -> None:
        self.connection = connection
        self._watch = watch
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Event] | None = None
        self._lost = False
        self._heard = False

    @classmethod
    async def open(
        cls, endpoint: Endpoint, connection: ClientConnection, watch: Watch = UNWATCHED
    ) -> Session:
        """Return a session that is connected; OSError or TimeoutError when it cannot be."""
        session = cls(connection, watch)
        try:
            async with asyncio.timeout(watch.answer_s):
                session._transport = await attach(endpoint, session)
        except BaseException:
            watch.failed("silent")
            raise
        return session

    async def close(self) -> None:
        """Close the socket or line, whatever is under way; it may be opened again after this."""
        if self._transport is not None:
            self._transport.abort()
            while not self._lost:
                await asyncio.sleep(0)

    async def ask(self, request: bytes) -> Event:
        """Send a request and return what it led to, a long value with all its blocks.

        Raises
        ------
        DlmsError
            When the answer is malformed; :class:`SilentError` when the peer left.
        """
        event = await self._counted(request)
        while type(event) is Continues:
            event = await self._counted(self.connection.proceed())
        return event

    async def _counted(self, request: bytes) -> Event:
        watch = self._watch
        if watch is UNWATCHED:
            return await self._exchange(request)
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        try:
            async with asyncio.timeout(watch.answer_s):
                event = await self._exchange(request)
        except BaseException as error:
            is_wrong = isinstance(error, DlmsError) and not isinstance(error, SilentError)
            watch.failed("malformed" if is_wrong else "silent")
            raise
        watch.answered(event, loop.time() - began_s)
        return event

    async def release(self) -> None:
        """Close the association and the link; what the meter says to that changes nothing."""
        try:
            async with asyncio.timeout(_RELEASE_S):
                await self._exchange(self.connection.release())
        except (DlmsError, TimeoutError, OSError):
            pass
        if self.connection.link.is_open and self._transport is not None:
            self._transport.write(self.connection.close())
            await self._until_closed()

    async def _until_closed(self) -> None:
        """Let the meter take the end of the link before the socket ends."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _CLOSE_S
        try:
            while self.connection.link.is_closing and not self._lost and loop.time() < until:
                await asyncio.sleep(0.005)
                self.connection.next_event()
        except DlmsError:
            pass

    async def _exchange(self, request: bytes) -> Event:
        if self._lost or self._transport is None:
            raise SilentError("gave no complete answer")
        waiting: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
        self._waiting = waiting
        self._transport.write(request)
        self._pump()
        try:
            if self.connection.link.retry_s is not None:
                await self._patiently(waiting, self.connection.link.retry_s)
            return await waiting
        finally:
            self._waiting = None

    async def _patiently(self, waiting: asyncio.Future[Event], retry_s: float) -> None:
        """Ask again as long as nothing comes; the caller limits for how long."""
        while True:
            self._heard = False
            await asyncio.wait([waiting], timeout=retry_s)
            if waiting.done() or self._transport is None:
                return
            if not self._heard:
                self._transport.write(self.connection.link.retry())

    def _pump(self) -> None:
        waiting = self._waiting
        if waiting is None or waiting.done():
            return
        try:
            event = self.connection.next_event()
        except DlmsError as error:
            waiting.set_exception(error)
            return
        if (pending := self.connection.data_to_send()) and self._transport is not None:
            self._transport.write(pending)
        if event is not None:
            waiting.set_result(event)

    def data_received(self, data: bytes) -> None:
        """Hand bytes to the codec and wake who waits."""
        self._heard = True
        self.connection.receive_data(data)
        self._pump()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake who waits for an answer that will not come."""
        self._lost = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(SilentError("gave no complete answer"))
