"""Critical load outlives an outage that begins at any step; by trying each of them."""

from dataclasses import replace

import numpy as np
import pytest

from dispatch import template
from dispatch.check import check_plan, survival_missing
from dispatch.solve import solve
from dispatch.statement import statement
from dispatch.survival import needs
from grid.errors import BadInputError
from tests.dispatch.test_template import by_pyomo, by_template, same

HOURS = 6


@pytest.fixture(scope="module")
def day(community, make):
    """A day whose cheap hours and sun would leave the battery empty in the evening."""
    hour = np.arange(24)
    return community(
        24,
        battery=(
            make.battery("bat-1", power=9.0, energy=40.0, forming=True, min_energy_kwh=2.0),
            make.battery("bat-2", power=6.0, energy=20.0),
        ),
        demand_kw=10.0 + 5.0 * np.sin((hour - 12) / 12 * np.pi),
        buy_price=np.where((hour >= 7) & (hour < 22), 0.3, 0.1),
        battery_energy_kwh=[35.0, 10.0],
        critical_kw=2.0 + np.clip(hour - 12, 0, 6) * 0.5,
        survive_steps=HOURS,
    )


def outlives(day, plan, begins):
    """Return whether the forming battery alone carries the critical load for the hours."""
    battery = day.battery[0]
    energy = plan.schedule["energy_kwh"].values[0, begins] - battery.min_energy_kwh
    for t in range(begins + 1, begins + 1 + HOURS):
        load = day.critical_kw[min(t, day.n - 1)]
        energy -= load * day.hours / battery.discharge_efficiency
        if energy < -1e-5 or load > battery.power_kw:
            return False
    return True


def test_an_outage_after_any_step_is_outlived(day):
    plan = solve(day, gap=0.0)
    assert check_plan(day, plan) == []
    assert all(outlives(day, plan, t) for t in range(day.n))
    careless = solve(replace(day, survive_steps=0), gap=0.0)
    assert not all(outlives(day, careless, t) for t in range(day.n))
    assert plan.objective > careless.objective


def test_with_a_hundredth_less_stored_where_it_binds_it_is_not(day):
    plan = solve(day, gap=0.0)
    (need,) = needs(day).values()
    battery = day.battery[0]
    energy = plan.schedule["energy_kwh"].values[0]
    binds = np.flatnonzero(
        energy - battery.min_energy_kwh < need / battery.discharge_efficiency + 1e-6
    )
    assert binds.size > 2
    less = plan.schedule.copy(deep=True)
    less["energy_kwh"].values[0] *= 0.99
    assert not any(outlives(day, replace(plan, schedule=less), t) for t in binds)
    assert (survival_missing(day, less)[binds] > 0.0).all()


def test_what_cannot_be_reached_is_missed_by_as_little_as_can_be(day):
    """Nearly empty at first: short for as long as charging takes, and no plan is refused."""
    empty = replace(day, battery_energy_kwh=np.array([3.0, 0.0]))
    plan = solve(empty, gap=0.0)
    missing = survival_missing(empty, plan.schedule)
    assert missing[0] == pytest.approx(HOURS * 2.0 - 0.9 * (1.0 + 0.9 * 9.0), abs=1e-5)
    assert missing[3:].max() < 1e-5
    assert plan.schedule["charge_kw"].values[0, 0] == pytest.approx(9.0)
    told = next(one for one in plan.reasons if one.code == "survival.short")
    assert "would not last 6.0 h if the grid were lost at" in told.text


def test_while_the_network_is_away_stored_energy_is_for_now(day):
    """An outage that has come uses what was kept for it: nobody sits in the dark over a store."""
    away = np.arange(24) >= 20
    given = replace(
        day,
        grid_available=~away,
        critical_kw=np.full(24, 4.0),
        demand_kw=np.where(away, 4.0, day.demand_kw),
    )
    plan = solve(given, gap=0.0)
    assert check_plan(given, plan) == []
    assert float(plan.schedule["unserved_kw"].max()) < 1e-6
    kept = plan.schedule["energy_kwh"].values[0]
    assert kept[19] >= 2.0 + HOURS * 4.0 / 0.9 - 1e-5
    assert kept[23] < kept[19] - 10.0
    assert survival_missing(given, plan.schedule)[20:].max() == 0.0


@pytest.mark.parametrize("seed", range(6))
def test_batteries_of_unlike_power_outlive_it_together(community, make, seed):
    """One has much energy and little power: what sets of them hold is tried, and enough."""
    draw = np.random.default_rng(seed)
    names = ["bat-1", "bat-2", "bat-3"]
    given = community(
        12,
        battery=tuple(
            make.battery(name, power=draw.uniform(1.0, 5.0), energy=draw.uniform(5.0, 30.0),
                         forming=True)
            for name in names
        ),
        demand_kw=np.full(12, 8.0),
        buy_price=draw.uniform(0.1, 0.5, 12),
        battery_energy_kwh=[4.0, 4.0, 4.0],
    )  # fmt: skip
    power = sum(b.power_kw for b in given.battery)
    given = replace(given, critical_kw=power * draw.uniform(0.1, 0.95, 12), survive_steps=4)
    problem = statement(given)
    same(by_template(problem), by_pyomo(problem))
    plan = solve(given, gap=0.0)
    missing = survival_missing(given, plan.schedule)
    short = [
        max(0.0, *(float(row[t] - sum(
            b.discharge_efficiency * plan.schedule["energy_kwh"].values[given.battery.index(b), t]
            for b in kept
        )) for kept, row in _rows(given)))
        for t in range(12)
    ]  # fmt: skip
    assert missing == pytest.approx(short, abs=1e-5)


def _rows(given):
    from dispatch.survival import others

    return [(kept, needs(given)[name]) for name, kept in others(given).items()]


def test_the_template_knows_of_it(day):
    template.forget()
    for given in (day, replace(day, survive_steps=0)):
        problem = statement(given)
        same(by_template(problem), by_pyomo(problem))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"critical_kw": np.full(24, 10.0)}, "critical_kw .* is 10, must be at most 9"),
        ({"critical_kw": np.full(23, 1.0)}, "critical_kw has shape"),
        ({"critical_kw": np.full(24, np.nan)}, "critical_kw"),
        ({"survive_steps": -1}, "survive_steps is -1"),
        ({"survive_steps": 1.5}, "survive_steps is 1.5, must be a whole number"),
    ],
)
def test_what_cannot_be_survived_is_refused(day, changed, message):
    with pytest.raises(BadInputError, match=message):
        solve(replace(day, **changed))
