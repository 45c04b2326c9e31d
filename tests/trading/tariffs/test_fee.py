"""The monthly fee of whoever was there for a part of the month."""

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.errors import BadInputError
from grid.site import FeeBy, Tariff
from trading.tariffs.fee import fixed_fee

from .tariff_world import CHANGING, blocks


def by_day(fee):
    return Tariff("t", "T", fee, blocks((0, 1)), fixed_fee_by=FeeBy.DAY)


@given(
    st.integers(0, 10**12),
    st.dates(date(2020, 1, 1), date(2030, 12, 1)),
    st.lists(st.integers(1, 30), max_size=5),
)
def test_agreements_that_share_a_month_pay_its_fee_by_day_to_the_last_nano(fee, day, cuts):
    first = day.replace(day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    moves = {first + timedelta(days=cut) for cut in cuts}
    days = sorted({first, following, *(move for move in moves if move < following)})
    paid = [fixed_fee(by_day(fee), *pair) for pair in pairwise(days)]
    assert sum(paid) == fee
    for (start, end), nano in zip(pairwise(days), paid, strict=True):
        month, part = (following - first).days, (end - start).days
        assert abs(nano * month - fee * part) < month * min(part, month - 1)


def test_the_earliest_days_bear_the_residue():
    june = [date(2026, 6, day) for day in range(1, 31)]
    each = [fixed_fee(by_day(10**9), day, day + timedelta(days=1)) for day in june]
    assert each == [33_333_334] * 10 + [33_333_333] * 20


def test_the_version_of_the_agreements_first_day_sets_fee_and_policy():
    june = date(2026, 6, 1)
    assert fixed_fee(CHANGING, date(2026, 5, 1), june) == 1_000_000_000
    assert fixed_fee(CHANGING, date(2026, 5, 10), date(2026, 5, 11)) == 2_000_000_000
    # 3,000,000,001 nano over 31 days: 96,774,193 each, and 18 left for the first 18 days.
    assert fixed_fee(CHANGING, date(2026, 5, 20), june) == 12 * 96_774_193


@pytest.mark.parametrize(
    ("first", "end"),
    [("2026-06-05", "2026-06-05"), ("2026-06-05", "2026-06-04"), ("2026-06-05", "2026-07-02")],
)
def test_days_that_are_none_or_of_two_months_are_refused(first, end):
    with pytest.raises(BadInputError, match="are no days of a month"):
        fixed_fee(CHANGING, date.fromisoformat(first), date.fromisoformat(end))
