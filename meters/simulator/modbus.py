"""Modbus TCP servers: SDM630 meters behind gateways, SunSpec devices.

An own small server, so that the client is always tried against an independent
peer. Values are taken from the points when they are asked for.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from typing import Protocol

from meters.simulator.points import DevicePoint, MeterPoint
from meters.simulator.sunspec import SunSpecUnit

UNITS_PER_GATEWAY = 16

_ILLEGAL_FUNCTION, _ILLEGAL_ADDRESS, _ILLEGAL_VALUE = 1, 2, 3
_TARGET_FAILED = 0x0B


class RefuseError(Exception):
    """The server answers with an exception code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Unit(Protocol):
    """What answers behind a unit id."""

    @property
    def silent(self) -> bool:
        """Whether the unit leaves requests unanswered."""
        ...

    def read(self, function: int, address: int, count: int) -> bytes | None:
        """Return 2 × count bytes, or None when an address is illegal."""
        ...

    def write(self, address: int, words: Sequence[int]) -> bool:
        """Take registers; False when an address or value is illegal."""
        ...


class Sdm630Unit:
    """A meter point as an Eastron SDM630: input registers, float32, kWh."""

    _SIZE = 0x60

    def __init__(self, point: MeterPoint) -> None:
        self._point = point

    @property
    def silent(self) -> bool:
        """Whether the meter leaves requests unanswered."""
        return self._point.silent

    def read(self, function: int, address: int, count: int) -> bytes | None:
        """Return input registers of the first 0x60."""
        if function != 4 or address + count > self._SIZE or address % 2 or count % 2:
            return None
        image = bytearray(2 * self._SIZE)
        voltage_v = self._point.voltage_v
        struct.pack_into(">3f", image, 0, voltage_v, voltage_v, voltage_v)
        struct.pack_into(">f", image, 2 * 0x46, 50.0)
        kilo = [register / 1000 for register in self._point.registers]
        struct.pack_into(">4f", image, 2 * 0x48, *kilo)
        return bytes(image[2 * address : 2 * (address + count)])

    def write(self, address: int, words: Sequence[int]) -> bool:
        """Refuse: nothing of a meter is set over the wire."""
        return False


class GatewayConnection(asyncio.Protocol):
    """One client of a gateway; `units` by unit id."""

    def __init__(self, units: dict[int, Unit], open_connections: set[asyncio.Transport]) -> None:
        self._units = units
        self._open = open_connections
        self._buffer = bytearray()
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
            answer = self._answer(unit, pdu)
            if answer is not None:
                header = struct.pack(">HHHB", transaction, 0, len(answer) + 1, unit)
                self._transport.write(header + answer)

    def _answer(self, unit_id: int, pdu: bytes) -> bytes | None:
        unit = self._units.get(unit_id)
        if unit is not None and unit.silent:
            return None
        try:
            if unit is None:
                raise RefuseError(_TARGET_FAILED)
            return _execute(unit, pdu)
        except RefuseError as error:
            return bytes([pdu[0] | 0x80, error.code])


def _execute(unit: Unit, pdu: bytes) -> bytes:
    function = pdu[0]
    if function in (3, 4):
        if len(pdu) != 5:
            raise RefuseError(_ILLEGAL_VALUE)
        address, count = struct.unpack(">HH", pdu[1:])
        if not 1 <= count <= 125:
            raise RefuseError(_ILLEGAL_VALUE)
        content = unit.read(function, address, count)
        if content is None:
            raise RefuseError(_ILLEGAL_ADDRESS)
        return bytes([function, len(content)]) + content
    if function == 6:
        if len(pdu) != 5:
            raise RefuseError(_ILLEGAL_VALUE)
        address, word = struct.unpack(">HH", pdu[1:])
        if not unit.write(address, (word,)):
            raise RefuseError(_ILLEGAL_ADDRESS)
        return pdu
    if function == 16:
        if len(pdu) < 8 or len(pdu) != 6 + pdu[5] or pdu[5] % 2:
            raise RefuseError(_ILLEGAL_VALUE)
        address, count = struct.unpack(">HH", pdu[1:5])
        if pdu[5] != 2 * count or not unit.write(address, struct.unpack(f">{count}H", pdu[6:])):
            raise RefuseError(_ILLEGAL_ADDRESS)
        return pdu[:5]
    raise RefuseError(_ILLEGAL_FUNCTION)


class ModbusServers:
    """Serves points on loopback, at most 16 units behind a port the system chose."""

    def __init__(self) -> None:
        self._servers: list[asyncio.Server] = []
        self._open: set[asyncio.Transport] = set()

    async def start(
        self,
        meters: Sequence[MeterPoint] = (),
        devices: Sequence[DevicePoint] = (),
        *,
        host: str = "127.0.0.1",
    ) -> dict[str, str]:
        """Serve the points; return the url of each by meter or asset id.

        Meters and devices do not share a gateway.
        """
        urls: dict[str, str] = {}
        named_meters = [(point.meter, Sdm630Unit(point)) for point in meters]
        named_devices = [(point.asset, SunSpecUnit(point)) for point in devices]
        for named in (named_meters, named_devices):
            for first in range(0, len(named), UNITS_PER_GATEWAY):
                urls.update(await self._serve(named[first : first + UNITS_PER_GATEWAY], host))
        return urls

    async def stop(self) -> None:
        """Close every port and connection."""
        for server in self._servers:
            server.close()
        for transport in list(self._open):
            transport.abort()
        for server in self._servers:
            await server.wait_closed()
        self._servers.clear()

    async def _serve(self, named: Sequence[tuple[str, Unit]], host: str) -> dict[str, str]:
        units = {number: unit for number, (_, unit) in enumerate(named, start=1)}
        server = await asyncio.get_running_loop().create_server(
            lambda: GatewayConnection(units, self._open), host, 0
        )
        self._servers.append(server)
        port = server.sockets[0].getsockname()[1]
        return {
            name: f"modbus://{host}:{port}/{number}"
            for number, (name, _) in enumerate(named, start=1)
        }
