"""Where a meter answers, and the bytes to and from it: TCP or a serial line.

A URL is ``SCHEME://HOST:PORT/STATION`` or, on a serial line,
``SCHEME+serial:///dev/NAME/STATION?baud=9600&parity=N&stop_bits=1``. The scheme says the
protocol, the station who is asked: a Modbus unit, a DLMS logical device.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from grid.errors import BadInputError

BAUD_RATES = (300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)

_HOST = re.compile(r"[A-Za-z0-9._:-]{1,253}", re.ASCII)
_DEVICE = re.compile(r"/dev/[A-Za-z0-9._/-]{1,100}", re.ASCII)
_STATION = re.compile(r"[0-9]{1,5}", re.ASCII)
_SERIAL = {"baud": "9600", "parity": "N", "stop_bits": "1"}


@dataclass(frozen=True, slots=True, order=True)
class Tcp:
    """A TCP endpoint."""

    host: str
    port: int


@dataclass(frozen=True, slots=True, order=True)
class Serial:
    """A serial line with eight data bits; parity is ``N``, ``E`` or ``O``."""

    device: str
    baud: int = 9600
    parity: str = "N"
    stop_bits: int = 1


Endpoint = Tcp | Serial
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True)
class Station:
    """Who is asked: a protocol, an endpoint, and the number of a station behind it."""

    scheme: str
    endpoint: Endpoint
    number: int


def parse_url(url: str) -> Station:
    """Return the parts of a meter's URL.

    Raises
    ------
    BadInputError
        When it has another form, without showing more of it than its scheme.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        (host or "").encode("idna")  # a label too long for the resolver
        options = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
    except ValueError as error:
        raise BadInputError(_form("?")) from error
    scheme, plus, line = parts.scheme.partition("+")
    path, _, station = parts.path.rpartition("/")
    if parts.fragment or parts.username or parts.password or not _STATION.fullmatch(station):
        raise BadInputError(_form(scheme))
    if plus:
        if line != "serial" or host or not _DEVICE.fullmatch(path) or ".." in path:
            raise BadInputError(_form(scheme))
        return Station(scheme, _serial(path, options), int(station))
    if path or options or not port or not host or not _HOST.fullmatch(host):
        raise BadInputError(_form(scheme))
    return Station(scheme, Tcp(host, port), int(station))


def _form(scheme: str) -> str:
    return (
        f"url must be {scheme}://HOST:PORT/STATION or "
        f"{scheme}+serial:///dev/NAME/STATION?baud=9600&parity=N"
    )


def _serial(device: str, options: dict[str, str]) -> Serial:
    if strange := sorted(set(options) - set(_SERIAL)):
        raise BadInputError(f"serial line: unknown option {strange[0]!r}")
    said = _SERIAL | options
    if said["baud"] not in map(str, BAUD_RATES):
        raise BadInputError(
            f"serial line: baud is {said['baud'][:20]!r}, must be one of {BAUD_RATES}"
        )
    if said["parity"] not in ("N", "E", "O"):
        raise BadInputError(f"serial line: parity is {said['parity']!r}, must be N, E or O")
    if said["stop_bits"] not in ("1", "2"):
        raise BadInputError(f"serial line: stop_bits is {said['stop_bits']!r}, must be 1 or 2")
    return Serial(device, int(said["baud"]), said["parity"], int(said["stop_bits"]))


def name_of(endpoint: Endpoint) -> str:
    """Return an endpoint as people call it: a host with its port, or a serial line."""
    if isinstance(endpoint, Tcp):
        return f"{endpoint.host}:{endpoint.port}"
    return endpoint.device


async def connect(endpoint: Endpoint) -> Streams:
    """Return the streams of an endpoint; OSError when it cannot be reached."""
    if isinstance(endpoint, Tcp):
        return await asyncio.open_connection(endpoint.host, endpoint.port)
    from serial_asyncio_fast import open_serial_connection

    reader, writer = await open_serial_connection(
        url=endpoint.device,
        baudrate=endpoint.baud,
        parity=endpoint.parity,
        stopbits=endpoint.stop_bits,
        exclusive=True,
    )
    return reader, writer


async def attach(endpoint: Endpoint, protocol: asyncio.Protocol) -> asyncio.Transport:
    """Return the transport that carries an endpoint's bytes to and from `protocol`.

    OSError when the endpoint cannot be reached.
    """
    loop = asyncio.get_running_loop()
    transport: asyncio.BaseTransport
    if isinstance(endpoint, Tcp):
        try:
            made = await loop.create_connection(lambda: protocol, endpoint.host, endpoint.port)
        except UnicodeError as error:
            raise OSError(f"{endpoint.host!r} is not a host name") from error
        transport = made[0]
    else:
        from serial_asyncio_fast import create_serial_connection

        transport, _ = await create_serial_connection(
            loop,
            lambda: protocol,
            endpoint.device,
            baudrate=endpoint.baud,
            parity=endpoint.parity,
            stopbits=endpoint.stop_bits,
            exclusive=True,
        )
    assert isinstance(transport, asyncio.Transport)
    return transport
