"""A backtest judges by what happened, knows nothing of the future, and keeps every limit."""

from dataclasses import replace

import numpy as np
import pytest

from dispatch.backtest.foreseen import Foreseen
from dispatch.backtest.realise import realised
from dispatch.backtest.run import Backtest, Setting, share_of_gain
from dispatch.check import check_plan
from dispatch.plan import NEW_PLAN, LinearCut, Plan, PlanInput
from dispatch.rule import self_consumption
from dispatch.solve import solve
from dispatch.stochastic import first_step
from grid.errors import BadInputError
from grid.site import Price, Shedding, Solar

DAYS, START = 5, 72


@pytest.fixture(scope="module")
def history(community, make) -> PlanInput:
    """Five days by the hour: sun, a battery, a genset, two rates, an hour without the grid."""
    n = 24 * DAYS
    draw, hour = np.random.default_rng(5), np.arange(n) % 24
    sun = np.clip(np.sin((hour - 6) / 12 * np.pi), 0.0, None)
    sun = sun * np.repeat(draw.uniform(0.7, 1.0, DAYS), 24)
    demand = 12.0 + 6.0 * np.sin((hour - 13) / 12 * np.pi) + draw.uniform(-4.0, 4.0, n)
    available = np.ones(n, dtype=bool)
    available[90] = False
    return community(
        n,
        battery=(make.battery(power=8.0, energy=30.0, forming=True, wear=10_000),),
        genset=(make.genset(power=20.0, least=4.0, no_load=0.2, start=0.3),),
        solar=(Solar("pv-1", "u-1", 25.0),),
        shedding=(Shedding("shed-1", ("u-1",), Price(2_000_000)),),
        grid=make.grid(40.0, 15.0),
        demand_kw=demand,
        solar_available_kw=8.0 * sun[None],
        sheddable_kw=0.3 * demand[None],
        buy_price=np.where((hour >= 8) & (hour < 22), 0.35, 0.08),
        sell_price=np.full(n, 0.03),
        grid_available=available,
        battery_energy_kwh=[10.0],
        reserve_kw=np.full(n, 1.0),
        end_value_per_kwh=0.08,
    )


@pytest.fixture(scope="module")
def done(history) -> Backtest:
    test = Backtest(history, START, Setting(horizon=24, futures=3))
    assert list(test.steps()) == list(range(START, history.n))
    return test


def test_foresight_and_forecasts_are_worth_what_they_should_be(done):
    bound, cost = done.bound(), {name: one.total for name, one in done.tally.items()}
    assert bound <= cost["foresight"] + 1e-6
    assert cost["foresight"] <= min(cost["mpc"], cost["stochastic"]) + 1e-6
    assert max(cost["mpc"], cost["stochastic"]) < cost["rule"]
    for name in ("mpc", "stochastic"):
        assert 0.4 < share_of_gain(done.tally, name, bound) <= 1.0
    assert all(one.unserved_kwh == 0.0 for one in done.tally.values())
    assert all(len(one.by_step) == 24 * DAYS - START for one in done.tally.values())
    assert all(sum(one.by_step) == pytest.approx(one.total) for one in done.tally.values())


@pytest.mark.parametrize("blind", [False, True])
@pytest.mark.parametrize("name", ["mpc", "stochastic"])
def test_what_comes_after_changes_no_decision_before(history, name, blind):
    """All after a step is shuffled: all decisions up to it are the same to the bit.

    Of a blind plan the step itself is shuffled too.
    """
    draw, at = np.random.default_rng(9), START + 13
    first = at if blind else at + 1
    order = np.concatenate([np.arange(first), first + draw.permutation(history.n - first)])
    changed = replace(
        history,
        **{
            key: getattr(history, key)[..., order]
            for key in ("demand_kw", "solar_available_kw", "sheddable_kw")
        },
    )
    setting = Setting(horizon=24, futures=3, controllers=("rule", name), blind=blind)
    one, other = Backtest(history, START, setting), Backtest(changed, START, setting)
    for t in range(START, at + 1):
        state, same = one.tally[name].state, other.tally[name].state
        assert all(np.array_equal(state[key], same[key]) for key in state), t
        wanted, again = one.decided(name, t, state), other.decided(name, t, same)
        for column in ("charge_kw", "discharge_kw", "on", "produce_kw", "shed_kw"):
            before = wanted[column].values[..., 0], again[column].values[..., 0]
            assert np.array_equal(*before, equal_nan=True), (t, column)
        if t < at:
            one._step(name, t)
            other._step(name, t)


def test_futures_are_likely_and_within_what_can_be(history):
    """Their weights add up; night stays dark, ratings hold, and the load is not known ahead."""
    foreseen, t, n = Foreseen(history), START + 10, 24
    probability, made = foreseen.futures(t, n, 6)
    assert made.shape == (6, 2, n)
    assert probability.sum() == pytest.approx(1.0)
    assert made.min() >= 0.0
    assert made[:, 1].max() <= 25.0
    dark = history.solar_available_kw[0, :t].reshape(-1, 1)[: t // 24 * 24].reshape(-1, 24) == 0.0
    night = np.roll(dark.all(axis=0), -(t % 24))
    assert (made[:, 1][:, night] == 0.0).all()
    assert not np.allclose(foreseen.mean(t, n)[0], history.demand_kw[t : t + n])


def test_a_blind_plan_does_not_know_its_own_step(history):
    """The rule acts on what is measured; a blind plan on what was forecast of it."""
    t = START + 12
    more = history.demand_kw.copy()
    more[t] += 9.0
    changed = replace(history, demand_kw=more)
    for blind in (True, False):
        setting = Setting(horizon=24, controllers=("rule", "mpc"), blind=blind)
        plans = [
            Backtest(given, START, setting).decided("mpc", t, _state(given))
            for given in (history, changed)
        ]
        same = np.array_equal(plans[0]["import_kw"].values, plans[1]["import_kw"].values)
        assert same == blind


def test_cuts_hold_in_the_step_they_are_of(history):
    """What a cut forbids in one hour of the history no controller but a blind one can break."""
    t = START + 10
    cut = LinearCut(t, "discharge", {"bat-1": 1.0}, 0.0)
    test = Backtest(replace(history, cuts=(cut,)), START, Setting(controllers=("rule", "mpc")))
    asset = test.history.asset_ids.index("bat-1")
    for name in test.tally:
        wanted = test.decided(name, t, _state(history))
        assert wanted["discharge_kw"].values[asset, 0] == pytest.approx(0.0, abs=1e-6)
        before = test.decided(name, t - 2, _state(history))
        assert before.sizes["interval"] == (1 if name == "rule" else 24)
    with pytest.raises(BadInputError, match="a blind backtest takes no cuts"):
        Backtest(test.history, START, Setting(blind=True))


def _state(history: PlanInput) -> dict[str, object]:
    names = ("battery_energy_kwh", "genset_on", "genset_intervals_in_state", "peak_kw")
    return {name: getattr(history, name) for name in names}


def judged(actual, schedule):
    plan = Plan("rule", NEW_PLAN, actual.start_s, actual.interval_s, 0.0, 0.0, schedule)
    return check_plan(actual, plan)


@pytest.mark.parametrize("load", [0.2, 0.7, 1.0, 1.4, 1.9])
def test_a_realised_step_keeps_every_limit(history, load):
    """More or less load than was planned for, with the grid and without."""
    for t in (80, 84, 90, 95):
        series = {key: value[..., t : t + 24] for key, value in history.series().items()}
        given = replace(history, **series)
        wanted = solve(given).schedule
        one = {key: value[..., :1] for key, value in given.series().items()}
        one["demand_kw"] = load * one["demand_kw"]
        # with less headroom than asked for a step is realised all the same
        one["reserve_kw"] = np.zeros(1)
        actual = replace(given, **one)
        schedule = realised(actual, wanted)
        unserved = float(schedule["unserved_kw"][0])
        known = ("below its least load", *(("balance", "load") if unserved else ()))
        told = [one for one in judged(actual, schedule) if not any(k in one for k in known)]
        assert told == [], (t, load)
        assert unserved == 0.0 or (t, load) == (90, 1.9)


def test_load_beyond_all_sources_is_unserved_and_counted(history):
    series = {key: value[..., 90:91] for key, value in history.series().items()}
    actual = replace(history, **series, battery_energy_kwh=np.array([2.0]), start_s=0)
    actual = replace(actual, demand_kw=np.array([60.0]), solar_available_kw=np.zeros((1, 1)))
    schedule = realised(actual, self_consumption(actual))
    # 1.8 kW of what is stored, 20 of the genset at most, what may be shed
    given = float(schedule["produce_kw"].sum() + schedule["discharge_kw"].sum())
    given += float(schedule["shed_kw"].sum())
    assert float(schedule["unserved_kw"][0]) == pytest.approx(60.0 - given)
    assert float(schedule["unserved_kw"][0]) > 20.0


def test_one_future_alone_is_the_plan_of_it(history):
    series = {key: value[..., 72:96] for key, value in history.series().items()}
    given = replace(history, **series)
    alone = first_step([given], np.ones(1), gap=0.0)
    plan = solve(given, gap=0.0)
    assert np.allclose(alone["discharge_kw"].values, plan.schedule["discharge_kw"].values)


def test_a_first_step_of_two_futures_costs_least_on_average(community, make):
    """Charging 5 kWh at 0.1 saves 0.4 or nothing: worth it from a chance of a quarter on."""
    base = community(
        2,
        battery=(make.battery(charge_efficiency=1.0, discharge_efficiency=1.0),),
        buy_price=[0.1, 0.4],
        demand_kw=[0.0, 5.0],
    )
    without = replace(base, demand_kw=np.zeros(2))
    for chance, charged in ((0.2, 0.0), (0.3, 5.0)):
        schedule = first_step([base, without], np.array([chance, 1.0 - chance]), gap=0.0)
        assert schedule["charge_kw"].values[0, 0] == pytest.approx(charged)


@pytest.mark.parametrize(
    ("futures", "probability", "message"),
    [
        (0, [], "0 probabilities for 0 futures"),
        (2, [1.0], "1 probabilities for 2 futures"),
        (2, [0.5, 0.6], "must be above 0 and sum to 1"),
        (2, [1.0, 0.0], "must be above 0 and sum to 1"),
        (2, [float("nan"), 1.0], "must be above 0 and sum to 1"),
    ],
)
def test_weights_that_are_none_are_refused(community, futures, probability, message):
    with pytest.raises(BadInputError, match=message):
        first_step([community(2)] * futures, np.array(probability))


def test_a_backtest_needs_a_day_before_it(history):
    with pytest.raises(BadInputError, match="must be within 24 to 119"):
        Backtest(history, 3, Setting())
