"""The Gurux client against our simulated meter: a foreign peer reads the same as ours does."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from meters import obis
from meters.dlms import cosem
from meters.dlms.association import Association
from meters.dlms.civil_time import encode_date_time
from meters.dlms.client import open_association, parse_url
from meters.dlms.counters import MemoryCounterStore
from meters.dlms.hdlc import Parameters
from meters.dlms.selection import encode_entries, encode_range
from meters.dlms.xdlms import Attribute
from meters.reading import Ciphering, MeterAddress, RegisterRow
from meters.simulator.dlms import DlmsServers, MeterSetup
from meters.simulator.points import MeterPoint
from meters.transport import Tcp

from .peers import environment, python_of

T = 1_782_000_000
PASSWORD = "s3cret!!"
EK, AK = bytes(range(16)), bytes(range(0xD0, 0xE0))
METER = Ciphering(b"KHZ\x00\x00\x00\x00\x99", EK, AK)
OURS, THEIRS = b"KHZ\x00\x00\x00\x00\x01", b"GRX\x00\x00\x00\x00\x01"
SCRIPT = Path(__file__).with_name("gurux_client.py")
BUFFER = Attribute(cosem.PROFILE_GENERIC, obis.LOAD_PROFILE, 2)
SINCE_S, UNTIL_S = T - 40 * 900, T - 900
COLUMNS = (0, 2)
ENTRIES = (5, 30)


def point(meter: str) -> MeterPoint:
    rows = [
        RegisterRow(T - 900 * back, (5_000_000 - 100 * back, 400_000 + back, 30_000, 2_000))
        for back in range(96, -1, -1)
    ]
    return MeterPoint(meter, T, [5_000_050, 400_000, 30_000, 2_000], 231.4, rows)


def setup_of(auth: str, link: str) -> MeterSetup:
    return MeterSetup(
        PASSWORD.encode() if auth == "lls" else b"",
        METER if auth == "hls-gmac" else None,
        link,
        256,
        Parameters(128, 128, 1, 1),
    )


async def gurux(port: int, auth: str, link: str) -> dict[str, Any]:
    task = {
        "port": port,
        "auth": auth,
        "link": link,
        "client": 16 if auth == "none" else 1,
        "password": PASSWORD if auth == "lls" else "",
        "max_pdu": 256,
        "title": THEIRS.hex(),
        "encryption_key": EK.hex(),
        "authentication_key": AK.hex(),
        "counter": 1,
        "since_s": SINCE_S,
        "until_s": UNTIL_S,
        "columns": COLUMNS,
        "entries": ENTRIES,
    }
    process = await asyncio.create_subprocess_exec(
        str(python_of("gurux")),
        str(SCRIPT),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(),
    )
    told, failed = await process.communicate(json.dumps(task).encode())
    assert process.returncode == 0, failed.decode()[-2000:]
    said: dict[str, Any] = json.loads(told)
    return said


def plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value


async def ours(meter: Association) -> dict[str, Any]:
    deviation = (await meter.clock()).deviation_minutes
    times = [encode_date_time(at_s, deviation) for at_s in (SINCE_S, UNTIL_S)]
    every = [Attribute(cosem.CLOCK, obis.CLOCK, 2)]
    every += [Attribute(cosem.REGISTER, code, 2) for code in obis.ENERGY]
    some = [every[place] for place in COLUMNS]
    first, count = ENTRIES
    objects = [
        [entry.class_id, ".".join(map(str, entry.obis))] for entry in await meter.object_list()
    ]
    by_range = await meter.get(BUFFER, encode_range(*times, obis.CLOCK))
    by_column = await meter.get(BUFFER, encode_range(*times, obis.CLOCK, some))
    by_entry = await meter.get(BUFFER, encode_entries(first, first + count - 1))
    return {
        "objects": sorted(objects),
        "range": plain(by_range),
        "columns": plain(by_column),
        "entries": plain(by_entry),
        "output": [True, False, True],
    }


@pytest.mark.parametrize("link", ["wrapper", "hdlc"])
@pytest.mark.parametrize("auth", ["none", "lls", "hls-gmac"])
def test_gurux_reads_what_we_read(auth: str, link: str) -> None:
    python_of("gurux")

    async def run() -> tuple[dict[str, Any], dict[str, Any], list[int]]:
        servers = DlmsServers()
        name = "M-1"
        urls = await servers.start([point(name)], setups={name: setup_of(auth, link)})
        endpoint = parse_url(urls[name]).endpoint
        assert isinstance(endpoint, Tcp)
        theirs = await gurux(endpoint.port, auth, link)
        events = [code for _, code in servers.meters[name].objects.events]
        address = MeterAddress(name, urls[name], "cosem", auth, PASSWORD.encode())
        if auth == "hls-gmac":
            address = replace(address, ciphering=Ciphering(OURS, EK, AK))
        async with open_association(
            address, timeout_s=10.0, counters=MemoryCounterStore()
        ) as meter:
            expected = await ours(meter)
        await servers.stop()
        return theirs, expected, events

    theirs, expected, events = asyncio.run(run())
    longest = theirs.pop("longest_frame")
    assert theirs == expected
    assert len(theirs["range"]) == 40
    assert [len(row) for row in theirs["columns"]] == [2] * 40
    assert len(theirs["entries"]) == 30
    assert events == [1, 2]
    assert 100 < longest <= 256 + 8
