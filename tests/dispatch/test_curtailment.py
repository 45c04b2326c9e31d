"""What is withheld is shared by rule, and costs and limits stay as they were."""

from dataclasses import replace

import numpy as np
import pytest

from dispatch.check import check_plan
from dispatch.plan import LinearCut
from dispatch.rule import self_consumption
from dispatch.solve import solve
from grid.site import Price, Solar, Wind

SUN = [8.0, 4.0, 2.0]


def noon(community, orders=(0, 0, 0), **facts):
    """14 kW of three plants, 2 of load, and 5 that the grid takes: 7 are withheld."""
    solar = tuple(
        Solar(f"pv-{i}", "u-1", 10.0, curtailment_order=order) for i, order in enumerate(orders[:2])
    )
    wind = (Wind("w-1", "u-1", 10.0, curtailment_order=orders[2]),)
    series = {
        "solar_available_kw": np.array([[SUN[0]], [SUN[1]]]),
        "wind_available_kw": np.array([[SUN[2]]]),
        "demand_kw": [2.0],
        "sell_price": [0.05],
    }
    return community(1, solar=solar, wind=wind, **{**series, **facts})


@pytest.fixture
def narrow(make):
    """A grid that takes 5 kW."""
    return make.grid(40.0, 5.0)


@pytest.mark.parametrize(
    ("orders", "withheld"),
    [
        ((0, 0, 0), [4.0, 2.0, 1.0]),
        ((1, 0, 2), [3.0, 4.0, 0.0]),
        ((2, 1, 1), [1.0, 4.0, 2.0]),
    ],
)
def test_withheld_pro_rata_or_in_order(community, narrow, orders, withheld):
    given = noon(community, orders, grid=narrow)
    plan = solve(given, gap=0.0)
    assert plan.schedule["curtail_kw"].values[:, 0] == pytest.approx(withheld)
    produced = np.array(SUN) - withheld
    assert plan.schedule["produce_kw"].values[:, 0] == pytest.approx(produced)
    limits = plan.schedule["limit_kw"].values[:, 0]
    assert np.isnan(limits).tolist() == [w == 0.0 for w in withheld]
    assert check_plan(given, plan) == []
    # 5 kW sold for an hour, whoever gave them
    assert plan.objective == pytest.approx(-0.25)
    assert self_consumption(given)["curtail_kw"].values[:, 0] == pytest.approx(withheld)


def test_a_dearer_plant_is_withheld_before_the_order_counts(community, narrow):
    """It costs 0.01 a kWh to run: its 4 kW go first, then the rest pro rata."""
    given = noon(community, (0, 9, 0), grid=narrow)
    dear = replace(given.solar[1], operating=Price(10_000))
    plan = solve(replace(given, solar=(given.solar[0], dear)), gap=0.0)
    assert plan.schedule["curtail_kw"].values[:, 0] == pytest.approx([2.4, 4.0, 0.6])


def test_a_cut_that_means_one_plant_is_answered_by_that_plant(community, make):
    """The grid takes all; only behind the feeder of the second is there no room."""
    cut = LinearCut(0, "line 3", {"pv-1": 1.0}, 1.5)
    given = noon(community, grid=make.grid(40.0, 40.0), cuts=(cut,))
    plan = solve(given, gap=0.0)
    assert plan.schedule["curtail_kw"].values[:, 0] == pytest.approx([0.0, 2.5, 0.0])
    assert check_plan(given, plan) == []
