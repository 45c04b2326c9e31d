"""Devices that fall silent or lie: the plan goes on, and nobody's money follows them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from grid.operation import cycle, demo, devices, metering, settlement_inputs, settling
from grid.operation.room import Room
from grid.store import control, datasets, field, market, series
from meters.device import DeviceState
from meters.vee import Quality

Played = Callable[..., AbstractContextManager[Room]]


def _quiet(room: Room, names: tuple[str, ...], intervals: int) -> int:
    from_s = cycle.clock(room)
    for name in names:
        fault = {"meter": name, "kind": "silent", "from_s": from_s}
        room.link.ask(do="fault", fault={**fault, "to_s": from_s + 900 * intervals})
    return from_s


def test_a_silent_battery_and_genset_leave_the_plan_running_and_nobody_charged(
    played: Played, tmp_path: Path
) -> None:
    with played(tmp_path / "site", 4) as room:
        from_s = _quiet(room, ("BAT-01", "GEN-1", "PV-01"), 3)
        demo.play(room, 3, lambda text: None)
        with room.store.read() as tx:
            for start_s in (from_s, from_s + 900):
                (plan,) = control.plans(tx, start_s, start_s + 900)
                assert plan["source"] == "new plan"
                states = {row["asset"]: row["state"] for row in control.setpoints(tx, start_s)}
                assert states["BAT-01"] == "failed"
                assert states["BAT-COMMUNITY"] == "confirmed"
            told = {(r["code"], r["subject"]) for r in control.findings(tx, limit=1000)}
            assert {("device.stale", "BAT-01"), ("device.stale", "GEN-1")} <= told
            first = {row["start_s"] for row in market.settlements(tx, from_s - 900, from_s + 900)}
            assert from_s - 900 not in first or from_s not in first
        demo.play(room, 4, lambda text: None)
        with room.store.read() as tx:
            did = series.get_intervals(
                tx, ["BAT-01"], from_s - 900, from_s + 3600, time_zone=room.site.time_zone
            )
            before = field.device_states(tx, from_s - 900)["BAT-01"]
            after = field.device_states(tx, from_s + 2700)["BAT-01"]
            spread = did["import_wh"].values[0, :4], did["export_wh"].values[0, :4]
            assert int(spread[0].sum()) == after["charged_wh"] - before["charged_wh"]
            assert int(spread[1].sum()) == after["discharged_wh"] - before["discharged_wh"]
            assert (did["quality"].values[0, :4] == Quality.SCALED).all()
            settled = market.settlements(tx, from_s - 900, from_s + 2700)
            assert {row["start_s"] for row in settled} == set(
                range(from_s - 900, from_s + 2700, 900)
            )
            assert market.postings_sum(tx) == 0
            for row in settled:
                given, _ = settlement_inputs.settlement_input(room, tx, row["start_s"], {})
                newest = settling.newest(tx, row["start_s"])
                assert newest is not None
                now = {point.usage_point: point for point in given.usage_points}
                for result in newest.usage_points:
                    point = now[result.usage_point]
                    net = point.import_wh - point.export_wh - point.charge_wh
                    net += point.discharge_wh + point.produced_wh - point.curtailed_wh
                    assert result.baseline_import_wh == max(net, 0)


def test_a_silent_community_of_devices_never_stops_the_cycle(
    played: Played, tmp_path: Path
) -> None:
    with played(tmp_path / "site", 2) as room:
        names = tuple(str(asset.id) for asset in room.site.assets)
        from_s = _quiet(room, names, 2)
        demo.play(room, 4, lambda text: None)
        assert cycle.clock(room) == from_s + 4 * 900
        with room.store.read() as tx:
            assert {row["state"] for row in control.setpoints(tx, from_s)} == {"failed"}
            assert {row["state"] for row in control.setpoints(tx, from_s + 2700)} == {"confirmed"}
            assert market.postings_sum(tx) == 0


@pytest.mark.parametrize(
    ("asset", "change", "told"),
    [
        ("BAT-01", {"energy_wh": 10**15}, "holds 1000000000000000 Wh"),
        ("BAT-01", {"energy_wh": None}, "holds None Wh"),
        ("BAT-01", {"energy_wh": -1}, "holds -1 Wh"),
        ("BAT-01", {"discharged_wh": 10**14}, "discharged_wh went from"),
        ("BAT-01", {"charged_wh": -1}, "has no charged_wh"),
        ("PV-01", {"available_w": 3 * 10**9}, "could give 3000000000 W"),
        ("WIND-1", {"discharged_wh": 10**9}, "discharged_wh went from"),
    ],
)
def test_what_cannot_be_is_not_used_and_named(
    played: Played, site: Room, asset: str, change: dict[str, int | None], told: str
) -> None:
    at_s = cycle.clock(site)
    with site.store.read() as tx:
        rows = field.device_states(tx, at_s - 900)
        names = DeviceState.__dataclass_fields__
        states = [
            DeviceState(**{n: row[n] for n in names if n in row}, setpoint=None)
            for row in rows.values()
        ]
        states = [replace(state, at_s=at_s) for state in states]
        good, none = devices.plausible(site, tx, states, at_s)
        assert (len(good), none) == (len(states), [])
        lying = [replace(s, **change) if s.asset == asset else s for s in states]
        good, found = devices.plausible(site, tx, lying, at_s)
    assert asset not in {state.asset for state in good}
    (finding,) = found
    assert finding.subject == asset
    assert told in finding.message


@pytest.fixture(scope="module")
def site(played: Played, tmp_path_factory: pytest.TempPathFactory) -> Room:
    """A control room after three cycles; only its store is used."""
    with played(tmp_path_factory.mktemp("devices") / "site", 3) as room:
        directory, known, first_s = room.directory, room.site, room.first_cycle_s
    from grid.store import Store

    assert np.isfinite(first_s)
    return Room(directory, known, Store.at(directory), None, first_s)


def test_a_replaced_device_is_believed_at_its_second_reading_and_credited_nothing(
    site: Room,
) -> None:
    at_s = cycle.clock(site)
    names = DeviceState.__dataclass_fields__
    with site.store.write() as tx:
        row = field.device_states(tx, at_s - 900)["WIND-1"]
        assert row["discharged_wh"] > 0
        before = DeviceState(**{n: row[n] for n in names if n in row}, setpoint=None)
        fresh = replace(before, at_s=at_s, discharged_wh=0)
        good, (doubt,) = devices.plausible(site, tx, [fresh], at_s)
        assert (good, doubt.code) == ([], "device.implausible")
        risen = replace(fresh, at_s=at_s + 900, discharged_wh=7)
        good, (told,) = devices.plausible(site, tx, [risen], at_s + 900)
        assert (good, told.code) == ([risen], "device.restarted")
        field.put_device_states(tx, good, at_s=at_s + 900)
        did = metering._asset_series(site, tx, at_s + 900)
        (position,) = np.flatnonzero(did["usage_point"].values == "WIND-1")
        assert (did["quality"].values[position] == Quality.MISSING).all()
        later = replace(risen, at_s=at_s + 1800, discharged_wh=12)
        assert devices.plausible(site, tx, [later], at_s + 1800) == ([later], [])
        field.put_device_states(tx, [later], at_s=at_s + 1800)
        did = metering._asset_series(site, tx, at_s + 1800)
        (position,) = np.flatnonzero(did["usage_point"].values == "WIND-1")
        assert did["export_wh"].values[position, -1] == 5


def test_what_a_silent_plant_gave_is_not_known_rather_than_nothing(
    played: Played, tmp_path: Path
) -> None:
    with played(tmp_path / "site", 3) as room:
        from_s = _quiet(room, ("WIND-1",), 1)
        demo.play(room, 1, lambda text: None)
        with room.store.read() as tx:
            actual = datasets.require_dataset(tx, "actual", from_s - 900)
            assert np.isnan(actual["wind_kw"])
            assert np.isnan(actual["demand_kw"])
            assert float(actual["losses_kw"]) > 0.0
        demo.play(room, 1, lambda text: None)
        with room.store.read() as tx:
            actual = datasets.require_dataset(tx, "actual", from_s - 900)
            assert float(actual["wind_kw"]) >= 0.0
            assert float(actual["demand_kw"]) > 0.0
