"""Statements round once, compare with no trading, and guard small groups."""

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.ids import TariffId
from grid.site import Market, RegulationProfile, Tariff, TariffBlock
from trading.accounts import COMMUNITY, POOL, PostingKind, balances, energy_line, party_account
from trading.bills import counterfactual
from trading.book import Book, Order, Side
from trading.mechanisms import uniform_price
from trading.regulation import regulation_on
from trading.settlement import SettlementInput, UsagePointInput, resettle, settle
from trading.settlement_facts import Leg, MonthAccount
from trading.statements import MonthOf, exact_money, market_summary, statement
from trading.tariffs.clock import Segment
from trading.tariffs.month import month_use

TARIFF = Tariff(
    TariffId("t"), "T", 1_000_000_000,
    (TariffBlock(200, 84_000), TariffBlock(300, 100_000), TariffBlock(0, 150_000)),
)  # fmt: skip
MARKET = Market(
    "uniform_price", RegulationProfile.SANDBOX, 50_000, 160_000, 30_000, 10_000, 5_000, 2
)
CENT = 10_000_000
SEGMENT = Segment(0, "total")
LAW = regulation_on(RegulationProfile.SANDBOX, date(2026, 6, 1))


def month(clearing_price=65_000):
    """Settle one interval in which bob sells ada 3 of her 4 kWh."""
    points = (
        UsagePointInput(
            "up-a", "ada", TARIFF.id, SEGMENT, 4001, 0, fee_due_nano=TARIFF.fixed_fee,
            legs=(Leg(Side.BUY, clearing_price, 3000),),
        ),
        UsagePointInput(
            "up-b", "bob", TARIFF.id, SEGMENT, 0, 3500, discharge_wh=100,
            legs=(Leg(Side.SELL, clearing_price, 3000),),
        ),
    )  # fmt: skip
    given = SettlementInput(0, points, MARKET, LAW, {TARIFF.id: TARIFF}, 0, 501, 0, 60, 40)
    return given, settle(given)


def of(result, party, postings=None, *, late=(), market=MARKET):
    lines = [(False, line) for line in (result.lines if postings is None else postings)]
    months = [
        MonthOf(one.usage_point, TARIFF, one.account, 6)
        for one in (result.usage_points if result else ())
        if one.party == party
    ]
    lines += [(True, line) for line in late]
    return statement(party, "2026-06", "AZN", lines, months, market, LAW)


def test_a_statement_itemises_rounds_once_and_shows_the_gain():
    _, result = month()
    made = of(result, "ada")
    document, rounding = made.document, made.closing
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
    document = of(result, "bob").document
    assert document["exact"] == "-0.2155"
    assert document["total"] == "-0.22"
    assert document["gain"] == "0.045"


def test_a_correction_nets_out_of_the_lines():
    given, result = month()
    ada, bob = given.usage_points
    accounts = {one.party: one.account for one in result.usage_points}
    now = SettlementInput(
        0,
        (
            replace(ada, import_wh=3000, account=accounts["ada"]),
            replace(bob, account=accounts["bob"]),
        ),
        MARKET, LAW, given.tariffs, 0, 0, 0, 60, 40,
    )  # fmt: skip
    new = resettle(result, now)
    document = of(new, "ada", [*result.postings, *new.postings]).document
    assert [line["kind"] for line in document["lines"]] == ["purchase", "grid_fee", "fixed_fee"]


@given(st.lists(st.integers(-(10**10), 10**10), max_size=5))
def test_after_its_rounding_a_balance_is_whole_cents_and_never_a_cent_away(amounts):
    account = party_account("ada")
    lines = [energy_line(account, COMMUNITY, 1, n, PostingKind.SURPLUS) for n in amounts]
    made = of(None, "ada", lines)
    document, rounding = made.document, made.closing
    exact, due = (-balances(x).get(account, 0) for x in (lines, [*lines, *rounding]))
    assert due % CENT == 0
    assert 2 * abs(due - exact) <= CENT
    assert Decimal(document["total"]) == Decimal(due).scaleb(-9)
    assert Decimal(document["exact"]) + Decimal(document["rounding"]) == Decimal(document["total"])


def test_without_trading_the_lawful_month_is_netted_in_kwh():
    law = regulation_on(RegulationProfile.LAWFUL, date(2026, 6, 1))

    def cost(net_wh, bank_wh=0):
        account = MonthAccount(
            metered=month_use([(SEGMENT, net_wh)]), bank_wh=bank_wh, fee_nano=TARIFF.fixed_fee
        )
        return counterfactual(TARIFF, account, 6, MARKET.feed_in, law)

    assert cost(250_000, 50_000) == 200_000 * 84_000 + TARIFF.fixed_fee
    assert cost(-49_999) == TARIFF.fixed_fee


def test_who_lost_by_trading_is_made_whole_from_the_guarantee_and_late_lines_change_no_gain():
    _, result = month(clearing_price=90_000)
    plain = of(result, "ada").document
    assert plain["gain"] == "-0.048"
    guaranteed = replace(MARKET, guaranteed=True)
    made = of(result, "ada", market=guaranteed)
    assert made.document["guarantee"] == "-0.048"
    assert made.document["total"] == "1.34"
    account = party_account("ada")
    assert [line.credit for line in made.closing][:1] == [account]
    assert balances([*result.lines, *made.closing])[account] == -made.total_nano
    late = [energy_line(account, POOL, 100, 84_000, PostingKind.SUPPLY)]
    with_late = of(result, "ada", late=late, market=guaranteed).document
    assert with_late["guarantee"] == "-0.048"
    assert [line["late"] for line in with_late["lines"]].count(True) == 1
    assert Decimal(with_late["exact"]) == Decimal(plain["exact"]) + Decimal("0.0084")


def test_a_month_in_which_a_battery_traded_is_not_made_whole_and_says_so():
    _, result = month(clearing_price=90_000)
    (ada,) = (one for one in result.usage_points if one.usage_point == "up-a")
    traded = MonthOf("up-a", TARIFF, replace(ada.account, battery_wh=40), 6)
    lines = [(False, line) for line in result.lines]
    guaranteed = replace(MARKET, guaranteed=True)
    made = statement("ada", "2026-06", "AZN", lines, [traded], guaranteed, LAW)
    assert (made.document["guarantee"], made.document["gain"]) == ("0.00", "-0.048")
    assert made.document["battery_wh"] == 40
    assert "battery_wh" not in of(result, "ada", market=guaranteed).document


def test_tax_is_contained_in_what_is_paid_and_never_added():
    _, result = month()
    taxed = replace(TARIFF, vat_percent=18)
    months = [MonthOf("up-a", taxed, result.usage_points[0].account, 6)]
    lines = [(False, line) for line in result.lines]
    made = statement("ada", "2026-06", "AZN", lines, months, MARKET, LAW)
    # 18/118 of 1.084084 from the supplier and of the 0.03 of the network's fee.
    assert made.document["vat"] == "0.17"
    assert made.total_nano == of(result, "ada").total_nano


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
