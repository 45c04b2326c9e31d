"""A running site keeps what critical load needs if the network were lost, and says what lacks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dispatch.check_headroom import _shared
from dispatch.survival import lasting_h
from grid.operation import medical_loads, survival
from grid.operation.room import Room
from grid.operation.solver import Solver
from grid.site import Battery
from grid.site_file import SiteFileError, parse
from tests.operation.control_site import room_of
from tests.operation.planned_site import AT_S, N, planned, put_forecast, put_stored, text

HOURS = 4
LOAD_KW = 6.0 + 3.0 * np.sin(np.arange(N) / 96 * 2 * np.pi)


@pytest.fixture
def room(tmp_path: Path, solver: Solver) -> Iterator[Room]:
    """The site that asks for four hours."""
    with room_of(tmp_path, text(survive_h=HOURS)) as made:
        made.solver = solver
        yield made


def _told(room: Room, ward_kw: object, **energy_wh: int) -> tuple[object, list[object]]:
    with room.store.write() as tx:
        put_forecast(tx, room, AT_S, {"load:UP-WARD": ward_kw, "load:UP-1": 10.0})
        put_stored(tx, AT_S, **energy_wh)
    return planned(room)


def test_an_outage_at_any_step_of_the_plan_is_outlived(room: Room) -> None:
    """By trying each: the battery that forms carries the ward for the hours, from any step on."""
    schedule, findings = _told(room, LOAD_KW, BAT_1=45_000, BAT_2=10_000)
    assert not [one for one in findings if one["code"] in ("survival.short", "plan.fallback")]
    battery = room.site.battery[0]
    energy = schedule["energy_kwh"].sel(asset="BAT-1").values
    ahead = np.append(LOAD_KW, np.full(4 * HOURS, LOAD_KW[-1]))
    for begins in range(N):
        held = energy[begins] - battery.min_energy_kwh
        for load in ahead[begins + 1 : begins + 1 + 4 * HOURS]:
            assert load <= battery.power_kw
            held -= 0.25 * load / battery.discharge_efficiency
        assert held >= -1e-5, begins
    assert float(schedule[survival.LASTS].min()) >= HOURS - 1e-6


def test_a_site_that_asks_for_nothing_plans_the_battery_empty(
    tmp_path: Path, solver: Solver
) -> None:
    with room_of(tmp_path, text()) as room:
        room.solver = solver
        schedule, findings = _told(room, LOAD_KW, BAT_1=45_000, BAT_2=10_000)
    assert not [one for one in findings if one["code"] == "survival.short"]
    # What it would last is known all the same.
    assert float(schedule[survival.LASTS].min()) < HOURS


def test_what_cannot_be_held_is_said_and_the_most_is_kept(room: Room) -> None:
    """20 kW for 4 h are 80 kWh; 60 kWh that lose a twentieth give 57."""
    schedule, findings = _told(room, 20.0, BAT_1=30_000, BAT_2=10_000)
    (told,) = [one for one in findings if one["code"] == "survival.short"]
    assert told["severity"] == "alarm"
    assert (
        "critical load of 20.0 kW for 4 h needs 80.0 kWh; above its floor BAT-1 gives"
        in (told["message"])
    )
    assert "then and can give 57.0 kWh" in told["message"]
    energy = schedule["energy_kwh"].sel(asset="BAT-1").values
    assert float(energy[12:].min()) == pytest.approx(60.0, abs=1e-3)
    assert float(schedule[survival.LASTS].values[20]) == pytest.approx(57.0 / 20.0, abs=1e-3)


def test_a_load_above_their_power_is_dark_at_once_and_no_plan_is_refused(room: Room) -> None:
    schedule, findings = _told(room, 35.0, BAT_1=30_000, BAT_2=10_000)
    codes = {one["code"] for one in findings}
    assert "plan.fallback" not in codes
    (told,) = [one for one in findings if one["code"] == "survival.short"]
    assert "at most 30.0 kW of up to 35.0 kW" in told["message"]
    assert float(schedule[survival.LASTS].max()) == 0.0


def test_without_an_answer_of_the_battery_it_is_an_alarm(room: Room) -> None:
    _, findings = _told(room, 5.0, BAT_2=10_000)
    (told,) = [one for one in findings if one["code"] == "survival.short"]
    assert "no battery that forms an island answers" in told["message"]


def test_medical_loads_that_were_told_later_count(room: Room) -> None:
    with room.store.write() as tx:
        assert survival.critical_points(room, tx) == ["UP-WARD"]
        medical_loads.mark(tx, room.site, "UP-1", is_medical=True, by="clerk@example.org")
        assert survival.critical_points(room, tx) == ["UP-1", "UP-WARD"]


@pytest.mark.parametrize("seed", range(20))
def test_how_long_batteries_last_together_by_serving_the_load(seed: int) -> None:
    draw = np.random.default_rng(seed)
    batteries = tuple(
        Battery(f"B-{n}", "UP-1", draw.uniform(1, 5), draw.uniform(5, 20), 0.9, 0.9, 1.0)
        for n in range(int(draw.integers(1, 4)))
    )
    energy = np.array([draw.uniform(1.0, b.energy_kwh) for b in batteries])
    ahead = draw.uniform(0.2, 1.1, 40) * sum(b.power_kw for b in batteries)
    left = np.array([(e - 1.0) * 0.9 for e in energy]) / 0.25
    power, served = np.array([b.power_kw for b in batteries]), 0
    for load in ahead:
        given = _shared(float(load), power, left)
        if given.sum() < load - 1e-9:
            break
        left, served = left - given, served + 1
    found = lasting_h(batteries, energy, ahead, 0.25)
    assert 0.25 * served - 1e-6 <= found <= 0.25 * served + 0.25 + 1e-6
    if load > power.sum():
        assert found == pytest.approx(0.25 * served)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ("forming = false", "survive_h is 4 with 0 batteries with forming = true, must be 1 to 4"),
        ("forming = true\nwrong = 1", "unknown key 'wrong'"),
    ],
)
def test_hours_without_a_battery_that_forms_are_refused(changed: str, message: str) -> None:
    with pytest.raises(SiteFileError, match=message):
        parse(text(survive_h=HOURS).replace("forming = true", changed))


def test_hours_are_within_two_days() -> None:
    with pytest.raises(SiteFileError, match=r"survive_h is 49\.0, must be within 0\.0 to 48\.0"):
        parse(text(survive_h=49))
