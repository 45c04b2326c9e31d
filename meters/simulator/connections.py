"""One client of a simulated peer: a connection that the server can close."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable


class ServedConnection(asyncio.Protocol):
    """Keeps its transport among the open ones for as long as it lasts."""

    def __init__(self, open_connections: set[asyncio.Transport]) -> None:
        self._open = open_connections
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection, so that the server can close it."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._open.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if self._transport is not None:
            self._open.discard(self._transport)


async def close_all(
    servers: list[asyncio.Server], open_connections: Iterable[asyncio.Transport]
) -> None:
    """Close every port and connection, and forget the ports."""
    for server in servers:
        server.close()
    for transport in list(open_connections):
        transport.abort()
    for server in servers:
        await server.wait_closed()
    servers.clear()
