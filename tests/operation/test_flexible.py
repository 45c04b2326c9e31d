"""Flexible loads of a running site: pumps within their hours, a house kept warm, dimmed lights."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from grid.errors import BadInputError
from grid.operation import flexible_plan, overrides
from grid.operation.check import check
from grid.operation.demo_site import demo_site
from grid.operation.overrides import Wanted as Held
from grid.operation.room import Room
from grid.operation.solver import Solver
from grid.site_file import SiteFileError, parse
from grid.store import Transaction, control, field, sensors
from grid.store.overrides import Action, Reason
from meters.device import DeviceAddress, DeviceState, Setpoint
from meters.modbus.sunspec import read_devices, send_setpoints
from meters.mqtt.mapping import SensorSample
from meters.simulator.modbus import ModbusServers
from meters.simulator.points import DevicePoint
from meters.vee import Quality
from tests.operation.control_site import room_of
from tests.operation.planned_site import AT_S, planned, put_forecast, put_stored, text

H = 3600
ANNA = "anna@example.org"

LOADS = """
[[flexible]]
id = "PUMP-1"
usage_point = "UP-1"
power_kw = 8.0
daily_kwh = 24.0
from_time = "12:00"
to_time = "20:00"
missed = "1.0"
[[flexible]]
id = "HEAT-1"
usage_point = "UP-WARD"
power_kw = 6.0
gain = 3.0
capacity_kwh_per_k = 10.0
loss_kw_per_k = 0.4
low_celsius = 20.0
high_celsius = 23.0
indoor = "T-IN"
outdoor_celsius = 0.0
missed = "1.0"
[mqtt]
host = "127.0.0.1"
[[sensor]]
id = "T-IN"
kind = "temperature_celsius"
topic = "house/inside"
location = "the house"
"""


@pytest.fixture
def room(tmp_path: Path, solver: Solver) -> Iterator[Room]:
    """The site with a pump and a house, at 14:00."""
    with room_of(tmp_path, text(LOADS)) as made:
        made.solver = solver
        with made.store.write() as tx:
            put_forecast(tx, made, AT_S, {"load:UP-WARD": 5.0, "load:UP-1": 10.0})
            put_stored(tx, AT_S, BAT_1=0, BAT_2=0)
            # The batteries stand aside: what is dear is to be seen at the loads.
            for name in ("BAT-1", "BAT-2"):
                held = Held(name, Action.OFF, 0, 1440, Reason.TEST, ANNA)
                one = overrides.ask(tx, made.site, held)
                assert one.stake_w <= 45_000
        yield made


def _counts(tx: Transaction, at_s: int, asset: str, charged_wh: int) -> None:
    one = DeviceState(
        asset, at_s, charged_wh, 0, 0, 0, None, True, 0, Setpoint(asset, "limit", revert_s=0)
    )
    field.put_device_states(tx, [one], at_s=at_s)


def _warm(tx: Transaction, at_s: int, celsius: float) -> None:
    sample = SensorSample("T-IN", at_s, celsius, Quality.VALID, False, at_s)
    sensors.put_samples(tx, [sample], interval_s=900)


def _limit_w(room: Room, asset: str) -> int:
    with room.store.read() as tx:
        (row,) = [row for row in control.setpoints(tx, AT_S) if row["asset"] == asset]
    return int(row["limit_w"])


def test_a_pump_takes_the_rest_of_its_day_before_it_gets_dear(room: Room) -> None:
    """24 kWh from 12 to 20; 9 are done at 14:00, the price triples at 18:00."""
    with room.store.write() as tx:
        _counts(tx, AT_S - 2 * H, "PUMP-1", 1_000)
        _counts(tx, AT_S, "PUMP-1", 10_000)
    schedule, findings = planned(room)
    assert "plan.fallback" not in {row["code"] for row in findings}
    taken = schedule["charge_kw"].sel(asset="PUMP-1").values / 4
    assert taken[:16].sum() == pytest.approx(15.0, abs=1e-3)
    assert taken[16:88].max() < 1e-6
    # Tomorrow's hours begin at noon, the 88th step.
    assert taken[88:].sum() <= 24.0 + 1e-6
    limit_kw = float(schedule["charge_kw"].sel(asset="PUMP-1")[0])
    assert _limit_w(room, "PUMP-1") == pytest.approx(1000 * limit_kw, abs=2)


def test_hours_that_are_over_ask_for_nothing_and_may_go_through_the_night(room: Room) -> None:
    (pump, _) = room.site.flexible
    with room.store.read() as tx:
        late = flexible_plan.corridor(room, tx, pump, AT_S + 7 * H, 96, {})
        night = replace(pump, from_time="22:00", to_time="06:00")
        over = flexible_plan.corridor(room, tx, night, AT_S, 96, {})
        always = flexible_plan.corridor(room, tx, replace(pump, to_time="12:00"), AT_S, 96, {})
    assert late.low_kwh[:60].max() == 0.0
    assert (late.high_kwh[0], late.high_kwh[60]) == (0.0, 24.0)
    # From 14:00: eight hours until it may begin, eight until it must be done.
    assert np.flatnonzero(over.high_kwh == 24.0)[0] == 32
    assert np.flatnonzero(over.low_kwh == 24.0)[0] == 63
    assert (always.high_kwh[0], always.low_kwh[87], always.high_kwh[88]) == (24.0, 24.0, 48.0)


def test_a_pump_that_pumped_too_much_has_a_plan(room: Room) -> None:
    with room.store.write() as tx:
        _counts(tx, AT_S - 2 * H, "PUMP-1", 0)
        _counts(tx, AT_S, "PUMP-1", 40_000)
    schedule, findings = planned(room)
    assert "plan.fallback" not in {row["code"] for row in findings}
    assert float(schedule["charge_kw"].sel(asset="PUMP-1")[:88].max()) == 0.0


def test_a_house_is_warmed_while_it_is_cheap_and_stays_in_its_band(room: Room) -> None:
    with room.store.write() as tx:
        _counts(tx, AT_S, "HEAT-1", 0)
        _warm(tx, AT_S - 60, 20.5)
    schedule, findings = planned(room)
    assert not {row["code"] for row in findings} & {"plan.fallback", "flexible.short"}
    taken = schedule["charge_kw"].sel(asset="HEAT-1").values
    # By hand: C dT/dt = 3 x - k (T - 0), piecewise constant.
    celsius, least, most = 20.5, 99.0, 0.0
    for power in taken:
        kept = np.exp(-0.4 / 10.0) ** 0.25
        celsius = 20.0 + kept * (celsius - 20.0) + 0.25 * (3.0 * power - 0.4 * 20.0) / 10.0
        least, most = min(least, celsius), max(most, celsius)
    assert least >= 20.0 - 1e-3
    assert most <= 23.0 + 1e-3
    assert taken[16:32].mean() < 0.5 * taken[:16].mean()


def test_a_house_that_is_too_warm_or_too_cold_has_a_plan(room: Room) -> None:
    with room.store.write() as tx:
        _counts(tx, AT_S, "HEAT-1", 0)
        _warm(tx, AT_S - 60, 26.0)
    schedule, findings = planned(room)
    assert "plan.fallback" not in {row["code"] for row in findings}
    assert float(schedule["charge_kw"].sel(asset="HEAT-1")[0]) == 0.0
    with room.store.write() as tx:
        put_forecast(tx, room, AT_S + 900, {"load:UP-WARD": 5.0})
        put_stored(tx, AT_S + 900, BAT_1=0, BAT_2=0)
        _counts(tx, AT_S + 900, "HEAT-1", 0)
        _warm(tx, AT_S + 800, 18.0)
    schedule, findings = planned(room, AT_S + 900)
    assert float(schedule["charge_kw"].sel(asset="HEAT-1")[0]) == pytest.approx(6.0)
    (told,) = [row for row in findings if row["code"] == "flexible.short"]
    assert "HEAT-1 2026-05-27T10:15Z will lack" in told["message"]


def test_a_house_of_which_nothing_is_known_is_left_to_its_thermostat(room: Room) -> None:
    with room.store.write() as tx:
        _counts(tx, AT_S, "HEAT-1", 0)
        _warm(tx, AT_S - 3 * H, 21.0)
    _, findings = planned(room)
    (told,) = [row for row in findings if row["code"] == "flexible.blind"]
    assert "T-IN tells no temperature of the last 2 h" in told["message"]
    assert _limit_w(room, "HEAT-1") == 6_000


def test_an_operator_stops_a_pump(room: Room) -> None:
    with room.store.write() as tx:
        _counts(tx, AT_S, "PUMP-1", 0)
        overrides.ask(tx, room.site, Held("PUMP-1", Action.OFF, 0, 60, Reason.TEST, ANNA))
        with pytest.raises(BadInputError, match="cannot be held at charge, only at limit, off"):
            overrides.ask(tx, room.site, Held("HEAT-1", Action.CHARGE, 1, 60, Reason.TEST, ANNA))
    planned(room)
    assert _limit_w(room, "PUMP-1") == 0


def test_lights_are_dimmed_by_their_share_and_no_further(tmp_path: Path, solver: Solver) -> None:
    """A third of the ward's 30 kW may be withheld for less than the evening's price."""
    words = text().replace('penalty = "5.0"', 'penalty = "0.15"\nshare = 0.3333')
    words = words.replace('usage_points = ["UP-1"]', 'usage_points = ["UP-WARD"]')
    with room_of(tmp_path, words) as room:
        room.solver = solver
        with room.store.write() as tx:
            put_forecast(tx, room, AT_S, {"load:UP-WARD": 30.0})
            put_stored(tx, AT_S, BAT_1=0, BAT_2=0)
        schedule, _ = planned(room)
    shed = schedule["shed_kw"].sel(asset="SHED-1").values
    assert shed[:16].max() < 1e-6
    assert shed[16:32].max() == pytest.approx(0.3333 * 30.0, abs=1e-3)


def test_a_dimmed_group_is_sent_what_it_still_may_take(tmp_path: Path, solver: Solver) -> None:
    """A fifth of 30 kW is withheld: 24 kW are left, not a fifth less what is withheld."""
    words = text().replace('penalty = "5.0"', 'penalty = "0.01"\nshare = 0.2')
    words = words.replace('usage_points = ["UP-1"]', 'usage_points = ["UP-WARD"]')
    with room_of(tmp_path, words) as room:
        room.solver = solver
        with room.store.write() as tx:
            put_forecast(tx, room, AT_S, {"load:UP-WARD": 30.0})
            put_stored(tx, AT_S, BAT_1=0, BAT_2=0)
        planned(room)
        assert _limit_w(room, "SHED-1") == pytest.approx(24_000, abs=10)


def test_a_pump_on_a_socket_takes_its_limit_and_tells_it_back(room: Room) -> None:
    with room.store.write() as tx:
        _counts(tx, AT_S, "PUMP-1", 0)
    planned(room)
    with room.store.read() as tx:
        (row,) = [row for row in control.setpoints(tx, AT_S) if row["asset"] == "PUMP-1"]
    wish = Setpoint(**{name: row[name] for name in Setpoint.__dataclass_fields__})
    safe = Setpoint("PUMP-1", "limit", limit_w=8_000, revert_s=0)
    point = DevicePoint(
        "PUMP-1", "limit", 8_000, 0, 0, 0, 0, 8_000, None, True, 0, safe, absorbs=True
    )

    async def run() -> tuple[list[Setpoint], list[DeviceState]]:
        servers = ModbusServers()
        urls = await servers.start(devices=[point])
        at = [DeviceAddress(name, url) for name, url in urls.items()]
        try:
            held, _ = await send_setpoints(at, [wish], timeout_s=5.0)
            states, _ = await read_devices(at, at_s=AT_S, timeout_s=5.0)
        finally:
            await servers.stop()
        return held, states

    held, (state,) = asyncio.run(run())
    assert held == [wish]
    assert state.setpoint == wish
    # It falls back to 24 kWh spread over eight hours.
    assert wish.revert_w == 3_000


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "daily_kwh = 24.0",
            "daily_kwh = 65.0",
            r"daily_kwh is 65.0, must be within 0.001 to 64.0",
        ),
        ('from_time = "12:00"', 'from_time = "12:01"', "from_time is '12:01', must be HH:MM"),
        ("high_celsius = 23.0", "high_celsius = 20.0", "high_celsius must be above low_celsius"),
        ("high_celsius = 23.0\n", "", "high_celsius, indoor go together"),
        ("gain = 3.0", "gain = 3.0\ndaily_kwh = 9.0", "has daily_kwh or else a house, not both"),
    ],
)
def test_a_wrong_load_is_refused(old: str, new: str, message: str) -> None:
    with pytest.raises(SiteFileError, match=message):
        parse(text(LOADS).replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("daily_kwh = 24.0\n", "", "has neither daily_kwh nor a house"),
        ('indoor = "T-IN"', 'indoor = "T-9"', "'T-9', which is no sensor of temperature_celsius"),
    ],
)
def test_a_load_that_cannot_run_is_refused(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(SiteFileError, match=message):
        check(text(LOADS).replace(old, new, 1), base_dir=tmp_path)


def test_the_example_in_the_documents_runs(tmp_path: Path) -> None:
    more = Path(__file__).parents[2] / "docs" / "examples" / "devices.toml"
    site = check(demo_site() + more.read_text(encoding="utf-8"), base_dir=tmp_path)
    assert [str(one.id) for one in site.assets[-4:]] == ["EV-1", "EV-2", "PUMP-1", "HEAT-1"]
    assert site.shedding[-1].share == 0.4
