"""pymgrid's microgrids as data, and its rule-based controller reproduced to its own figures."""

from __future__ import annotations

import numpy as np
import pytest

from dispatch.backtest.run import Setting, share_of_gain
from dispatch.cost import day_cost
from dispatch.solve import solve
from tests import peers
from tests.dispatch.pymgrid25 import HOURS, read
from tests.dispatch.pymgrid25_backtest import backtest
from tests.dispatch.pymgrid25_input import wear_per_kwh, window
from tests.dispatch.pymgrid25_rule import least_cost, play

WITH_GRID = (0, 1, 4, 6, 8, 9, 10, 11, 12, 13, 14, 16, 18, 22, 24)

# What the package itself gives for a year (python-microgrid 1.4.1 with numpy 1.26)
PLAYED = {
    0: 956059.6622849073,
    1: 177196182.85938177,
    2: 1097710381.7354746,
    4: 8127119.575096137,
    6: 29243571.80734488,
    11: 10022847.652258225,
    13: 11202525.46346335,
    22: 44142821.011884406,
}
RUNNING = {1: 65786387.66575773, 2: 69274135.69735673, 13: 22491829.548285775}


@pytest.fixture(scope="module")
def folder():
    """The folder of the 25."""
    return peers.data("pymgrid25")


def test_each_is_a_year_in_range(folder):
    """25 microgrids of 8,760 hours: load and sun never negative, limits in their order."""
    for number in range(25):
        one = read(folder, number)
        assert one.load_kw.shape == one.sun_kw.shape == (HOURS,)
        assert one.load_kw.min() >= 0.0
        assert one.load_kw.max() > 0.0
        assert one.sun_kw.min() >= 0.0
        assert (one.grid is not None) == (number in WITH_GRID)
        assert one.grid is not None or one.genset is not None
        battery = one.battery
        assert battery.min_energy_kwh <= battery.initial_kwh <= battery.energy_kwh
        if one.genset is not None:
            assert 0.0 < one.genset.min_kw < one.genset.max_kw


def test_the_facts_of_the_first_are_those_of_its_file(folder):
    """Stored limits of 363 kW become 403 in and 327 out; wear of 0.02 counts what is stored."""
    one = read(folder, 0)
    battery = one.battery
    assert battery.charge_kw == pytest.approx(363 / 0.9)
    assert battery.discharge_kw == pytest.approx(363 * 0.9)
    assert (battery.energy_kwh, battery.min_energy_kwh) == (1452, pytest.approx(290.4))
    assert (battery.charge_cost, battery.discharge_cost) == (
        pytest.approx(0.018),
        pytest.approx(0.02 / 0.9),
    )
    assert (one.grid.import_kw, one.grid.export_kw, one.grid.emission_price) == (1920, 1920, 0.1)
    assert (one.lost_cost, one.excess_cost) == (10, 1)
    assert one.load_kw[0] == pytest.approx(304.403798960378)


def test_a_weak_grid_is_away_for_hours(folder):
    """Microgrid 1 has outages, and 0 has none."""
    assert read(folder, 0).grid.available.all()
    away = ~read(folder, 1).grid.available
    assert 0 < np.count_nonzero(away) < HOURS / 4


@pytest.mark.parametrize("number", PLAYED)
def test_the_rule_costs_what_the_package_says(folder, number):
    """A year of the package's controller, to a billionth; it leaves gensets off."""
    found = play(read(folder, number))
    assert found.cost == pytest.approx(PLAYED[number], rel=1e-9)
    assert found.genset_kwh == 0.0


@pytest.mark.parametrize("number", RUNNING)
def test_the_rule_with_the_genset_on_costs_what_the_package_says(folder, number):
    """The same list with the genset's other action: nothing is lost, the minimum is burnt."""
    found = play(read(folder, number), running=True)
    assert found.cost == pytest.approx(RUNNING[number], rel=1e-9)
    assert found.genset_kwh > 0.0
    assert found.lost_kwh == pytest.approx(0.0, abs=1e-6)


def test_foresight_is_worth_some_percent(folder):
    """On microgrid 0 a known year saves eight percent against the rule."""
    one = read(folder, 0)
    assert 1.0 - least_cost(one) / play(one).cost == pytest.approx(0.078, abs=0.002)


@pytest.mark.parametrize("number", [0, 1, 4, 11, 12])
def test_two_days_cost_our_planner_what_they_must(folder, number):
    """Battery, tariff, emissions and outages said in our words have the same optimum.

    A bound written apart from the planner gives it; prices are whole nano-currency per Wh.
    """
    one = read(folder, number)
    plan = solve(window(one, 24, 48), gap=1e-7)
    bound = least_cost(one, first=24, steps=48)
    assert plan.objective == pytest.approx(bound, rel=1e-6)


def test_a_genset_with_a_minimum_is_committed(folder):
    """On an island the plan lies between the bound, which lets the minimum go, and the rule."""
    one = read(folder, 2)
    plan = solve(window(one, 0, 48), gap=1e-4)
    assert least_cost(one, steps=48) * (1 + 1e-9) < plan.objective
    assert plan.objective < play(one, running=True, steps=48).cost
    assert plan.schedule["shed_kw"].values.max() == 0.0


def test_the_wear_of_a_plan_is_pymgrids(folder):
    """Twice the wear on what is given, corrected at the end, is the wear of each kWh moved."""
    one = read(folder, 0)
    day = window(one, 12, 24)
    schedule = solve(day).schedule
    battery = one.battery
    taken = schedule["charge_kw"].values[0].sum() * battery.charge_cost
    given = schedule["discharge_kw"].values[0].sum() * battery.discharge_cost
    cost = day_cost(day, schedule)
    assert cost.wear + cost.end_energy == pytest.approx(taken + given, rel=1e-5)
    assert wear_per_kwh(one) == pytest.approx(0.02)


@pytest.mark.parametrize("number", [0, 4, 12])
def test_a_stochastic_plan_saves_half_of_what_foresight_would(folder, number):
    """Five days after four weeks; a year of each is ``tests.dispatch.pymgrid25_backtest``."""
    setting = Setting(futures=6, controllers=("rule", "stochastic"))
    test = backtest(folder, number, hours=120, setting=setting)
    for _ in test.steps():
        pass
    bound = test.bound()
    assert bound < test.tally["stochastic"].total < test.tally["rule"].total
    assert share_of_gain(test.tally, "stochastic", bound) >= 0.5
    assert test.tally["stochastic"].fallbacks == 0
