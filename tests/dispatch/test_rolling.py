"""Solving on from the last roll finds what solving from nothing finds."""

from dataclasses import replace

import numpy as np
import pytest

from dispatch import template
from dispatch.plan import PlanInput
from dispatch.rolling import Rolling
from dispatch.solve import solve
from grid.site import Price, Shedding, Solar

ROLLS = 200
HORIZON = 12


@pytest.fixture(scope="module")
def year(community, make) -> PlanInput:
    """Hours with two gensets, two batteries, sun, shedding, outages and prices below 0."""
    n = ROLLS + HORIZON
    draw, hour = np.random.default_rng(11), np.arange(n) % 24
    sun = np.clip(np.sin((hour - 6) / 12 * np.pi), 0.0, None) * draw.uniform(0.4, 1.0, n)
    gensets = (
        make.genset("gen-1", 20.0, 6.0, min_up_intervals=4, min_down_intervals=3, fuel=0.18),
        make.genset("gen-2", 12.0, 3.0, min_up_intervals=2, min_down_intervals=5, fuel=0.22),
    )
    return community(
        n,
        genset=gensets,
        battery=(make.battery(wear=20_000, forming=True), make.battery("bat-2", 3.0, 12.0)),
        solar=(Solar("pv-1", "u-1", 30.0),),
        shedding=(Shedding("shed-1", ("u-1",), Price(2_000_000)),),
        grid=make.grid(30.0, 10.0),
        demand_kw=22.0 + 12.0 * np.sin((hour - 14) / 12 * np.pi) + draw.uniform(-3, 3, n),
        solar_available_kw=30.0 * sun[None],
        sheddable_kw=np.full((1, n), 6.0),
        buy_price=draw.uniform(0.05, 0.45, n),
        sell_price=draw.uniform(-0.05, 0.04, n),
        grid_available=draw.random(n) > 0.08,
        reserve_kw=np.full(n, 2.0),
        battery_energy_kwh=[5.0, 6.0],
        genset_on=[False, True],
        genset_intervals_in_state=[9, 1],
        end_value_per_kwh=0.12,
    )


def window(year: PlanInput, k: int, state: dict) -> PlanInput:
    series = {name: v[..., k : k + HORIZON] for name, v in year.series().items()}
    return replace(year, start_s=year.start_s + 3600 * k, **series, **state)


def after(given: PlanInput, plan) -> dict:
    """Return the state after the first step of a plan."""
    on = plan.schedule["on"].values[given.rows("genset"), 0]
    same = on == given.genset_on
    return {
        "battery_energy_kwh": np.clip(
            plan.schedule["energy_kwh"].values[given.rows("battery"), 0],
            [b.min_energy_kwh for b in given.battery],
            [b.energy_kwh for b in given.battery],
        ),
        "genset_on": on,
        "genset_intervals_in_state": np.where(same, given.genset_intervals_in_state + 1, 1),
    }


def test_200_rolls_equal_200_plans_from_nothing(year):
    """Commitment and stored energy cross the borders of the windows."""
    rolling, state, started = Rolling(), {}, 0
    for k in range(ROLLS):
        given = window(year, k, state)
        rolled = solve(given, gap=0.0, nodes=100_000, optimise=rolling.optimise)
        template.forget()
        fresh = solve(given, gap=0.0, nodes=100_000)
        assert rolled.status == fresh.status == "optimal"
        assert rolled.objective == pytest.approx(fresh.objective, rel=1e-9, abs=1e-9), k
        state = after(given, rolled)
        started += int((state["genset_intervals_in_state"] == 1).sum())
    assert started > 20


def test_a_horizon_that_jumps_is_solved_all_the_same(year):
    rolling = Rolling()
    for k in (0, 50, 10, 10):
        given = window(year, k, {})
        rolled = solve(given, gap=0.0, nodes=100_000, optimise=rolling.optimise)
        fresh = solve(given, gap=0.0, nodes=100_000)
        assert rolled.objective == pytest.approx(fresh.objective, rel=1e-9, abs=1e-9)
