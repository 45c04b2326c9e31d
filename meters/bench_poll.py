"""What polling is measured against: the same frames over bare asyncio connections.

The frames are not made up: a first reading goes through a relay that keeps what
our reader sends, connection by connection. The meters are served by a process of
their own, so that neither side pays for them.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from urllib.parse import urlsplit

from grid.errors import PeerError
from meters.reading import MeterAddress, RegisterRow
from meters.simulator.points import MeterPoint

AT_S = 1_774_746_000
DAY = 96
CONNECTIONS = 128
"""Connections open at once, as our readers have them."""

Host = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Framing:
    """Where a frame says how long it is: `head` bytes, the length in the two at `length`."""

    head: int
    length: int

    def size(self, frame: bytes | bytearray) -> int:
        """Return the bytes of the frame that `frame` starts with; 0 while that is not known."""
        if len(frame) < self.head:
            return 0
        return self.head + int.from_bytes(frame[self.length : self.length + 2], "big")

    def split(self, received: bytes) -> list[bytes]:
        """Return the frames of a stream."""
        frames = []
        while received:
            size = self.size(received)
            frames.append(received[:size])
            received = received[size:]
        return frames


FRAMING = {"modbus": Framing(6, 4), "dlms": Framing(8, 6)}


def points(count: int) -> list[MeterPoint]:
    """Return `count` meters with a day of load profile, all different."""
    starts = range(AT_S - DAY * 900, AT_S + 1, 900)
    return [
        MeterPoint(
            meter=f"meter-{number:04d}",
            clock_s=AT_S,
            registers=[100_000 + 7 * number, number, 5 * number, 3],
            voltage_v=230.5,
            rows=[
                RegisterRow(at_s, (100_000 + 6 * number + place, number, 5 * number, 3))
                for place, at_s in enumerate(starts)
            ],
        )
        for number in range(count)
    ]


def _serve(channel: Connection, protocol: str, count: int) -> None:
    async def run() -> None:
        if protocol == "modbus":
            from meters.simulator.modbus import ModbusServers

            urls = await ModbusServers().start(points(count))
        else:
            from meters.simulator.dlms import DlmsServers

            urls = await DlmsServers().start(points(count))
        channel.send(urls)
        await asyncio.Event().wait()

    asyncio.run(run())


@contextmanager
def served(protocol: str, count: int) -> Iterator[dict[str, str]]:
    """Serve :func:`points` from a process of its own; yield the url of each meter."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, protocol, count), daemon=True)
    process.start()
    theirs.close()
    try:
        try:
            urls = ours.recv()
        except EOFError as error:
            raise PeerError("the simulated meters did not start") from error
        yield urls
    finally:
        process.kill()
        process.join()
        ours.close()


class Relay:
    """Passes a reading on and keeps, of each peer, what was sent to it.

    Attributes
    ----------
    sent : dict of (host, port) to bytearray
    """

    def __init__(self) -> None:
        self.sent: dict[Host, bytearray] = {}
        self._fronts: dict[Host, Host] = {}

    async def open(self, stack: AsyncExitStack, address: MeterAddress) -> MeterAddress:
        """Return `address` with the url of the relay before its peer."""
        parts = urlsplit(address.url)
        peer = str(parts.hostname), int(parts.port or 0)
        if peer not in self._fronts:
            self.sent[peer] = bytearray()

            async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await self._relay(peer, reader, writer)

            server = await asyncio.start_server(relay, peer[0], 0)
            stack.push_async_callback(server.wait_closed)
            stack.callback(server.close)
            self._fronts[peer] = peer[0], server.sockets[0].getsockname()[1]
        host, port = self._fronts[peer]
        return replace(address, url=f"{parts.scheme}://{host}:{port}{parts.path}")

    async def _relay(
        self, peer: Host, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        from_peer, to_peer = await asyncio.open_connection(*peer)

        async def back() -> None:
            while chunk := await from_peer.read(65_536):
                writer.write(chunk)

        answering = asyncio.create_task(back())
        try:
            while chunk := await reader.read(65_536):
                self.sent[peer] += chunk
                to_peer.write(chunk)
        except ConnectionError:
            pass  # our readers end a connection by dropping it
        finally:
            answering.cancel()
            to_peer.transport.abort()
            writer.transport.abort()


@dataclass(slots=True, eq=False)
class Bare(asyncio.Protocol):
    """Sends the next frame when the last one is answered in full; looks at no answer."""

    frames: Sequence[bytes]
    framing: Framing
    done: asyncio.Future[None]
    sent: int = 0
    _buffer: bytearray = field(default_factory=bytearray)
    _transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first frame."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        """Send the next frame when the answer is whole."""
        self._buffer += data
        size = self.framing.size(self._buffer)
        if size and len(self._buffer) >= size:
            del self._buffer[:size]
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail when an answer is missing."""
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
            await loop.create_connection(lambda: Bare(frames[peer], framing, done), *peer)
            await done

    async with asyncio.TaskGroup() as group:
        for peer in frames:
            group.create_task(ask(peer))
