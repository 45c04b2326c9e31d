"""The cost of a day: each item by hand, and three controllers under one measure."""

from dataclasses import fields

import numpy as np
import pytest

from dispatch.evaluate import day_cost, foresight, simulate_rule
from dispatch.plan import LinearCut, empty_schedule
from grid.errors import SolverError
from grid.site import Price, Shedding, Solar


def test_each_item_of_a_day_is_what_it_is_by_hand(community, make):
    """Half hours. Buys 10 kW at 0.2, sells 4 kW at 0.1, runs the genset from a stand, sheds."""
    day = community(
        2,
        hours=0.5,
        battery=(make.battery(wear=20_000),),
        genset=(make.genset(),),
        shedding=(Shedding("shed-1", ("u-1",), Price(2_000_000)),),
        buy_price=[0.2, 0.3],
        sell_price=[0.1, 0.1],
        battery_energy_kwh=[5.0],
        end_value_per_kwh=0.1,
    )
    schedule = empty_schedule(day)
    schedule["import_kw"].values[0] = 10.0
    schedule["export_kw"].values[1] = 4.0
    schedule["discharge_kw"].values[0] = [1.8, 0.0]
    schedule["energy_kwh"].values[0] = [4.0, 4.0]
    schedule["on"].values[1] = [False, True]
    schedule["produce_kw"].values[1] = [0.0, 10.0]
    schedule["shed_kw"].values[2] = [1.0, 0.0]
    schedule["unserved_kw"].values[1] = 0.002
    cost = day_cost(day, schedule)
    by_hand = {
        "grid_buy": 10 * 0.5 * 0.2,
        "grid_sell": -4 * 0.5 * 0.1,
        "fuel": 10 * 0.5 * 0.3,
        "no_load": 0.5 * 0.5,
        "starts": 0.4,
        "co2": 0.0,
        "peak": 0.0,
        "missed": 0.0,
        "operating": 0.0,
        "boiler": 0.0,
        "wear": 1.8 * 0.5 * 0.02,
        "shedding": 1.0 * 0.5 * 2.0,
        "unserved": 0.002 * 0.5 * 1000.0,
        "end_energy": 0.1 * 0.9 * (5.0 - 4.0),
    }
    assert {item.name: getattr(cost, item.name) for item in fields(cost)} == pytest.approx(by_hand)
    assert cost.total == pytest.approx(sum(by_hand.values()))


@pytest.mark.parametrize("outage", [range(0), range(60, 72)])
@pytest.mark.parametrize("cuts", [0, 40])
def test_foresight_costs_no_more_than_the_rule_on_the_same_day(demo_day, outage, cuts):
    day = demo_day(outage, cuts)
    best = foresight(day, gap=1e-4)
    assert best.objective == pytest.approx(day_cost(day, best.schedule).total)
    assert best.objective < day_cost(day, simulate_rule(day)).total


def test_foresight_adds_the_cuts_that_the_network_answers_with(community, make):
    day = community(
        2,
        solar=(Solar("pv-1", "u-1", 10.0),),
        grid=make.grid(export_kw=50.0),
        solar_available_kw=[[10.0, 4.0]],
        sell_price=[0.1, 0.1],
    )

    def feasible(schedule):
        steps = np.flatnonzero(schedule["produce_kw"].values[0] > 6.0 + 1e-6)
        return tuple(LinearCut(int(t), "vm_pu bus 2 <= 1.05", {"pv-1": 1.0}, 6.0) for t in steps)

    plan = foresight(day, feasible=feasible)
    assert plan.schedule["produce_kw"].values[0].tolist() == pytest.approx([6.0, 4.0])
    assert plan.objective == pytest.approx(-1.0)
    assert plan.binding_cuts == ((0, "vm_pu bus 2 <= 1.05"),)


def test_foresight_gives_up_on_a_network_that_is_never_content(community):
    cut = LinearCut(0, "vm_pu bus 2 <= 1.05", {"grid-1": 1.0}, 1e6)
    with pytest.raises(SolverError, match="8 rounds"):
        foresight(community(1), feasible=lambda schedule: (cut,))
