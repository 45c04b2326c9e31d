"""A network of the field's kind before simulated meters: slow, lossy, in parts not there.

Each meter is reached through a port of its own on loopback, behind which every frame of
either direction takes half a round trip, in order, drawn anew for each frame.

**Loss is harder here than on TCP.** TCP sends a lost segment again after a second or more, so
that its loss is mostly delay. Here a frame that is lost never arrives, and nothing after it
on that connection in that direction does either, as a stream has no holes: whoever waits sees
silence until their own time-out, and only a new connection helps. Opening one takes a round
trip and may be lost like a frame in either direction. A frame is what one end sent at once:
an APDU, or an HDLC frame with its acknowledgements.

Everything is drawn from the seed and the meter's name in the order of that meter's own
frames, so the same questions give the same fate whatever happens beside them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from random import Random
from urllib.parse import urlsplit

from meters.simulator.connections import close_all

HOST = "127.0.0.1"
TICK_S = 0.02
"""Frames arrive at multiples of this, so that a leaping clock leaps less often."""


@dataclass(frozen=True, slots=True)
class Weather:
    """How the network is.

    Attributes
    ----------
    round_trip_s : (float, float)
        Shortest and longest round trip; each frame takes half of one.
    loss_percent : float
        Frames lost, and openings of a connection in either direction.
    seed : int
    unreachable : mapping of str to sequence of (float, float)
        By meter, from when until when nothing gets through, seconds of the running loop.
    """

    round_trip_s: tuple[float, float] = (0.2, 2.0)
    loss_percent: float = 3.0
    seed: int = 1
    unreachable: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)


class BadNetwork:
    """Fault proxies, one before each meter; use as an async context manager.

    Attributes
    ----------
    connections, frames, lost : int
        What was tried so far. `frames` are those that met no connection that had failed
        before; openings count as two.
    """

    def __init__(self, weather: Weather) -> None:
        self.weather = weather
        self.connections = self.frames = self.lost = 0
        self._servers: list[asyncio.Server] = []
        self._open: set[asyncio.Transport] = set()

    async def __aenter__(self) -> BadNetwork:
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.stop()

    async def before(self, urls: Mapping[str, str]) -> dict[str, str]:
        """Return the urls, by meter, under which the meters of `urls` are reached through this."""
        loop = asyncio.get_running_loop()
        fronts: dict[str, str] = {}
        for meter, url in urls.items():
            parts = urlsplit(url)
            assert parts.hostname is not None
            assert parts.port is not None
            path = _Path(self, meter, (parts.hostname, parts.port))
            server = await loop.create_server(path.connection, HOST, 0)
            self._servers.append(server)
            port = server.sockets[0].getsockname()[1]
            fronts[meter] = f"{parts.scheme}://{HOST}:{port}{parts.path}"
        return fronts

    async def stop(self) -> None:
        """Close every port and connection."""
        await close_all(self._servers, self._open)


class _Path:
    """The way to one meter."""

    def __init__(self, network: BadNetwork, meter: str, peer: tuple[str, int]) -> None:
        self.network = network
        self.peer = peer
        self._draw = Random(f"{network.weather.seed} {meter}")
        self._unreachable = network.weather.unreachable.get(meter, ())

    def connection(self) -> asyncio.Protocol:
        self.network.connections += 1
        return _Near(self)

    def is_lost(self, now_s: float) -> bool:
        """Draw the fate of a frame that sets out now."""
        network = self.network
        network.frames += 1
        fate = 100 * self._draw.random() < network.weather.loss_percent
        fate |= any(from_s <= now_s < until_s for from_s, until_s in self._unreachable)
        network.lost += fate
        return fate

    def half_trip_s(self) -> float:
        return self._draw.uniform(*self.network.weather.round_trip_s) / 2


class _Way:
    """One direction of one connection."""

    def __init__(self, path: _Path) -> None:
        self._path = path
        self._loop = asyncio.get_running_loop()
        self._free_s = 0.0
        self.to: asyncio.Transport | None = None
        self.is_dead = False
        self._early: list[bytes] = []

    def send(self, frame: bytes, more_s: float = 0.0) -> None:
        """Let a frame set out; it arrives after those before it, or nothing ever does again."""
        now_s = self._loop.time()
        if self.is_dead or self._path.is_lost(now_s):
            self.is_dead = True
            return
        due_s = max(self._free_s, now_s + more_s + self._path.half_trip_s())
        self._free_s = ceil(due_s / TICK_S) * TICK_S
        self._loop.call_at(self._free_s, self._arrive, frame)

    def _arrive(self, frame: bytes) -> None:
        if self.to is None:
            self._early.append(frame)
        elif not self.to.is_closing():
            self.to.write(frame)

    def ends_at(self, transport: asyncio.Transport) -> None:
        """Take the far end; what came before it was there follows."""
        self.to = transport
        for frame in self._early:
            transport.write(frame)
        self._early.clear()


class _End(asyncio.Protocol):
    """One end of a connection; what ends, ends on the other side too."""

    def __init__(self, path: _Path) -> None:
        self._path = path
        self._transport: asyncio.Transport | None = None
        self.other: _End | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._path.network._open.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._path.network._open.discard(self._transport)
        if self.other is not None and self.other._transport is not None:
            self.other._transport.abort()


class _Far(_End):
    """The end at the meter."""

    def __init__(self, path: _Path, back: _Way) -> None:
        super().__init__(path)
        self._back = back

    def data_received(self, data: bytes) -> None:
        self._back.send(data)


class _Near(_End):
    """The end at the reader."""

    def __init__(self, path: _Path) -> None:
        super().__init__(path)
        self._there, self._back = _Way(path), _Way(path)
        self._opening_s: float | None = None
        self._reaching: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert self._transport is not None
        self._back.to = self._transport
        now_s = asyncio.get_running_loop().time()
        self._opening_s = self._path.half_trip_s() + self._path.half_trip_s()
        self._there.is_dead = self._path.is_lost(now_s)
        self._there.is_dead |= self._path.is_lost(now_s)
        self._reaching = asyncio.get_running_loop().create_task(self._reach())

    async def _reach(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            transport, far = await loop.create_connection(
                lambda: _Far(self._path, self._back), *self._path.peer
            )
        except OSError:
            if self._transport is not None:
                self._transport.abort()
            return
        self.other, far.other = far, self
        if self._transport is None or self._transport.is_closing():
            transport.abort()
            return
        self._there.ends_at(transport)

    def data_received(self, data: bytes) -> None:
        # Nothing can set out before the connection is there, a round trip later.
        opening_s, self._opening_s = self._opening_s or 0.0, None
        self._there.send(data, opening_s)
