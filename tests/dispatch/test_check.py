"""The input's gate and the plan's judge: each bad value is named, each planted fault is found."""

import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import dispatch.assets.solar
import dispatch.model
import dispatch.solve
from dispatch.check import check_input, check_plan
from dispatch.plan import LinearCut
from dispatch.solve import solve
from grid.errors import BadInputError, SolverError

ARRAYS = (
    "demand_kw",
    "solar_available_kw",
    "wind_available_kw",
    "sheddable_kw",
    "buy_price",
    "sell_price",
    "battery_energy_kwh",
    "reserve_kw",
    "end_energy_min_kwh",
    "genset_intervals_in_state",
)
SIGNED = ("buy_price", "sell_price")
BAD = {
    "nan": np.nan,
    "inf": np.inf,
    "-inf": -np.inf,
    "1e30": 1e30,
    "negative": -1.0,
    "too negative": -1e7,
}


@pytest.fixture(scope="module")
def day():
    conftest = runpy.run_path(str(Path(__file__).with_name("conftest.py")))
    return conftest["demo_day"](range(60, 72), 6, end_energy_min_kwh=np.ones(9))


@pytest.fixture(scope="module")
def plan(day):
    return solve(day)


def test_a_sound_input_and_a_sound_plan_pass(day, plan):
    check_input(day)
    assert check_plan(day, plan) == []


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("name", ARRAYS)
def test_each_bad_number_is_named_with_its_place_before_a_model_is_built(day, name, bad):
    if name in SIGNED and bad == "negative":
        pytest.skip("a price may be negative")
    values = np.array(getattr(day, name), dtype=np.float64)
    where = tuple(size - 1 for size in values.shape)
    values[where] = BAD[bad]
    with pytest.raises(BadInputError) as caught:
        solve(replace(day, **{name: values}))
    message = str(caught.value)
    assert name in message
    assert str(list(where)) in message
    assert str(BAD[bad]) in message
    assert "must be" in message


@pytest.mark.parametrize("name", [*ARRAYS[:8], "grid_available", "genset_on"])
def test_a_missing_series_is_named(day, name):
    with pytest.raises(BadInputError, match=name):
        check_input(replace(day, **{name: None}))


@pytest.mark.parametrize("name", [*ARRAYS, "grid_available", "genset_on"])
def test_a_series_of_wrong_shape_is_named(day, name):
    with pytest.raises(BadInputError, match=f"{name}.*(shape|one row)"):
        check_input(replace(day, **{name: np.zeros((2, 3))}))


@pytest.mark.parametrize("name", ARRAYS)
def test_a_series_of_text_or_of_none_is_named(day, name):
    values = np.array(getattr(day, name), dtype=object)
    values.flat[0] = "cheap"
    with pytest.raises(BadInputError, match=name):
        check_input(replace(day, **{name: values}))
    values.flat[0] = None
    with pytest.raises(BadInputError, match=name):
        check_input(replace(day, **{name: values}))


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30, None, "dear", -1e4])
def test_a_bad_end_value_is_named(day, value):
    with pytest.raises(BadInputError, match="end_value_per_kwh"):
        check_input(replace(day, end_value_per_kwh=value))


@pytest.mark.parametrize("name", ["start_s", "interval_s"])
@pytest.mark.parametrize("value", [None, np.nan, 1.5, -1, 10**30, True])
def test_a_bad_clock_is_named(day, name, value):
    with pytest.raises(BadInputError, match=name):
        check_input(replace(day, **{name: value}))


@pytest.mark.parametrize("name", ["grid_available", "genset_on"])
def test_a_state_that_is_a_number_is_named(day, name):
    values = np.asarray(getattr(day, name), dtype=np.float64)
    with pytest.raises(BadInputError, match=name):
        check_input(replace(day, **{name: values}))


@pytest.mark.parametrize(
    ("step", "coefficient", "limit"),
    [
        (96, {"bat-c": 1.0}, 1.0),
        (-1, {"bat-c": 1.0}, 1.0),
        (0, {"bat-x": 1.0}, 1.0),
        (0, {"bat-c": np.nan}, 1.0),
        (0, {"bat-c": 1e30}, 1.0),
        (0, {"bat-c": 0.0}, 1.0),
        (0, {}, 1.0),
        (0, {"bat-c": 1.0}, np.nan),
        (0, {"bat-c": 1.0}, None),
        (0, {"bat-c": 1.0}, -np.inf),
    ],
)
def test_a_bad_cut_is_named(day, step, coefficient, limit):
    cut = LinearCut(step, "vm_pu bus 9 <= 1.05", coefficient, limit)
    with pytest.raises(BadInputError, match="vm_pu bus 9"):
        check_input(replace(day, cuts=(cut,)))


def test_stored_energy_outside_the_battery_is_named(day):
    stored = day.battery_energy_kwh.copy()
    stored[3] = 6.6
    with pytest.raises(BadInputError, match=r"bat-2 is 6\.6, must be within 0\.3 to 6\.5"):
        check_input(replace(day, battery_energy_kwh=stored))


def put(name, asset, step, value):
    """Return a fault: `value` written to the schedule."""

    def plant(schedule):
        row = () if asset is None else (list(schedule["asset"].values).index(asset),)
        schedule[name].values[(*row, step)] = value

    return plant


def genset_for(steps):
    """Return a fault: the genset runs in `steps` and the balance still closes."""

    def plant(schedule):
        row = list(schedule["asset"].values).index("gen-1")
        schedule["on"].values[row] = False
        schedule["on"].values[row, steps] = True
        schedule["import_kw"].values[steps] += schedule["produce_kw"].values[row, steps] - 15.0
        schedule["produce_kw"].values[row, steps] = 15.0

    return plant


FAULTS = [
    (put("import_kw", None, 3, 200.0), "import_kw is above its limit by 50 kW"),
    (put("export_kw", None, 65, 5.0), "export_kw is above its limit by 5 kW"),
    (put("import_kw", None, 3, 0.0), "balance 2026-10-21T00:45Z does not close"),
    (put("import_kw", None, 3, np.nan), "import_kw has a value that is not finite"),
    (put("import_kw", None, 3, -1.0), "import_kw is -1 kW, must not be negative"),
    (put("unserved_kw", None, 3, 1.0), "load 2026-10-21T00:45Z is not served by 1 kW"),
    (put("charge_kw", "bat-0", 3, 5.0), "bat-0 2026-10-21T00:45Z charge_kw is above its limit"),
    (put("discharge_kw", "bat-c", 3, 45.0), "discharge_kw is above its limit by 5 kW"),
    (put("energy_kwh", "bat-c", 9, 101.0), "energy_kwh is above its capacity by 1 kWh"),
    (put("energy_kwh", "bat-c", 9, 4.0), "energy_kwh is below its least by 1 kWh"),
    (put("energy_kwh", "bat-c", 9, 60.0), "energy_kwh does not follow from its flows"),
    (put("energy_kwh", "bat-c", 9, np.nan), "energy_kwh of a battery is not finite"),
    (put("energy_kwh", "bat-3", 95, 0.5), "bat-3 ends 0.5 kWh below its target"),
    (put("produce_kw", "pv-4", 0, 1.0), "pv-4 2026-10-21T00:00Z produce_kw is above its limit"),
    (put("curtail_kw", "pv-4", 0, 1.0), "produce_kw + curtail_kw against available"),
    (put("limit_kw", "pv-4", 40, 0.5), "produce_kw does not follow from its limit"),
    (put("limit_kw", "shed-1", 40, 0.5), "shed_kw does not follow from its limit"),
    (put("shed_kw", "shed-1", 0, 90.0), "shed_kw is above its limit"),
    (put("produce_kw", "gen-1", 0, 20.0), "gen-1 2026-10-21T00:00Z produce_kw is above its rating"),
    (put("on", "gen-1", 0, True), "produce_kw is below its least load by 15 kW"),
    (genset_for([10, 11]), "gen-1 2026-10-21T03:00Z stops after 2 of 4 steps"),
    (genset_for([10, 11, 12, 13, 16, 17, 18, 19]), "starts after 2 of 4 steps"),
]


@pytest.mark.parametrize(("fault", "message"), FAULTS, ids=[message for _, message in FAULTS])
def test_each_planted_fault_is_found(day, plan, fault, message):
    schedule = plan.schedule.copy(deep=True)
    fault(schedule)
    found = check_plan(day, replace(plan, schedule=schedule))
    assert any(message in text for text in found), found


def dearer(name):
    """Return a wrong model: of the day, but with the cost `name` 5 % off."""

    def of(day):
        if name in ("buy_price", "sell_price", "end_value_per_kwh"):
            return {name: 1.05 * getattr(day, name)}
        kind = {"wear": "battery", "penalty": "shedding"}.get(name, "genset")
        assets = getattr(day, kind)
        return {
            kind: tuple(replace(one, **{name: round(1.05 * getattr(one, name))}) for one in assets)
        }

    return of


@pytest.fixture(name="costly", scope="module")
def costly_fixture(day):
    """An evening in which every cost is met: bought, sold, burnt, worn, shed and stored."""
    return replace(
        day,
        cuts=(),
        demand_kw=np.where(day.grid_available, day.demand_kw, 95.0),
        sell_price=np.where(np.arange(96) < 60, 0.05, 0.09),
        genset=(replace(day.genset[0], min_up_intervals=1),),
        sheddable_kw=np.full((1, 96), 40.0),
    )


COSTS = (
    "buy_price",
    "sell_price",
    "end_value_per_kwh",
    "wear",
    "fuel",
    "no_load_per_hour",
    "start",
    "penalty",
)


@pytest.mark.parametrize("name", COSTS)
def test_a_wrong_cost_in_the_model_is_an_error_of_the_solver(costly, monkeypatch, name):
    stated = dispatch.solve.statement
    solve(costly)

    def statement(plan_input, pairs):
        return stated(replace(plan_input, **dearer(name)(plan_input)), pairs)

    monkeypatch.setattr("dispatch.solve.statement", statement)
    with pytest.raises(SolverError, match="cost the solver minimised is"):
        solve(costly)


def test_a_tie_break_that_weighs_like_a_price_is_an_error_of_the_solver(costly, monkeypatch):
    monkeypatch.setattr("dispatch.assets.battery.THROUGHPUT_PER_KWH", 1e-3)
    with pytest.raises(SolverError, match="cost the solver minimised is"):
        solve(costly)


@pytest.mark.parametrize("gone", ["RESERVE_PENALTY_PER_KWH", "up"])
def test_a_wrong_reserve_in_the_model_is_an_error_of_the_solver(costly, monkeypatch, gone):
    day = replace(costly, reserve_kw=np.full(96, 60.0))
    assert solve(day).schedule["reserve_short_kw"].values[60] >= 20.0
    if gone == "up":
        need = dispatch.statement._need
        monkeypatch.setattr("dispatch.statement._need", lambda given: 0.9 * need(given))
    else:
        monkeypatch.setattr(f"dispatch.statement.{gone}", 101.0)
    with pytest.raises(
        SolverError, match=r"reserve .* is shorter than stated|cost the solver minimised"
    ):
        solve(day)


def test_a_plant_that_the_model_lets_give_too_much_is_named(day, monkeypatch):
    """The flow is judged as the solver gave it, not as it was cut to size."""
    limited = dispatch.assets.solar.limited
    monkeypatch.setattr(
        "dispatch.assets.solar.limited",
        lambda plants, available, hours: limited(plants, 1.1 * available, hours),
    )
    with pytest.raises(SolverError, match=r"pv-0 .* produce_kw is above its limit"):
        solve(day)


def test_forced_steps_that_are_counted_wrong_are_an_error_of_the_solver(day, monkeypatch):
    """The required genset has stood for 1 of 4 steps; the model holds it down for 9."""
    dark = replace(
        day,
        cuts=(),
        grid_available=np.arange(96) >= 12,
        battery_energy_kwh=np.array([battery.energy_kwh for battery in day.battery]),
        genset=(replace(day.genset[0], island_required=True),),
        genset_intervals_in_state=np.array([1]),
        demand_kw=np.full(96, 25.0),
    )
    row = dark.rows("genset").start
    assert solve(dark).schedule["on"].values[row, :12].tolist() == [False] * 3 + [True] * 9
    for module in ("assets.genset", "check"):
        name = f"dispatch.{module}.forced_steps"
        monkeypatch.setattr(name, lambda plan_input, row: 9, raising=False)
    with pytest.raises(SolverError, match=r"gen-1 .* stands while the island requires it"):
        solve(dark)


def test_flows_both_ways_at_once_are_found(day, plan):
    schedule = plan.schedule.copy(deep=True)
    for name in ("charge_kw", "discharge_kw"):
        schedule[name].values[0, 40] += 3.0
    for name in ("import_kw", "export_kw"):
        schedule[name].values[40] += 3.0
    found = " ".join(check_plan(day, replace(plan, schedule=schedule)))
    assert "bat-c 2026-10-21T10:00Z charges and discharges at once" in found
    assert "grid-1 2026-10-21T10:00Z imports and exports at once" in found


def test_a_broken_cut_is_found_in_kw_of_its_strongest_asset(day, plan):
    cut = LinearCut(50, "loading line 3 <= 100", {"grid-1": -2.0, "pv-1": 1.0}, -1e4)
    found = check_plan(replace(day, cuts=(cut,)), plan)
    assert len(found) == 1
    assert found[0].startswith("cut loading line 3 <= 100 2026-10-21T12:30Z is broken by ")


def test_a_reserve_shorter_than_stated_is_found(day, plan):
    found = check_plan(replace(day, reserve_kw=np.full(96, 60.0)), plan)
    assert any(text.startswith("reserve ") for text in found)


def test_a_reserve_stated_shorter_than_it_is_is_found(day, plan):
    schedule = plan.schedule.copy(deep=True)
    schedule["reserve_short_kw"].values[60] += 1.0
    found = check_plan(day, replace(plan, schedule=schedule))
    assert found == ["reserve 2026-10-21T15:00Z is less short than stated by 1 kW"]


def test_a_schedule_of_other_assets_is_found(day, plan):
    schedule = plan.schedule.assign_coords(asset=[f"x-{i}" for i in range(23)])
    assert "schedule has assets" in check_plan(day, replace(plan, schedule=schedule))[0]
