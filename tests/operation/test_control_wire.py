"""Overrides and tags over the wire: what the devices of a running site then hold and do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from grid.operation import audit, cycle, demo, overrides, safety_tags
from grid.operation.overrides import Wanted
from grid.operation.room import Room
from grid.store import control, device_holds
from grid.store import overrides as stored
from grid.store.overrides import Action, OverrideState, Reason
from meters.device import DeviceAddress, DeviceState, Setpoint
from meters.modbus.sunspec import read_devices, send_setpoints
from trading import verify

Played = Callable[..., AbstractContextManager[Room]]
ANNA, BORIS = "anna@example.org", "boris@example.org"


def _look(room: Room) -> dict[str, DeviceState]:
    addresses = [DeviceAddress(name, url) for name, url in room.link.devices.items()]
    states, findings = asyncio.run(read_devices(addresses, at_s=cycle.clock(room), timeout_s=5.0))
    assert findings == []
    return {state.asset: state for state in states}


def _play(room: Room, count: int) -> None:
    demo.play(room, count, lambda text: None)


@pytest.mark.timeout(900)
def test_a_hold_and_a_tag_reach_the_devices_and_end(
    played: Played, store_url: str, tmp_path: Path
) -> None:
    with played(tmp_path / "site", 2, store_url=store_url) as room:
        site = room.site
        with room.store.write() as tx:
            hold = Wanted("BAT-01", Action.CHARGE, 1_234, 30, Reason.TEST, ANNA)
            held = overrides.ask(tx, site, hold)
            # A limit that is no whole step of 0.01 %: it is held rounded down.
            limit = Wanted("PV-01", Action.LIMIT, 1_234, 60, Reason.TEST, ANNA)
            overrides.ask(tx, site, limit)
            assert held.state is OverrideState.ACTIVE
            large = Wanted("BAT-COMMUNITY", Action.OFF, 0, 60, Reason.TEST, ANNA)
            community = overrides.ask(tx, site, large)
            if community.state is OverrideState.ASKED:
                overrides.approve(tx, site, community.id, BORIS)
            tag = safety_tags.place(
                tx, site, lambda: room.model, element="asset:WIND-1", reason=Reason.SAFETY, by=ANNA
            )
        first_s = cycle.clock(room)
        before = _look(room)["WIND-1"]
        _play(room, 1)
        states = _look(room)
        assert states["BAT-01"].setpoint.charge_w == 1_234
        assert states["BAT-COMMUNITY"].power_w == 0
        assert 1_230 <= states["PV-01"].setpoint.limit_w <= 1_234
        # Nothing was sent to what is behind the tag: its own timer runs on.
        assert states["WIND-1"].setpoint == before.setpoint
        with room.store.read() as tx:
            rows = {row["asset"]: row["state"] for row in control.setpoints(tx, first_s)}
            (plan,) = control.plans(tx, first_s, first_s + 1)
        assert plan["source"] == "new plan"
        assert rows["WIND-1"] == "blocked"
        why = {one["subject"]: one["code"] for one in plan["detail"]["reasons"]}
        assert (why["BAT-01"], why["WIND-1"]) == ("control.held", "control.blocked")
        assert set(rows.values()) == {"blocked", "confirmed"}
        _play(room, 1)
        assert _look(room)["WIND-1"].setpoint.revert_s == 0, "it is not in its safe state"
        with room.store.write() as tx:
            safety_tags.release(tx, site, tag.id, ANNA)

        # Somebody else writes to a battery: told, and put right.
        wish = Setpoint("BAT-02", "storage", discharge_w=77)
        address = DeviceAddress("BAT-02", room.link.devices["BAT-02"])
        asyncio.run(send_setpoints([address], [wish], timeout_s=5.0))
        _play(room, 1)
        assert _look(room)["WIND-1"].setpoint.revert_s == site.control.revert_s
        with room.store.read() as tx:
            assert stored.get_override(tx, held.id).state is OverrideState.EXPIRED
            now_s = first_s + 1800
            verdicts = {row["asset"]: row["verdict"] for row in device_holds.holds(tx, now_s)}
            codes = {(row["code"], row["subject"]) for row in control.findings(tx, limit=1000)}
        assert verdicts["BAT-02"] == "unlike"
        assert verdicts["WIND-1"] == "reverted"
        assert verdicts["BAT-01"] == "as sent"
        assert {("device.unlike", "BAT-02"), ("override.ends", "BAT-01")} <= codes
        # Whoever wrote to it may have led it astray, and it alone.
        assert {subject for code, subject in codes if code == "device.astray"} <= {"BAT-02"}
        assert "override.suspended" not in {code for code, _ in codes}
        assert all(code != "plan.fallback" for code, _ in codes)

        # Whoever verifies the ledger finds it sound, and in it nobody's name.
        _, key = audit.export(room.store, tmp_path / "export", openings=True)
        assert verify.main([str(tmp_path / "export"), "--key", key, "--openings"]) == 0
        for path in (tmp_path / "export").rglob("*"):
            if path.is_file():
                assert b"example.org" not in path.read_bytes(), path.name


@pytest.mark.timeout(900)
def test_a_hold_that_the_network_cannot_keep_is_suspended_and_told(
    played: Played, tmp_path: Path
) -> None:
    with played(tmp_path / "site", 2) as room:
        room.site = replace(room.site, grid=replace(room.site.grid, import_limit_kw=10.0))
        with room.store.write() as tx:
            # 60 kW are more than the connection and the home batteries give together.
            off = Wanted("GEN-1", Action.OFF, 0, 60, Reason.TEST, ANNA)
            assert overrides.ask(tx, room.site, off).state is OverrideState.ACTIVE
            hold = Wanted("BAT-COMMUNITY", Action.CHARGE, 60_000, 60, Reason.TEST, ANNA)
            one = overrides.ask(tx, room.site, hold)
            assert one.state is OverrideState.ASKED
            overrides.approve(tx, room.site, one.id, BORIS)
        at_s = cycle.clock(room)
        _play(room, 1)
        with room.store.read() as tx:
            (plan,) = control.plans(tx, at_s, at_s + 1)
            told = [row for row in control.findings(tx) if row["code"] == "override.suspended"]
        assert plan["source"] == "new plan"
        assert {row["subject"] for row in told} == {"BAT-COMMUNITY", "GEN-1"}
        assert all("is not followed: with it" in row["message"] for row in told)
        assert _look(room)["BAT-COMMUNITY"].setpoint.charge_w < 60_000
