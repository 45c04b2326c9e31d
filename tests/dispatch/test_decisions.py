"""Why a set-point is not another: limits, pushes and break-evens, each tried by solving again."""

from dataclasses import replace

import numpy as np
import pytest

from dispatch.decisions import decisions
from dispatch.plan import InfeasiblePlan, LinearCut
from dispatch.solve import optimum, solve
from dispatch.what_if import changed, parse
from grid.errors import BadInputError
from grid.site import Price, Shedding, Solar, Wind
from grid.site_devices import Charger, Flexible

EXACT = {"gap": 1e-9, "nodes": 2000}


@pytest.fixture
def street(community, make):
    """Every kind of asset over four hours."""
    return community(
        4,
        demand_kw=[20.0, 24.0, 30.0, 26.0],
        buy_price=[0.10, 0.30, 0.45, 0.20],
        sell_price=[0.04, 0.04, 0.06, 0.04],
        grid=make.grid(import_kw=22.0, export_kw=5.0),
        battery=(make.battery(power=10.0, energy=20.0, wear=10_000),),
        battery_energy_kwh=[6.0],
        solar=(Solar("pv-1", "u-1", 12.0, operating=Price(1_000)),),
        solar_available_kw=[[9.0, 3.0, 0.0, 0.0]],
        wind=(Wind("wind-1", "u-1", 5.0),),
        wind_available_kw=[[2.0, 1.0, 1.0, 4.0]],
        genset=(make.genset(power=15.0, fuel=0.28, no_load=0.6),),
        shedding=(Shedding("shed-1", ("u-1",), Price(600_000)),),
        sheddable_kw=[[2.0, 2.0, 3.0, 2.0]],
        charger=(Charger("ev-1", "u-1", 7.0, 40.0, missed=Price(5_000_000)),),
        ev_connected=np.array([[True, True, True, False]]),
        ev_arrival_kwh=np.zeros((1, 4)),
        ev_target_kwh=np.array([[0.0, 0.0, 16.0, 0.0]]),
        ev_energy_kwh=np.array([9.0]),
        flexible=(Flexible("pump-1", "u-1", 4.0, missed=Price(900_000)),),
        flexible_need_kw=np.full((1, 4), 1.5),
        flexible_low_kwh=np.zeros((1, 4)),
        flexible_high_kwh=np.full((1, 4), 5.0),
        flexible_energy_kwh=np.array([1.0]),
    )


def moved(given, step, more, by_price=True):
    """Return an input with the price or load of a step moved."""
    made = {}
    for name in ("buy_price", "sell_price") if by_price else ("demand_kw",):
        made[name] = getattr(given, name).copy()
        made[name][step] += more
    return replace(given, **made)


def net(given, asset, step):
    found = optimum(given, **EXACT).schedule
    one = found.sel(asset=asset).isel(interval=step)
    return float(one["discharge_kw"] + one["produce_kw"] + one["shed_kw"] - one["charge_kw"])


def params(reasons, asset, code):
    return next((dict(r.params) for r in reasons if (r.subject, r.code) == (asset, code)), None)


@pytest.mark.parametrize("step", [0, 1, 2, 3])
def test_a_decision_holds_up_to_its_break_even_price_and_differs_beyond(street, step):
    told = decisions(street, step=step)
    edges = [one for one in told if one.code in ("edge.price_above", "edge.price_below")]
    assert len(edges) >= 3
    for edge in edges:
        more = edge.params["price_then"] - edge.params["price_now"]
        way = 1e-4 if edge.code.endswith("above") else -1e-4
        assert more * way >= 0.0
        now = net(street, edge.subject, step)
        for share in (0.0, 0.3, 0.6, 0.9):
            inside = share * (more - way)
            assert net(moved(street, step, inside), edge.subject, step) == pytest.approx(
                now, abs=1e-3
            ), (edge.text, inside)
        beyond = net(moved(street, step, more + way), edge.subject, step)
        assert abs(beyond - now) > 1e-3, edge.text
        then = edge.params["given_kw"] - edge.params["taken_kw"]
        assert abs(then - now) > 1e-3


def test_every_kind_has_a_break_even_or_is_told_to_have_none(street):
    kinds = {}
    for step in range(4):
        for one in decisions(street, step=step):
            if one.code.startswith("edge."):
                kinds.setdefault(one.subject, set()).add(one.code)
    assert set(kinds) == set(street.asset_ids)
    for asset in ("bat-1", "gen-1", "ev-1", "pump-1", "shed-1"):
        assert kinds[asset] & {"edge.price_above", "edge.price_below"}, asset


def test_break_evens_of_a_plant_and_of_shedding_are_their_own_costs(community):
    given = community(
        1,
        demand_kw=[4.0],
        buy_price=[0.1],
        solar=(Solar("pv-1", "u-1", 3.0, operating=Price(1_000)),),
        solar_available_kw=[[3.0]],
        shedding=(Shedding("shed-1", ("u-1",), Price(600_000)),),
        sheddable_kw=[[1.0]],
    )
    told = decisions(given)
    below = params(told, "pv-1", "edge.price_below")
    assert (below["price_now"], below["given_kw"]) == (0.1, 0.0)
    assert below["price_then"] == pytest.approx(0.001, abs=1e-5)
    above = params(told, "shed-1", "edge.price_above")
    assert above["price_then"] == pytest.approx(0.6, abs=1e-5)
    assert above["given_kw"] == pytest.approx(1.0)


def test_no_price_within_reach_changes_what_is_said_to_stay(street):
    told = decisions(street, step=0)
    fixed = [one for one in told if one.code.startswith("edge.no_price")]
    assert fixed
    for one in fixed:
        more = one.params["price_limit"] - street.buy_price[0]
        now = net(street, one.subject, 0)
        for share in (0.25, 0.5, 1.0):
            found = net(moved(street, 0, share * more), one.subject, 0)
            assert found == pytest.approx(now, abs=1e-3), one.text


def test_a_push_costs_what_the_pushed_plan_costs_more(community, make):
    """Two hours at 0.1 and 0.5: a kWh charged is worth 0.81 kWh less wear of 0.01 given."""
    given = community(
        2,
        demand_kw=[4.0, 4.0],
        buy_price=[0.1, 0.5],
        battery=(make.battery(power=2.0, wear=10_000),),
        solar=(Solar("pv-1", "u-1", 3.0),),
        solar_available_kw=[[1.0, 0.0]],
        shedding=(Shedding("shed-1", ("u-1",), Price(2_000_000)),),
        sheddable_kw=[[1.0, 1.0]],
        genset=(make.genset(power=4.0, least=1.0, fuel=0.3, no_load=0.5, start=0.4),),
        genset_on=[False],
        genset_intervals_in_state=[9],
    )
    told = decisions(given, by_kw=0.5)
    kwh = 0.9 * 0.9 * (0.5 - 0.01) - 0.1
    assert params(told, "bat-1", "next.more")["cost"] == pytest.approx(0.5 * kwh, abs=1e-4)
    assert params(told, "bat-1", "next.no_less") is not None
    assert params(told, "pv-1", "next.less")["cost"] == pytest.approx(0.05, abs=1e-5)
    assert params(told, "pv-1", "next.no_more") is not None
    assert params(told, "shed-1", "next.more")["cost"] == pytest.approx(0.95, abs=1e-5)
    assert params(told, "shed-1", "next.no_less") is not None
    # 1 kW at least: 0.30 of fuel, 0.50 of running, 0.40 of a start, for 0.10 of import; it goes
    # on in the second hour only if that pays: 4 kW less 1.62 of the battery, at 0.2 kW
    later = min(0.0, 0.5 + (4.0 - 1.62) * (0.3 - 0.5))
    assert params(told, "gen-1", "next.on") == {
        "by_kw": 1.0, "cost": pytest.approx(0.3 + 0.5 + 0.4 - 0.1 + later, abs=1e-4),
    }  # fmt: skip


def test_a_genset_that_runs_is_pushed_and_stopped(street):
    step = 2
    told = decisions(street, step=step, assets=["gen-1"])
    base = optimum(street, **EXACT)
    off = params(told, "gen-1", "next.off")["cost"]
    cut = LinearCut(step, "off", {"gen-1": 1.0}, 0.0)
    other = optimum(replace(street, cuts=(cut,)), **EXACT)
    assert not other.schedule["on"].sel(asset="gen-1").values[step]
    assert off == pytest.approx(other.answer.objective - base.answer.objective)
    assert off > 0.0


@pytest.mark.parametrize(
    ("asset", "code", "change", "kwh"),
    [
        ("pv-1", "limit.available", "solar=+0.001", 0.001),
        ("gen-1", "limit.rating", "asset.gen-1.power_kw=+0.001", 0.001),
        ("grid-1", "limit.rating", "grid.import_limit_kw=+0.001", 0.001),
        ("shed-1", "limit.shed_all", None, 0.001),
    ],
)
def test_a_limit_is_worth_what_a_little_more_of_it_saves(street, asset, code, change, kwh):
    if code == "limit.shed_all":
        street = replace(street, buy_price=street.buy_price + 1.0)
    base = optimum(street, **EXACT)
    hits = 0
    for step in range(4):
        one = params(decisions(street, step=step, assets=[asset]), asset, code)
        if one is None:
            continue
        hits += 1
        if change is None or "solar" in change:
            name = "sheddable_kw" if change is None else "solar_available_kw"
            more = getattr(street, name).copy()
            more[0, step] += kwh
            other = optimum(replace(street, **{name: more}), **EXACT)
            saved = base.answer.objective - other.answer.objective
            assert saved / kwh == pytest.approx(one["worth"], abs=1e-4)
    if change and "solar" not in change:
        # the limit is one for all steps: what it saves is the sum over them
        worth = [params(decisions(street, step=t, assets=[asset]), asset, code) for t in range(4)]
        other = optimum(changed(street, [parse(change)]), **EXACT)
        saved = base.answer.objective - other.answer.objective
        assert saved / kwh == pytest.approx(sum(w["worth"] for w in worth if w), abs=1e-4)
    assert hits


def test_stores_say_when_they_are_full_or_empty_and_what_they_must_hold(street):
    told = decisions(street, step=0, assets=["bat-1", "ev-1", "pump-1"])
    codes = {one.subject: one.code for one in told if one.code.startswith("limit.")}
    assert codes["bat-1"] in ("limit.empty", "limit.full", "limit.rating")
    assert params(told, "ev-1", "limit.target")["at"] == street.label(3)
    assert codes["pump-1"] in ("limit.target", "limit.full", "limit.rating")


def test_a_cut_that_holds_a_plant_is_named(community):
    given = community(
        1,
        demand_kw=[10.0],
        solar=(Solar("pv-1", "u-1", 10.0),),
        solar_available_kw=[[9.0]],
        cuts=(LinearCut(0, "vm_pu bus 3 <= 1.05", {"pv-1": 1e-3}, 4e-3),),
    )
    told = decisions(given)
    cut = params(told, "pv-1", "limit.cut")
    assert (cut["cut"], cut["bus"]) == ("vm_pu bus 3 <= 1.05", "3")
    assert cut["worth"] == pytest.approx(0.1, abs=1e-5)


def test_in_an_island_the_load_moves_instead_of_a_price(community, make):
    given = community(
        2,
        demand_kw=[6.0, 6.0],
        grid_available=[False, False],
        battery=(make.battery(forming=True, wear=10_000),),
        battery_energy_kwh=[9.0],
        genset=(make.genset(least=2.0),),
    )
    told = decisions(given)
    by_asset = {asset: {r.code for r in told if r.subject == asset} for asset in given.asset_ids}
    assert any("edge.follows_load" in codes for codes in by_asset.values())
    edges = [one for one in told if one.code in ("edge.load_above", "edge.load_below")]
    assert edges
    for edge in edges:
        more = edge.params["load_then_kw"] - edge.params["load_now_kw"]
        way = 0.02 if more > 0.0 else -0.02
        now = net(given, edge.subject, 0)
        inside = net(moved(given, 0, more - way, by_price=False), edge.subject, 0)
        beyond = net(moved(given, 0, more, by_price=False), edge.subject, 0)
        assert inside == pytest.approx(now, abs=1e-3)
        assert abs(beyond - now) > 1e-3


def test_what_is_no_step_or_asset_is_refused(street):
    with pytest.raises(BadInputError, match="step 4 of the plan: must be within 0 to 3"):
        decisions(street, step=4)
    with pytest.raises(BadInputError, match="'bat-9' is no asset of this plan; there are bat-1"):
        decisions(street, assets=["bat-9"])
    dark = replace(street, grid_available=np.zeros(4, dtype=bool), demand_kw=street.demand_kw * 9)
    with pytest.raises(InfeasiblePlan, match="short"):
        decisions(dark)


def test_the_plan_it_speaks_of_is_the_plan(street):
    """With an exact gap, what is pushed is what :func:`dispatch.solve.solve` returns."""
    plan = solve(street, gap=1e-9)
    found = optimum(street, **EXACT)
    for name in ("charge_kw", "discharge_kw", "produce_kw", "shed_kw"):
        np.testing.assert_array_equal(plan.schedule[name].values, found.schedule[name].values)
