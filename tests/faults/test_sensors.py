"""A site that runs listens to its sensors, and nothing goes on listening when it is killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from grid.operation import commission
from grid.operation.demo_site import demo_site
from grid.operation.sensors import clock
from grid.site_file import parse
from grid.store import Store
from meters.mqtt.subscriber import Broker
from meters.simulator.sensors import publish

PATIENCE_S = 120.0
SENSOR = """
[mqtt]
host = "127.0.0.1"
port = {port}

[[sensor]]
id = "T-1"
kind = "temperature_celsius"
topic = "city/t"
location = "the square"
"""


def _listeners(directory: Path) -> set[str]:
    words = f"listen\0{directory / 'SITE.toml'}".encode()
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if words in path.read_bytes():
                found.add(path.parent.name)
    return found


def _samples(directory: Path) -> int:
    store = Store.at(directory)
    with store.read() as tx:
        count = tx.exec_driver_sql("SELECT count(*) FROM sensor_sample WHERE value > -100")
        number = int(count.scalar_one())
    store.close()
    return number


@pytest.mark.timeout(300)
def test_a_site_that_runs_listens_and_a_killed_one_leaves_no_listener(
    tmp_path: Path, mosquitto: Callable[..., Any]
) -> None:
    server, directory = mosquitto(), tmp_path / "site"
    text = demo_site() + SENSOR.format(port=server.port)
    commission.commission(directory, text, at_s=int(time.time()) // 900 * 900, seed=1)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    command = [sys.executable, "-m", "grid.console.cli", "run", str(directory / "SITE.toml")]
    log = (tmp_path / "log").open("w")
    running = subprocess.Popen([*command, "--port", port], stdout=log, stderr=log)
    site, store = parse(text), Store.at(directory)

    async def until(what: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not what():
                await asyncio.sleep(0.2)

    async def scene() -> None:
        place = Broker("127.0.0.1", server.port)
        now = clock(site, store)
        speaking = asyncio.create_task(
            publish(place, site.sensor, clock=now, seed=1, draw=Random(1), period_s=0.2)
        )
        await until(lambda: _samples(directory) >= 2)
        (first,) = _listeners(directory)
        second = await asyncio.create_subprocess_exec(
            *command[:3], "meter", "listen", command[-1], stderr=subprocess.PIPE
        )
        _, said = await second.communicate()
        assert f"process {first} listens to this site".encode() in said
        running.send_signal(signal.SIGKILL)
        await until(lambda: not _listeners(directory))
        speaking.cancel()

    try:
        asyncio.run(scene())
    finally:
        running.kill()
        running.wait()
        log.close()
        store.close()
        _end_field(directory)


def _end_field(directory: Path) -> None:
    """End the field and the console that a killed control room leaves to the next one."""
    ours = str(directory).encode()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().split(b"\0")
            if ours in words and {b"grid.operation.field", b"grid.console"} & set(words):
                os.kill(int(path.parent.name), signal.SIGTERM)
