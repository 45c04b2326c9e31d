"""Plans as a whole: references from outside, commitment across the border, islands, cuts."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from dispatch import highs
from dispatch.check import check_plan
from dispatch.plan import InfeasiblePlan, LinearCut
from dispatch.solve import solve
from dispatch.statement import statement
from dispatch.template import patched
from grid.site import Price, Shedding, Solar
from grid.site_devices import Flexible


def test_a_negative_price_does_not_make_the_battery_run_both_ways(community, make):
    plan_input = community(
        4,
        battery=(make.battery(min_energy_kwh=1.0),),
        grid=make.grid(import_kw=20.0),
        demand_kw=[2.0] * 4,
        buy_price=[-0.1, -0.1, 0.2, 0.3],
        battery_energy_kwh=[9.0],
        end_energy_min_kwh=np.array([9.0]),
    )
    plan = solve(plan_input, gap=0.0)
    assert plan.objective == pytest.approx(0.1719753086, abs=5e-11)
    assert plan.schedule["energy_kwh"].values[0, -1] == pytest.approx(9.0)
    both = np.minimum(plan.schedule["charge_kw"], plan.schedule["discharge_kw"])
    assert float(both.max()) == 0.0


def two_units(community, make, demand, coal, gas, **fields):
    """PyPSA's unit-commitment tutorial: coal at 20, gas at 70, one bus, hours."""
    units = (
        make.genset("coal", 10_000.0, 3_000.0, fuel=20.0, no_load=0.0, start=0.0, **coal),
        make.genset("gas", fuel=70.0, no_load=0.0, start=0.0, **gas),
    )
    n = len(demand)
    return community(n, genset=units, demand_kw=demand, grid_available=[False] * n, **fields)


def test_the_least_load_of_coal_commits_gas(community, make):
    plan_input = two_units(
        community, make, [4000, 6000, 5000, 800], {}, {"power": 1000.0, "least": 100.0}
    )
    assert solve(plan_input, gap=0.0).objective == pytest.approx(356_000, abs=1e-3)


def test_the_minimum_down_time_of_coal_keeps_gas_running(community, make):
    plan_input = two_units(
        community,
        make,
        [3000, 800, 3000, 8000],
        {"min_down_intervals": 2},
        {"power": 4000.0, "least": 400.0},
        genset_on=[True, False],
        genset_intervals_in_state=[1, 96],
    )
    plan = solve(plan_input, gap=0.0)
    assert plan.objective == pytest.approx(486_000, abs=1e-3)
    coal = "".join("01"[int(on)] for on in plan.schedule["on"].values[0])
    assert coal in ("1001", "0011")


def test_the_minimum_up_time_of_gas_keeps_it_running(community, make):
    plan_input = two_units(
        community,
        make,
        [4000, 800, 5000, 3000],
        {},
        {"power": 1000.0, "least": 100.0, "min_up_intervals": 3},
    )
    plan = solve(plan_input, gap=0.0)
    assert plan.objective == pytest.approx(20 * 11_800 + 70 * 1_000, abs=1e-3)
    assert plan.schedule["produce_kw"].values[1].tolist() == [100.0, 800.0, 100.0, 0.0]


@pytest.mark.parametrize(("held", "forced"), [(1, 2), (2, 1), (3, 0), (50, 0)])
def test_a_genset_that_started_before_the_window_serves_its_minimum_up_time(
    community, make, held, forced
):
    plan_input = community(
        4,
        genset=(make.genset(min_up_intervals=3),),
        demand_kw=[10.0] * 4,
        buy_price=[0.01] * 4,
        genset_on=[True],
        genset_intervals_in_state=[held],
    )
    plan = solve(plan_input)
    assert plan.schedule["on"].values[0].tolist() == [t < forced for t in range(4)]
    assert plan.reasons[0].code == ("genset.min_up" if forced else "genset.dear")


@pytest.mark.parametrize(("held", "forced"), [(1, 2), (2, 1), (3, 0)])
def test_a_genset_that_stopped_before_the_window_serves_its_minimum_down_time(
    community, make, held, forced
):
    plan_input = community(
        4,
        genset=(make.genset(min_down_intervals=3),),
        demand_kw=[10.0] * 4,
        buy_price=[0.9] * 4,
        genset_intervals_in_state=[held],
    )
    plan = solve(plan_input)
    assert plan.schedule["on"].values[0].tolist() == [t >= forced for t in range(4)]
    assert plan.reasons[0].code == ("genset.min_down" if forced else "genset.cheaper")


def test_rolled_windows_keep_minimum_up_and_down_times(community, make):
    unit = make.genset(min_up_intervals=3, min_down_intervals=4, start=0.0, no_load=0.0)
    # dear in hours 1 and 6 of 9: a window of two hours that forgot its past would start at 6
    price = np.where(np.isin(np.arange(30) % 9, (1, 6)), 0.9, 0.1)
    on, held, history = False, 96, []
    for t in range(28):
        window = community(
            2,
            genset=(unit,),
            demand_kw=[10.0] * 2,
            buy_price=price[t : t + 2],
            genset_on=[on],
            genset_intervals_in_state=[held],
        )
        now = bool(solve(window).schedule["on"].values[0, 0])
        held = held + 1 if now == on else 1
        on = now
        history.append(now)
    edges = [t for t in range(1, 28) if history[t] != history[t - 1]]
    lengths = [(history[a], b - a) for a, b in pairwise(edges)]
    assert lengths[:4] == [(True, 3), (False, 6), (True, 3), (False, 6)]


def test_nothing_flows_through_the_connection_while_islanded(demo_day):
    outage = range(60, 72)
    plan_input = demo_day(outage)
    schedule = solve(plan_input).schedule
    dark = schedule.isel(interval=list(outage))
    assert float(dark["import_kw"].max()) == float(dark["export_kw"].max()) == 0.0


def test_the_forming_battery_keeps_its_reserve_and_the_genset_carries_the_load(community, make):
    plan_input = community(
        2,
        battery=(make.battery(power=10.0, energy=40.0, forming=True),),
        genset=(make.genset(),),
        demand_kw=[8.0, 8.0],
        grid_available=[False, False],
        battery_energy_kwh=[20.0],
        reserve_kw=[6.0, 6.0],
    )
    schedule = solve(plan_input, gap=0.0).schedule
    assert float(schedule["discharge_kw"].values[0].max()) <= 4.0 + 1e-6
    assert schedule["on"].values[1].any()
    assert float(schedule["reserve_short_kw"].max()) == 0.0
    stored = schedule["energy_kwh"].values[0]
    assert float(stored.min()) * 0.9 >= 6.0 - 1e-6


def test_a_reserve_that_cannot_be_kept_is_reported_and_the_load_is_still_served(community, make):
    plan_input = community(
        1,
        battery=(make.battery(power=10.0, energy=40.0, forming=True),),
        demand_kw=[8.0],
        grid_available=[False],
        battery_energy_kwh=[20.0],
        reserve_kw=[6.0],
    )
    plan = solve(plan_input)
    assert plan.schedule["reserve_short_kw"].values.tolist() == pytest.approx([4.0])
    assert plan.reasons[-1].code == "reserve.short"
    assert plan.reasons[-1].params["short_kw"] == pytest.approx(4.0)


def test_load_is_shed_before_the_reserve_is_touched(community, make):
    plan_input = community(
        1,
        battery=(make.battery(power=10.0, energy=40.0, forming=True),),
        shedding=(Shedding("shed-1", ("u-1",), Price(5_000_000)),),
        demand_kw=[8.0],
        sheddable_kw=[[5.0]],
        grid_available=[False],
        battery_energy_kwh=[20.0],
        reserve_kw=[6.0],
    )
    plan = solve(plan_input)
    assert plan.schedule["shed_kw"].values[1].tolist() == pytest.approx([4.0])
    assert {reason.code for reason in plan.reasons} >= {"shed.islanded"}


def test_a_cut_withholds_the_plant_it_names_and_the_reason_names_the_bus(community, make):
    plan_input = community(
        1,
        solar=(Solar("pv-1", "u-1", 10.0), Solar("pv-2", "u-1", 10.0)),
        grid=make.grid(export_kw=50.0),
        solar_available_kw=[[10.0], [10.0]],
        sell_price=[0.05],
        cuts=(LinearCut(0, "vm_pu bus 25 <= 1.05", {"pv-1": 2e-4, "pv-2": 1e-4}, 1.8e-3),),
    )
    plan = solve(plan_input)
    assert plan.schedule["produce_kw"].values[:, 0].tolist() == pytest.approx([4.0, 10.0])
    assert plan.schedule["limit_kw"].values[0, 0] == pytest.approx(4.0)
    assert plan.binding_cuts == ((0, "vm_pu bus 25 <= 1.05"),)
    first = plan.reasons[0]
    assert (first.code, first.params["bus"]) == ("curtail.voltage", "25")
    assert first.text == "pv-1: withholds 6.0 kW: vm_pu bus 25 <= 1.05"


def test_the_marginal_price_is_what_one_more_kwh_costs(demo_day):
    plan_input = demo_day()
    plan = solve(plan_input, gap=0.0)
    for t in (0, 50, 80):
        demand = plan_input.demand_kw.copy()
        demand[t] += 0.04
        more = solve(replace(plan_input, demand_kw=demand), gap=0.0)
        rise = (more.objective - plan.objective) / (0.04 * plan_input.hours)
        assert rise == pytest.approx(float(plan.schedule["marginal_price"][t]), abs=1e-4)


@pytest.mark.parametrize("outage", [range(0), range(70, 78)])
def test_marginal_prices_are_the_slopes_of_the_cost_with_commitment_fixed(demo_day, outage):
    """Of each step: between the slope of a little less demand and that of a little more."""
    given = demo_day(outage, 20)
    plan = solve(given, gap=1e-3)
    running = plan.schedule["on"].values[given.rows("genset")].astype(float)

    def cost(demand):
        problem = patched(statement(replace(given, demand_kw=demand)))
        low, high = problem.numbers.low.copy(), problem.numbers.high.copy()
        place = problem.column["on"]
        for bounds in (low, high):
            bounds[place.first : place.first + place.size] = running.ravel()
        fixed = replace(
            problem,
            numbers=replace(problem.numbers, low=low, high=high),
            binary=np.zeros_like(problem.binary),
        )
        return highs.optimise(fixed, gap=0.0, nodes=0, small=False).objective

    step = 1e-3
    least = cost(given.demand_kw)
    for t in range(0, given.n, 7):
        moved = given.demand_kw.copy()
        moved[t] += step
        more = (cost(moved) - least) / (step * given.hours)
        moved[t] -= 2 * step
        less = (least - cost(moved)) / (step * given.hours)
        price = float(plan.schedule["marginal_price"][t])
        assert less - 1e-6 <= price <= more + 1e-6, t


def test_short_supply_is_named_with_time_and_kw(community, make):
    plan_input = community(
        4,
        battery=(make.battery(forming=True),),
        demand_kw=[3.0, 3.0, 12.0, 3.0],
        grid_available=[True, True, False, True],
    )
    with pytest.raises(InfeasiblePlan) as caught:
        solve(plan_input)
    (reason,) = caught.value.reasons
    assert reason.code == "infeasible.supply"
    assert reason.params["short_kw"] == pytest.approx(7.0)
    assert reason.params["at"] == plan_input.label(2)
    assert reason.params["until"] == plan_input.label(3)
    assert str(caught.value) == (
        f"plan: {plan_input.label(2)}: demand 12.0 kW, all sources can give at most 5.0 kW: "
        f"7.0 kW short (islanded; from {plan_input.label(2)} to {plan_input.label(3)})"
    )


def test_import_above_the_limit_is_named_with_the_limit(community, make):
    plan_input = community(1, grid=make.grid(import_kw=5.0), demand_kw=[8.0])
    with pytest.raises(InfeasiblePlan, match=r"at most 5\.0 kW: 3\.0 kW short \(grid limit 5 kW;"):
        solve(plan_input)


def test_a_running_genset_without_outlet_is_named(community, make):
    plan_input = community(
        1,
        genset=(make.genset(min_up_intervals=4),),
        demand_kw=[2.0],
        grid_available=[False],
        genset_on=[True],
        genset_intervals_in_state=[1],
    )
    with pytest.raises(InfeasiblePlan, match=r"3\.0 kW too much \(islanded\)"):
        solve(plan_input)


def test_a_cut_that_nothing_can_keep_is_named_with_its_bus(community, make):
    cut = LinearCut(0, "vm_pu bus 7 >= 0.95", {"bat-1": -1e-4}, -8e-4)
    plan_input = community(
        1, battery=(make.battery(),), demand_kw=[9.0], battery_energy_kwh=[10.0], cuts=(cut,)
    )
    with pytest.raises(InfeasiblePlan) as caught:
        solve(plan_input)
    (reason,) = caught.value.reasons
    assert (reason.code, reason.params["bus"]) == ("infeasible.cut", "7")
    assert reason.params["short_kw"] == pytest.approx(3.0)


def test_an_end_energy_out_of_reach_is_named(community, make):
    plan_input = community(1, battery=(make.battery(),), end_energy_min_kwh=np.array([10.0]))
    with pytest.raises(InfeasiblePlan, match=r"bat-1 ends 5\.5 kWh below"):
        solve(plan_input)


@pytest.mark.parametrize("outage", [range(0), range(60, 72), range(20)])
@pytest.mark.parametrize("cuts", [0, 60])
def test_a_day_of_the_demo_is_solved_and_sound(demo_day, outage, cuts):
    plan_input = demo_day(outage, cuts)
    plan = solve(plan_input)
    assert plan.status == "optimal"
    assert plan.gap <= 1e-3
    assert check_plan(plan_input, plan) == []
    assert [reason.subject for reason in plan.reasons[:24]] == [*plan_input.asset_ids, "grid-1"]


def test_a_day_of_negative_prices_is_solved_without_running_both_ways(demo_day):
    price = np.where(np.arange(96) % 8 < 3, -0.05, 0.1)
    plan_input = demo_day(buy_price=price, sell_price=price - 0.02)
    plan = solve(plan_input)
    both = np.minimum(plan.schedule["charge_kw"], plan.schedule["discharge_kw"])
    assert float(both.max()) <= 1e-6
    assert check_plan(plan_input, plan) == []


def test_a_feed_in_price_above_retail_does_not_make_energy_circle_through_the_meter(demo_day):
    dear = (np.arange(96) > 40) & (np.arange(96) < 56)
    plan_input = demo_day(sell_price=np.where(dear, 0.2, 0.05))
    plan = solve(plan_input)
    both = np.minimum(plan.schedule["import_kw"], plan.schedule["export_kw"])
    assert float(both.max()) <= 1e-6
    assert float(plan.schedule["export_kw"].values[dear].max()) > 0.0


def test_the_node_limit_stops_with_a_sound_plan_and_says_how_far_it_may_be(demo_day):
    plan_input = demo_day(range(96), seed=1)
    plan = solve(plan_input, gap=0.0, nodes=1)
    assert (plan.status, plan.gap > 0.0) == ("limit", True)
    assert check_plan(plan_input, plan) == []


def digest(plan):
    columns = (plan.schedule[name].values.tobytes() for name in sorted(plan.schedule.data_vars))
    return hashlib.sha256(b"".join(columns)).hexdigest()


def test_the_same_input_gives_the_same_bytes_again_and_in_another_process(demo_day):
    plan_input = demo_day(range(60, 72), 20)
    here = digest(solve(plan_input))
    assert digest(solve(plan_input)) == here
    code = (
        "import hashlib, runpy, sys\n"
        "from dispatch.solve import solve\n"
        "demo_day = runpy.run_path(sys.argv[1])['demo_day']\n"
        "schedule = solve(demo_day(range(60, 72), 20)).schedule\n"
        "columns = (schedule[name].values.tobytes() for name in sorted(schedule.data_vars))\n"
        "print(hashlib.sha256(b''.join(columns)).hexdigest())\n"
    )
    conftest = Path(__file__).with_name("conftest.py")
    there = subprocess.run(
        [sys.executable, "-c", code, str(conftest)],
        env={**os.environ, "PYTHONHASHSEED": "4711"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert there.stdout.strip() == here


def test_a_plan_with_a_flexible_load_that_cannot_be_says_why(community):
    """Its store has no least: an elastic problem had made NaN of that."""
    given = community(
        1,
        demand_kw=[200.0],
        flexible=(Flexible("pump-1", "u-1", 4.0, missed=Price(900_000)),),
        flexible_need_kw=np.ones((1, 1)),
        flexible_low_kwh=np.zeros((1, 1)),
        flexible_high_kwh=np.full((1, 1), 5.0),
        flexible_energy_kwh=np.array([1.0]),
    )
    with pytest.raises(InfeasiblePlan, match=r"100\.0 kW short"):
        solve(given)


def test_a_plan_is_found_where_the_dual_simplex_ends_without_a_status(community, make):
    """Two batteries alike and no plant: HiGHS's dual simplex stops as "Unknown" at its optimum."""
    demand = (
        "5.86 7.128 6.284 5.856 8.132 4.836 6.492 6.2 5.936 4.704 4.3 3.968 4.712 4.244 3.756 2.84 "
        "1.768 5.312 1.356 3.976 3.364 2.488 4.28 3.108 3.212 3.664 0 1.148 0.084 1.584 0.692 2.924"
    )
    losses = {"charge_efficiency": 0.95, "discharge_efficiency": 0.95}
    given = community(
        32,
        hours=0.25,
        battery=tuple(
            make.battery(f"bat-{n}", 1.0, 2.0, min_energy_kwh=0.2, wear=6_000, **losses)
            for n in (1, 2)
        ),
        demand_kw=[float(kw) for kw in demand.split()],
        buy_price=[0.12] * 6 + [0.055] * 26,
        sell_price=[0.085] * 6 + [0.03] * 26,
        end_value_per_kwh=0.055,
        battery_energy_kwh=[1.0, 1.0],
        grid=make.grid(100.0, 100.0),
    )
    found = solve(given)
    assert found.status == "optimal"
    assert found.objective == pytest.approx(2.23724, abs=1e-5)
