"""Simulated meters in a process of their own, and what is said to them and by them.

A first reading goes through a relay that keeps what is sent both ways, connection by
connection; :mod:`meters.bench_bare` says it again.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import Any
from urllib.parse import urlsplit

from grid.errors import PeerError
from meters.reading import Ciphering, MeterAddress, RegisterRow
from meters.simulator.points import MeterPoint

AT_S = 1_774_746_000
DAY = 96
SECRET = b"bench-secret"

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


FRAMING = {"modbus": Framing(6, 4), "dlms": Framing(8, 6), "ciphered": Framing(8, 6)}


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


def ciphering(number: int, side: int) -> Ciphering:
    """Return the title and keys of meter `number`; `side` is 0 for the client, 1 for the meter."""
    title = b"KHZ" + bytes((side,)) + number.to_bytes(4, "big")
    return Ciphering(title, number.to_bytes(16, "big"), bytes(range(16)))


def serve_simulated(channel: Connection, protocol: str, first: int, count: int) -> None:
    """Serve `count` of :func:`points` from `first` on; send their urls. Never returns.

    `protocol` is ``modbus``, ``dlms`` or ``ciphered``.
    """

    async def run() -> None:
        held = points(first + count)[first:]
        if protocol == "modbus":
            from meters.simulator.modbus import ModbusServers

            urls = await ModbusServers().start(held)
        else:
            from meters.simulator.dlms import DlmsServers, MeterSetup

            setups = {
                point.meter: MeterSetup(SECRET, ciphering(number, 1))
                for number, point in enumerate(held, first)
            }
            urls = await DlmsServers().start(held, setups=setups if protocol != "dlms" else None)
        channel.send(urls)
        await asyncio.Event().wait()

    asyncio.run(run())


@contextmanager
def apart(serve: Callable[..., None], *facts: Any) -> Iterator[Any]:
    """Run `serve` with a pipe and `facts` in a process of its own; yield what it sends first."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, *facts), daemon=True)
    process.start()
    theirs.close()
    try:
        try:
            told = ours.recv()
        except EOFError as error:
            raise PeerError("the simulated meters did not start") from error
        yield told
    finally:
        process.kill()
        process.join()
        ours.close()


def host(address: MeterAddress) -> Host:
    """Return where a meter answers."""
    parts = urlsplit(address.url)
    return str(parts.hostname), int(parts.port or 0)


def moved(address: MeterAddress, where: Mapping[Host, Host]) -> MeterAddress:
    """Return an address that has moved."""
    parts = urlsplit(address.url)
    name, port = where[host(address)]
    return replace(address, url=f"{parts.scheme}://{name}:{port}{parts.path}")


class Relay:
    """Passes a reading on and keeps, of each peer, what was sent to it and what it answered.

    Attributes
    ----------
    sent, answered : dict of (host, port) to bytearray
    """

    def __init__(self) -> None:
        self.sent: dict[Host, bytearray] = {}
        self.answered: dict[Host, bytearray] = {}
        self._fronts: dict[Host, Host] = {}

    async def open(self, stack: AsyncExitStack, address: MeterAddress) -> MeterAddress:
        """Return `address` with the url of the relay before its peer."""
        peer = host(address)
        if peer not in self._fronts:
            self.sent[peer] = bytearray()
            self.answered[peer] = bytearray()

            async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await self._relay(peer, reader, writer)

            server = await asyncio.start_server(relay, peer[0], 0)
            stack.push_async_callback(server.wait_closed)
            stack.callback(server.close)
            self._fronts[peer] = peer[0], server.sockets[0].getsockname()[1]
        return moved(address, self._fronts)

    async def _relay(
        self, peer: Host, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        from_peer, to_peer = await asyncio.open_connection(*peer)

        async def back() -> None:
            while chunk := await from_peer.read(65_536):
                self.answered[peer] += chunk
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
