"""mbpoll, a Modbus client that shares no code with this project, reads our simulator."""

import asyncio
import re
import shutil
import subprocess
from urllib.parse import urlsplit

import pytest

from meters.device import Setpoint
from meters.simulator.modbus import ModbusServers
from meters.simulator.points import DevicePoint, MeterPoint

pytestmark = pytest.mark.skipif(not shutil.which("mbpoll"), reason="mbpoll is not installed")

POINTS = [MeterPoint(f"m{n}", 0, [1500 * n, 250, 16_000_000, 0], 230.5) for n in (1, 2)]


async def polled(url, *arguments, value=()):
    """Return what mbpoll prints about the unit at a url."""
    parts = urlsplit(url)
    if parts.scheme == "modbus":
        host, way = parts.hostname, ["-m", "tcp", "-p", str(parts.port)]
        unit = parts.path.removeprefix("/")
    else:
        host, _, unit = parts.path.rpartition("/")
        way = ["-m", "rtu", "-b", "9600", "-P", "none"]
    poll = await asyncio.create_subprocess_exec(
        *("mbpoll", *way, "-0", "-1", "-q", "-a", unit, *arguments, host, *value),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(poll.communicate(), 10)
    return output.decode()


def served(act, *, wire="tcp", **points):
    async def run():
        async with ModbusServers(wire) as servers:
            return await act(await servers.start(**points))

    return asyncio.run(run())


def values(output):
    return {int(at): float(told) for at, told in re.findall(r"\[(\d+)\]:\s+([-0-9.]+)", output)}


@pytest.mark.parametrize("wire", ["tcp", "serial"])
def test_an_independent_client_reads_the_same_energies(wire):
    async def read(urls):
        return await polled(urls["m2"], "-B", *("-t", "3:float", "-r", "72", "-c", "4"))

    output = served(read, wire=wire, meters=POINTS)
    assert values(output) == {72: 3.0, 74: 0.25, 76: 16_000.0, 78: 0.0}


@pytest.mark.parametrize(
    ("profile", "arguments", "told"),
    [
        ("iem3000", ["-t", "4:hex", "-r", "3203", "-c", "4"], ["0x0000", "0x0000", "0x0000"]),
        ("em340", ["-t", "3:int", "-r", "52", "-c", "1"], ["30"]),
        ("abb-b23", ["-t", "4:hex", "-r", "20480", "-c", "4"], ["0x012C"]),
    ],
)
def test_an_independent_client_reads_each_type_of_register(profile, arguments, told):
    async def read(urls):
        return await polled(urls["m2"], *arguments)

    output = served(read, meters=POINTS, profile=profile)
    for word in told:
        assert word in output


def test_an_independent_client_reads_the_sunspec_marker_and_writes_nothing_to_facts():
    device = DevicePoint(
        *("a", "limit", 30_000, 0, 0, 0, 0, 0, None, True, 0),
        setpoint=Setpoint("a", "limit", limit_w=30_000),
    )

    async def both(urls):
        hexes = ("-t", "4:hex", "-r")
        read = await polled(urls["a"], *hexes, "40000", "-c", "4")
        return read, await polled(urls["a"], *hexes, "40072", value=["7"])

    read, refused = served(both, devices=[device])
    for word in ("0x5375", "0x6E53", "0x0001", "0x0042"):
        assert word in read
    assert "Illegal data address" in refused
