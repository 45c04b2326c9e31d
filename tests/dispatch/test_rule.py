"""The rule, the safe rule and the ladder between them: they exist, and they keep the limits."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch.check import check_plan
from dispatch.plan import LAST_GOOD_PLAN, SAFE_RULE, LinearCut, Plan, empty_schedule
from dispatch.rule import fallback, safe, self_consumption
from dispatch.solve import solve
from grid.site import Price, Shedding, Solar


def broken(plan_input, schedule):
    plan = Plan("rule", "rule", plan_input.start_s, plan_input.interval_s, 0.0, 0.0, schedule)
    return check_plan(plan_input, plan)


def test_it_charges_from_surplus_and_discharges_on_deficit_at_any_price(community, make):
    plan_input = community(
        3,
        battery=(make.battery(),),
        solar=(Solar("pv-1", "u-1", 8.0),),
        solar_available_kw=[[8.0, 0.0, 0.0]],
        demand_kw=[4.0, 2.0, 2.0],
        buy_price=[9.0, -9.0, 9.0],
    )
    schedule = self_consumption(plan_input)
    assert schedule["charge_kw"].values[0].tolist() == [4.0, 0.0, 0.0]
    assert schedule["discharge_kw"].values[0].tolist() == pytest.approx([0.0, 2.0, 1.24])
    assert schedule["import_kw"].values.tolist() == pytest.approx([0.0, 0.0, 0.76])
    assert broken(plan_input, schedule) == []


def test_it_runs_the_genset_only_while_islanded_and_for_its_minimum_up_time(community, make):
    plan_input = community(
        6,
        battery=(make.battery(power=30.0, energy=40.0, forming=True),),
        genset=(make.genset(min_up_intervals=3, least=2.0),),
        demand_kw=[10.0] * 6,
        grid_available=[True, False, True, True, True, True],
        buy_price=[9.0] * 6,
        battery_energy_kwh=[0.0],
    )
    schedule = self_consumption(plan_input)
    assert schedule["on"].values[1].tolist() == [False, True, True, True, False, False]
    assert broken(plan_input, schedule) == []


def island_hours(community, make, demand, stored, *, power=30.0, **fields):
    """Islanded hours with a lossless battery of 100 kWh and a genset of 5 to 20 kW."""
    losses = {"charge_efficiency": 1.0, "discharge_efficiency": 1.0}
    unit = fields.pop("unit", {})
    facts = {
        "battery": (make.battery(power=power, energy=100.0, forming=True, **losses),),
        "genset": (make.genset(**unit),),
        "demand_kw": demand,
        "grid_available": [False] * len(demand),
        "battery_energy_kwh": [stored],
        **fields,
    }
    return community(len(demand), **facts)


REQUIRED = {"island_required": True}
BY_HAND = {
    "one that the island requires stays at its least load while batteries can serve": (
        {"demand": [12.0, 12.0], "stored": 50.0, "unit": REQUIRED},
        {"produce_kw": [5.0, 5.0], "discharge_kw": [7.0, 7.0], "energy_kwh": [43.0, 36.0]},
    ),
    "one that it does not require stands while batteries can serve": (
        {"demand": [12.0, 12.0], "stored": 50.0},
        {"produce_kw": [0.0, 0.0], "discharge_kw": [12.0, 12.0], "energy_kwh": [38.0, 26.0]},
    ),
    "what is beyond the power of the batteries is left to it": (
        {"demand": [12.0, 19.0], "stored": 50.0, "power": 4.0},
        {"produce_kw": [8.0, 15.0], "discharge_kw": [4.0, 4.0], "energy_kwh": [46.0, 42.0]},
    ),
    "what is beyond the energy of the batteries is left to it": (
        {"demand": [12.0, 12.0, 12.0], "stored": 10.0, "unit": REQUIRED},
        {
            "produce_kw": [5.0, 9.0, 12.0],
            "discharge_kw": [7.0, 3.0, 0.0],
            "energy_kwh": [3.0, 0.0, 0.0],
        },
    ),
    "the reserve is left in the batteries": (
        {"demand": [12.0], "stored": 50.0, "power": 10.0, "unit": REQUIRED, "reserve_kw": [6.0]},
        {"produce_kw": [8.0], "discharge_kw": [4.0], "energy_kwh": [46.0]},
    ),
    "batteries take what its least load makes too much": (
        {"demand": [3.0], "stored": 50.0, "unit": REQUIRED},
        {"produce_kw": [5.0], "charge_kw": [2.0], "discharge_kw": [0.0], "energy_kwh": [52.0]},
    ),
    "its minimum up time is served at its least load, the grid gives the rest": (
        {
            "demand": [12.0, 12.0],
            "stored": 0.0,
            "unit": {"min_up_intervals": 2},
            "grid_available": [False, True],
        },
        {"produce_kw": [12.0, 5.0], "discharge_kw": [0.0, 0.0], "import_kw": [0.0, 7.0]},
    ),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_batteries_serve_before_the_genset(community, make, name):
    facts, expected = BY_HAND[name]
    plan_input = island_hours(community, make, **facts)
    schedule = self_consumption(plan_input)
    for column, values in expected.items():
        found = schedule[column].values
        row = (1,) if column == "produce_kw" else (0,) if found.ndim == 2 else ()
        assert found[row].tolist() == pytest.approx(values), column
    assert broken(plan_input, schedule) == []


def test_shedding_comes_after_batteries_and_genset_and_the_reserve_after_shedding(community, make):
    """46 kW: 10 - 6 by the battery, 20 by the genset, 9 shed, 6 of the reserve; 7 are lost."""
    plan_input = island_hours(
        community,
        make,
        [46.0],
        50.0,
        power=10.0,
        reserve_kw=[6.0],
        shedding=(Shedding("shed-1", ("u-1",), Price(2_000_000)),),
        sheddable_kw=[[9.0]],
    )
    schedule = self_consumption(plan_input)
    assert schedule["produce_kw"].values[1].tolist() == [20.0]
    assert schedule["shed_kw"].values[2].tolist() == [9.0]
    assert schedule["discharge_kw"].values[0].tolist() == [10.0]
    assert schedule["reserve_short_kw"].values.tolist() == [6.0]
    assert schedule["unserved_kw"].values.tolist() == [7.0]


def test_without_a_forming_battery_the_genset_keeps_the_reserve_both_ways(community, make):
    """A reserve of 3 leaves the genset 8 to 17 kW of its 5 to 20."""
    plan_input = island_hours(
        community,
        make,
        [12.0, 25.0, 29.0],
        50.0,
        battery=(make.battery(power=9.0, energy=100.0, discharge_efficiency=1.0),),
        unit=REQUIRED,
        reserve_kw=[3.0] * 3,
        shedding=(Shedding("shed-1", ("u-1",), Price(2_000_000)),),
        sheddable_kw=[[1.0] * 3],
    )
    schedule = self_consumption(plan_input)
    assert schedule["produce_kw"].values[1].tolist() == [8.0, 16.0, 19.0]
    assert schedule["discharge_kw"].values[0].tolist() == [4.0, 9.0, 9.0]
    assert schedule["shed_kw"].values[2].tolist() == [0.0, 0.0, 1.0]
    assert schedule["reserve_short_kw"].values.tolist() == [0.0, 0.0, 2.0]
    assert broken(plan_input, schedule) == []


def test_a_stocked_island_burns_no_more_diesel_than_the_least_load(demo_day):
    """2 h of 45 kW with every battery full: 30 kW of them leave the genset its 15 kW."""
    plan_input = demo_day(range(8))
    plan_input = replace(
        plan_input,
        genset=(replace(plan_input.genset[0], island_required=True),),
        battery_energy_kwh=np.array([battery.energy_kwh for battery in plan_input.battery]),
        demand_kw=np.full(96, 45.0),
        wind_available_kw=np.zeros((1, 96)),
    )
    schedule = self_consumption(plan_input)
    row = plan_input.rows("genset").start
    assert schedule["produce_kw"].values[row, :8].tolist() == [15.0] * 8
    assert broken(plan_input, schedule) == []


def test_it_sheds_what_it_may_before_it_drops_what_it_must_not(community, make):
    plan_input = community(
        1,
        shedding=(Shedding("shed-1", ("u-1",), Price(2_000_000)),),
        demand_kw=[8.0],
        sheddable_kw=[[5.0]],
        grid_available=[False],
    )
    schedule = self_consumption(plan_input)
    assert schedule["shed_kw"].values.tolist() == [[5.0]]
    assert schedule["unserved_kw"].values.tolist() == [3.0]


def test_it_withholds_plants_pro_rata_for_a_cut(community, make):
    plan_input = community(
        1,
        solar=(Solar("pv-1", "u-1", 10.0), Solar("pv-2", "u-1", 10.0), Solar("pv-3", "u-1", 10.0)),
        grid=make.grid(export_kw=50.0),
        solar_available_kw=[[10.0], [5.0], [8.0]],
        cuts=(LinearCut(0, "vm_pu bus 4 <= 1.05", {"pv-1": 2e-4, "pv-2": 2e-4}, 1.5e-3),),
    )
    schedule = self_consumption(plan_input)
    assert schedule["produce_kw"].values[:, 0].tolist() == pytest.approx([5.0, 2.5, 8.0])
    assert schedule["limit_kw"].values[:2, 0].tolist() == pytest.approx([5.0, 2.5])
    assert math.isnan(float(schedule["limit_kw"].values[2, 0]))
    assert broken(plan_input, schedule) == []


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("outage", [range(0), range(60, 72), range(30, 60)])
def test_it_keeps_every_limit_of_a_day_that_the_plan_keeps(demo_day, outage, seed):
    plan_input = demo_day(outage, 60, seed)
    assert broken(plan_input, self_consumption(plan_input)) == []


numbers = st.floats(width=32) | st.sampled_from([np.nan, np.inf, -np.inf, 1e30, -5.0, 0.0, 8.0])
FIELDS = (
    "demand_kw",
    "solar_available_kw",
    "sheddable_kw",
    "buy_price",
    "sell_price",
    "battery_energy_kwh",
    "reserve_kw",
    "grid_available",
    "genset_on",
    "genset_intervals_in_state",
    "start_s",
    "interval_s",
)


@st.composite
def faults(draw):
    name = draw(st.sampled_from(FIELDS))
    shape = draw(st.sampled_from([(4,), (1, 4), (1,), (0,), (), (3, 2)]))
    count = math.prod(shape)
    values = draw(st.lists(numbers, min_size=count, max_size=count))
    kind = draw(st.sampled_from(["array", "scalar", "none", "text"]))
    if kind == "none":
        return name, None
    if kind == "text":
        return name, np.array(["x", "y"])
    return name, np.array(values).reshape(shape) if kind == "array" else draw(numbers)


def island(community, make):
    return community(
        4,
        battery=(make.battery(forming=True), make.battery("bat-2")),
        solar=(Solar("pv-1", "u-1", 8.0),),
        genset=(make.genset(),),
        shedding=(Shedding("shed-1", ("u-1",), Price(2_000_000)),),
        demand_kw=[6.0] * 4,
        solar_available_kw=[[7.0] * 4],
        sheddable_kw=[[2.0] * 4],
        grid_available=[True, True, False, False],
        battery_energy_kwh=[5.0, 5.0],
    )


@settings(max_examples=150, deadline=None)
@given(several=st.lists(faults(), min_size=1, max_size=5))
def test_a_safe_schedule_exists_whatever_is_wrong(several):
    community, make = _facts()
    plan_input = replace(island(community, make), **dict(several))
    schedule = safe(plan_input)
    for name in ("charge_kw", "discharge_kw", "produce_kw", "shed_kw"):
        assert np.isfinite(schedule[name].values).all()
        assert (schedule[name].values >= 0.0).all()
    battery_power = schedule["discharge_kw"].values[:2] + schedule["charge_kw"].values[:2]
    assert (battery_power <= 5.0).all()
    assert (schedule["limit_kw"].values[2] <= 4.0).all()
    assert fallback(None, 0, plan_input).source == SAFE_RULE


def _facts():
    import runpy
    from pathlib import Path

    conftest = runpy.run_path(str(Path(__file__).with_name("conftest.py")))

    class Make:
        battery = staticmethod(conftest["battery"])
        genset = staticmethod(conftest["genset"])

    return conftest["community"], Make


def test_the_safe_rule_idles_the_batteries_and_runs_the_genset_while_islanded(community, make):
    schedule = safe(island(community, make))
    assert schedule["on"].values[3].tolist() == [False, False, True, True]
    assert schedule["charge_kw"].values[:, :2].max() == 0.0
    assert schedule["discharge_kw"].values[1].max() == 0.0
    assert schedule["limit_kw"].values[2].tolist() == [4.0, 4.0, 0.0, 0.0]
    assert schedule["unserved_kw"].values.max() == 0.0


HELD = {
    "runs on for its minimum up time after the outage": (
        {"on": True, "held": 1, "min_up_intervals": 3},
        [True, True, True, True],
        [True, True, False, False],
    ),
    "stands for its minimum down time in the outage": (
        {"on": False, "held": 1, "min_down_intervals": 3},
        [False, False, False, False],
        [False, False, True, True],
    ),
    "starts at once when it has stood long enough": (
        {"on": False, "held": 3, "min_down_intervals": 3},
        [False, False, True, True],
        [True, True, False, False],
    ),
    "serves the minimum up time of its own start": (
        {"on": False, "held": 9, "min_up_intervals": 3},
        [True, False, True, True],
        [False, True, True, True],
    ),
    "follows the outage when its state is not known": (
        {"on": None, "held": 1, "min_down_intervals": 3},
        [False, False, True, True],
        [True, True, False, False],
    ),
    "follows the outage when the steps in its state are not known": (
        {"on": True, "held": np.nan, "min_up_intervals": 3},
        [False, True, True, True],
        [True, False, False, False],
    ),
}


@pytest.mark.parametrize("name", HELD)
def test_the_safe_rule_holds_a_genset_to_its_minimum_times(community, make, name):
    facts, available, running = HELD[name]
    facts = dict(facts)
    on, held = facts.pop("on"), facts.pop("held")
    plan_input = replace(
        island_hours(community, make, [12.0] * 4, 50.0, unit=facts),
        grid_available=np.array(available),
        genset_on=None if on is None else np.array([on]),
        genset_intervals_in_state=np.array([held]),
    )
    schedule = safe(plan_input)
    assert schedule["on"].values[1].tolist() == running
    # 12 kW while islanded, its least load where it only runs on, nothing where it stands
    given = [
        0.0 if not on else 5.0 if open_ else 12.0
        for on, open_ in zip(running, available, strict=True)
    ]
    assert schedule["produce_kw"].values[1].tolist() == given
    drawn = [12.0 - one if open_ else 0.0 for one, open_ in zip(given, available, strict=True)]
    assert schedule["import_kw"].values.tolist() == drawn
    assert schedule["unserved_kw"].values.tolist() == [0.0] * 4


def test_a_plan_that_still_holds_is_followed_from_the_step_of_now(demo_day):
    plan_input = demo_day()
    plan = solve(plan_input)
    at_s = plan.start_s + 2 * plan.interval_s
    stored = plan.schedule["energy_kwh"].values[:9, 1]
    now = replace(plan_input, start_s=at_s, battery_energy_kwh=stored, buy_price=np.array([np.nan]))
    followed = fallback(plan, at_s, now, why="buy_price is NaN")
    assert followed.source == LAST_GOOD_PLAN
    assert followed.schedule.sizes["interval"] == 94
    assert followed.reasons[0].code == "fallback.last_good"
    assert "buy_price is NaN" in followed.reasons[-1].text
    kept = followed.schedule["charge_kw"].values[:, 1:]
    assert np.array_equal(kept, plan.schedule["charge_kw"].values[:, 3:])
    supply = sum(
        float(followed.schedule[name].values[:, 0].sum()) for name in ("discharge_kw", "produce_kw")
    )
    net = supply + float(followed.schedule["import_kw"][0] - followed.schedule["export_kw"][0])
    assert net - float(followed.schedule["charge_kw"].values[:, 0].sum()) == pytest.approx(
        float(now.demand_kw[0])
    )


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"demand_kw": np.full(96, np.nan)}, "not known"),
        ({"demand_kw": np.full(96, 900.0)}, "import would be"),
        ({"battery_energy_kwh": np.full(9, 200.0)}, "outside its limits"),
        ({"grid_available": np.zeros(96, dtype=bool), "demand_kw": np.full(96, 90.0)}, "lack"),
        ({"interval_s": 1800}, "other steps"),
        ({"solar_available_kw": None}, "does not fit"),
        ({"cuts": (LinearCut(0, "vm_pu bus 1 <= 1", {"grid-1": 1.0}, 1.0),)}, "vm_pu bus 1"),
    ],
)
def test_a_plan_that_no_longer_holds_gives_way_to_the_safe_rule(demo_day, change, why):
    plan_input = demo_day()
    plan = solve(plan_input)
    followed = fallback(plan, plan_input.start_s, replace(plan_input, **change))
    assert followed.source == SAFE_RULE
    assert followed.status == "rule"
    assert why in followed.reasons[-1].text


def test_a_plan_without_the_reserve_of_now_gives_way_to_the_safe_rule(community, make):
    """The battery of 30 kW gives 12 kW: it keeps 18 kW of reserve, not 20."""
    plan_input = island_hours(community, make, [12.0] * 2, 50.0, reserve_kw=[6.0] * 2)
    plan = solve(replace(plan_input, genset=(make.genset(fuel=9.0),)))
    assert plan.schedule["discharge_kw"].values[0].tolist() == [12.0, 12.0]
    kept = replace(plan_input, reserve_kw=np.array([18.0, np.nan]))
    assert fallback(plan, plan_input.start_s, kept).source == LAST_GOOD_PLAN
    for reserve, why in ((20.0, "reserve would be short by 2.0 kW"), (np.nan, "not known")):
        now = replace(plan_input, reserve_kw=np.array([reserve, 6.0]))
        followed = fallback(plan, plan_input.start_s, now)
        assert followed.source == SAFE_RULE
        assert why in followed.reasons[-1].text
        back = replace(now, grid_available=np.array([True, False]))
        assert fallback(plan, plan_input.start_s, back).source == LAST_GOOD_PLAN
        unknown = replace(back, reserve_kw=None)
        assert fallback(plan, plan_input.start_s, unknown).source == LAST_GOOD_PLAN


@pytest.mark.parametrize(
    ("fields", "source"),
    [
        ({}, SAFE_RULE),
        ({"genset_intervals_in_state": np.array([2])}, LAST_GOOD_PLAN),
        ({"grid_available": np.array([True, False])}, LAST_GOOD_PLAN),
    ],
    ids=["islanded", "islanded within its minimum down time", "connected"],
)
def test_a_plan_without_the_genset_that_the_island_requires_gives_way(
    community, make, fields, source
):
    unit = {"min_down_intervals": 4, "fuel": 9.0}
    plan_input = island_hours(community, make, [12.0] * 2, 50.0, unit=unit)
    plan = solve(plan_input)
    assert plan.schedule["on"].values[1].tolist() == [False, False]
    required = (replace(plan_input.genset[0], island_required=True),)
    followed = fallback(plan, plan_input.start_s, replace(plan_input, genset=required, **fields))
    assert followed.source == source
    assert ("gen-1 would stand" in followed.reasons[-1].text) == (source == SAFE_RULE)


@pytest.mark.parametrize("late", [96 * 900, -900, 450])
def test_a_plan_that_does_not_cover_the_step_gives_way_to_the_safe_rule(demo_day, late):
    plan_input = demo_day()
    plan = solve(plan_input)
    at_s = plan_input.start_s + late
    assert fallback(plan, at_s, replace(plan_input, start_s=at_s)).source == SAFE_RULE


def test_an_empty_schedule_has_no_flow_and_no_limit(demo_day):
    schedule = empty_schedule(demo_day())
    assert float(schedule["charge_kw"].sum()) == 0.0
    assert bool(np.isnan(schedule["limit_kw"]).all())
