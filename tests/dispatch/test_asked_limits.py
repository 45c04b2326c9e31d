"""Limits that somebody asks for: kept where they can be, else exceeded by what is named."""

from dataclasses import replace

import numpy as np
import pytest

from dispatch.asked import over_limit_kw, penalty
from dispatch.check import check_plan
from dispatch.model import build
from dispatch.problem_file import parse
from dispatch.solve import solve
from dispatch.statement import statement
from grid.errors import BadInputError
from tests.dispatch.test_assets import same_as_golden
from tests.dispatch.test_template import by_pyomo, by_template, same

DEAR = 2.0


def evening(community, make, stored=10.0, **fields):
    """Four hours of 20 kW; from the second on at most 15 kW may be drawn, for two hours."""
    facts = {
        "battery": (make.battery(power=5.0, energy=10.0, discharge_efficiency=1.0),),
        "battery_energy_kwh": [stored],
        "demand_kw": [20.0, 20.0, 20.0, 20.0],
        "grid": make.grid(20.0, 0.0),
        "import_limit_kw": np.array([100.0, 15.0, 15.0, 100.0]),
        "limit_penalty_per_kwh": DEAR,
        "end_value_per_kwh": 0.2,
        **fields,
    }
    return community(4, **facts)


def test_a_limit_is_kept_though_it_costs(community, make):
    """A kWh that is kept has a worth of 0.2 and saves 0.1: only the limit takes it out."""
    given = evening(community, make)
    plan = solve(given, gap=0.0)
    assert plan.schedule["import_kw"].values == pytest.approx([20, 15, 15, 20])
    assert plan.objective == pytest.approx(7.0 + 2.0)
    free = solve(replace(given, import_limit_kw=None), gap=0.0)
    assert free.schedule["import_kw"].values == pytest.approx([20] * 4)
    assert free.objective == pytest.approx(8.0)
    assert not [one for one in plan.reasons if one.code.startswith("limit.")]


def test_a_limit_that_cannot_be_kept_is_exceeded_by_what_is_named(community, make):
    """The battery holds 4 kWh of the 10 that are wanted, and there is no room to fill it."""
    given = evening(community, make, stored=4.0)
    plan = solve(given, gap=0.0)
    assert check_plan(given, plan) == []
    over = over_limit_kw(given, plan.schedule, "import")
    assert over.sum() == pytest.approx(6.0)
    assert penalty(given, plan.schedule) == pytest.approx(DEAR * 6.0)
    assert plan.objective == pytest.approx(0.1 * 76.0 + 0.2 * 4.0), "the penalty is no cost"
    told = [one for one in plan.reasons if one.code == "limit.import_short"]
    assert told
    assert told[0].params["limit_kw"] == 15.0
    assert told[0].params["needed_kw"] == pytest.approx(15.0 + over.max())
    assert "at most 15.0 kW of import are asked for" in told[0].text


def test_what_lacks_eats_up_the_margins_before_it_breaks_the_limit(community, make):
    """With a margin of 2 kW 14 kWh are wanted of 10: each step gives up its margin, none more."""
    facts = {"battery": (make.battery(power=9.0, energy=12.0, discharge_efficiency=1.0),)}
    given = evening(community, make, stored=10.0, limit_margin_kw=np.full(4, 2.0), **facts)
    plan = solve(given, gap=0.0)
    assert plan.schedule["import_kw"].values == pytest.approx([20, 15, 15, 20])
    assert penalty(given, plan.schedule) == pytest.approx(DEAR * 0.5 * 4.0)
    roomy = replace(given, grid=make.grid(30.0, 0.0), battery_energy_kwh=np.array([12.0]))
    first = solve(replace(roomy, demand_kw=np.full(4, 19.0)), gap=0.0).schedule["import_kw"]
    assert first.values[1:3] == pytest.approx([13.0, 13.0])


def test_export_is_limited_by_charging_and_then_by_withholding(community, make):
    from grid.site import Solar

    given = community(
        2,
        battery=(make.battery(power=5.0, energy=5.0),),
        battery_energy_kwh=[0.0],
        solar=(Solar("pv-1", "u-1", 20.0),),
        solar_available_kw=[[20.0, 20.0]],
        grid=make.grid(10.0, 30.0),
        sell_price=[0.1, 0.1],
        export_limit_kw=np.array([12.0, 30.0]),
        limit_penalty_per_kwh=DEAR,
    )
    plan = solve(given, gap=0.0)
    assert plan.schedule["export_kw"].values == pytest.approx([12.0, 20.0], abs=5.1)
    assert plan.schedule["export_kw"].values[0] == pytest.approx(12.0)
    why = {one.subject: one for one in plan.reasons}
    assert why["pv-1"].code == "curtail.export_limit"
    assert why["pv-1"].params["limit_kw"] == 12.0


def test_asked_limits_are_in_the_model_as_in_its_template(community, make, tmp_path):
    given = evening(
        community, make, grid=make.grid(20.0, 9.0),
        limit_margin_kw=np.array([0.0, 2.0, 50.0, 1.0]),
        export_limit_kw=np.array([9.0, 8.0, 7.0, 6.0]),
    )  # fmt: skip
    for elastic in (False, True):
        problem = statement(given, elastic=elastic)
        same(by_pyomo(problem), by_template(problem))
    short = replace(given, **{k: v[..., :2] for k, v in given.series().items()})
    same_as_golden("asked_limits", build(short), tmp_path)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"import_limit_kw": np.array([1.0, 2.0])}, "import_limit_kw has shape"),
        ({"import_limit_kw": np.array([1.0, np.nan, 1.0, 1.0])}, "import_limit_kw"),
        ({"limit_margin_kw": np.full(4, -1.0)}, "limit_margin_kw"),
        ({"limit_penalty_per_kwh": 1e9}, "limit_penalty_per_kwh"),
    ],
)
def test_a_limit_that_is_none_is_refused(community, make, fields, message):
    with pytest.raises(BadInputError, match=message):
        solve(evening(community, make, **fields))


def test_a_problem_file_may_ask_for_a_limit():
    text = """
start = "2026-10-21T17:00Z"
interval_s = 3600
demand_kw = [20.0, 20.0]
buy_price = [0.1, 0.1]
import_limit_kw = [50.0, 12.0]
limit_penalty_per_kwh = 1.0
[grid]
import_limit_kw = 50.0
export_limit_kw = 0.0
"""
    plan = solve(parse(text))
    (told,) = [one for one in plan.reasons if one.code == "limit.import_short"]
    assert told.params["at"] == "2026-10-21T18:00Z"
    assert (told.params["limit_kw"], told.params["needed_kw"]) == (12.0, 20.0)
