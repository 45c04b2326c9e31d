"""Statements round once, compare with no trading, and guard small groups."""

import json
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.ids import TariffId
from grid.site import Market, RegulationProfile, Tariff, TariffBlock
from trading.accounts import COMMUNITY, PostingKind, balances, energy_line, party_account
from trading.book import Book, Order, Side
from trading.mechanisms import uniform_price
from trading.settlement import SettlementInput, UsagePointInput, resettle, settle
from trading.statements import MonthEnergy, counterfactual, exact_money, market_summary, statement

TARIFF = Tariff(
    TariffId("t"), "T", 1_000_000_000,
    (TariffBlock(200, 84_000), TariffBlock(300, 100_000), TariffBlock(0, 150_000)),
)  # fmt: skip
MARKET = Market(
    "uniform_price", RegulationProfile.SANDBOX, 50_000, 160_000, 30_000, 10_000, 5_000, 2
)
CENT = 10_000_000


def month(clearing_price=65_000):
    """Settle one interval in which bob sells ada 3 of her 4 kWh."""
    points = (
        UsagePointInput("up-a", "ada", TARIFF.id, 4001, 0, bought_wh=3000, fixed_fee_due=True),
        UsagePointInput("up-b", "bob", TARIFF.id, 0, 3500, sold_wh=3000, discharge_wh=100),
    )
    given = SettlementInput(
        0, points, clearing_price, MARKET, {TARIFF.id: TARIFF}, 0, 501, 0, 60, 40
    )
    return given, settle(given)


def of(party, postings, energies):
    return statement(party, "2026-06", "AZN", postings, energies, MARKET)


def test_a_statement_itemises_rounds_once_and_shows_the_gain():
    _, result = month()
    document, rounding = of("ada", result.lines, {"up-a": MonthEnergy(TARIFF, 4001, 0)})
    lines = [
        (line["kind"], line["energy_wh"], line["price_per_kwh"], line["amount"])
        for line in document["lines"]
    ]
    assert lines == [
        ("purchase", 3000, "0.0650", "0.195"),
        ("grid_fee", 3000, "0.0100", "0.03"),
        ("supply", 1001, "0.0840", "0.084084"),
        ("fixed_fee", 0, "0.0000", "1.00"),
    ]
    assert (document["exact"], document["total"]) == ("1.309084", "1.31")
    assert (document["rounding"], document["without_trading"]) == ("0.000916", "1.336084")
    assert document["gain"] == "0.027"
    assert balances([*result.lines, *rounding])["party:ada"] == -1_310_000_000
    assert json.loads(json.dumps(document)) == document


def test_a_sellers_statement_is_negative_and_keeps_the_battery_fee_apart_from_the_gain():
    _, result = month()
    energy = {"up-b": MonthEnergy(TARIFF, 0, 3400, fixed_fee_due=False)}
    document, _ = of("bob", result.lines, energy)
    assert document["exact"] == "-0.2155"
    assert document["total"] == "-0.22"
    assert document["gain"] == "0.045"


def test_a_correction_nets_out_of_the_lines():
    given, result = month()
    _, bob = given.usage_points
    now = SettlementInput(
        0, (UsagePointInput("up-a", "ada", TARIFF.id, 3000, 0, bought_wh=3000, month_wh=1001), bob),
        65_000, MARKET, given.tariffs, 0, 0, 0, 60, 40,
    )  # fmt: skip
    both = [*result.postings, *resettle(result, now).postings]
    document, _ = of("ada", both, {"up-a": MonthEnergy(TARIFF, 3000, 0)})
    assert [line["kind"] for line in document["lines"]] == ["purchase", "grid_fee", "fixed_fee"]


@given(st.lists(st.integers(-(10**10), 10**10), max_size=5))
def test_after_its_rounding_a_balance_is_whole_cents_and_never_a_cent_away(amounts):
    account = party_account("ada")
    lines = [energy_line(account, COMMUNITY, 1, n, PostingKind.SURPLUS) for n in amounts]
    document, rounding = of("ada", lines, {})
    exact, due = (-balances(x).get(account, 0) for x in (lines, [*lines, *rounding]))
    assert due % CENT == 0
    assert 2 * abs(due - exact) <= CENT
    assert Decimal(document["total"]) == Decimal(due).scaleb(-9)
    assert Decimal(document["exact"]) + Decimal(document["rounding"]) == Decimal(document["total"])


def test_without_trading_the_lawful_month_is_netted_in_kwh():
    market = Market("uniform_price", RegulationProfile.LAWFUL, 50_000, 0, 0, 0, 0)
    cost = counterfactual(MonthEnergy(TARIFF, 300_000, 50_000, bank_wh=50_000), market)
    assert cost == 200_000 * 84_000 + TARIFF.fixed_fee
    assert counterfactual(MonthEnergy(TARIFF, 1, 50_000), market) == TARIFF.fixed_fee


@pytest.mark.parametrize(
    ("nano", "text"), [(0, "0.00"), (1, "0.000000001"), (-1_500_000_000, "-1.50")]
)
def test_exact_money_keeps_every_digit(nano, text):
    assert exact_money(nano) == text


def summary(buyers, minimum_group):
    orders = [Order(f"b{i}", p, p, 0, Side.BUY, 70, 10, i) for i, p in enumerate(buyers)]
    orders += [Order(f"s{i}", f"s{i}", f"s{i}", 0, Side.SELL, 60, 10, 10 + i) for i in range(3)]
    return market_summary(orders, uniform_price.clear(Book.of(orders)), minimum_group)


def test_volumes_of_groups_that_are_large_enough_are_public():
    public = summary(["a", "b", "c"], 3)
    assert (public["price"], public["volume_wh"], public["bid_wh"]) == ("0.000065", 30, 30)


def test_volumes_of_too_few_parties_are_kept_back_however_many_orders_they_placed():
    public = summary(["a", "a", "b"], 3)
    hidden = (public["price"], public["volume_wh"], public["bid_wh"], public["asked_wh"])
    assert hidden == (None, None, None, None), "a price is someone's limit, a side is the volume"


def test_a_book_without_trade_has_no_price_and_no_volume():
    orders = [Order("a", "a", "a", 0, Side.BUY, 7, 10, 1)]
    clearing = uniform_price.clear(Book.of(orders))
    assert clearing.fills.tolist() == np.zeros(1, np.int64).tolist()
    assert market_summary(orders, clearing, 1)["price"] is None
