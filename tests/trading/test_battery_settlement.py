"""A battery that trades is settled beside what its usage point takes and gives."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.trading.test_settlement import SANDBOX, given_by, ledger_case, written
from trading.accounts import balances, energies
from trading.bills import counterfactual
from trading.late import settle_late
from trading.settlement import resettle, settle


@ledger_case
def test_a_battery_pays_and_is_paid_as_traded_and_is_never_out_of_balance(result):
    """
    ada import 300 bought 300
    bob export 400 sold 300 stored_bought 100
    cem import 50 stored_sold 100
    head export 50
    expect
    ada -> market 300@70 purchase
    ada -> grid_operator 300@10 grid_fee
    bob -> market 100@70 purchase
    market -> bob 300@70 sale
    bob -> grid_operator 100@10 grid_fee
    supplier -> bob 100@50 feed_in
    market -> cem 100@70 sale
    cem -> supplier 50@84000 supply
    """
    assert energies(result.lines)["party:bob"] == 100 - 400


@ledger_case
def test_own_surplus_that_is_kept_is_not_fed_in(result):
    """
    bob export 400 kept 150
    head export 400
    expect
    supplier -> bob 250@50 feed_in
    """
    (bob,) = result.usage_points
    assert (bob.baseline_export_wh, bob.account.battery_wh) == (250, 150)


@ledger_case
def test_own_need_that_the_battery_serves_is_not_supplied(result):
    """
    bob import 400 used 150
    head import 400
    expect
    bob -> supplier 250@84000 supply
    """
    (bob,) = result.usage_points
    assert bob.account.supplied.total_wh == 250
    assert bob.account.metered.total_wh == 400, "without trading all would have been supplied"


def test_without_trading_a_month_is_what_the_meter_counted():
    text = "bob export 400 kept 150\nhead export 400"
    (bob,) = settle(given_by(text)).usage_points
    assert bob.account.export_wh == 400
    given_one = given_by(text)
    tariff, law = given_one.tariffs[bob.tariff], given_one.regulation
    assert counterfactual(tariff, bob.account, 1, SANDBOX.feed_in, law) == -400 * 50


ENERGY = st.integers(0, 900)


@given(ENERGY, ENERGY, ENERGY, ENERGY, ENERGY, ENERGY)
def test_corrected_and_late_readings_leave_what_a_battery_did(took, gave, kept, used, wh, better):
    text = (
        f"ada import {took} export {gave} kept {kept} used {used} stored_bought {wh + 1}\n"
        f"bob import 10 stored_sold {wh + 1}\nhead import 10"
    )
    given_one = given_by(text)
    first = settle(given_one)
    points = {one.usage_point: one for one in first.usage_points}
    now = tuple(
        replace(
            one,
            import_wh=better if one.usage_point == "ada" else one.import_wh,
            account=points[one.usage_point].account,
        )
        for one in given_one.usage_points
    )
    changed = replace(given_one, usage_points=now)
    again = resettle(first, changed)
    fresh = settle(replace(given_one, usage_points=tuple(
        replace(one, account=old.account) for one, old in
        zip(now, given_one.usage_points, strict=True))))  # fmt: skip
    assert sorted(map(repr, again.lines)) == sorted(map(repr, fresh.lines))
    assert [one.account for one in again.usage_points] == [
        one.account for one in fresh.usage_points
    ]
    # What comes late is settled by what was traded then, whatever is said of it now.
    forgetful = replace(changed, usage_points=tuple(
        replace(one, battery_legs=(), kept_wh=0, used_wh=0) for one in now))  # fmt: skip
    late = settle_late(first, forgetful)
    owed = {name: balances(lines).get("party:ada", 0) for name, lines in
            (("late", late.lines), ("now", again.lines))}  # fmt: skip
    assert owed["late"] == owed["now"]
    assert late.usage_points[0].battery_legs == first.usage_points[0].battery_legs
    assert not [line for line in written(late.postings) if "bob" in line]
