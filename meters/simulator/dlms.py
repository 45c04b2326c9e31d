"""DLMS/COSEM servers: one meter behind each TCP port, as meters differ in the field.

By its identifier a meter counts in Wh or in tenths of Wh, keeps UTC or UTC+4,
and writes each time of its load profile or leaves out those that follow from
the capture period. Values are taken from the points when they are asked for.
"""

from __future__ import annotations

import asyncio
import hmac
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from zlib import crc32

from meters import obis
from meters.dlms import acse, cosem, data, xdlms
from meters.dlms.errors import DlmsError
from meters.dlms.server import ReleaseRequested, Request, ServerConnection
from meters.reading import RegisterRow
from meters.simulator.points import MeterPoint

WPORT = 1
CAPTURE_PERIOD_S = 900
_AUTHENTICATION_FAILURE, _AUTHENTICATION_REQUIRED, _NOT_RECOGNISED = 13, 14, 11
_UINT32, _UINT64 = struct.Struct(">BI"), struct.Struct(">BQ")
_UNITS = (cosem.UNIT_WH, cosem.UNIT_WH, cosem.UNIT_VARH, cosem.UNIT_VARH)

Key = tuple[int, bytes, int]
"""Class, logical name and attribute."""


def _scaler_unit(scaler: int, unit: int) -> bytes:
    return data.structure(
        [data.encode(data.Tag.INT8, scaler), data.encode(data.Tag.ENUM, unit)],
    )


def _capture_object(class_id: int, code: bytes) -> bytes:
    return data.structure(
        [
            data.encode(data.Tag.UINT16, class_id),
            data.encode(data.Tag.OCTET_STRING, code),
            data.encode(data.Tag.INT8, 2),
            data.encode(data.Tag.UINT16, 0),
        ]
    )


class DlmsMeter:
    """The COSEM objects of one point.

    Parameters
    ----------
    point : MeterPoint
    secret : bytes
        Password of LLS; empty for a meter that lets everybody in.
    """

    def __init__(self, point: MeterPoint, secret: bytes = b"") -> None:
        self.point = point
        self.secret = secret
        kind = crc32(point.meter.encode())
        self.scaler = -(kind & 1)
        self.deviation_minutes = -240 * (kind >> 1 & 1)
        self.compressed = bool(kind >> 2 & 1)
        columns = [_capture_object(cosem.CLOCK, obis.CLOCK)]
        columns += [_capture_object(cosem.REGISTER, code) for code in obis.ENERGY]
        self._fixed: dict[Key, bytes] = {
            (cosem.DATA, obis.DEVICE_NAME, 2): data.encode(
                data.Tag.OCTET_STRING, b"KHZ%013d" % kind
            ),
            (cosem.REGISTER, obis.VOLTAGE_L1, 3): _scaler_unit(-1, cosem.UNIT_VOLT),
            (cosem.PROFILE_GENERIC, obis.LOAD_PROFILE, 3): data.array(columns),
            (cosem.PROFILE_GENERIC, obis.LOAD_PROFILE, 4): data.encode(
                data.Tag.UINT32, CAPTURE_PERIOD_S
            ),
        }
        self._changing: dict[Key, Callable[[], bytes]] = {
            (cosem.CLOCK, obis.CLOCK, 2): self._clock,
            (cosem.REGISTER, obis.VOLTAGE_L1, 2): self._voltage,
            (cosem.PROFILE_GENERIC, obis.LOAD_PROFILE, 7): self._entries,
        }
        self._register_of: dict[Key, int] = {}
        for place, (code, unit) in enumerate(zip(obis.ENERGY, _UNITS, strict=True)):
            self._fixed[cosem.REGISTER, code, 3] = _scaler_unit(self.scaler, unit)
            self._register_of[cosem.REGISTER, code, 2] = place

    def get(self, request: xdlms.GetRequest) -> bytes | int:
        """Return an encoded value, or the data-access-result that refuses."""
        attribute = request.attribute
        key = attribute.class_id, attribute.obis, attribute.index
        if (place := self._register_of.get(key)) is not None:
            return self._energy(self.point.registers[place])
        if key in self._fixed:
            return self._fixed[key]
        if key in self._changing:
            return self._changing[key]()
        if key == (cosem.PROFILE_GENERIC, obis.LOAD_PROFILE, 2):
            return self._rows(request.selection)
        return xdlms.OBJECT_UNDEFINED

    def _energy(self, energy: int) -> bytes:
        if energy < 0:
            return b"\x00"
        value = energy if self.scaler == 0 else energy * 10
        if value < 1 << 32:
            return _UINT32.pack(data.Tag.UINT32, value)
        return _UINT64.pack(data.Tag.UINT64, value)

    def _clock(self) -> bytes:
        return b"\x09\x0c" + cosem.encode_date_time(self.point.clock_s, self.deviation_minutes)

    def _voltage(self) -> bytes:
        return data.encode(data.Tag.UINT16, min(max(round(self.point.voltage_v * 10), 0), 0xFFFF))

    def _entries(self) -> bytes:
        return data.encode(data.Tag.UINT32, len(self.point.rows))

    def _rows(self, selection: tuple[int, data.Value] | None) -> bytes | int:
        rows: Sequence[RegisterRow] = self.point.rows
        if selection is not None:
            selector, parameters = selection
            if selector != 1 or not isinstance(parameters, tuple) or len(parameters) != 4:
                return xdlms.OTHER_REASON
            first_s = cosem.decode_date_time(parameters[1]).at_s
            last_s = cosem.decode_date_time(parameters[2]).at_s
            begin = bisect_left(rows, first_s, key=_at_s)
            rows = rows[begin : bisect_right(rows, last_s, key=_at_s)]
        encoded = []
        before_s: int | None = None
        for row in rows:
            follows = before_s is not None and row.at_s == before_s + CAPTURE_PERIOD_S
            encoded.append(self._row(row, leave_out=follows and self.compressed))
            before_s = row.at_s
        return data.array(encoded)

    def _row(self, row: RegisterRow, *, leave_out: bool) -> bytes:
        time = b"\x00"
        if not leave_out:
            time = b"\x09\x0c" + cosem.encode_date_time(row.at_s, self.deviation_minutes)
        return b"\x02\x05" + time + b"".join(map(self._energy, row.values))


def _at_s(row: RegisterRow) -> int:
    return row.at_s


class DlmsConnection(asyncio.Protocol):
    """One client of a meter."""

    def __init__(self, meter: DlmsMeter, open_connections: set[asyncio.Transport]) -> None:
        self._meter = meter
        self._open = open_connections
        self._connection = ServerConnection()
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
        """Answer each complete request; a request that is none ends the connection."""
        assert self._transport is not None
        if self._meter.point.silent:
            return
        self._connection.receive_data(data)
        try:
            while (request := self._connection.next_request()) is not None:
                self._transport.write(self._answer(request))
        except DlmsError:
            self._transport.abort()

    def _answer(self, request: Request) -> bytes:
        connection = self._connection
        if isinstance(request, acse.AssociationRequest):
            return self._associate(request)
        if isinstance(request, ReleaseRequested):
            return connection.release()
        if not connection.associated:
            return connection.not_associated()
        if isinstance(request, xdlms.GetNext):
            return connection.answer_next(request)
        value = self._meter.get(request)
        if isinstance(value, int):
            return connection.deny(request.invoke_id, value)
        return connection.answer(request.invoke_id, value)

    def _associate(self, request: acse.AssociationRequest) -> bytes:
        secret = self._meter.secret
        if not secret:
            if request.mechanism == acse.Mechanism.NONE:
                return self._connection.accept()
            return self._connection.refuse(_NOT_RECOGNISED)
        if request.mechanism == acse.Mechanism.NONE:
            return self._connection.refuse(_AUTHENTICATION_REQUIRED)
        if request.mechanism != acse.Mechanism.LLS:
            return self._connection.refuse(_NOT_RECOGNISED)
        if not hmac.compare_digest(request.secret, secret):
            return self._connection.refuse(_AUTHENTICATION_FAILURE)
        return self._connection.accept()


class DlmsServers:
    """Serves meter points, each on a TCP port that the system chose."""

    def __init__(self) -> None:
        self._servers: list[asyncio.Server] = []
        self._open: set[asyncio.Transport] = set()

    async def start(
        self,
        points: Sequence[MeterPoint],
        *,
        secrets: Mapping[str, bytes] | None = None,
        host: str = "127.0.0.1",
    ) -> dict[str, str]:
        """Serve the points; return the url of each by meter.

        Parameters
        ----------
        points : sequence of MeterPoint
        secrets : mapping of str to bytes, optional
            LLS password by meter; a meter without one asks for none.
        host : str
        """
        loop = asyncio.get_running_loop()
        urls: dict[str, str] = {}
        for point in points:
            meter = DlmsMeter(point, (secrets or {}).get(point.meter, b""))
            server = await loop.create_server(self._accept(meter), host, 0)
            self._servers.append(server)
            port = server.sockets[0].getsockname()[1]
            urls[point.meter] = f"dlms://{host}:{port}/{WPORT}"
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

    def _accept(self, meter: DlmsMeter) -> Callable[[], DlmsConnection]:
        return lambda: DlmsConnection(meter, self._open)
