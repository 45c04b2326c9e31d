"""What meters say when they lose their supply is heard, and believed of those it may be."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from grid.errors import BadInputError
from grid.operation import last_gasps, meter_exchanges, meter_keys
from grid.operation.demo_site import DEFAULT_DAY, demo_site
from grid.operation.gasp_door import GaspDoor
from grid.operation.room import Room
from grid.site_file import parse
from grid.store import Store, control, incidents
from meters.dlms.errors import DlmsError
from meters.dlms.last_gasp import LastGasp, last_gasp
from meters.dlms.push import Notification
from meters.reading import Ciphering
from meters.simulator.dlms import DlmsServers, MeterSetup
from meters.simulator.points import MeterPoint

T = 1_780_000_200
KEYS = Ciphering(b"KHZ\x00\x00\x00\x00\x99", bytes(range(16)), bytes(range(0xD0, 0xE0)))


@pytest.fixture
def door() -> Iterator[GaspDoor]:
    made = GaspDoor("127.0.0.1", 0)
    yield made
    made.close()


def _gasped(port: int, *, ciphering: Ciphering | None = None) -> None:
    """Let two simulated meters lose their supply, and one tell its registers."""

    async def run() -> None:
        servers = DlmsServers()
        points = [MeterPoint(f"M-{n}", T, [5_000, 4, 3, 2], 230.0) for n in (1, 2)]
        await servers.start(
            points, setups={one.meter: MeterSetup(ciphering=ciphering) for one in points}
        )
        await servers.gasp("M-1", T - 61, "127.0.0.1", port)
        await servers.push("M-2", "127.0.0.1", port)
        await servers.gasp("M-2", T - 60, "127.0.0.1", port)
        await servers.stop()

    asyncio.run(run())


def test_last_gasps_are_heard_by_the_time_they_are_said_and_other_news_is_not(
    door: GaspDoor,
) -> None:
    _gasped(door.port)
    heard = door.waiting()
    assert [one.at_s for one in heard] == [T - 61, T - 60]
    assert all(one.name.startswith("KHZ") for one in heard)
    door.forget(1)
    assert door.waiting() == heard[1:]


def test_what_is_protected_by_keys_that_nobody_knows_is_refused(door: GaspDoor) -> None:
    _gasped(door.port, ciphering=KEYS)
    assert door.waiting() == []


def test_a_port_that_is_taken_is_told(door: GaspDoor, tmp_path: Path) -> None:
    site = parse(demo_site(day=DEFAULT_DAY, seed=1))
    site = replace(
        site,
        field=replace(site.field, kind="real"),
        reading=replace(site.reading, push_port=door.port),
    )
    room = Room(tmp_path, site, SimpleNamespace(), SimpleNamespace(), T)
    with (
        pytest.raises(BadInputError, match=f"push_port is {door.port}, which is taken"),
        last_gasps.listening(room),
    ):
        pass


def test_only_meters_without_keys_are_believed_by_name(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'khazri.sqlite3'}", create=True)
    room = Room(tmp_path, parse(demo_site(day=DEFAULT_DAY, seed=1)), store, SimpleNamespace(), T)
    heard = [
        LastGasp("DEVICE-2", T - 60),
        LastGasp("DEVICE-4", T - 50),
        LastGasp("DEVICE-6", T + 500),
        LastGasp("DEVICE-8", T - 2 * last_gasps.OLD_S),
        LastGasp("A STRANGER", T - 60),
    ]
    with store.write() as tx:
        names = {f"M-00{n}": f"DEVICE-{n}" for n in (2, 4, 6, 8)}
        control.put_meta(tx, meter_exchanges.SERIALS, json.dumps(names))
        control.put_secrets(tx, {f"{meter_keys.KEYS_SECRET}M-004": b""})
        meter_keys.put_keys(tx, "M-004", KEYS)
        assert last_gasps.keep(room, tx, T, heard) == 2
        assert incidents.gasps(tx, 0, T) == {"M-002": T - 60, "M-006": T}
    store.close()


@pytest.mark.parametrize("value", [5, (b"KHZ", 2), (b"KHZ", True), [b"KHZ", 1, 1], None])
def test_other_notifications_are_no_last_gasp(value: object) -> None:
    assert last_gasp(Notification(1, b"", value)) is None


def test_a_last_gasp_without_a_name_is_refused() -> None:
    assert last_gasp(Notification(1, b"", (b"KHZ", 1))) == LastGasp("KHZ", None)
    for name in (b"", b"\xff\x00", b"X" * 65):
        with pytest.raises(DlmsError):
            last_gasp(Notification(1, b"", (name, 1)))
