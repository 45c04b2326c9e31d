"""The verifier itself: a right schedule passes, and each single violation is named."""

from __future__ import annotations

import copy

import pytest

from tests.dispatch.pglib.instances import instance, running, unit
from tests.dispatch.pglib.verifier import verify


def schedule(cost, on, output, reserve=None, **renewable):
    return {
        "cost": cost,
        "thermal_generators": {
            "g": {"on": on, "output_mw": output, "reserve_mw": reserve or [0.0] * len(on)}
        },
        "renewable_generators": {name: {"output_mw": mw} for name, mw in renewable.items()},
    }


def case(demand, generator, **facts):
    return instance(demand, thermal_generators={"g": generator}, **facts)


def test_a_right_schedule_passes_with_its_cost():
    """Off, a start after eleven hours of standing, the rise, a stop: nothing is broken."""
    categories = [{"lag": 1, "cost": 7.0}, {"lag": 5, "cost": 9.0}]
    points = [{"mw": 10.0, "cost": 90.0}, {"mw": 50.0, "cost": 450.0}, {"mw": 100.0, "cost": 950.0}]
    raw = case([0.0, 60.0, 80.0, 0.0], unit(startup=categories, piecewise_production=points))
    raw["reserves"] = [0.0, 20.0, 0.0, 0.0]
    found = verify(raw, schedule(1309.0, [0, 1, 1, 0], [0, 60.0, 80.0, 0], [0, 20.0, 0, 0]))
    assert found == ([], 9.0 + (450.0 + 100.0) + (450.0 + 300.0))


CASES = {
    "demand": (case([60.0], running(60.0)), ([1], [59.0])),
    "reserve": (case([60.0], running(60.0), reserves=[5.0]), ([1], [60.0], [4.0])),
    "integrality": (case([60.0], running(60.0)), ([0.999], [60.0])),
    "must run": (case([0.0], running(60.0, must_run=1)), ([0], [0.0])),
    "initial up time": (case([0.0], running(60.0, 2, time_up_minimum=3)), ([0], [0.0])),
    "initial down time": (
        case([60.0], unit(time_down_t0=2, time_down_minimum=3)),
        ([1], [60.0]),
    ),
    "up time": (case([60.0, 0.0], unit(time_up_minimum=2)), ([1, 0], [60.0, 0.0])),
    "down time": (
        case([0.0, 60.0], running(60.0, time_down_minimum=2)),
        ([0, 1], [0.0, 60.0]),
    ),
    "minimum": (case([5.0], running(60.0)), ([1], [5.0])),
    "maximum": (case([101.0], running(60.0)), ([1], [101.0])),
    "start-up ramp": (case([60.0], unit(ramp_startup_limit=50.0)), ([1], [60.0])),
    "shut-down ramp": (
        case([60.0, 0.0], running(60.0, ramp_shutdown_limit=50.0)),
        ([1, 0], [60.0, 0.0]),
    ),
    "ramp up": (case([80.0], running(60.0, ramp_up_limit=10.0)), ([1], [80.0])),
    "ramp down": (case([40.0], running(60.0, ramp_down_limit=10.0)), ([1], [40.0])),
}


@pytest.mark.parametrize("name", CASES)
def test_each_violation_is_named_alone(name):
    """One rule of one tiny instance is broken, and that rule's name is the only one told."""
    raw, told = CASES[name]
    told = schedule(0.0, *told)
    told["cost"] = verify(raw, told).cost
    broken = verify(raw, told).broken
    assert {text.split(":")[0] for text in broken} == {name}


def test_reserve_counts_within_limit_and_ramp():
    """20 MW above 60 break a rise of 10, and 50 MW a maximum of 100 as well."""
    raw = case([60.0], running(60.0, ramp_up_limit=10.0))
    assert verify(raw, schedule(600.0, [1], [60.0], [20.0])).broken == ["ramp up: g, 1"]
    raw = case([60.0], running(60.0))
    assert "maximum: g, 1" in verify(raw, schedule(600.0, [1], [60.0], [50.0])).broken


def test_a_stop_in_the_first_hour_counts_what_was_given_before():
    """Who gave 60 MW before the first hour cannot stop in it from at most 50."""
    raw = case([0.0], running(60.0, ramp_shutdown_limit=50.0))
    assert verify(raw, schedule(0.0, [0], [0.0])).broken == ["shut-down ramp: g, 0"]


def test_reserve_is_never_negative():
    """One cannot keep 10 MW for another that owes them."""
    raw = instance([120.0], thermal_generators={"g": running(60.0), "h": running(60.0)})
    told = schedule(1200.0, [1], [60.0], [10.0])
    told["thermal_generators"]["h"] = {"on": [1], "output_mw": [60.0], "reserve_mw": [-10.0]}
    assert verify(raw, told).broken == ["reserve below zero: h, 1"]


def test_renewables_stay_between_their_series():
    """11 MW where 10 are offered, and 1 where 2 must be taken."""
    plant = {"power_output_minimum": [0.0, 2.0], "power_output_maximum": [10.0, 10.0]}
    raw = instance([11.0, 1.0], renewable_generators={"w": plant})
    told = {"cost": 0.0, "thermal_generators": {}}
    told["renewable_generators"] = {"w": {"output_mw": [11.0, 1.0]}}
    assert verify(raw, told).broken == ["renewable: w, 1", "renewable: w, 2"]


@pytest.mark.parametrize(("standing", "cost"), [(1, 1.0), (3, 1.0), (4, 2.0), (8, 2.0), (9, 3.0)])
def test_the_category_of_a_start_follows_its_standing(standing, cost):
    """Categories from 1, 4 and 9 hours, within the window and across its border."""
    categories = [{"lag": lag, "cost": cost} for lag, cost in ((1, 1.0), (4, 2.0), (9, 3.0))]
    across = case([60.0], unit(startup=categories, time_down_t0=standing))
    assert verify(across, schedule(600.0 + cost, [1], [60.0])) == ([], 600.0 + cost)
    demand = [60.0, *[0.0] * standing, 60.0]
    inside = case(demand, running(60.0, startup=categories))
    told = schedule(1200.0 + cost, [int(mw > 0) for mw in demand], demand)
    assert verify(inside, told) == ([], 1200.0 + cost)


def test_a_wrong_cost_a_wrong_shape_and_a_bent_curve_are_told():
    """What is told must be the cost, finite, of each generator, and the curve convex."""
    raw = case([60.0], running(60.0))
    right = schedule(600.0, [1], [60.0])
    assert verify(raw, right).broken == []
    assert verify(raw, {**right, "cost": 600.1}).broken == ["cost: told 600.100000, is 600.000000"]
    assert verify(raw, schedule(600.0, [1], [float("nan")])).broken == ["shape: g"]
    assert verify(raw, {**right, "thermal_generators": {}}).broken == ["generators: thermal"]
    bent = copy.deepcopy(raw)
    bent["thermal_generators"]["g"]["piecewise_production"] = [
        {"mw": 10.0, "cost": 100.0},
        {"mw": 60.0, "cost": 600.0},
        {"mw": 100.0, "cost": 700.0},
    ]
    assert verify(bent, right).broken == ["convexity: g"]
