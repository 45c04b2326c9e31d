"""Charge points of a running site: wishes, plans, set-points, people's limits, what is missed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from grid import interval
from grid.errors import BadInputError, StoreError
from grid.operation import charging, charging_plan, following, overrides, planning
from grid.operation.bounds import bounds
from grid.operation.forecasting import gross
from grid.operation.overrides import Wanted as Held
from grid.operation.room import Room
from grid.operation.solver import Solver
from grid.site_file import SiteFileError, parse
from grid.store import Transaction, control, field, log, series
from grid.store import charging as stored
from grid.store.overrides import Action, Reason
from meters.device import DeviceState, Setpoint
from meters.vee import Quality
from tests.operation.control_site import room_of
from tests.operation.planned_site import AT_S, planned, put_forecast, put_stored, text
from tests.operation.test_charging_wire import CHARGERS

ANNA, H = "anna@example.org", 3600


@pytest.fixture
def room(tmp_path: Path, solver: Solver) -> Iterator[Room]:
    """The site with a charge point and one that takes from vehicles, too."""
    with room_of(tmp_path, text(CHARGERS)) as made:
        made.solver = solver
        with made.store.write() as tx:
            put_forecast(tx, made, AT_S, {"load:UP-WARD": 5.0, "load:UP-1": 10.0})
            put_stored(tx, AT_S, BAT_1=30_000, BAT_2=10_000)
        yield made


def _says(
    tx: Transaction, at_s: int, charger: str, *, there: bool, charged_wh: int, given_wh: int = 0
) -> None:
    kind = "storage" if charger == "EV-V2G" else "limit"
    one = DeviceState(charger, at_s, charged_wh, given_wh, 0, 0, None, there, 0,
                      Setpoint(charger, kind, revert_s=0))  # fmt: skip
    field.put_device_states(tx, [one], at_s=at_s)


def _stated(room: Room, departs_s: int, wanted_wh: int, charger: str = "EV-1") -> stored.Session:
    with room.store.write() as tx:
        return charging.state(tx, room.site, charging.Wanted(charger, departs_s, wanted_wh, ANNA))


def _sent(room: Room) -> dict[str, Setpoint]:
    with room.store.read() as tx:
        rows = control.setpoints(tx, AT_S)
    names = tuple(Setpoint.__dataclass_fields__)
    return {row["asset"]: Setpoint(**{name: row[name] for name in names}) for row in rows}


def test_a_vehicle_waits_for_the_cheap_hours_and_has_what_it_wants(room: Room) -> None:
    """14:00; the evening is dear, the night cheap: 20 kWh by 07:00, none of them from 18 to 22."""
    with room.store.write() as tx:
        _says(tx, AT_S - 900, "EV-1", there=False, charged_wh=1_000)
        _says(tx, AT_S, "EV-1", there=True, charged_wh=1_000)
    _stated(room, AT_S + 17 * H, 20_000)
    schedule, findings = planned(room)
    assert not {row["code"] for row in findings} & {"plan.fallback", "charger.short"}
    taken = schedule["charge_kw"].sel(asset="EV-1").values
    assert taken[:68].sum() / 4 == pytest.approx(20.0, abs=1e-3)
    assert taken[16:32].max() < 1e-6
    assert taken[68:].max() == 0.0
    sent = _sent(room)["EV-1"]
    assert sent.limit_w == pytest.approx(1000 * taken[0], abs=2)
    assert (sent.kind, sent.revert_w) == ("limit", 1380)


def test_nobody_there_or_no_answer_means_what_is_safe(room: Room) -> None:
    with room.store.write() as tx:
        _says(tx, AT_S, "EV-1", there=False, charged_wh=0)
    schedule, _ = planned(room)
    assert float(schedule["charge_kw"].sel(asset=["EV-1", "EV-V2G"]).max()) == 0.0
    sent = _sent(room)
    assert (sent["EV-1"].limit_w, sent["EV-V2G"].charge_w) == (1380, 2000)


def test_what_time_does_not_reach_is_told_once(room: Room) -> None:
    """11 kW for two hours are 22 kWh of 30."""
    with room.store.write() as tx:
        _says(tx, AT_S, "EV-1", there=True, charged_wh=500)
    _stated(room, AT_S + 2 * H, 30_000)
    _, findings = planned(room)
    (told,) = [row for row in findings if row["code"] == "charger.short"]
    assert "30.0 kWh wanted by 2026-05-27T12:00Z: 8.0 kWh will be missing" in told["message"]
    assert _sent(room)["EV-1"].limit_w == 11_000
    with room.store.write() as tx:
        put_forecast(tx, room, AT_S + 900, {"load:UP-WARD": 5.0})
        put_stored(tx, AT_S + 900, BAT_1=30_000, BAT_2=10_000)
        _says(tx, AT_S + 900, "EV-1", there=True, charged_wh=500 + 2_750)
    _, findings = planned(room, AT_S + 900)
    assert "charger.short" not in {row["code"] for row in findings}


def test_a_vehicle_of_which_nobody_spoke_gets_what_is_usual(room: Room) -> None:
    with room.store.write() as tx:
        _says(tx, AT_S - 900, "EV-1", there=False, charged_wh=0)
        _says(tx, AT_S, "EV-1", there=True, charged_wh=3_000)
        states = field.last_device_states(tx, AT_S, since_s=AT_S)
        visit = charging_plan.visits(room, tx, AT_S, states)["EV-1"]
        # What it got in the quarter-hour in which it came counts.
        assert (visit.comes_s, visit.leaves_s) == (AT_S, AT_S + 17 * H)
        assert (visit.held_kwh, visit.wanted_kwh) == pytest.approx((0.92 * 3.0, 0.92 * 10.0))
        later_s = AT_S + 18 * H
        _says(tx, later_s, "EV-1", there=True, charged_wh=10_000)
        states = field.last_device_states(tx, later_s, since_s=later_s)
        overdue = charging_plan.visits(room, tx, later_s, states)["EV-1"]
    assert (overdue.wanted_kwh, overdue.leaves_s > later_s + 86_400) == (0.0, True)


def test_v2g_takes_only_what_it_gave_and_gives_it_back(room: Room) -> None:
    """Charged in the afternoon, sold in the dear evening, and charged again for the morning."""
    with room.store.write() as tx:
        _says(tx, AT_S, "EV-V2G", there=True, charged_wh=0)
    _stated(room, AT_S + 17 * H, 10_000, "EV-V2G")
    schedule, _ = planned(room)
    one = schedule.sel(asset="EV-V2G")
    given, taken = one["discharge_kw"].values, one["charge_kw"].values
    assert given[16:32].sum() > 1.0
    held = np.cumsum(0.92 * taken - given / 0.92) / 4
    assert held.min() > -1e-6
    assert held[67] == pytest.approx(9.2, abs=1e-3)
    with room.store.read() as tx:
        assert charging.got_wh(tx, room.site.charger[1], AT_S) == 0
    with room.store.write() as tx:
        _says(tx, AT_S + 900, "EV-V2G", there=True, charged_wh=2_500, given_wh=500)
        both = round(2_500 - 500 / 0.92**2)
        assert charging.got_wh(tx, room.site.charger[1], AT_S + 900) == both


def test_the_newest_wish_holds_and_a_withdrawn_one_gives_way(room: Room) -> None:
    first = _stated(room, AT_S + 2 * H, 3_000)
    second = _stated(room, AT_S + 3 * H, 4_000)
    with room.store.write() as tx:
        assert charging.in_force(tx, AT_S)["EV-1"].id == second.id
        assert charging.in_force(tx, AT_S + 3 * H) == {}
        charging.withdraw(tx, room.site, second.id, ANNA)
        assert charging.in_force(tx, AT_S)["EV-1"].id == first.id
        with pytest.raises(StoreError, match="is not stated any more"):
            charging.withdraw(tx, room.site, second.id, ANNA)


def test_the_ledger_holds_a_commitment_of_the_party_and_no_name(room: Room) -> None:
    _stated(room, AT_S + 2 * H, 3_000)
    with room.store.read() as tx:
        entry = log.listed(tx, kind="action", limit=1)[0]
        (opened,) = log.openings(tx, sequence=int(entry["sequence"]))
        (action,) = control.actions(tx)
    clear = bytes(entry["content"]).decode()
    assert "charging.state" in clear
    assert "EV-1" not in clear
    assert ANNA not in clear + str(opened["content"])
    assert opened["party"] == "community"
    assert json.loads(opened["content"])["payload"]["wanted_wh"] == "3000"
    assert (action["user"], action["subject"]) == (ANNA, "EV-1")


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        (("EV-9", 2 * H, 3_000, None), "EV-9: no such charge point"),
        (("EV-1", 2 * H, 99, None), "0.099 kWh are wanted, must be within 0.1 to 65.217 kWh"),
        (("EV-1", 2 * H, 65_218, None), "must be within 0.1 to 65.217 kWh"),
        (("EV-1", 0, 3_000, None), "departure 2026-05-27T10:00Z must be on a quarter-hour within"),
        (("EV-1", 2 * H + 60, 3_000, None), "departure 2026-05-27T12:01Z must be on a quarter"),
        (("EV-1", 8 * 24 * H, 3_000, None), "departure 2026-06-04T10:00Z must be on"),
        (("EV-1", 2 * H, 3_000, 2 * H), "arrival 2026-05-27T12:00Z must be on a quarter-hour"),
        (("EV-1", 2 * H, 3_000, -900), "arrival 2026-05-27T09:45Z must be on a quarter-hour"),
    ],
)
def test_what_cannot_be_wanted_is_refused(
    room: Room, wish: tuple[str, int, int, int | None], message: str
) -> None:
    name, departs, wanted_wh, arrives = wish
    comes_s = None if arrives is None else AT_S + arrives
    wanted = charging.Wanted(name, AT_S + departs, wanted_wh, ANNA, comes_s)
    with room.store.write() as tx, pytest.raises(BadInputError, match=message):
        charging.state(tx, room.site, wanted)


@pytest.mark.parametrize(
    ("minutes", "there", "charged_wh", "code", "got_wh"),
    [
        (60, True, 3_000, "charger.missed", 3_000),
        (60, True, 4_950, None, 4_950),
        (30, False, 2_000, "charger.left_early", 2_000),
        (30, True, 2_000, None, None),
        (60, False, 0, "charger.no_vehicle", 0),
    ],
)
def test_what_lacks_when_it_is_over_is_told(
    room: Room, minutes: int, there: bool, charged_wh: int, code: str | None, got_wh: int | None
) -> None:
    """5 kWh by 15:00, of a vehicle that came at 14:00."""
    one = _stated(room, AT_S + H, 5_000)
    until_s = AT_S + 60 * minutes
    with room.store.write() as tx:
        for at_s in range(AT_S, until_s + 1, 900):
            here = code != "charger.no_vehicle" and at_s > AT_S and (there or at_s < until_s)
            _says(tx, at_s, "EV-1", there=here, charged_wh=0 if at_s == AT_S else charged_wh)
        found = charging.pass_time(room, tx, until_s)
        after = stored.get_session(tx, one.id)
    assert [finding.code for finding in found] == ([code] if code else [])
    assert after.got_wh == got_wh
    assert (after.state == "ended") is (got_wh is not None)
    if code == "charger.missed":
        assert "5.0 kWh were wanted by 2026-05-27T11:00Z, it got 3.0 kWh: 2.0 kWh are missing" in (
            found[0].message
        )


def test_an_operator_limits_or_stops_a_charge_point(room: Room) -> None:
    with room.store.write() as tx:
        for name in ("EV-1", "EV-V2G"):
            _says(tx, AT_S, name, there=True, charged_wh=0)
            wish = charging.Wanted(name, AT_S + H, 10_000, ANNA)
            charging.state(tx, room.site, wish)
        limit = Held("EV-1", Action.LIMIT, 4_000, 60, Reason.TEST, ANNA)
        overrides.ask(tx, room.site, limit)
        overrides.ask(tx, room.site, Held("EV-V2G", Action.OFF, 0, 60, Reason.TEST, ANNA))
        wrong = Held("EV-V2G", Action.DISCHARGE, 1, 60, Reason.TEST, ANNA)
        with pytest.raises(BadInputError, match="cannot be held at discharge, only at limit, off"):
            overrides.ask(tx, room.site, replace(wrong, asset="EV-V2G"))
    schedule, findings = planned(room)
    assert "override.suspended" not in {row["code"] for row in findings}
    assert float(schedule["charge_kw"].sel(asset="EV-1")[:4].max()) <= 4.0 + 1e-3
    assert float(schedule["charge_kw"].sel(asset="EV-V2G")[:4].max()) <= 1e-3
    sent = _sent(room)
    assert sent["EV-1"].limit_w <= 4_000
    assert (sent["EV-V2G"].charge_w, sent["EV-V2G"].discharge_w) == (0, 0)


def test_a_ramp_holds_what_a_charge_point_may_give(tmp_path: Path, solver: Solver) -> None:
    """From its safe 1.38 kW by 0.1 kW a minute: 2.88 kW in the first quarter-hour."""
    ramp = '[control]\n[[control.ramp]]\nasset = "EV-1"\nkw_per_min = 0.1\n'
    words = text(CHARGERS).split("[control]\n")
    assert len(words) == 2
    words[1] = words[1].removeprefix("two_person_kw = 45\n")
    with room_of(tmp_path, words[0] + ramp + words[1]) as room:
        room.solver = solver
        with room.store.write() as tx:
            put_forecast(tx, room, AT_S, {"load:UP-1": 10.0})
            put_stored(tx, AT_S, BAT_1=30_000, BAT_2=10_000)
            _says(tx, AT_S, "EV-1", there=True, charged_wh=0)
            charging.state(tx, room.site, charging.Wanted("EV-1", AT_S + H, 10_000, ANNA))
        planned(room)
        assert _sent(room)["EV-1"].limit_w == pytest.approx(2_880, abs=3)
        with room.store.read() as tx:
            given = planning.plan_input(room, tx, AT_S)[0]
            (band,) = bounds(room, tx, given, ()).wished
    assert band.absorbs
    assert band.low[1] == pytest.approx(-4.38)


def test_a_charge_point_is_astray_only_above_its_limit(room: Room) -> None:
    one = room.site.charger[0]
    told = Setpoint("EV-1", "limit", limit_w=4_000)
    before = {"charged_wh": 0, "discharged_wh": 0}
    for taken_wh, astray in ((0, False), (1_000, False), (1_150, True)):
        now = {"charged_wh": taken_wh, "discharged_wh": 0}
        said = following.astray(room.site, one, told, before, now)
        assert bool(said) is astray, said


def test_what_vehicles_took_is_not_their_usage_points_load(room: Room) -> None:
    """Of 3 kWh in a quarter-hour at the ward 2.75 are the charge point's: 1 kW is its own."""
    names = ["UP-WARD", "UP-1", "EV-1", "EV-V2G", "BAT-1", "BAT-2", "PV-1", "WIND-1", "DG-1"]
    took = np.array([[3_000, 500, 2_750, 0, 0, 0, 0, 0, 0]]).T
    dims = ("usage_point", "interval")
    values = {name: (dims, np.zeros_like(took)) for name in series.REGISTERS}
    values |= {"import_wh": (dims, took), "quality": (dims, np.full(took.shape, Quality.VALID))}
    starts = interval.starts(AT_S, 1, 900)
    content = xr.Dataset(values, coords={"usage_point": names, "interval": starts})
    with room.store.write() as tx:
        series.put_intervals(tx, content, time_zone=room.site.time_zone, cycle_s=AT_S)
        load = gross(room, tx, AT_S, AT_S + 900)["power_kw"]
    assert float(load.sel(series="load:UP-WARD")[0]) == pytest.approx(1.0)
    assert float(load.sel(series="load:UP-1")[0]) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("safe_kw = 2.0", "safe_kw = 10.5", r"safe_kw is 10.5, must be within 0.0 to 10.0"),
        ('id = "EV-1"', 'id = "BAT-1"', "charger BAT-1 stands twice"),
        ('id = "EV-1"', 'id = "EV-1"\nusual_departure = "7:00"', "usual_departure is '7:00', must"),
        ('id = "EV-1"', 'id = "EV-1"\nusage_point = "UP-9"', "Cannot overwrite a value"),
    ],
)
def test_a_wrong_charge_point_is_refused(old: str, new: str, message: str) -> None:
    with pytest.raises(SiteFileError, match=message):
        parse(text(CHARGERS).replace(old, new, 1))
