"""Each attribute of an asset by an optimum computed by hand, and against the check."""

from dataclasses import replace

import numpy as np
import pytest

from dispatch import template
from dispatch.check import check_plan
from dispatch.model import build
from dispatch.plan import InfeasiblePlan
from dispatch.solve import solve
from dispatch.statement import statement
from grid.errors import BadInputError
from grid.site import Amount, ColdStart, FuelSegment, Price
from grid.site_devices import Charger, Flexible, Heat
from grid.site_facts import FactError
from tests.dispatch.test_assets import same_as_golden
from tests.dispatch.test_template import by_pyomo, by_template, same


def solved(given, cost):
    plan = solve(given, gap=0.0)
    assert plan.objective == pytest.approx(cost, abs=1e-6)
    assert check_plan(given, plan) == []
    return plan


def only_genset(community, make, demand, **facts):
    """A genset and a grid of 1 a kWh, so that what it does not give is dear."""
    fields = {"genset_on": [True], "genset_output_kw": np.array([10.0]), **facts.pop("fields", {})}
    known = {"no_load": 0.0, "start": 0.0, "fuel": 0.1, **facts}
    return community(
        len(demand),
        genset=(make.genset(power=20.0, least=2.0, **known),),
        demand_kw=demand,
        buy_price=[1.0] * len(demand),
        **fields,
    )


def test_output_ramps_from_what_it_gave_last(community, make):
    """From 10 it may reach 14, then 18; the rest of 20 is bought: 4 (6 + 2), 14 + 18 + 20 burnt."""
    given = only_genset(community, make, [20.0] * 3, ramp_up_kw_per_hour=4.0)
    plan = solved(given, 6 + 2 + 0.1 * (14 + 18 + 20))
    assert plan.schedule["produce_kw"].values[0] == pytest.approx([14, 18, 20])


def test_output_falls_no_faster_than_its_ramp(community, make):
    """Feeding in pays nothing: it lowers by 3 an hour and gives 5 and 2 away."""
    given = only_genset(
        community, make, [10.0, 2.0, 2.0], ramp_down_kw_per_hour=3.0, min_up_intervals=9,
        fields={"grid": make.grid(100.0, 100.0), "genset_intervals_in_state": [1]},
    )  # fmt: skip
    plan = solved(given, 0.1 * (10 + 7 + 4))
    assert plan.schedule["produce_kw"].values[0] == pytest.approx([10, 7, 4])


def test_a_start_and_a_stop_have_limits_of_their_own(community, make):
    """Standing, it gives at most 5 in its first hour, and 6 in the last before it is done."""
    facts = {"start_kw": 5.0, "stop_kw": 6.0, "stop": Amount(10**8)}
    given = only_genset(
        community, make, [12.0, 12.0, 12.0], **facts,
        fields={"genset_on": [False], "genset_output_kw": np.array([0.0])},
    )  # fmt: skip
    plan = solved(given, 0.1 * (5 + 12 + 12) + 7)
    assert plan.schedule["produce_kw"].values[0] == pytest.approx([5, 12, 12])
    ending = replace(given, demand_kw=np.array([12.0, 12.0, 0.0]))
    # 5, 6 and a stop: 0.1 of stop, 1.1 of fuel and 13 bought
    plan = solved(ending, 0.1 + 1.1 + 13)
    assert plan.schedule["on"].values[0].tolist() == [True, True, False]


@pytest.mark.parametrize(("stood", "start"), [(1, 2.0), (2, 2.0), (3, 5.0), (50, 5.0)])
def test_a_start_costs_by_how_long_it_stood_before_the_window(community, make, stood, start):
    """Needed in the second step: it has then stood one step more."""
    given = only_genset(
        community, make, [0.0, 10.0],
        start=2.0, cold_start=(ColdStart(4, Amount(5 * 10**9)),),
        fields={
            "genset_on": [False], "genset_output_kw": np.array([0.0]),
            "genset_intervals_in_state": [stood],
        },
    )  # fmt: skip
    solved(given, start + 1.0)


def test_a_start_is_cold_after_standing_in_the_window(community, make):
    """Stops after the first hour; back after two it costs 2, after three 5."""
    cold = (ColdStart(3, Amount(5 * 10**9)),)
    for gap, start in ((2, 2.0), (3, 5.0)):
        given = only_genset(
            community, make, [10.0, *[0.0] * gap, 10.0], start=2.0, no_load=3.0, cold_start=cold
        )
        solved(given, 2 * (1.0 + 3.0) + start)


def test_fuel_gets_dearer_with_load(community, make):
    """10 kW at 0.1, 5 at 0.4, and what would cost 1.2 is bought at 1."""
    segments = (FuelSegment(10.0, Price(400_000)), FuelSegment(15.0, Price(1_200_000)))
    given = only_genset(community, make, [20.0], fuel_segment=segments)
    plan = solved(given, 1.0 + 2.0 + 5.0)
    assert plan.schedule["produce_kw"].values[0] == pytest.approx([15.0])


def test_fuel_at_hand_is_burnt_where_it_saves_most(community, make):
    given = replace(
        only_genset(community, make, [10.0] * 3),
        genset_fuel_kwh=np.array([14.0]),
        buy_price=np.array([0.5, 1.0, 0.7]),
    )
    plan = solved(given, 0.1 * 14 + 0.5 * 10 + 0.7 * 6)
    assert plan.schedule["produce_kw"].values[0] == pytest.approx([0, 10, 4])


def test_emissions_have_a_price(community, make):
    """0.5 kg at 0.3 make import 0.25 a kWh; the genset burns 0.7 kg, 0.31."""
    grid = replace(make.grid(), co2_g_per_kwh=500.0)
    given = community(
        1, grid=grid, genset=(make.genset(no_load=0.0, start=0.0, fuel=0.1, co2_g_per_kwh=700.0),),
        demand_kw=[10.0], buy_price=[0.1],
    )  # fmt: skip
    solved(replace(given, co2_price_per_kg=0.0), 1.0)
    solved(replace(given, co2_price_per_kg=0.3), 2.5)
    dear = replace(given, buy_price=np.array([0.2]), co2_price_per_kg=0.3)
    assert solved(dear, 3.1).schedule["produce_kw"].values[0] == pytest.approx([10.0])


def test_what_is_stored_fades(community, make):
    """Of 10 kWh 19 % are lost by day, so 90 % are left after half a day; all of it is sold."""
    battery = make.battery(
        power=10.0, charge_efficiency=1.0, discharge_efficiency=1.0,
        standing_loss_percent_per_day=19.0,
    )  # fmt: skip
    given = community(
        2, hours=12.0, battery=(battery,), demand_kw=[0.0, 1.0], buy_price=[0.1, 0.1],
        battery_energy_kwh=[10.0],
    )  # fmt: skip
    # 8.1 kWh would be left after the day; 12 are needed
    plan = solved(given, (12 - 8.1) * 0.1)
    assert plan.schedule["energy_kwh"].values[0, 0] == pytest.approx(9.0)


def test_charging_tapers_and_discharging_fades(community, make):
    """Above 6 of 10 kWh it takes from 5 down to 1 kW; below 4 it gives from 5 down to 1."""
    battery = make.battery(
        charge_efficiency=1.0, discharge_efficiency=1.0,
        taper_energy_kwh=6.0, taper_power_kw=1.0, fade_energy_kwh=4.0, fade_power_kw=1.0,
    )  # fmt: skip
    up = community(
        2, battery=(battery,), battery_energy_kwh=[7.0], buy_price=[0.1, 0.1], end_value_per_kwh=1.0
    )
    plan = solve(up, gap=0.0)
    assert check_plan(up, plan) == []
    # 7 kWh: 4 kW are too many for the room of 3
    assert plan.schedule["energy_kwh"].values[0] == pytest.approx([10.0, 10.0])
    full = replace(up, battery_energy_kwh=np.array([9.0]), interval_s=900)
    plan = solve(full, gap=0.0)
    # 2 kW for a quarter, then 5 - (9.5 - 6) = 1.5
    assert plan.schedule["charge_kw"].values[0] == pytest.approx([2.0, 1.5])
    down = community(
        2, hours=0.25, battery=(battery,), battery_energy_kwh=[2.0], demand_kw=[9.0, 9.0],
        buy_price=[1.0, 1.0],
    )  # fmt: skip
    plan = solve(down, gap=0.0)
    assert check_plan(down, plan) == []
    # 1 + 2 = 3 kW, then 1 + 1.25
    assert plan.schedule["discharge_kw"].values[0] == pytest.approx([3.0, 2.25])


def test_a_target_in_mid_horizon_is_met(community, make):
    """4 kWh after the second hour, at 0.2 and 0.3; then they serve the third, at 0.1."""
    battery = make.battery(power=3.0, charge_efficiency=1.0, discharge_efficiency=1.0)
    target = np.array([[0.0, 4.0, 0.0]])
    given = community(
        3, battery=(battery,), energy_target_kwh=target, buy_price=[0.2, 0.3, 0.1],
        demand_kw=[0.0, 0.0, 3.0],
    )  # fmt: skip
    plan = solve(given, gap=0.0)
    assert check_plan(given, plan) == []
    assert plan.schedule["charge_kw"].values[0] == pytest.approx([3.0, 1.0, 0.0])
    assert plan.objective == pytest.approx(0.6 + 0.3, abs=1e-4)
    with pytest.raises(InfeasiblePlan):
        solve(replace(given, energy_target_kwh=np.array([[0.0, 7.0, 0.0]])))


def test_only_what_exceeds_the_peak_of_the_period_is_charged(community, make):
    """The battery could shave 5 of 12 kW; 9 have been met, so 3 are enough."""
    battery = make.battery(power=5.0, energy=20.0, charge_efficiency=1.0, discharge_efficiency=1.0)
    grid = replace(make.grid(), demand_charge=Amount(2 * 10**9))
    given = community(
        2, battery=(battery,), grid=grid, demand_kw=[12.0, 12.0], buy_price=[0.1, 0.1],
        battery_energy_kwh=[20.0], end_value_per_kwh=0.2,
    )  # fmt: skip
    plan = solve(replace(given, peak_kw=9.0), gap=0.0)
    assert check_plan(replace(given, peak_kw=9.0), plan) == []
    assert plan.schedule["import_kw"].values == pytest.approx([9.0, 9.0])
    # without one, each kW less saves 2 and costs 0.2 twice
    plan = solve(given, gap=0.0)
    assert plan.schedule["import_kw"].values == pytest.approx([7.0, 7.0])
    assert plan.objective == pytest.approx(7 * 2 + 14 * 0.1 + 10 * 0.2, abs=1e-3)


def test_a_vehicle_that_cannot_be_full_in_time_is_charged_all_it_can_and_told(community):
    """7 kW for two hours are 14 of the 20 kWh that it wants more."""
    given = community(
        3,
        charger=(Charger("ev-1", "u-1", 7.0, 50.0, Price(2_000_000), charge_efficiency=1.0),),
        ev_connected=np.array([[True, True, False]]),
        ev_arrival_kwh=np.zeros((1, 3)),
        ev_target_kwh=np.array([[0.0, 30.0, 0.0]]),
        ev_energy_kwh=np.array([10.0]),
    )
    plan = solved(given, 1.4 + 2.0 * 6.0)
    assert plan.schedule["missed_kwh"].values[0] == pytest.approx([0.0, 6.0, 0.0])
    told = next(one for one in plan.reasons if one.code == "vehicle.misses")
    assert told.text == (f"ev-1: cannot reach 30.0 kWh by {given.label(2)}: 6.0 kWh are missing")


def test_a_vehicle_lends_its_energy_and_leaves_with_what_it_wants(community):
    """Gives 5 kW in the dear hour, takes it back cheaply, and the next vehicle finds its own."""
    given = community(
        6,
        charger=(
            Charger(
                "ev-1", "u-1", 10.0, 50.0, Price(9_000_000), discharge_kw=5.0,
                charge_efficiency=1.0, discharge_efficiency=1.0, wear=Price(10_000),
            ),
        ),
        ev_connected=np.array([[True, True, False, True, True, True]]),
        ev_arrival_kwh=np.array([[0.0, 0.0, 0.0, 8.0, 0.0, 0.0]]),
        ev_target_kwh=np.array([[0.0, 20.0, 0.0, 0.0, 0.0, 8.0]]),
        ev_energy_kwh=np.array([20.0]),
        demand_kw=[8.0] * 6,
        buy_price=[0.5, 0.1, 0.1, 0.1, 0.1, 0.1],
    )  # fmt: skip
    plan = solved(given, 0.5 * 3 + 0.1 * 13 + 0.1 * 32 + 0.01 * 5)
    assert plan.schedule["energy_kwh"].values[0] == pytest.approx([15, 20, 0, 8, 8, 8])


def test_a_corridor_that_cannot_be_kept_is_told(community):
    given = community(
        2,
        flexible=(Flexible("tank-1", "u-1", 1.0, Price(1_000_000)),),
        flexible_need_kw=np.array([[0.0, 3.0]]),
        flexible_low_kwh=np.zeros((1, 2)),
        flexible_high_kwh=np.full((1, 2), 9.0),
        flexible_energy_kwh=np.array([0.5]),
    )
    plan = solved(given, 0.2 + 0.5)
    assert [one.code for one in plan.reasons if one.subject == "tank-1"] == [
        "flexible.takes", "flexible.misses",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"ev_connected": None}, "ev_connected is missing"),
        ({"ev_arrival_kwh": np.full((1, 3), 1.0)}, "may be above 0 only in the first step"),
        ({"ev_target_kwh": np.full((1, 3), 1.0)}, "may be above 0 only while a vehicle is there"),
        ({"ev_target_kwh": np.array([[0, 60.0, 0]])}, "must be at most 50.0"),
        ({"ev_energy_kwh": np.array([60.0])}, "must be at most 50.0"),
        ({"ev_energy_kwh": np.array([np.nan])}, "ev_energy_kwh"),
    ],
)
def test_vehicles_that_cannot_be_are_refused(community, changed, message):
    given = community(
        3,
        charger=(Charger("ev-1", "u-1", 7.0, 50.0, Price(2_000_000)),),
        ev_connected=np.array([[True, True, False]]),
        ev_arrival_kwh=np.zeros((1, 3)),
        ev_target_kwh=np.zeros((1, 3)),
        ev_energy_kwh=np.array([10.0]),
    )
    with pytest.raises(BadInputError, match=message):
        solve(replace(given, **changed))


def heated(community, make, n=4, **changed):
    """Return a genset that warms a tank, which loses a tenth an hour, and a boiler of 2 kW."""
    facts = {"standing_loss_percent_per_hour": 10.0, **changed.pop("tank", {})}
    tank = Heat("tank-1", "gen-1", 1.5, 10.0, 2.0, Price(100_000), Price(5_000_000), **facts)
    given = {
        "genset": (make.genset(power=10.0, least=2.0),),
        "heat": (tank,),
        "heat_need_kw": np.full((1, n), 3.0),
        "heat_energy_kwh": np.array([4.0]),
        "demand_kw": [10.0] * n,
        "buy_price": [0.1] * n,
    }
    return community(n, **(given | changed))


def test_a_boiler_that_is_too_small_makes_the_genset_run_or_is_told(community, make):
    """2 kW of 3: the tank lasts for some hours, then the genset runs for its heat alone."""
    plan = solve(heated(community, make, 8), gap=0.0)
    rows = plan.schedule
    assert rows["on"].values[0].any()
    assert float(rows["missed_kwh"].max()) < 1e-6
    assert check_plan(heated(community, make, 8), plan) == []
    # Without one that may run what is missing is told.
    dead = heated(
        community, make, 2, genset_intervals_in_state=[0],
        genset=(make.genset(power=10.0, least=2.0, min_down_intervals=5),),
        heat_energy_kwh=np.array([0.0]),
    )  # fmt: skip
    plan = solve(dead, gap=0.0)
    assert plan.schedule["missed_kwh"].values[1] == pytest.approx([1.0, 1.0])
    assert plan.schedule["boiler_kw"].values[1] == pytest.approx([2.0, 2.0])
    told = [one.text for one in plan.reasons if one.subject == "tank-1"]
    assert told == [
        "tank-1: the boiler gives 2.0 kW of heat, the tank holds 0.0 kWh",
        f"tank-1: 1.0 kWh of heat are missing at {dead.label(0)}",
    ]


def test_heat_that_no_tank_takes_is_cooled_away(community, make):
    """The grid is away: 10 kW bring 15 kW of heat, of which 3 are drawn and 10 kWh held."""
    given = heated(community, make, 3, grid_available=[False] * 3)
    plan = solve(given, gap=0.0)
    assert check_plan(given, plan) == []
    assert plan.schedule["energy_kwh"].values[1].max() <= 10.0 + 1e-9
    assert plan.schedule["boiler_kw"].values[1].max() == 0.0


def test_a_tank_that_holds_more_than_came_is_found(community, make):
    given = heated(community, make)
    plan = solve(given, gap=0.0)
    more = plan.schedule.copy(deep=True)
    more["energy_kwh"].values[1] += 0.5
    wrong = check_plan(given, replace(plan, schedule=more))
    assert any("holds more heat than came" in one for one in wrong)


@pytest.mark.parametrize("n", [1, 2, 7])
def test_the_template_knows_of_heat(community, make, n):
    template.forget()
    problem = statement(heated(community, make, n))
    same(by_template(problem), by_pyomo(problem))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"genset": ()}, "tank-1 genset is 'gen-1', which is no genset"),
        ({"heat_need_kw": None}, "heat_need_kw"),
        ({"heat_need_kw": np.full((1, 4), -1.0)}, "heat_need_kw"),
        ({"heat_energy_kwh": np.array([11.0])}, "is 11.0, must be at most 10.0"),
    ],
)
def test_heat_that_cannot_be_is_refused(community, make, changed, message):
    with pytest.raises(BadInputError, match=message):
        solve(heated(community, make, **changed))


def test_two_tanks_of_one_genset_are_refused(community, make):
    one = heated(community, make)
    two = replace(
        one, heat=(one.heat[0], replace(one.heat[0], id="tank-2")),
        heat_need_kw=np.full((2, 4), 1.0), heat_energy_kwh=np.zeros(2),
    )  # fmt: skip
    with pytest.raises(BadInputError, match="whose heat tank-1 takes"):
        solve(two)


def everything(community, make, n):
    """Return a community in which every kind of row stands."""
    segments = (FuelSegment(8.0, Price(400_000)), FuelSegment(12.0, Price(500_000)))
    gensets = (
        make.genset(
            "gen-1", ramp_up_kw_per_hour=9.0, start_kw=7.0, stop=Amount(10**9),
            cold_start=(ColdStart(3, Amount(10**9)), ColdStart(6, Amount(2 * 10**9))),
            fuel_segment=segments, min_up_intervals=2, co2_g_per_kwh=600.0,
        ),
        make.genset("gen-2", power=9.0, ramp_down_kw_per_hour=5.0),
    )  # fmt: skip
    batteries = (
        make.battery("bat-1", taper_energy_kwh=7.0, taper_power_kw=1.0),
        make.battery(
            "bat-2", forming=True, fade_energy_kwh=2.0, fade_power_kw=0.5,
            standing_loss_percent_per_day=3.0,
        ),
    )  # fmt: skip
    draw = np.random.default_rng(2)
    return community(
        n,
        grid=replace(make.grid(40.0, 10.0), demand_charge=Amount(10**9), co2_g_per_kwh=400.0),
        genset=gensets,
        battery=batteries,
        demand_kw=draw.uniform(5.0, 35.0, n),
        buy_price=draw.uniform(0.05, 0.6, n),
        grid_available=draw.random(n) > 0.1,
        reserve_kw=np.full(n, 1.0),
        battery_energy_kwh=[5.0, 6.0],
        energy_target_kwh=np.where(np.arange(n) == n // 2, 4.0, 0.0) * np.ones((2, 1)),
        genset_on=[False, True],
        genset_output_kw=np.array([0.0, 6.0]),
        genset_intervals_in_state=[2, 9],
        genset_fuel_kwh=np.array([150.0, 90.0]),
        peak_kw=12.0,
        co2_price_per_kg=0.05,
        co2_cap_kg=400.0,
    )


def test_all_rows_are_the_golden_ones(community, make, tmp_path):
    same_as_golden("everything", build(everything(community, make, 3)), tmp_path)


@pytest.mark.parametrize("n", [1, 4, 8, 9, 40])
def test_unrolled_every_row_is_that_of_the_whole_model(community, make, n):
    template.forget()
    problem = statement(everything(community, make, n))
    same(by_template(problem), by_pyomo(problem))


def test_all_attributes_together_make_a_plan_that_the_check_passes(community, make):
    given = everything(community, make, 40)
    plan = solve(given, gap=1e-4)
    assert check_plan(given, plan) == []


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"fuel_segment": (FuelSegment(30.0, Price(400_000)),)}, "from_kw of fuel segments"),
        ({"fuel_segment": (FuelSegment(9.0, Price(1)),)}, "fuel must not fall"),
        ({"cold_start": (ColdStart(1, Amount(10**9)),)}, "after_intervals of cold starts"),
        ({"cold_start": (ColdStart(4, Amount(0)),)}, "must not get cheaper"),
        ({"ramp_up_kw_per_hour": float("nan")}, "ramp_up_kw_per_hour is nan"),
        ({"start_kw": 1.0}, "start_kw is 1.0, must be within 5.0 to 20.0"),
        ({"co2_g_per_kwh": -1.0}, "co2_g_per_kwh is -1.0"),
    ],
)
def test_a_genset_that_cannot_be_is_refused(make, facts, message):
    with pytest.raises(FactError, match=message):
        make.genset(**facts)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"taper_energy_kwh": 5.0}, "go together"),
        ({"taper_energy_kwh": 10.0, "taper_power_kw": 1.0}, "no room to taper"),
        ({"fade_energy_kwh": 0.0, "fade_power_kw": 1.0}, "no room to fade"),
        ({"fade_energy_kwh": 2.0, "fade_power_kw": 9.0}, "fade_power_kw is 9.0"),
        ({"standing_loss_percent_per_day": float("inf")}, "standing_loss_percent_per_day is inf"),
    ],
)
def test_a_battery_that_cannot_be_is_refused(make, facts, message):
    with pytest.raises(FactError, match=message):
        make.battery(**facts)
