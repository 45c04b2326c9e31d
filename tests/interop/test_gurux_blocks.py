"""The Gurux client sends our meter long values: SET and ACTION in blocks, SET in general blocks."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from meters.dlms import data
from meters.simulator.dlms import DlmsServers, MeterSetup
from meters.simulator.points import MeterPoint
from tests.meters.dlms.memory_meter import CELLS, EK, METER, NARROW, Memory, T

from .peers import environment, python_of

SCRIPT = Path(__file__).with_name("gurux_client.py")
VALUE = bytes(range(200)) * 4
AK = bytes(range(0xD0, 0xE0))


@pytest.mark.parametrize("link", ["wrapper", "hdlc"])
@pytest.mark.parametrize(
    ("general", "auth"),
    # Of a ciphered APDU the library sends no last general block.
    [(False, "none"), (False, "hls-gmac"), (True, "none")],
    ids=["data blocks", "data blocks, ciphered", "general blocks"],
)
def test_gurux_writes_and_acts_with_long_values(general: bool, auth: str, link: str) -> None:
    kind = type("Kept", (Memory,), {"kept": {}, "requests": []})

    async def run() -> dict[str, Any]:
        servers = DlmsServers()
        ciphering = METER if auth == "hls-gmac" else None
        urls = await servers.start(
            [MeterPoint("M-1", T, [0, 0, 0, 0], 230.0, [])],
            setups={"M-1": MeterSetup(b"", ciphering, link, 128, NARROW)},
            connections={"M-1": kind},
        )
        task = {
            "port": int(urls["M-1"].split(":")[2].split("/")[0]),
            "auth": auth,
            "link": link,
            "client": 16 if auth == "none" else 1,
            "password": "",
            "max_pdu": 128,
            "title": "4752580000000001",
            "encryption_key": EK.hex(),
            "authentication_key": AK.hex(),
            "counter": 1,
            "general": general,
            "long": VALUE.hex(),
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
        await servers.stop()
        assert process.returncode == 0, failed.decode()[-2000:]
        said: dict[str, Any] = json.loads(told)
        return said

    python_of("gurux")
    said = asyncio.run(run())
    value = data.encode(data.Tag.OCTET_STRING, VALUE)
    assert kind.kept == {CELLS[0]: value}
    # Six blocks or more came before the request was whole.
    whole = kind.requests.index("SetRequest")
    assert kind.requests[:whole].count("Answered") >= 6
    if not general:
        # The library leaves what came in the blocks as it is: success, a value, the value.
        assert said == {"got": VALUE.hex(), "acted": "000100" + value.hex()}
