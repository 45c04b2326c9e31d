"""kill -9 of the dispatcher while it sends: safe states by themselves, read-back before sending."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from grid.operation import demo
from grid.operation.demo_site import DEFAULT_DAY
from grid.operation.field import link
from grid.operation.field.serve import FIELD_FILE
from grid.site import Shedding
from grid.store import Store, control, device_holds
from meters.device import DeviceAddress, DeviceState
from meters.modbus.sunspec import read_devices

WRITES = (6, 16)


class Wiretap:
    """Stands before every gateway of the devices and keeps the order of the requests.

    Attributes
    ----------
    heard : list of (str, int)
        Asset and Modbus function, in the order in which they came.
    on_write : callable
        Called at each request that writes, before it is passed on.
    """

    def __init__(self, urls: dict[str, str]) -> None:
        self.heard: list[tuple[str, int]] = []
        self.on_write: Callable[[], None] = lambda: None
        self.urls: dict[str, str] = {}
        self._asset: dict[tuple[int, int], str] = {}
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        asyncio.run_coroutine_threadsafe(self._start(urls), self._loop).result(10)

    async def _start(self, urls: dict[str, str]) -> None:
        ports: dict[int, int] = {}
        for asset, url in urls.items():
            parts = urlsplit(url)
            assert parts.port is not None
            behind, unit = parts.port, int(parts.path[1:])
            if behind not in ports:

                async def tapped(
                    reader: asyncio.StreamReader,
                    writer: asyncio.StreamWriter,
                    behind: int = behind,
                ) -> None:
                    await self._pass(reader, writer, behind)

                server = await asyncio.start_server(tapped, "127.0.0.1", 0)
                ports[behind] = server.sockets[0].getsockname()[1]
            self._asset[behind, unit] = asset
            self.urls[asset] = f"modbus://127.0.0.1:{ports[behind]}/{unit}"

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, behind: int
    ) -> None:
        there, onward = await asyncio.open_connection("127.0.0.1", behind)

        async def back() -> None:
            while data := await there.read(4096):
                writer.write(data)
            writer.close()

        answers = asyncio.ensure_future(back())
        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                head = await reader.readexactly(8)
                length, unit, function = struct.unpack_from(">HBB", head, 4)
                rest = await reader.readexactly(length - 2)
                if function in WRITES:
                    self.on_write()
                self.heard.append((self._asset[behind, unit], function))
                onward.write(head + rest)
        onward.close()
        answers.cancel()

    def stop(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)


def _cycle(directory: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "grid.console.cli", "cycle", str(directory / "SITE.toml")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _done(process: subprocess.Popen[str]) -> None:
    _, told = process.communicate(timeout=300)
    assert process.returncode == 0, told[-2000:]


def _look(urls: dict[str, str], at_s: int) -> dict[str, DeviceState]:
    addresses = [DeviceAddress(asset, url) for asset, url in urls.items()]
    states, findings = asyncio.run(read_devices(addresses, at_s=at_s, timeout_s=5.0))
    assert findings == []
    return {state.asset: state for state in states}


@pytest.mark.timeout(900)
def test_a_killed_dispatcher_leaves_safe_states_and_looks_before_it_sends_again(
    tmp_path: Path,
) -> None:
    directory = tmp_path / "site"
    demo.prepare(directory, day=DEFAULT_DAY, seed=1)
    store = Store.at(directory)
    with store.read() as tx:
        first_s = int(control.get_meta(tx, "first_cycle_s") or 0)
    field = link.start(directory, start_s=first_s)
    announced = json.loads((directory / FIELD_FILE).read_text())
    devices = announced["devices"]
    tap = Wiretap(devices)
    (directory / FIELD_FILE).write_text(json.dumps({**announced, "devices": tap.urls}))
    try:
        _done(_cycle(directory))
        held = _look(devices, first_s)
        assert {one.setpoint.revert_s for one in held.values()} == {1800}
        assert {one.remaining_s for one in held.values()} == {1800}

        # The second cycle dies at the first set-point that it writes.
        at_s = first_s + 900
        tap.heard.clear()
        killed = _cycle(directory)

        def kill() -> None:
            with suppress(ProcessLookupError):
                os.killpg(killed.pid, signal.SIGKILL)

        tap.on_write = kill
        killed.communicate(timeout=300)
        assert killed.returncode == -signal.SIGKILL
        _reads_first(tap, set(devices))
        tap.on_write = lambda: None

        # Nobody refreshes them: at the end of its timer each device is in its safe state.
        control_channel = link.FieldLink(directory)
        control_channel.advance(at_s + 900)
        told = _look(devices, at_s + 900)
        assert all(one.setpoint.revert_s == 0 for one in told.values() if one.remaining_s == 0)
        control_channel.advance(at_s + 1800)
        safe = _look(devices, at_s + 1800)
        _are_safe(store, directory, safe)

        # On return every device is asked before any is written to, and the answers are kept.
        tap.heard.clear()
        _done(_cycle(directory))
        _reads_first(tap, set(devices))
        with store.read() as tx:
            assert control.done(tx, at_s) >= {"read", "plan", "send", "checkpoint"}
            verdicts = {row["asset"]: row["verdict"] for row in device_holds.holds(tx, at_s)}
            assert verdicts == dict.fromkeys(devices, "reverted")
            assert {row["state"] for row in control.setpoints(tx, at_s)} == {"confirmed"}
            codes = {row["code"] for row in control.findings(tx, limit=1000)}
        assert "device.reverted" in codes
        assert {one.setpoint.revert_s for one in _look(devices, at_s).values()} == {1800}
    finally:
        tap.stop()
        store.close()
        field.terminate()
        field.wait()


def _reads_first(tap: Wiretap, everybody: set[str]) -> None:
    """Every device was read before the first one was written to."""
    first = next(n for n, (_, function) in enumerate(tap.heard) if function in WRITES)
    assert {asset for asset, _ in tap.heard[:first]} == everybody


def _are_safe(store: Store, directory: Path, states: dict[str, DeviceState]) -> None:
    """Batteries rest, gensets stand, and plants give no more than the feeder carries alone."""
    from grid.operation import cycle, paths
    from grid.operation.room import Room

    site, first_s = cycle.facts(directory, store)
    room = Room(directory, site, store, link.FieldLink(directory), first_s)
    assert len(states) == len(site.assets)
    for asset in site.assets:
        state = states[str(asset.id)]
        assert (state.setpoint.revert_s, state.remaining_s) == (0, 0), asset.id
        assert state.setpoint.charge_w == state.setpoint.discharge_w == 0, asset.id
        if state.setpoint.kind == "genset":
            assert not state.running, asset.id
        elif state.setpoint.kind == "storage":
            assert state.power_w == 0, asset.id
        elif not isinstance(asset, Shedding):
            most_w = paths.safe_limit_w(room, asset)
            assert most_w is not None
            assert state.setpoint.limit_w <= most_w < 1000 * asset.power_kw, asset.id
