"""Re-plans stay with the plan in force: what moves is forced, and what is kept costs next to
nothing."""

import sys
from dataclasses import astuple, replace

import numpy as np
import pytest

from dispatch import highs
from dispatch.check import check_plan
from dispatch.cost import DayCost, day_cost
from dispatch.in_force import rest
from dispatch.kept import moved
from dispatch.plan import InfeasiblePlan, LinearCut
from dispatch.solve import both_ways, schedule_of, solve
from dispatch.statement import statement
from dispatch.steady import LEAST, SHARE, steady, tolerance
from dispatch.template import patched
from grid.errors import BadInputError
from grid.site import Price, Solar

NEGATIVE = np.where(np.arange(96) % 8 < 3, -0.05, 0.1)


def days(demo_day):
    """Days that a forecast changes a little: with the network there, cut, lost, and paid to use."""
    return {
        "connected": demo_day(),
        "cut": demo_day(range(0), 40),
        "outage": demo_day(range(60, 72), 40),
        "negative": demo_day(buy_price=NEGATIVE, sell_price=NEGATIVE - 0.02),
        "evening": rolled(demo_day(), 70),
    }


DAYS = ("connected", "cut", "outage", "negative", "evening")


def rolled(day, by):
    """Return a day that starts `by` steps later, with what was before at its end."""
    series = {name: np.roll(values, -by, axis=-1) for name, values in day.series().items()}
    cuts = tuple(replace(cut, step=(cut.step - by) % day.n) for cut in day.cuts)
    return replace(day, **series, cuts=cuts, start_s=day.start_s + by * day.interval_s)


def a_percent(day, seed=1):
    """Return a day whose demand, sun and wind are forecast 1 % otherwise."""
    rng = np.random.default_rng(seed)
    names = ("demand_kw", "solar_available_kw", "wind_available_kw")
    series = {name: getattr(day, name) for name in names}
    return replace(
        day,
        **{name: v * (1.0 + 0.01 * rng.standard_normal(v.shape)) for name, v in series.items()},
    )


def paid(demo_day):
    """Return a day that pays for running both ways at once, with cuts."""
    price = np.where(np.random.default_rng(5).random(96) < 0.3, -0.1, 0.1)
    day = demo_day(range(0), 40, seed=1, buy_price=price, sell_price=price - 0.02)
    return replace(day, battery=tuple(replace(one, wear=Price(0)) for one in day.battery))


def same_bytes(one, other, steps=None):
    names = ("charge_kw", "discharge_kw", "produce_kw", "limit_kw", "shed_kw", "on")
    return all(
        one[name].values[:, :steps].tobytes() == other[name].values[:, :steps].tobytes()
        for name in names
    )


def allowed(day):
    """Return what steadiness may cost on a day, currency, and the cheapest plan."""
    best = solve(day)
    return tolerance(day_cost(day, best.schedule)), best


@pytest.mark.parametrize("name", DAYS)
def test_a_re_plan_of_an_unchanged_day_is_the_plan_bit_for_bit(demo_day, name):
    day = days(demo_day)[name]
    plan = solve(day)
    again = solve(day, in_force=plan)
    for column in plan.schedule.data_vars:
        assert again.schedule[column].values.tobytes() == plan.schedule[column].values.tobytes()
    assert again.reasons == plan.reasons
    assert (again.objective, again.gap) == (plan.objective, plan.gap)


@pytest.mark.parametrize("name", ["cut", "outage", "paid"])
def test_a_re_plan_that_moved_is_followed_by_the_next(demo_day, name):
    """Also where it was brought just within the tolerance, and to limits that rounding touches."""
    day = paid(demo_day) if name == "paid" else days(demo_day)[name]
    changed = a_percent(day, seed=3)
    steady = solve(changed, in_force=solve(replace(day, cuts=())))
    again = solve(changed, in_force=steady)
    assert moved(changed, again.schedule, steady.schedule) == set()
    assert check_plan(changed, again) == []


@pytest.mark.parametrize("new_step", [False, True])
def test_what_came_true_is_followed_bit_for_bit_one_step_on(demo_day, new_step):
    """With the end of the day where it was, and with another step in sight."""
    whole = demo_day()
    first = {name: values[..., :95] for name, values in whole.series().items()}
    plan = solve(replace(whole, **first) if new_step else whole)
    later = {name: values[..., 1:] for name, values in whole.series().items()}
    next_day = replace(
        whole,
        **later,
        start_s=whole.start_s + whole.interval_s,
        battery_energy_kwh=plan.schedule["energy_kwh"].values[:9, 0],
        genset_intervals_in_state=whole.genset_intervals_in_state + 1,
    )
    steady, before = solve(next_day, in_force=plan), rest(next_day, plan)
    assert before.sizes["interval"] == (94 if new_step else 95)
    assert same_bytes(steady.schedule, before, before.sizes["interval"])
    assert check_plan(next_day, steady) == []


@pytest.mark.parametrize("name", DAYS)
def test_a_percent_of_forecast_moves_far_fewer_set_points(demo_day, name):
    day = days(demo_day)[name]
    plan, changed = solve(day), a_percent(day)
    spend, best = allowed(changed)
    steady = solve(changed, in_force=plan)
    free, kept = (len(moved(changed, p.schedule, plan.schedule)) for p in (best, steady))
    sys.stdout.write(f"{name}: {kept} set-points move in place of {free}\n")
    assert free > 25
    # where what is withheld changes it changes for all plants, pro rata
    assert kept < (0.7 if name == "negative" else 0.6) * free
    assert check_plan(changed, steady) == []
    assert steady.objective <= best.objective + spend + 1e-4
    assert steady.status == "optimal"
    off = steady.objective - best.objective
    assert off <= steady.gap * abs(steady.objective) + 1e-4
    price = [one.schedule["marginal_price"].values.tolist() for one in (best, steady)]
    assert price[0] == price[1]


def in_force_kw(day, schedule, asset):
    """Return what a device gives now, less what it takes, by its set-point in force."""
    row = day.asset_ids.index(asset)
    now = {name: float(schedule[name].values[row, 0]) for name in ("charge_kw", "discharge_kw")}
    for kind, available in (("solar", day.solar_available_kw), ("wind", day.wind_available_kw)):
        ids = [plant.id for plant in getattr(day, kind)]
        if asset in ids:
            limit = float(schedule["limit_kw"].values[row, 0])
            return float(np.fmin(available[ids.index(asset), 0], limit))
    return now["discharge_kw"] - now["charge_kw"] + float(schedule["produce_kw"].values[row, 0])


def held(day, schedule, assets):
    """Return cuts that hold the first set-point of devices at what `schedule` has."""
    cuts = []
    for asset in assets:
        kw = in_force_kw(day, schedule, asset)
        cuts.append(LinearCut(0, f"{asset} at most", {asset: 1.0}, kw + 1e-6))
        cuts.append(LinearCut(0, f"{asset} at least", {asset: -1.0}, 1e-6 - kw))
    return (*day.cuts, *cuts)


@pytest.mark.parametrize(
    ("cuts", "outage", "start"),
    [(200, 0, 32), (200, 0, 44), (200, 0, 48), (60, 12, 64), (60, 12, 88), (0, 0, 48), (0, 0, 80)],
)
def test_each_set_point_that_moves_now_is_forced(demo_day, cuts, outage, start):
    """Putting any of them back, with what is kept kept, costs more than the tolerance; and it is
    among those that the cheapest plan moves, or in place of one of them."""
    day = rolled(demo_day(range(60, 60 + outage), cuts), start)
    plan = solve(day)
    more = {"demand_kw": 1.1 * day.demand_kw, "solar_available_kw": 0.9 * day.solar_available_kw}
    changed = replace(day, **more)
    spend, best = allowed(changed)
    steady = solve(changed, in_force=plan)
    gone, free = (
        {asset for asset, _, t in moved(changed, one.schedule, plan.schedule) if t == 0}
        for one in (steady, best)
    )
    assert gone, "nothing moved"
    assert len(gone) <= len(free)
    devices = (*changed.battery, *changed.solar, *changed.wind, *changed.genset)
    follows = not changed.grid_available[0]
    sent = {one.id for one in devices if not (follows and getattr(one, "forming", False))}
    for back in sorted(gone):
        again = replace(changed, cuts=held(changed, plan.schedule, (sent - gone) | {back}))
        try:
            dear = solve(again)
        except InfeasiblePlan:
            continue
        assert dear.objective > best.objective + spend - 1e-5, back


def fleet(community, make, demand, dear=(), **fields):
    """Return hours on an island with three equal gensets, those in `dear` but for their fuel."""
    units = tuple(
        make.genset(
            f"gen-{k}",
            fuel=0.4 if k in dear else 0.3,
            no_load=0.0,
            min_up_intervals=3,
            min_down_intervals=3,
        )
        for k in range(3)
    )
    n = len(demand)
    return community(n, genset=units, demand_kw=demand, grid_available=[False] * n, **fields)


@pytest.mark.parametrize("runs", [0, 1, 2])
def test_the_genset_that_runs_is_the_one_that_goes_on_running(community, make, runs):
    """Of three equal ones: also where more load at six needs a second one for a while."""
    others = {0, 1, 2} - {runs}
    demand = np.full(12, 15.0)
    plan = solve(fleet(community, make, demand, dear=others))
    assert plan.schedule["on"].values[runs].all()
    more = demand * 1.01
    steady = solve(fleet(community, make, more), in_force=plan)
    assert steady.schedule["on"].values.tolist() == plan.schedule["on"].values.tolist()
    more[6] = 35.0
    evening = fleet(community, make, more)
    steady = solve(evening, in_force=plan)
    assert steady.schedule["on"].values[runs].all()
    assert steady.schedule["on"].values.sum() == 12 + 3
    assert check_plan(evening, steady) == []


def test_a_genset_whose_fuel_got_dear_gives_way(community, make):
    """Steadiness does not pay for fuel."""
    plan = solve(fleet(community, make, np.full(12, 15.0), dear={1, 2}))
    steady = solve(fleet(community, make, np.full(12, 15.0), dear={0, 2}), in_force=plan)
    assert not steady.schedule["on"].values[0, 3:].any()


def pair(community, make, wear=(0, 0), **fields):
    """Return a dear hour after a cheap one for two equal batteries, each enough alone."""
    batteries = tuple(
        make.battery(f"bat-{k}", power=10.0, energy=10.0, wear=w) for k, w in enumerate(wear)
    )
    values = {"demand_kw": [0.0, 8.0], "buy_price": [0.1, 0.3], **fields}
    return community(2, battery=batteries, **values)


def test_a_set_point_that_is_kept_says_so_with_what_a_change_could_save(community, make):
    plan = solve(pair(community, make, wear=(5_000, 0)))
    assert plan.schedule["charge_kw"].values[:, 0].tolist() == pytest.approx([0.0, 9.8765432])
    free = solve(pair(community, make))
    assert free.schedule["charge_kw"].values[:, 0].tolist() == pytest.approx([9.8765432, 0.0])
    steady = solve(pair(community, make), in_force=plan)
    assert same_bytes(steady.schedule, plan.schedule)
    first, second = steady.reasons[:2]
    assert (first.code, second.code) == ("kept.plan", "kept.plan")
    assert second.params["power_kw"] == pytest.approx(9.8765432)
    assert second.params["saving"] == 0.0
    assert second.text == (
        "bat-1: stays at 9.9 kW as planned at 2026-10-21T00:00Z: no change would save more than "
        "0.0000"
    )


def test_a_set_point_that_must_move_says_that_it_goes_no_further(community, make):
    plan = solve(pair(community, make, wear=(5_000, 0)))
    changed = pair(community, make, demand_kw=[0.0, 6.0])
    steady = solve(changed, in_force=plan)
    assert steady.schedule["charge_kw"].values[0, 0] == 0.0
    assert steady.schedule["charge_kw"].values[1, 0] < 9.0
    assert [one.code for one in steady.reasons[:2]] == ["kept.plan", "kept.near"]


def test_sun_is_not_withheld_because_it_was(community, make):
    """Feeding in earns nothing, so a limit that nothing needs any more costs nothing either."""
    cut = LinearCut(0, "vm_pu bus 7 <= 1.05", {"pv-1": 1.0}, 4.0)
    day = community(
        2,
        solar=(Solar("pv-1", "u-1", 10.0),),
        grid=make.grid(export_kw=50.0),
        solar_available_kw=[[10.0, 10.0]],
        cuts=(cut,),
    )
    plan = solve(day)
    assert plan.schedule["limit_kw"].values[0, 0] == 4.0
    steady = solve(replace(day, cuts=()), in_force=plan)
    assert float(steady.schedule["curtail_kw"].sum()) * day.hours <= LEAST / 0.1 + 1e-5
    looser = replace(
        day, cuts=(replace(cut, limit_kw=5.0),), solar_available_kw=np.array([[3.0] * 2])
    )
    assert solve(looser, in_force=plan).schedule["limit_kw"].values[0, 0] == 4.0


def test_a_plan_of_other_devices_or_of_long_ago_changes_nothing(demo_day):
    day = demo_day()
    plan, free = solve(rolled(day, 40)), solve(day)
    for other in (
        replace(plan, start_s=day.start_s - 96 * 900),
        replace(plan, start_s=day.start_s - 450),
        replace(plan, start_s=day.start_s + 900),
        replace(plan, start_s=day.start_s, interval_s=450),
        replace(plan, start_s=day.start_s, schedule=plan.schedule.isel(asset=slice(1, None))),
    ):
        assert same_bytes(solve(day, in_force=other).schedule, free.schedule)


FLOWS = ("charge_kw", "discharge_kw", "produce_kw", "shed_kw", "limit_kw")
# a limit that is not a number is no limit
CANNOT_BE = [
    (name, bad)
    for name in FLOWS
    for bad in (np.nan, np.inf, 1e30, -1.0)
    if name != "limit_kw" or not np.isnan(bad)
]


@pytest.mark.parametrize(("name", "bad"), CANNOT_BE)
def test_a_plan_in_force_with_a_number_that_cannot_be_is_refused(demo_day, name, bad):
    day = demo_day()
    plan = solve(day)
    wrong = plan.schedule.copy(deep=True)
    wrong[name].values[3, 7] = bad
    with pytest.raises(BadInputError, match=f"in_force {name}.*must be"):
        solve(day, in_force=replace(plan, schedule=wrong))


def test_the_tolerance_is_a_share_of_what_is_at_stake(demo_day):
    cost = day_cost(demo_day(), solve(demo_day()).schedule)
    assert tolerance(cost) == pytest.approx(SHARE * sum(map(abs, astuple(cost))))
    assert tolerance(DayCost(*[0.0] * 13)) == LEAST


@pytest.mark.parametrize("name", ["connected", "cut", "outage", "negative", "evening"])
def test_staying_near_takes_two_more_problems_at_most(demo_day, monkeypatch, name):
    """What must not be withheld may be wasted in stores: then each is held to one way."""
    day = days(demo_day)[name]
    plan, asked = solve(day), []

    def counted(*given, **options):
        asked.append(options["one_way"])
        return steady(*given, **options)

    monkeypatch.setattr("dispatch.solve.steady", counted)
    again = solve(a_percent(day), in_force=plan)
    assert asked in ([False], [False, True])
    flows = again.schedule["charge_kw"].values, again.schedule["discharge_kw"].values
    assert np.minimum(*flows).max() < 1e-6


@pytest.mark.parametrize("ahead", [1, 4])
def test_a_store_that_flows_one_way_in_the_optimum_is_not_let_flow_both(demo_day, ahead):
    day = days(demo_day)["evening"]
    given = replace(day, end_value_per_kwh=0.0)
    stated = statement(given)
    problem = patched(stated)
    best = highs.optimise(problem, gap=1e-6, nodes=500)
    before = rest(given, replace(solve(given), start_s=given.start_s))
    allowed = ahead * tolerance(day_cost(given, solve(given).schedule))
    found = steady(stated, problem, best, before, allowed=allowed, nodes=200, one_way=True)
    assert not both_ways(given, schedule_of(given, problem, found))
