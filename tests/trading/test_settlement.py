"""Intervals settled as written in each test's docstring.

A line ``ada import 500 bought 300`` is a usage point of that name and party;
a line ``head`` has the feeder head and the losses. The expected lines say who
pays whom, Wh at price in nano-currency per Wh, and what for.
"""

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.errors import BadInputError, VerificationError
from grid.ids import TariffId
from grid.site import Market, RegulationProfile, Tariff, TariffBlock
from trading.accounts import (
    COMMUNITY,
    IMBALANCE,
    LOSSES,
    MARKET,
    POOL,
    SUPPLIER,
    Posting,
    PostingKind,
    assert_balanced,
    balances,
    energies,
)
from trading.book import Side
from trading.late import settle_late
from trading.regulation import regulation_on
from trading.settlement import SettlementInput, UsagePointInput, resettle, settle
from trading.settlement_facts import Leg, MonthAccount
from trading.tariffs.clock import Segment
from trading.tariffs.month import charge_nano, month_use

TARIFF = Tariff(
    TariffId("t"), "T", 1_000_000_000,
    (TariffBlock(1, 84_000), TariffBlock(2, 100_000), TariffBlock(0, 150_000)),
)  # fmt: skip
SEGMENT = Segment(0, "total")
SANDBOX = Market("uniform_price", RegulationProfile.SANDBOX, 50, 160, 30, 10, 5, 2)
LAWFUL = replace(SANDBOX, profile=RegulationProfile.LAWFUL)


def given_by(text: str, market=SANDBOX) -> SettlementInput:
    points, head = [], {"import": 0, "export": 0, "loss": 0}
    for line in filter(None, map(str.strip, text.split("expect")[0].splitlines())):
        name, *words = line.split()
        facts = {key: int(value) for key, value in zip(words[::2], words[1::2], strict=True)}
        if name == "head":
            head.update(facts)
            continue
        fee = TARIFF.fixed_fee * bool(facts.pop("fee", 0))
        legs, of_battery = (
            tuple(
                Leg(side, 70, facts.pop(word))
                for side, word in ((Side.BUY, f"{stored}bought"), (Side.SELL, f"{stored}sold"))
                if word in facts
            )
            for stored in ("", "stored_")
        )
        account = month(facts.pop("month", 0), facts.pop("bank", 0))
        facts = {f"{key}_wh": value for key, value in facts.items()}
        facts = {"import_wh": 0, "export_wh": 0, **facts}
        points.append(
            UsagePointInput(
                name, name, TARIFF.id, SEGMENT, legs=legs, account=account, fee_due_nano=fee,
                battery_legs=of_battery, **facts,
            )
        )  # fmt: skip
    return SettlementInput(
        0, tuple(points), market, regulation_on(market.profile, date(2026, 1, 1)),
        {TARIFF.id: TARIFF}, head["loss"], head["import"], head["export"], 60, 40,
    )  # fmt: skip


def month(use_wh: int, bank_wh: int = 0) -> MonthAccount:
    """Return the account of a month in which that much was supplied."""
    use = month_use([(SEGMENT, use_wh)])
    return MonthAccount(supplied=use, metered=use, bank_wh=bank_wh)


def written(postings) -> list[str]:
    return [
        f"{p.debit} -> {p.credit} {p.energy_wh}@{p.price} {p.kind}".replace("party:", "")
        for p in postings
        if p.kind not in (PostingKind.RESALE, PostingKind.HEAD_IMPORT, PostingKind.HEAD_EXPORT)
    ]


def check_ledger(docstring: str, market=SANDBOX):
    result = settle(given_by(docstring, market))
    expected = [line.strip() for line in docstring.split("expect")[1].strip().splitlines()]
    assert written(result.lines) == expected
    assert_balanced(result.postings)
    return result


def ledger_case(test):
    """Run a test whose docstring is its input and its expected lines."""

    def run():
        test(check_ledger(test.__doc__))

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@ledger_case
def test_trade_leaves_the_rest_to_tariff_and_feed_in(result):
    """
    ada import 500 bought 300
    bob export 400 sold 300
    head import 100
    expect
    ada -> market 300@70 purchase
    ada -> grid_operator 300@10 grid_fee
    ada -> supplier 200@84000 supply
    market -> bob 300@70 sale
    supplier -> bob 100@50 feed_in
    """
    assert result.residual_wh == 0


@ledger_case
def test_energy_bought_and_not_consumed_is_sold_back_at_the_surplus_price(result):
    """
    ada import 100 bought 300
    bob export 300 sold 300
    head export 200
    expect
    ada -> market 300@70 purchase
    ada -> grid_operator 300@10 grid_fee
    imbalance -> ada 200@30 surplus
    market -> bob 300@70 sale
    """
    assert energies(result.lines)["party:ada"] == 100


@ledger_case
def test_energy_sold_and_not_delivered_is_charged_at_the_shortfall_price(result):
    """
    ada import 300 bought 300
    bob import 50 sold 300
    head import 350
    expect
    ada -> market 300@70 purchase
    ada -> grid_operator 300@10 grid_fee
    market -> bob 300@70 sale
    bob -> imbalance 300@160 shortfall
    bob -> supplier 50@84000 supply
    """
    assert energies(result.lines)["party:bob"] == 50


@ledger_case
def test_instructed_charging_is_not_the_owners_imbalance(result):
    """
    ada import 300 bought 300
    bob export 100 charge 200 sold 300
    head import 200
    expect
    ada -> market 300@70 purchase
    ada -> grid_operator 300@10 grid_fee
    market -> bob 300@70 sale
    """
    assert energies(result.lines)[COMMUNITY] == 200


@ledger_case
def test_instructed_discharge_earns_the_use_fee_and_leaves_the_demand(result):
    """
    bob export 150 discharge 200
    head export 150
    expect
    battery_use -> bob 200@5 battery_use
    bob -> supplier 50@84000 supply
    """
    assert energies(result.lines)[COMMUNITY] == -200


@ledger_case
def test_a_gensets_instructed_energy_is_the_communitys_and_earns_no_use_fee(result):
    """
    gen export 900 produced 1000
    head export 900
    expect
    gen -> supplier 100@84000 supply
    """
    assert energies(result.lines)[COMMUNITY] == -1000


@ledger_case
def test_curtailed_energy_is_paid_at_the_trade_price_where_sold_else_at_feed_in(result):
    """
    ada import 300 bought 300
    bob export 100 curtailed 400 sold 300
    head import 200
    expect
    ada -> market 300@70 purchase
    ada -> grid_operator 300@10 grid_fee
    market -> bob 300@70 sale
    community -> bob 200@50 curtailment
    """
    assert balances(result.lines)["party:bob"] == 300 * 70 + 200 * 50


@ledger_case
def test_shed_demand_gets_its_purchase_back_at_the_price_it_paid(result):
    """
    ada import 100 shed 150 bought 300
    bob export 300 sold 300
    head export 200
    expect
    ada -> market 300@70 purchase
    ada -> grid_operator 300@10 grid_fee
    community -> ada 150@70 shedding
    imbalance -> ada 50@30 surplus
    market -> bob 300@70 sale
    """
    assert result.residual_wh == 0


@ledger_case
def test_what_a_usage_point_buys_and_sells_in_one_interval_is_netted(result):
    """
    ada import 100 bought 300 sold 200
    bob export 100 sold 100
    expect
    ada -> market 300@70 purchase
    market -> ada 200@70 sale
    ada -> grid_operator 300@10 grid_fee
    market -> bob 100@70 sale
    """
    assert energies(result.lines).get(IMBALANCE, 0) == 0


@ledger_case
def test_supply_is_itemised_by_block_and_the_fee_posted_when_due(result):
    """
    ada import 1500 month 800 fee 1
    head import 1530 loss 20
    expect
    ada -> supplier 200@84000 supply
    ada -> supplier 1000@100000 supply
    ada -> supplier 300@150000 supply
    ada -> supplier 0@0 fixed_fee
    losses -> community 20@60 losses
    """
    assert result.usage_points[0].account.supplied.total_wh == 2300
    assert result.residual_wh == -10
    assert energies(result.lines)[LOSSES] == 20
    # What members pay for energy is handed on: the supplier keeps the head and the fee.
    assert balances(result.lines)[SUPPLIER] == 1530 * 60 + TARIFF.fixed_fee


def test_lawful_profile_nets_the_month_in_kwh_and_banks_the_rest():
    text = """
    ada import 500 bank 300
    bob export 500 month 300
    cem export 400 bank 100
    """
    result = settle(given_by(text, LAWFUL))
    assert written(result.lines) == [
        "ada -> supplier 300@0 bank",
        "ada -> supplier 200@84000 supply",
        "supplier -> bob 200@0 bank",
        "supplier -> bob 300@84000 supply",
        "supplier -> cem 400@0 bank",
    ]
    left = [one.account.supplied.total_wh - one.account.bank_wh for one in result.usage_points]
    state = [(max(wh, 0), max(-wh, 0)) for wh in left]
    assert state == [(200, 0), (0, 200), (0, 500)]


@pytest.mark.parametrize(
    ("text", "market", "words"),
    [
        ("ada import -1", SANDBOX, "ada 1970-01-01T00:00Z import_wh is -1, must be at least 0"),
        ("ada import 1 bought 5", SANDBOX, "bought 5 Wh, sold 0 Wh"),
        ("ada bought 5\nbob sold 5", LAWFUL, "traded 5 Wh, must be 0: Azerbaijan"),
        ("ada import 1\nada import 2", SANDBOX, "ada 1970-01-01T00:00Z is there twice"),
        ("ada bought 0\nbob sold 0", SANDBOX, "trades 0 Wh, must be at least 1"),
        ("ada bank 5", SANDBOX, "bank_wh is 5: nothing is netted here"),
        ("head loss -1", SANDBOX, "loss_wh is -1"),
    ],
)
def test_what_cannot_be_settled_is_refused(text, market, words):
    with pytest.raises(BadInputError, match=words):
        settle(given_by(text, market))


def test_a_correction_posts_only_reversals_and_replacements_of_what_changed():
    first = given_by("ada import 500\nbob import 100\nhead import 600")
    old = settle(first)
    now = given_by("ada import 450 month 500\nbob import 100 month 100\nhead import 600")
    new = resettle(old, now)
    assert (new.version, new.corrects) == (2, 1)
    assert [line.reversal for line in new.postings].count(True) == 2
    assert not any(line.usage_point == "bob" for line in new.postings)
    total = balances([*old.postings, *new.postings])
    assert {account: nano for account, nano in total.items() if nano} == balances(new.lines)
    assert resettle(new, replace(now, usage_points=tuple(
        replace(point, account=month(450 if point.party == "ada" else 100))
        for point in now.usage_points))).postings == ()  # fmt: skip


def test_a_correction_of_other_usage_points_is_refused():
    with pytest.raises(BadInputError, match="same usage points"):
        resettle(settle(given_by("ada import 1")), given_by("bob import 1"))


WH = st.integers(0, 900)
NAMES = ("ada", "bob")


@st.composite
def readings(draw, market):
    """Draw one interval of two usage points: metered, instructed and traded."""
    bought = draw(WH) if market is SANDBOX else 0
    points = []
    for name in NAMES:
        names = ("import_wh", "export_wh", "charge_wh", "discharge_wh", "curtailed_wh", "shed_wh")
        facts = {key: draw(WH) for key in names}
        legs = (Leg(Side.BUY if name == "ada" else Side.SELL, 70, bought),) if bought else ()
        points.append(UsagePointInput(name, name, TARIFF.id, SEGMENT, legs=legs, **facts))
    return replace(
        given_by("", market), usage_points=tuple(points), loss_wh=draw(WH),
        head_import_wh=draw(WH), head_export_wh=draw(WH),
    )  # fmt: skip


class Month:
    """A month of intervals, each settled and corrected against the totals so far."""

    def __init__(self):
        self.accounts = dict.fromkeys(NAMES, MonthAccount())
        self.newest = {}
        self.postings: list[Posting] = []

    def take(self, place, given):
        points = tuple(replace(p, account=self.accounts[p.party]) for p in given.usage_points)
        given = replace(given, usage_points=points)
        old = self.newest.get(place)
        result = resettle(old, given) if old else settle(given)
        assert_balanced(result.postings)
        self.newest[place] = result
        self.accounts = {r.party: r.account for r in result.usage_points}
        self.postings += result.postings

    def balances(self):
        return {account: nano for account, nano in balances(self.postings).items() if nano}


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([Posting("a", "b", 6, 2, PostingKind.SUPPLY, None, 2)], "energy times its price"),
        ([Posting("a", "a", 4, 2, PostingKind.SUPPLY, None, 2)], "to itself"),
        ([Posting("a", "b", -4, -2, PostingKind.SUPPLY, None, 2)], "negative energy"),
        ([Posting("a", MARKET, 4, 2, PostingKind.PURCHASE, None, 2)], "4 nano-currency are left"),
        ([Posting("a", MARKET, 0, 2, PostingKind.PURCHASE, None, 0)], "-2 Wh are left"),
    ],
)
def test_postings_that_do_not_balance_raise_also_without_asserts(lines, words):
    with pytest.raises(VerificationError, match=words):
        assert_balanced(lines)


@pytest.mark.parametrize("market", [SANDBOX, LAWFUL], ids=["sandbox", "lawful"])
@given(data=st.data())
@settings(max_examples=80, deadline=None)
def test_corrections_in_any_order_end_where_the_final_readings_do(market, data):
    final = data.draw(st.lists(readings(market), min_size=1, max_size=4))
    corrected, plain = Month(), Month()
    steps = data.draw(st.lists(st.integers(0, len(final) - 1), max_size=6))
    for place in steps:
        wrong = data.draw(readings(market))
        points = tuple(
            replace(p, legs=f.legs)
            for p, f in zip(wrong.usage_points, final[place].usage_points, strict=True)
        )
        corrected.take(place, replace(wrong, usage_points=points))
    for place in data.draw(st.permutations(range(len(final)))):
        corrected.take(place, final[place])
    for place in range(len(final)):
        plain.take(place, final[place])
    assert corrected.balances() == plain.balances()
    assert corrected.accounts == plain.accounts
    sums = {}
    for result in corrected.newest.values():
        for line in result.lines:
            if line.kind is PostingKind.SUPPLY:
                sign = 1 if line.credit == SUPPLIER else -1
                sums[line.usage_point] = sums.get(line.usage_point, 0) + sign * line.amount_nano
    for name in NAMES:
        assert sums.get(name, 0) == charge_nano(TARIFF, corrected.accounts[name].supplied)


@given(readings(SANDBOX))
@settings(max_examples=150, deadline=None)
def test_energy_of_each_account_is_what_physics_says(one):
    result = settle(one)
    held = energies(result.lines)
    for r in result.usage_points:
        assert held.get(f"party:{r.party}", 0) == r.baseline_import_wh - r.baseline_export_wh
    head = one.head_import_wh - one.head_export_wh
    assert held.get(SUPPLIER, 0) == -head
    baseline = sum(r.baseline_import_wh - r.baseline_export_wh for r in result.usage_points)
    community = held.get(COMMUNITY, 0) + held.get(IMBALANCE, 0)
    assert community == head - baseline - one.loss_wh


@given(readings(SANDBOX), WH, WH)
@settings(max_examples=100, deadline=None)
def test_an_instruction_never_changes_what_the_tariff_and_the_trades_cost(one, charge, curtailed):
    plain = tuple(
        replace(p, charge_wh=0, discharge_wh=0, curtailed_wh=0, shed_wh=0)
        for p in one.usage_points
    )  # fmt: skip
    told = tuple(
        replace(p, import_wh=p.import_wh + charge + curtailed, charge_wh=charge,
                curtailed_wh=curtailed)
        for p in plain
    )  # fmt: skip
    without = balances(settle(replace(one, usage_points=plain)).lines)
    told_too = balances(settle(replace(one, usage_points=told)).lines)
    for name in NAMES:
        assert without.get(f"party:{name}", 0) == told_too.get(f"party:{name}", 0)


def test_buyers_who_pay_more_than_sellers_get_leave_the_surplus_on_its_own_account():
    one = given_by("ada import 300 bought 300\nbob export 300 sold 300")
    ada, bob = one.usage_points
    dear = replace(ada, legs=(Leg(Side.BUY, 90, 100), Leg(Side.BUY, 80, 200)))
    result = settle(replace(one, usage_points=(dear, bob)))
    assert_balanced(result.lines)
    assert balances(result.lines)["clearing_surplus"] == 100 * 90 + 200 * 80 - 300 * 70
    assert balances(result.lines)["party:ada"] == -(100 * 90 + 200 * 80) - 300 * 10


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_late_meter_bills_nobody_but_itself_and_the_pool(data):
    old_given, new = data.draw(readings(SANDBOX)), data.draw(readings(SANDBOX))
    old = settle(old_given)
    accounts = {one.party: one.account for one in old.usage_points}
    ada, bob = old_given.usage_points
    late = replace(new.usage_points[0], account=accounts["ada"], legs=())
    given = replace(old_given, usage_points=(late, replace(bob, account=accounts["bob"])))
    done = settle_late(old, given)
    assert done.late
    assert {side for line in done.postings for side in (line.debit, line.credit)} <= {
        "party:ada",
        POOL,
    }
    assert not any(line.reversal for line in done.postings)
    # Beyond the pool it is as if the better reading had come in time.
    fresh = settle(
        replace(old_given, usage_points=(replace(late, account=ada.account, legs=ada.legs), bob))
    )
    assert balances(done.lines).get("party:ada", 0) == balances(fresh.lines).get("party:ada", 0)
    assert balances(done.lines).get("party:bob", 0) == balances(old.lines).get("party:bob", 0)
    again = {one.party: one.account for one in done.usage_points}
    points = tuple(replace(p, account=again[p.party]) for p in given.usage_points)
    assert settle_late(done, replace(given, usage_points=points)).postings == ()
