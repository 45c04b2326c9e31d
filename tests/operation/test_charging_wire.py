"""A charge point over the wire: what its vehicle is sent, takes, and falls back to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from grid import site_file
from grid.operation import audit, charging, commission, cycle, demo, opening
from grid.operation.field import vehicles
from grid.operation.room import Room
from grid.store import charging as stored
from grid.store import control, datasets, field
from meters.device import DeviceAddress, DeviceState
from meters.modbus.sunspec import read_devices
from tests.operation.planned_site import AT_S, text
from trading import verify

CHARGERS = """
[[charger]]
id = "EV-1"
usage_point = "UP-WARD"
power_kw = 11.0
energy_kwh = 60.0
missed = "2.0"
[[charger]]
id = "EV-V2G"
usage_point = "UP-1"
power_kw = 10.0
discharge_kw = 10.0
energy_kwh = 60.0
missed = "2.0"
safe_kw = 2.0
"""
PUMP = """
[[flexible]]
id = "PUMP-1"
usage_point = "UP-1"
power_kw = 8.0
daily_kwh = 24.0
missed = "1.0"
"""


def _comes_s(text: str, charger: str) -> int:
    """Return when the first vehicle comes after noon."""
    site = site_file.parse(text)
    (one,) = [c for c in site.charger if c.id == charger]
    return next(s for s in range(AT_S, AT_S + 86_400, 900) if vehicles.visit(site, one, s))


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    """The site two cycles before a vehicle comes to EV-1; its field runs."""
    folder = tmp_path_factory.mktemp("wire") / "site"
    words = text(CHARGERS + PUMP)
    commission.commission(folder, words, at_s=_comes_s(words, "EV-1") - 1800, seed=1)
    with opening.opened(folder) as one:
        yield one


def _look(room: Room) -> dict[str, DeviceState]:
    addresses = [DeviceAddress(name, url) for name, url in room.link.devices.items()]
    states, findings = asyncio.run(read_devices(addresses, at_s=cycle.clock(room), timeout_s=5.0))
    assert findings == []
    return {state.asset: state for state in states}


def test_a_vehicle_gets_what_is_wanted_by_its_time(room: Room, tmp_path: Path) -> None:
    demo.play(room, 1, lambda text: None)
    before = _look(room)["EV-1"]
    assert not before.running
    # Nobody is there: whoever comes charges with what is safe.
    assert before.setpoint.limit_w == before.setpoint.revert_w
    assert 1_370 <= before.setpoint.limit_w <= 1_380
    comes_s = cycle.clock(room) + 900
    with room.store.write() as tx:
        wish = charging.Wanted("EV-1", comes_s + 1800, 5_000, "anna@example.org", comes_s)
        made = charging.state(tx, room.site, wish)
    demo.play(room, 1, lambda text: None)
    for _ in range(3):
        demo.play(room, 1, lambda text: None)
    with room.store.read() as tx:
        done = stored.get_session(tx, made.id)
        sent = {s: control.setpoints(tx, s) for s in range(comes_s, comes_s + 1800, 900)}
        codes = {row["code"] for row in control.findings(tx, limit=1000)}
        states = [field.device_states(tx, s) for s in range(comes_s, comes_s + 2700, 900)]
        plan = datasets.require_dataset(tx, "plan", comes_s)
    assert done.state == "ended"
    assert done.got_wh is not None
    assert abs(done.got_wh - 5_000) <= 60
    assert not codes & {"charger.missed", "charger.short", "device.astray", "plan.fallback"}
    for name in ("EV-1", "PUMP-1"):
        limits = [row["limit_w"] for rows in sent.values() for row in rows if row["asset"] == name]
        took = [b[name]["charged_wh"] - a[name]["charged_wh"] for a, b in pairwise(states)]
        # What it took in each interval is the limit that it was sent and confirmed.
        assert took == pytest.approx([limit / 4 for limit in limits], abs=2)
    assert all(row["state"] == "confirmed" for rows in sent.values() for row in rows)
    assert float(plan["missed_kwh"].sel(asset="EV-1").max()) < 1e-3

    _, key = audit.export(room.store, tmp_path / "export", openings=True)
    assert verify.main([str(tmp_path / "export"), "--key", key, "--openings"]) == 0
    for path in (tmp_path / "export").rglob("*"):
        if path.is_file():
            assert b"example.org" not in path.read_bytes(), path.name


def test_a_control_room_that_is_silent_leaves_it_with_what_is_safe(room: Room) -> None:
    """Nobody writes for longer than the timer: each kind takes its safe power."""
    at_s = cycle.clock(room)
    before = _look(room)
    room.link.advance(at_s + room.site.control.revert_s + 900)
    after = _look(room)
    assert after["EV-1"].running
    for name, safe_w in (("EV-1", 1380), ("EV-V2G", 2000), ("PUMP-1", 1000)):
        held = after[name].setpoint
        assert held.revert_s == 0
        assert max(held.limit_w, held.charge_w) == pytest.approx(safe_w, abs=8)
    rose = after["EV-1"].charged_wh - before["EV-1"].charged_wh
    assert rose >= 345
