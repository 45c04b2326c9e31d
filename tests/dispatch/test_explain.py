"""Reasons: what is said of the first step, in each situation that an operator meets."""

import pytest

from dispatch.explain import TEXT, bus_of
from dispatch.plan import LinearCut
from dispatch.solve import solve
from grid.site import Price, Shedding, Solar


def first(plan_input, subject):
    return next(reason for reason in solve(plan_input).reasons if reason.subject == subject)


def storing(community, make, **fields):
    facts = {"battery": (make.battery(wear=10_000),), "demand_kw": [4.0, 4.0], **fields}
    return community(2, **facts)


def test_a_battery_that_charges_says_what_energy_costs_now_and_is_worth_later(community, make):
    reason = first(storing(community, make, buy_price=[0.1, 0.5]), "bat-1")
    assert reason.code == "charge.cheap_now"
    assert reason.params["price_now"] == pytest.approx(0.1, abs=1e-4)
    assert reason.params["value_later"] == pytest.approx(0.9 * 0.9 * (0.5 - 0.01))
    assert "0.1000" in reason.text


def test_a_battery_that_discharges_says_why(community, make):
    plan_input = storing(community, make, buy_price=[0.5, 0.1], battery_energy_kwh=[4.0])
    reason = first(plan_input, "bat-1")
    assert reason.code == "discharge.dear_now"
    assert reason.params["price_now"] == pytest.approx(0.5, abs=1e-4)
    assert reason.params["value_later"] <= 0.5


def test_an_idle_battery_says_that_the_spread_is_below_losses_and_wear(community, make):
    plan_input = storing(community, make, buy_price=[0.10, 0.12])
    reason = first(plan_input, "bat-1")
    assert reason.code == "idle.spread"
    assert reason.params["charge_worth"] < reason.params["price_now"]


def test_a_battery_charges_for_the_outage_ahead(community, make):
    plan_input = storing(
        community,
        make,
        battery=(make.battery(forming=True),),
        grid_available=[True, False],
        shedding=(Shedding("shed-1", ("u-1",), Price(2_000_000)),),
        sheddable_kw=[[0.0, 4.0]],
    )
    reason = first(plan_input, "bat-1")
    assert (reason.code, reason.params["outage_at"]) == (
        "charge.before_outage",
        plan_input.label(1),
    )


def test_a_battery_charges_surplus_that_would_be_sold_for_less(community, make):
    plan_input = storing(
        community,
        make,
        solar=(Solar("pv-1", "u-1", 20.0),),
        solar_available_kw=[[20.0, 0.0]],
        grid=make.grid(export_kw=50.0),
        sell_price=[0.05, 0.05],
        buy_price=[0.3, 0.3],
    )
    assert first(plan_input, "bat-1").code == "charge.surplus"
    assert first(plan_input, "pv-1").code == "produce.all"
    assert first(plan_input, "grid-1").code == "grid.export"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"grid_available": [False]}, "curtail.islanded"),
        ({"sell_price": [-0.1]}, "curtail.negative_price"),
        ({}, "curtail.export_limit"),
        ({"cuts": (LinearCut(0, "vm_pu bus 3 <= 1.05", {"pv-1": 1e-3}, 4e-3),)}, "curtail.voltage"),
    ],
)
def test_a_plant_that_is_withheld_says_by_what(community, make, fields, code):
    plan_input = community(
        1,
        solar=(Solar("pv-1", "u-1", 10.0),),
        solar_available_kw=[[9.0]],
        demand_kw=[3.0],
        grid=make.grid(export_kw=2.0),
        **{"sell_price": [0.05], **fields},
    )
    assert first(plan_input, "pv-1").code == code


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"buy_price": [0.1]}, "genset.dear"),
        ({"buy_price": [0.9]}, "genset.cheaper"),
        ({"grid_available": [False]}, "genset.islanded"),
    ],
)
def test_a_genset_says_why_it_runs_or_stands(community, make, fields, code):
    plan_input = community(1, genset=(make.genset(),), demand_kw=[10.0], **fields)
    reason = first(plan_input, "gen-1")
    assert reason.code == code
    if code == "genset.dear":
        assert reason.params["cost"] == pytest.approx(0.3 + 0.5 / 20.0)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"demand_kw": [4.0]}, "serve.all"),
        ({}, "shed.import_limit"),
        ({"grid_available": [False], "demand_kw": [4.0]}, "shed.islanded"),
        ({"demand_kw": [4.0], "buy_price": [5.0]}, "shed.short"),
        (
            {
                "demand_kw": [4.0],
                "cuts": (LinearCut(0, "vm_pu bus 3 >= 0.95", {"shed-1": -1e-3}, -2e-3),),
            },
            "shed.voltage",
        ),
    ],
)
def test_shedding_says_what_forced_it(community, make, fields, code):
    facts = {
        "shedding": (Shedding("shed-1", ("u-1",), Price(2_000_000)),),
        "grid": make.grid(import_kw=5.0),
        "demand_kw": [8.0],
        "sheddable_kw": [[4.0]],
        **fields,
    }
    assert first(community(1, **facts), "shed-1").code == code


def test_the_bus_is_read_from_the_name_of_a_cut():
    assert bus_of("vm_pu bus 25 <= 1.05") == "25"
    assert bus_of("loading line 3 <= 100") == ""


def test_every_code_is_named_by_situation_and_detail():
    assert all(code.count(".") == 1 and text for code, text in TEXT.items())
