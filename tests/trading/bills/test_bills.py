"""What holds of every bill, and what is no bill."""

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.errors import BadInputError
from grid.site import RegulationProfile
from tests.trading.tariffs.tariff_world import CHANGING, CHANGING_SEGMENTS
from trading.accounts import PostingKind
from trading.bill_case import parse_case
from trading.bills import CENT, BillInput, BillLine, bill, counterfactual, to_cent
from trading.regulation import regulation_on
from trading.settlement_facts import MonthAccount
from trading.tariffs.clock import Segment
from trading.tariffs.fee import fixed_fee
from trading.tariffs.month import MonthUse, month_use

MAY, JUNE = date(2026, 5, 1), date(2026, 6, 1)
SANDBOX, LAWFUL = (
    regulation_on(profile, MAY)
    for profile in (RegulationProfile.AZERBAIJAN_SANDBOX, RegulationProfile.AZERBAIJAN)
)
PART = st.tuples(st.sampled_from(CHANGING_SEGMENTS), st.integers(0, 200_000), st.integers(0, 100))
PRICE = st.integers(0, 300_000)


def use(*wh):
    return month_use(zip(CHANGING_SEGMENTS, wh, strict=False))


@given(st.lists(PART, max_size=6), PRICE, PRICE, st.integers(0, 10**6), st.booleans())
def test_lines_sum_to_whole_cents_and_a_guaranteed_bill_is_never_above_no_trading(
    energy, price, feed_in, export_wh, guaranteed
):
    bought = [(segment, wh * percent // 100) for segment, wh, percent in energy]
    bought_wh = sum(wh for _, wh in bought)
    metered = [(segment, wh) for segment, wh, _ in energy]
    rest = [*metered, *((segment, -wh) for segment, wh in bought)]
    lines = (
        BillLine(PostingKind.PURCHASE, bought_wh, price, bought_wh * price),
        BillLine(PostingKind.FEED_IN, -export_wh, feed_in, -export_wh * feed_in),
    )
    whole = BillInput(
        CHANGING, MAY, JUNE, month_use(metered), month_use(rest), SANDBOX,
        export_wh=export_wh, others=lines, feed_in=feed_in, guaranteed=guaranteed,
    )  # fmt: skip
    found = bill(whole)
    assert found.total_nano % CENT == 0
    parts = found.supplier_nano + found.trading_nano + found.fees_nano
    assert parts - found.guarantee_nano + found.rounding_nano == found.total_nano
    account = MonthAccount(
        metered=month_use(metered), export_wh=export_wh, fee_nano=fixed_fee(CHANGING, MAY, JUNE)
    )
    assert found.gain_nano == counterfactual(CHANGING, account, 5, feed_in, SANDBOX) - parts
    assert 2 * abs(found.rounding_nano) <= CENT
    if guaranteed:
        assert found.total_nano <= to_cent(found.counterfactual_nano)
        assert found.guarantee_nano == max(-found.gain_nano, 0)
    else:
        assert found.guarantee_nano == 0


@given(st.lists(PART, max_size=6))
def test_without_trading_there_is_neither_gain_nor_guarantee(energy):
    metered = month_use((segment, wh) for segment, wh, _ in energy)
    found = bill(BillInput(CHANGING, MAY, JUNE, metered, metered, SANDBOX, guaranteed=True))
    assert (found.gain_nano, found.guarantee_nano) == (0, 0)


PURCHASE = (BillLine(PostingKind.PURCHASE, 5, 1, 5),)
GOOD = BillInput(CHANGING, MAY, JUNE, use(9), use(4), SANDBOX, others=PURCHASE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"regulation": LAWFUL}, "5 Wh traded, must be 0"),
        ({"regulation": LAWFUL, "others": ()}, "nobody but the supplier supplies"),
        ({"regulation": LAWFUL, "others": (), "guaranteed": True}, "must not be guaranteed"),
        ({"bank_wh": 5}, "bank_wh is 5, must be 0"),
        ({"export_wh": -5}, "export_wh is -5, must be at least 0"),
        ({"supplied": use(10)}, "10 Wh of total in version 0, must be within 0 and the 9 Wh"),
        ({"supplied": use(0, 1)}, "1 Wh of total in version 1, must be within 0 and the 0 Wh"),
        ({"metered": use(-9), "supplied": MonthUse()}, "-9 Wh of total in version 0"),
        ({"metered": month_use([(Segment(7, "total"), 9)]), "supplied": MonthUse()}, "version 7"),
    ],
)
def test_what_was_not_metered_or_is_not_lawful_is_refused(change, message):
    assert bill(GOOD).total_nano
    with pytest.raises(BadInputError, match=message):
        bill(replace(GOOD, **change))


CASE = """\
[bill]
month = "2026-05"
tariff = "home"
profile = "azerbaijan_sandbox"
[[tariff]]
id = "home"
name = "One price"
fixed_fee = "0"
[[tariff.block]]
up_to_kwh = 0
price = "0.10"
[[use]]
import_wh = 9
bought_wh = 5
[[trade]]
kind = "purchase"
energy_wh = 5
price = "0.20"
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("bought_wh = 5", "bought_wh = 6", "C: bought_wh is 6 in all, must be the 5 Wh of the"),
        ("energy_wh = 5", "energy_wh = -5", "C:17: .*energy_wh is -5, must be within 1"),
        ('"purchase"', '"supply"', "C:16: trade of kind supply, must be one of purchase, "),
        ('"purchase"', '"gift"', "C:16: .*'gift' must be one of purchase"),
        ('tariff = "home"', 'tariff = "away"', "C: tariff away is not known"),
        ('"2026-05"', '"2026-5"', "C: '2026-5-01' is not a date"),
        ('"2026-05"\n', '"2026-05"\nfirst_day = 2026-04-30\n', "must be within 2026-05-01 to"),
        ('"2026-05"\n', '"2026-05"\nend_day = 2026-05-01\n', "days 2026-05-01 to 2026-05-01"),
        ("[bill]", "[bills]", "C: unknown key 'bills'; known: bill, use"),
        ("[[use]]", "[[used]]", "C: unknown key 'used'"),
        ("[[use]]", "[[bill]]", "C:1"),
        ("import_wh = 9", 'import_wh = 9\nrate = "day"', "version 0 has no rate 'day'"),
        ("[[use]]", "[origin]\nlocal_wh = 10\n[[use]]", "C: local_wh is 10, must be within 0 and"),
        ("[[use]]", "[[origin]]\nlocal_wh = 1\n" * 2 + "[[use]]", "one .origin. and .expect. at"),
        ("import_wh = 9", 'import_wh = 9\nseries_price = "1"', "with a dynamic price"),
    ],
)
def test_a_case_that_does_not_fit_together_is_told_where(old, new, message):
    assert old in CASE
    with pytest.raises(BadInputError, match=message):
        bill(parse_case(CASE.replace(old, new, 1), "C").given)
    assert bill(parse_case(CASE, "C").given).total_nano == 0, "0.0014 is no cent"
