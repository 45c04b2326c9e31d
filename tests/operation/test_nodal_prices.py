"""Prices by bus: each is what the plan costs more when a bus takes more, losses and limits in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray as xr

from dispatch.plan import PlanInput
from dispatch.solve import Optimum, optimum
from dispatch.what_if import changed, parse
from grid.operation import nodal_prices
from grid.operation.feasibility import state_of
from grid.operation.next_plan import NextPlan, next_plan
from grid.operation.room import Room
from grid.store import datasets
from networks.limits.loss_factors import loss_factors

SUNNY = ("solar=+30%", "asset.BAT-COMMUNITY.power_kw=20")


@pytest.fixture(scope="module")
def sunny(looked: Room) -> NextPlan:
    """A day whose sun lifts voltages to their limit."""
    return next_plan(looked, change=lambda given: changed(given, [parse(one) for one in SUNNY]))


@pytest.fixture(scope="module")
def priced(looked: Room, sunny: NextPlan) -> xr.Dataset:
    found = nodal_prices.nodal_prices(looked, sunny.ahead, sunny.plan)
    assert found is not None
    return found


def _with_load(
    room: Room, made: NextPlan, state: xr.Dataset, step: int, bus: int, more_kw: float
) -> PlanInput:
    """Return the plan's input with more load at a bus: what it and its losses take, cuts moved."""
    given = made.plan_input
    factor = float(loss_factors(room.model, state)["p_loss_factor"].sel(bus=bus)[step])
    demand = given.demand_kw.copy()
    demand[step] += more_kw * (1.0 - factor)
    known: dict[Any, Any] = {}
    cuts = []
    for cut in given.cuts:
        if cut.step == step:
            slope = nodal_prices.slope(room, state, step, cut.name, [bus], known)
            assert slope is not None
            cut = replace(cut, limit_kw=cut.limit_kw + more_kw * float(slope[0]))
        cuts.append(cut)
    return replace(given, demand_kw=demand, cuts=tuple(cuts))


def _solved(given: PlanInput) -> Optimum:
    found = optimum(given, gap=1e-9, nodes=2000)
    assert found.schedule is not None
    return found


def test_a_price_is_what_more_load_at_the_bus_costs(
    looked: Room, sunny: NextPlan, priced: xr.Dataset
) -> None:
    state = state_of(looked, sunny.ahead, sunny.plan.schedule)
    base = _solved(sunny.plan_input)
    assert base.schedule is not None
    held = np.abs(priced["congestion"].values).max(axis=1)
    step = int(held.argmax())
    assert held[step] > 0.01, "no limit of the network holds this plan"
    exact = 0
    places = [(step, int(np.abs(priced["congestion"].values[step]).argmax())), (step, 0)]
    places += [(step, 40), (0, 10), (int(np.flatnonzero(held > 1e-3)[0]), 20)]
    for t, column in places:
        bus, price = int(priced["bus"][column]), float(priced["price"][t, column])
        slopes = []
        for more_kw in (-0.01, 0.01):
            other = _solved(_with_load(looked, sunny, state, t, bus, more_kw))
            assert other.schedule is not None
            np.testing.assert_array_equal(other.schedule["on"], base.schedule["on"])
            cost = other.answer.objective - base.answer.objective
            slopes.append(cost / more_kw / sunny.plan_input.hours)
        # at a kink the price is between what one kW less saves and one more costs
        assert slopes[0] - 1e-6 <= price <= slopes[1] + 1e-6
        exact += abs(slopes[1] - slopes[0]) < 2e-6
    assert exact >= 3


def test_a_price_is_energy_losses_and_congestion(priced: xr.Dataset, sunny: NextPlan) -> None:
    whole = priced["energy"] + priced["losses"] + priced["congestion"]
    np.testing.assert_allclose(priced["price"], whole.transpose("interval", "bus"), atol=1e-12)
    np.testing.assert_array_equal(priced["energy"], sunny.plan.schedule["marginal_price"])
    # more sun at the bus whose voltage is at its limit is worth less than at the head
    assert float(priced["congestion"].min()) < -0.01
    steps = {step for step, _, _ in sunny.plan.cut_prices}
    free = [t for t in range(sunny.plan_input.n) if t not in steps]
    assert free
    assert not priced["congestion"].values[free].any()


def test_a_cycle_stores_them_with_its_plan(looked: Room) -> None:
    at_s = looked.first_cycle_s
    made = next_plan(looked, at_s)
    found = nodal_prices.nodal_prices(looked, made.ahead, made.plan)
    assert found is not None
    with looked.store.read() as tx:
        stored = datasets.require_dataset(tx, nodal_prices.KIND, at_s)
    xr.testing.assert_equal(stored, nodal_prices.kept(found))
    nano = stored["price"].values[0]
    np.testing.assert_allclose(nano * 1e-6, found["price"].values[0], atol=5e-7)


def test_no_optimum_no_price(looked: Room, sunny: NextPlan) -> None:
    rule = replace(sunny.plan, source="safe rule")
    assert nodal_prices.nodal_prices(looked, sunny.ahead, rule) is None


def test_a_bus_that_is_dead_has_no_price(priced: xr.Dataset) -> None:
    dark = priced.copy(deep=True)
    dark["price"][0, 0] = np.nan
    assert int(nodal_prices.kept(dark)["price"][0, 0]) == nodal_prices.UNKNOWN


def test_a_ramp_is_no_limit_of_the_network(looked: Room, sunny: NextPlan) -> None:
    state = state_of(looked, sunny.ahead, sunny.plan.schedule)
    assert nodal_prices.slope(looked, state, 0, "BAT-1 ramp", [3], {}) is None
