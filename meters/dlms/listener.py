"""Listens for what meters tell unasked: data-notifications over the TCP wrapper.

Whoever can reach the port can send, so everything is bounded: connections, bytes, time.
A meter with keys is known by the system title in its general ciphering; what comes
unprotected is taken only where that is allowed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from meters.dlms import wrapper
from meters.dlms.counters import CounterStore
from meters.dlms.errors import DlmsError, SecurityError
from meters.dlms.gbt import TAG as GENERAL_BLOCK
from meters.dlms.push import Notification, decode_notification
from meters.dlms.security import GENERAL_GLO, Cipher
from meters.reading import TITLE_BYTES, Ciphering

MAX_CONNECTIONS = 256
MAX_NOTIFICATIONS = 64
"""Notifications of one connection."""

MAX_BYTES = 1 << 18
IDLE_S = 10.0


@dataclass(frozen=True, slots=True)
class Pushed:
    """A data-notification and who sent it: a system title, empty when it was not protected."""

    title: bytes
    logical_device: int
    notification: Notification


class PushListener:
    """Takes data-notifications; one that is wrong ends its connection.

    Parameters
    ----------
    take : callable
        Called with each notification that holds.
    refuse : callable
        Called with the error of each connection that was ended; its code says what it was.
    ciphering_of : callable
        Gives our side's ciphering for a meter's system title, ``None`` when it is not known.
    counters : CounterStore
        Keeps how far each meter's counter came: what is sent again is refused.
    is_open : bool
        Take notifications that are not protected, too.
    """

    def __init__(
        self,
        take: Callable[[Pushed], None],
        refuse: Callable[[DlmsError], None],
        *,
        ciphering_of: Callable[[bytes], Ciphering | None] = lambda _: None,
        counters: CounterStore | None = None,
        is_open: bool = False,
    ) -> None:
        self._take = take
        self._refuse = refuse
        self._ciphering_of = ciphering_of
        self._counters = counters
        self._is_open = is_open
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.StreamWriter] = set()

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port, which the system chose when `port` is 0."""
        self._server = await asyncio.start_server(self._serve, host, port)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def stop(self) -> None:
        """Close the port and every connection."""
        if self._server is not None:
            self._server.close()
            for writer in list(self._connections):
                writer.transport.abort()
            await self._server.wait_closed()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= MAX_CONNECTIONS:
            writer.transport.abort()
            return
        self._connections.add(writer)
        try:
            await self._listen(reader)
        except DlmsError as error:
            self._refuse(error)
        except (ConnectionError, TimeoutError):
            pass
        finally:
            self._connections.discard(writer)
            writer.transport.abort()

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        frames = wrapper.FrameBuffer()
        taken = size = 0
        while True:
            async with asyncio.timeout(IDLE_S):
                chunk = await reader.read(4096)
            if not chunk:
                return
            size += len(chunk)
            if size > MAX_BYTES:
                raise DlmsError(f"a connection sent more than {MAX_BYTES} bytes of notifications")
            frames.feed(chunk)
            while (frame := frames.take()) is not None:
                taken += 1
                if taken > MAX_NOTIFICATIONS:
                    raise DlmsError(
                        f"a connection sent more than {MAX_NOTIFICATIONS} notifications"
                    )
                self._take(self.open(frame[0], frame[2]))

    def open(self, logical_device: int, apdu: bytes) -> Pushed:
        """Return what an APDU tells.

        Raises
        ------
        DlmsError
            When it is malformed; :class:`SecurityError` when it is not protected as it
            must be, or by a meter that is not known.
        """
        if apdu[0] == GENERAL_BLOCK:
            raise DlmsError("a notification in general blocks is not taken")
        if apdu[0] != GENERAL_GLO:
            if not self._is_open:
                raise SecurityError("a notification is not protected")
            return Pushed(b"", logical_device, decode_notification(apdu))
        title = apdu[2 : 2 + TITLE_BYTES]
        ciphering = self._ciphering_of(title) if apdu[1:2] == bytes((TITLE_BYTES,)) else None
        if ciphering is None or self._counters is None:
            raise SecurityError("a notification comes from a meter that is not known")
        cipher = Cipher(ciphering, self._counters)
        cipher.meet(title)
        plain = cipher.unprotect(apdu)
        cipher.remember()
        return Pushed(title, logical_device, decode_notification(plain))
