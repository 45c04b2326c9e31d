"""A battery buys below and sells above what a stored kWh is worth, and sells no kWh twice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.errors import BadInputError
from grid.ids import AssetId, OrderId, PartyId, TariffId, UsagePointId
from grid.site import Market, RegulationProfile
from trading.agreements import Agreement, Terms
from trading.batteries import PPM, Moved, TradedBattery
from trading.battery_accounts import battery_moves, traded
from trading.battery_offers import BatteryOffer, battery_limits, battery_orders
from trading.book import Book, Order, Side
from trading.mechanisms import REGISTRY
from trading.mechanisms.terms import PLAIN
from trading.orders import AgentNeed, OrderRules

BATTERY = TradedBattery(AssetId("BAT-1"), 9_500, 1_250, 950_000, 950_000, 10_000)
PERFECT = replace(BATTERY, charge_ppm=PPM, discharge_ppm=PPM)
MARKET = Market(
    mechanism="uniform_price",
    profile=RegulationProfile.AZERBAIJAN_SANDBOX,
    feed_in=50_000,
    shortfall=160_000,
    surplus=40_000,
    grid_fee=12_000,
    battery_use_fee=10_000,
    minimum_group=1,
)
NEED = AgentNeed(UsagePointId("UP-1"), PartyId("P-1"), 0, 0, 150_000)


def _orders(
    battery: TradedBattery = BATTERY, *, need: AgentNeed = NEED, worth: int = 80_000,
    stored_wh: int = 2_000, free_wh: int = 7_500,
) -> dict[Side, Order]:  # fmt: skip
    made = battery_orders(
        [BatteryOffer(need, battery, stored_wh, free_wh, worth)],
        start_s=900,
        market=MARKET,
        first_sequence=7,
        rules=OrderRules(),
        secret=b"s",
    )
    return {one.side: one for one in made}


def test_the_worked_example_of_limits_is_exact() -> None:
    # 0.08 per stored kWh, 95 % each way, wear 0.01, no fee: 0.076 and 0.08 / 0.95 + 0.01 = 0.09421
    assert battery_limits(BATTERY, 80_000, 0, 100) == (76_000, 94_300)
    assert battery_limits(BATTERY, 80_000, 12_000, 100) == (64_000, 94_300)


@given(
    st.integers(0, 10**6), st.integers(1, PPM), st.integers(1, PPM), st.integers(0, 10**5),
    st.integers(0, 10**5),
)  # fmt: skip
def test_a_trade_at_the_limits_never_loses_and_the_next_tick_would(
    worth: int, charge: int, discharge: int, wear: int, fee: int
) -> None:
    battery = TradedBattery(AssetId("B"), 1, 1, charge, discharge, wear)
    buy, sell = battery_limits(battery, worth, fee, 100)
    assert (buy + fee) * PPM <= worth * charge < (buy + 100 + fee) * PPM
    assert (sell - 100 - wear) * discharge < worth * PPM <= (sell - wear) * discharge


def test_both_sides_are_offered_as_far_as_the_account_and_the_flow_allow() -> None:
    made = _orders()
    assert (made[Side.BUY].price, made[Side.BUY].energy_wh) == (64_000, 1_250)
    assert (made[Side.SELL].price, made[Side.SELL].energy_wh) == (94_300, 1_250)
    assert all(one.agent and one.battery == "BAT-1" for one in made.values())
    low = _orders(stored_wh=100, free_wh=94)
    assert low[Side.SELL].energy_wh == 95
    assert low[Side.BUY].energy_wh == 99
    assert Side.SELL not in _orders(stored_wh=0)
    assert Side.BUY not in _orders(free_wh=-1)


def test_nothing_is_bought_dearer_than_supplied_or_sold_cheaper_than_fed_in() -> None:
    assert _orders(worth=2_000_000)[Side.BUY].price == 138_000
    assert Side.SELL not in _orders(worth=2_000_000), "dearer than any order may be"
    cheap = _orders(worth=1_000)
    assert Side.BUY not in cheap, "worth less than the grid fee"
    assert cheap[Side.SELL].price == 50_000


def test_a_prosumers_own_limits_hold_for_the_battery_too() -> None:
    made = _orders(need=replace(NEED, buy_limit=60_050, sell_limit=110_010))
    assert made[Side.BUY].price == 60_000
    assert made[Side.SELL].price == 110_100


@given(st.integers(0, 10**7), st.integers(1, PPM), st.integers(1, PPM))
def test_what_fits_is_the_most_that_fits(wh: int, charge: int, discharge: int) -> None:
    battery = TradedBattery(AssetId("B"), 10**9, 10**9, charge, discharge, 0)
    bought, sold = battery.most_bought(wh), battery.most_sold(wh)
    if bought < battery.interval_wh:
        assert battery.stored_of(bought) == wh
        assert not wh or battery.stored_of(bought - 1) < wh
    assert battery.drawn_for(sold) <= wh < battery.drawn_for(sold + 1)


def _order(number: int, side: Side, price: int, wh: int, party: int, battery: str = "") -> Order:
    return Order(
        OrderId(f"o-{number}"), PartyId(f"P-{party}"), UsagePointId(f"UP-{party}"), 900, side,
        price, wh, number, agent=bool(battery), battery=battery,
    )  # fmt: skip


def _standing(*batteries: TradedBattery, party: int = 1) -> dict[UsagePointId, Agreement]:
    point, who = UsagePointId(f"UP-{party}"), PartyId(f"P-{party}")
    terms = Terms(0, TariffId("home"), batteries=batteries)
    return {point: Agreement(party, point, who, 0, None, (terms,))}


def _cleared(*orders: Order, mechanism: str = "uniform_price"):
    return orders, REGISTRY[mechanism].clear(Book.of(orders), PLAIN)


def test_own_surplus_is_kept_and_own_need_is_served_without_a_trade() -> None:
    orders, outcome = _cleared(
        _order(0, Side.SELL, 50_000, 500, 1),
        _order(1, Side.BUY, 64_000, 200, 1, "BAT-1"),
        _order(2, Side.BUY, 70_000, 100, 2),
    )
    (one,) = battery_moves(orders, outcome, _standing(BATTERY), {(1, AssetId("BAT-1")): 10})
    assert one.moved == Moved(kept_wh=200)
    assert one.stored_wh == 10 + 190
    assert traded([], [one])["UP-1"].kept_wh == 200
    orders, outcome = _cleared(
        _order(0, Side.BUY, 100_000, 300, 1), _order(1, Side.SELL, 94_300, 95, 1, "BAT-1")
    )
    (one,) = battery_moves(orders, outcome, _standing(BATTERY), {(1, AssetId("BAT-1")): 100})
    assert (one.moved, one.stored_wh) == (Moved(used_wh=95), 0)


def test_what_meets_at_another_usage_point_of_the_party_is_not_behind_the_meter() -> None:
    elsewhere = replace(_order(0, Side.SELL, 50_000, 500, 1), usage_point=UsagePointId("UP-9"))
    orders, outcome = _cleared(elsewhere, _order(1, Side.BUY, 64_000, 200, 1, "BAT-1"))
    assert outcome.netted.tolist() == [200, 200]
    (one,) = battery_moves(orders, outcome, _standing(BATTERY), {})
    assert (one.moved, one.stored_wh) == (Moved(), 0)


def test_no_battery_is_traded_without_consent_or_beyond_what_it_holds() -> None:
    orders, outcome = _cleared(
        _order(0, Side.SELL, 60_000, 95, 1, "BAT-1"), _order(1, Side.BUY, 70_000, 95, 2)
    )
    held = {(1, AssetId("BAT-1")): 100}
    (one,) = battery_moves(orders, outcome, _standing(BATTERY), held)
    assert (one.moved.sold_wh, one.stored_wh) == (95, 0)
    for standing in ({}, _standing(), _standing(replace(BATTERY, id=AssetId("BAT-2")))):
        with pytest.raises(BadInputError, match="without consent"):
            battery_moves(orders, outcome, standing, held)
    with pytest.raises(BadInputError, match="would hold -1 Wh"):
        battery_moves(orders, outcome, _standing(BATTERY), {(1, AssetId("BAT-1")): 99})
    small = replace(BATTERY, interval_wh=94)
    with pytest.raises(BadInputError, match="traded 95 Wh, must be at most 94"):
        battery_moves(orders, outcome, _standing(small), held)


@given(st.data())
def test_over_many_intervals_no_kwh_is_sold_twice_and_the_account_keeps_its_bounds(
    data: st.DataObject,
) -> None:
    battery = TradedBattery(
        AssetId("BAT-1"),
        data.draw(st.integers(0, 2_000), "room"),
        data.draw(st.integers(0, 700), "flow"),
        data.draw(st.integers(500_000, PPM), "charge"),
        data.draw(st.integers(500_000, PPM), "discharge"),
        0,
    )
    mechanism = data.draw(st.sampled_from(["uniform_price", "pay_as_bid", "mcafee"]))
    held: dict[tuple[int, AssetId], int] = {}
    taken = given_away = 0
    for _ in range(data.draw(st.integers(1, 8), "intervals")):
        stored = held.get((1, battery.id), 0)
        offer = BatteryOffer(NEED, battery, stored, battery.room_wh - stored, data.draw(
            st.integers(20_000, 150_000), "worth"))  # fmt: skip
        placed = battery_orders(
            [offer], start_s=900, market=MARKET, first_sequence=100, rules=OrderRules(), secret=b"s"
        )
        others = data.draw(
            st.lists(
                st.tuples(
                    st.sampled_from(Side), st.integers(300, 1500), st.integers(1, 900),
                    st.integers(1, 3),
                ),
                max_size=8,
            )
        )  # fmt: skip
        book = [_order(n, side, tick * 100, wh, party) for n, (side, tick, wh, party) in
                enumerate(others)]  # fmt: skip
        orders, outcome = _cleared(*book, *placed, mechanism=mechanism)
        if not orders:
            continue
        for one in battery_moves(orders, outcome, _standing(battery), held):
            held[1, battery.id] = one.stored_wh
            taken += one.moved.bought_wh + one.moved.kept_wh
            given_away += one.moved.sold_wh + one.moved.used_wh
        assert 0 <= held.get((1, battery.id), 0) <= battery.room_wh
    kept = taken * battery.charge_ppm // PPM
    assert given_away * PPM <= kept * battery.discharge_ppm
    assert held.get((1, battery.id), 0) <= kept


@pytest.mark.parametrize(
    ("field", "value"),
    [("room_wh", -1), ("interval_wh", 10**9 + 1), ("charge_ppm", 0), ("discharge_ppm", PPM + 1),
     ("wear", -1), ("id", "")],
)  # fmt: skip
def test_facts_that_no_battery_has_are_refused(field: str, value: object) -> None:
    with pytest.raises(BadInputError, match=field if field != "id" else "battery"):
        replace(BATTERY, **{field: value})


def test_fills_are_counted_by_order_not_by_name() -> None:
    orders, outcome = _cleared(
        _order(0, Side.BUY, 64_000, 80, 1, "BAT-1"),
        _order(1, Side.BUY, 63_000, 80, 1, "BAT-2"),
        _order(2, Side.SELL, 50_000, 100, 2),
    )
    second = replace(BATTERY, id=AssetId("BAT-2"))
    moves = battery_moves(orders, outcome, _standing(BATTERY, second), {})
    assert {one.battery: one.moved.bought_wh for one in moves} == {"BAT-1": 80, "BAT-2": 20}
    assert int(outcome.fills[np.array([0, 1])].sum()) == 100
