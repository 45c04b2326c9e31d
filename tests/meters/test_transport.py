"""Meters' URLs, and bytes over a TCP socket and over a serial line (a pseudo-terminal)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import tty

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.errors import BadInputError
from meters.transport import Serial, Station, Tcp, connect, parse_url

GOOD = {
    "modbus://10.0.0.7:502/17": Station("modbus", Tcp("10.0.0.7", 502), 17),
    "dlms://[::1]:4059/1": Station("dlms", Tcp("::1", 4059), 1),
    "hdlc+serial:///dev/ttyUSB0/16?baud=300&parity=E": Station(
        "hdlc", Serial("/dev/ttyUSB0", 300, "E"), 16
    ),
    "modbus+serial:///dev/serial/by-id/x-1/3?stop_bits=2": Station(
        "modbus", Serial("/dev/serial/by-id/x-1", 9600, "N", 2), 3
    ),
}
BAD = (
    "",
    "modbus://host/1",
    "modbus://host:502",
    "modbus://host:502/x",
    "modbus://host:502/1?baud=9600",
    "modbus://host:99999/1",
    "modbus://user:secret@host:502/1",
    "modbus+serial://host/dev/ttyS0/1",
    "modbus+serial:///etc/passwd/1",
    "modbus+serial:///dev/../etc/passwd/1",
    "modbus+serial:///dev/ttyS0/1?baud=9601",
    "modbus+serial:///dev/ttyS0/1?parity=X",
    "modbus+serial:///dev/ttyS0/1?colour=red",
    "modbus+udp://host:502/1",
)


@pytest.mark.parametrize("url", GOOD)
def test_a_url_says_protocol_endpoint_and_station(url: str) -> None:
    assert parse_url(url) == GOOD[url]


@pytest.mark.parametrize("url", BAD)
def test_another_form_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(BadInputError) as refused:
        parse_url(url)
    assert "secret" not in str(refused.value)


@given(st.text(max_size=60))
def test_no_text_does_anything_else(text: str) -> None:
    with contextlib.suppress(BadInputError):
        parse_url(text)


async def _echo(endpoint: Tcp | Serial, answer: bytes) -> bytes:
    async with asyncio.timeout(5):
        reader, writer = await connect(endpoint)
        try:
            writer.write(b"ask")
            return await reader.readexactly(len(answer))
        finally:
            writer.close()


def test_bytes_go_over_tcp() -> None:
    async def serve() -> bytes:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            assert await reader.readexactly(3) == b"ask"
            writer.write(b"told")
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            return await _echo(Tcp(*server.sockets[0].getsockname()[:2]), b"told")

    assert asyncio.run(serve()) == b"told"


def test_bytes_go_over_a_serial_line() -> None:
    ours, theirs = pty.openpty()
    tty.setraw(ours)
    tty.setraw(theirs)

    async def serve() -> bytes:
        asked = asyncio.get_running_loop().run_in_executor(None, os.read, ours, 3)
        told = asyncio.create_task(_echo(Serial(os.ttyname(theirs)), b"told"))
        assert await asked == b"ask"
        os.write(ours, b"told")
        return await told

    try:
        assert asyncio.run(serve()) == b"told"
    finally:
        os.close(ours)
        os.close(theirs)


def test_an_endpoint_that_is_not_there_is_an_os_error() -> None:
    with pytest.raises(OSError, match=r".*"):
        asyncio.run(_echo(Serial("/dev/khazri-no-such-line"), b"told"))
