"""The floor of polling: what was said before, said again over bare asyncio connections.

Neither side looks at a frame beyond its length. The server, in a process of its own,
answers each frame of a connection with the next answer that a simulated meter once gave;
so our reader and the bare client are measured against the same peer, which costs neither
of them anything. Ciphered answers hold there too: a reading under low level security, with
counters that start at the same number each time, says the same bytes each time. The bare
client deciphers nothing and checks nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection

from grid.errors import PeerError
from meters.bench_poll import Framing, Host

CONNECTIONS = 128
"""Connections open at once, as our readers have them."""

Said = tuple[list[bytes], list[bytes]]
"""Frames sent over one connection, and the frame that answered each."""


@dataclass(slots=True, eq=False)
class _Canned(asyncio.Protocol):
    """Answers each whole frame with the next answer, whatever was asked."""

    answers: Sequence[bytes]
    framing: Framing
    place: int = 0
    _buffer: bytearray = field(default_factory=bytearray)
    _transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._buffer += data
        while (size := self.framing.size(self._buffer)) and len(self._buffer) >= size:
            del self._buffer[:size]
            if self.place == len(self.answers):
                self._transport.abort()
                return
            self._transport.write(self.answers[self.place])
            self.place += 1


def serve_canned(
    channel: Connection, answers: Mapping[Host, Sequence[bytes]], framing: Framing
) -> None:
    """Serve the answers of each peer; send where each is served now. Never returns."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        where: dict[Host, Host] = {}
        for peer, frames in answers.items():
            made = partial(_Canned, frames, framing)
            server = await loop.create_server(made, peer[0], 0, backlog=8)
            where[peer] = peer[0], server.sockets[0].getsockname()[1]
        channel.send(where)
        await asyncio.Event().wait()

    asyncio.run(run())


@dataclass(slots=True, eq=False)
class _Bare(asyncio.Protocol):
    """Sends the next frame when the last one is answered in full; looks at no answer."""

    frames: Sequence[bytes]
    framing: Framing
    done: asyncio.Future[None]
    sent: int = 0
    _buffer: bytearray = field(default_factory=bytearray)
    _transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        size = self.framing.size(self._buffer)
        if size and len(self._buffer) >= size:
            del self._buffer[:size]
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(PeerError("a simulated meter left"))

    def _next(self) -> None:
        assert self._transport is not None
        if self.sent == len(self.frames):
            self.done.set_result(None)
            self._transport.abort()
            return
        self._transport.write(self.frames[self.sent])
        self.sent += 1


async def exchange(frames: Mapping[Host, Sequence[bytes]], framing: Framing) -> None:
    """Send the frames of every peer and take the answers, one frame out at a time."""
    loop = asyncio.get_running_loop()
    slots = asyncio.Semaphore(CONNECTIONS)

    async def ask(peer: Host) -> None:
        async with slots:
            done: asyncio.Future[None] = loop.create_future()
            await loop.create_connection(lambda: _Bare(frames[peer], framing, done), *peer)
            await done

    async with asyncio.TaskGroup() as group:
        for peer in frames:
            group.create_task(ask(peer))
