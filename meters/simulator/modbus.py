"""Modbus servers: meters by their profile behind gateways or on a line, SunSpec devices.

An own small server, so that the client is always tried against an independent
peer. Values are taken from the points when they are asked for.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from meters.modbus.profile import load_profile
from meters.simulator.connections import ServedConnection, close_all
from meters.simulator.metering import ProfileUnit
from meters.simulator.points import DevicePoint, MeterPoint
from meters.simulator.rtu import RtuConnection, SerialLine
from meters.simulator.sunspec import SunSpecUnit
from meters.simulator.units import Unit, answer

Wire = Literal["tcp", "rtu", "serial"]

UNITS_PER_GATEWAY = 16

_TARGET_FAILED = 0x0B


class GatewayConnection(ServedConnection):
    """One client of a gateway; `units` by unit id."""

    def __init__(self, units: dict[int, Unit], open_connections: set[asyncio.Transport]) -> None:
        self._units = units
        super().__init__(open_connections)
        self._buffer = bytearray()

    def data_received(self, data: bytes) -> None:
        """Answer each complete request."""
        assert self._transport is not None
        self._buffer += data
        while len(self._buffer) >= 8:
            transaction, protocol, length, unit = struct.unpack_from(">HHHB", self._buffer)
            if protocol or not 2 <= length <= 254:
                self._transport.abort()
                return
            if len(self._buffer) < 6 + length:
                return
            pdu = bytes(self._buffer[7 : 6 + length])
            del self._buffer[: 6 + length]
            try:
                told = answer(self._units, unit, pdu)
            except KeyError:
                told = bytes([pdu[0] | 0x80, _TARGET_FAILED])
            if told is not None:
                self.send(transaction, unit, told)

    def send(self, transaction: int, unit: int, pdu: bytes) -> None:
        """Send an answer."""
        assert self._transport is not None
        self._transport.write(struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit) + pdu)


Connection = Callable[[dict[int, Unit], set[asyncio.Transport]], asyncio.Protocol]
"""Makes the protocol of one client of a gateway, of its units and the open connections."""


class ModbusServers:
    """Serves points on loopback, at most 16 units behind a port the system chose.

    Parameters
    ----------
    wire : {"tcp", "rtu", "serial"}
        Modbus TCP, RTU frames over TCP, or RTU on a pseudo-terminal.
    """

    def __init__(self, wire: Wire = "tcp") -> None:
        self._wire = wire
        self._lines: list[SerialLine] = []
        self._servers: list[asyncio.Server] = []
        self._open: set[asyncio.Transport] = set()

    async def __aenter__(self) -> ModbusServers:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(
        self,
        meters: Sequence[MeterPoint] = (),
        devices: Sequence[DevicePoint] = (),
        *,
        host: str = "127.0.0.1",
        profile: str = "sdm630",
        connections: Mapping[str, Connection] | None = None,
    ) -> dict[str, str]:
        """Serve the points; return the url of each by meter or asset id.

        Meters and devices do not share a gateway. Meters are of the make `profile`;
        each that `connections` names stands alone behind a gateway of that kind.
        """
        urls: dict[str, str] = {}
        make = load_profile(profile)
        apart = connections or {}
        for point in meters:
            if point.meter in apart:
                unit = ProfileUnit(point, make)
                kind = apart[point.meter]
                urls.update(await self.serve({point.meter: unit}, host=host, connection=kind))
        named_meters: list[tuple[str, Unit]] = [
            (point.meter, ProfileUnit(point, make)) for point in meters if point.meter not in apart
        ]
        named_devices: list[tuple[str, Unit]] = [
            (point.asset, SunSpecUnit(point)) for point in devices
        ]
        for named in (named_meters, named_devices):
            for first in range(0, len(named), UNITS_PER_GATEWAY):
                some = dict(named[first : first + UNITS_PER_GATEWAY])
                urls.update(await self.serve(some, host=host))
        return urls

    async def stop(self) -> None:
        """Close every port and connection."""
        await close_all(self._servers, self._open)
        for line in self._lines:
            line.close()
        self._lines.clear()

    async def serve(
        self,
        named: Mapping[str, Unit],
        *,
        host: str = "127.0.0.1",
        connection: Connection | None = None,
    ) -> dict[str, str]:
        """Serve units of any kind behind one gateway; return the url of each by name.

        Parameters
        ----------
        connection : callable, optional
            Makes a protocol of a client of the gateway, as those of
            :mod:`meters.simulator.hostile`.
        """
        units = dict(enumerate(named.values(), start=1))
        if self._wire == "serial":
            line = SerialLine(units)
            self._lines.append(line)
            start = f"modbus+serial://{line.device}"
        else:
            usual: Connection = GatewayConnection if self._wire == "tcp" else RtuConnection
            make = connection or usual
            server = await asyncio.get_running_loop().create_server(
                lambda: make(units, self._open), host, 0
            )
            self._servers.append(server)
            scheme = "modbus" if self._wire == "tcp" else "modbus-rtu"
            start = f"{scheme}://{host}:{server.sockets[0].getsockname()[1]}"
        return {name: f"{start}/{number}" for number, name in enumerate(named, start=1)}
