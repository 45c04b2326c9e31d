"""Our Modbus client against a server that is neither ours nor pymodbus: modbus-serial on Node."""

import asyncio
import json
import shutil
import subprocess
from pathlib import Path

import platformdirs
import pytest

from meters.modbus.client import Client
from meters.modbus.errors import ModbusError, RefusedError, SilentError
from meters.reader import read_meters
from meters.reading import MeterAddress
from meters.transport import Tcp

PEER = Path(__file__).parent / "modbus_peer"
AT_S = 1_774_746_000


@pytest.fixture(scope="module")
def ports():
    """The ports of the foreign server, by the fault of its answers; ``right`` has none."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("node and npm are not installed")
    home = Path(platformdirs.user_cache_dir("khazri-tests")) / "modbus-peer"
    home.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "server.js"):
        shutil.copyfile(PEER / name, home / name)
    if not (home / "node_modules" / "modbus-serial").is_dir():
        # The serial port of the package is optional, and not needed.
        command = [npm, "install", "--omit=optional", "--no-audit", "--no-fund", "--silent"]
        done = subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=120)
        if done.returncode:
            pytest.skip(f"modbus-serial could not be installed: {done.stderr.strip()[-200:]}")
    peer = subprocess.Popen(
        [node, "server.js"], cwd=home, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield json.loads(peer.stdout.readline())
    finally:
        peer.stdin.close()
        peer.wait(10)
        peer.stdout.close()


def ask(port, act, unit=7):
    async def run():
        async with Client(Tcp("127.0.0.1", port), request_s=0.5) as client:
            return await act(client, unit)

    return asyncio.run(run())


def test_registers_of_a_foreign_server_are_read_as_it_holds_them(ports):
    async def read(client, unit):
        short = await client.read(unit, 4, 100, 3)
        return short, await client.read(unit, 4, 1000, 125)

    short, long = ask(ports["right"], read)
    assert short == (307, 310, 313)
    assert long == tuple(3 * address + 7 for address in range(1000, 1125))


def test_a_meter_behind_a_foreign_server_is_read_to_the_watt_hour(ports):
    address = MeterAddress("m", f"modbus://127.0.0.1:{ports['right']}/7", "sdm630")
    (meter,), _ = asyncio.run(read_meters([address], at_s=AT_S, timeout_s=4.0))
    assert meter.now.values[:2] == (12_345_500, 0)


def test_registers_written_to_a_foreign_server_are_read_back(ports):
    async def write(client, unit):
        await client.write(unit, 40, (1, 2, 0xFFFF))
        return await client.read(unit, 3, 40, 3)

    assert ask(ports["right"], write) == (1, 2, 0xFFFF)


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        ("unit", ModbusError, "as unit 6 instead of 7"),
        ("transaction", ModbusError, "another transaction id"),
        ("function", ModbusError, "function 5 instead of 4"),
        ("count", ModbusError, "bytes of registers instead of 20"),
        ("protocol", ModbusError, "no Modbus frame"),
        ("shorter", ModbusError, "18 bytes of registers instead of 20"),
        ("truncated", SilentError, "no complete answer"),
    ],
)
def test_wrong_answers_of_a_foreign_server_are_refused(ports, fault, error, message):
    with pytest.raises(error, match=message) as caught:
        ask(ports[fault], lambda client, unit: client.read(unit, 4, 100, 10))
    assert type(caught.value) is error


def test_a_unit_that_the_foreign_server_does_not_have_is_silent(ports):
    with pytest.raises((SilentError, RefusedError)):
        ask(ports["right"], lambda client, unit: client.read(unit, 4, 100, 1), unit=9)
