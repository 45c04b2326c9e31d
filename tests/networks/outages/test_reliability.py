"""The indices equal what a hand calculates from a list of interruptions."""

from __future__ import annotations

import pytest

from grid.errors import BadInputError
from networks.outages.reliability import Interruption, indices

MONTH_S, END_S = 1_000_000, 3_000_000
SERVED = 1000


def _staged():
    """A feeder of 100: 60 are fed back after 30 minutes, 30 after 75, 10 after 3 hours."""
    stages = [(60, 30), (30, 75), (10, 180)]
    numbers = iter(range(100))
    return [
        Interruption(f"C-{next(numbers)}", MONTH_S, MONTH_S + 60 * minutes)
        for customers, minutes in stages
        for _ in range(customers)
    ]


def _indices(interruptions, **options):
    given = {"customers_served": SERVED, "now_s": END_S, **options}
    return indices(interruptions, MONTH_S, END_S, **given)


def test_a_staged_restoration_counts_each_customer_until_it_is_fed_again():
    found = _indices(_staged())
    # 60 × 30 + 30 × 75 + 10 × 180 = 5850 customer minutes.
    assert found.minutes == 5850
    assert found.saidi_minutes == pytest.approx(5.85, rel=1e-12)
    assert found.saifi == pytest.approx(0.1, rel=1e-12)
    assert found.caidi_minutes == pytest.approx(58.5, rel=1e-12)
    assert found.maifi == 0.0


def test_customers_interrupted_twice_count_once_in_ctaidi_and_twice_in_saifi():
    again = [Interruption(f"C-{n}", MONTH_S + 50_000, MONTH_S + 50_600) for n in range(20)]
    found = _indices([*_staged(), *again])
    # 20 more interruptions of 10 minutes, of customers who had one already.
    assert found.interruptions == 120
    assert found.customers_interrupted == 100
    assert found.saifi == pytest.approx(0.12, rel=1e-12)
    assert found.caidi_minutes == pytest.approx(6050 / 120, rel=1e-12)
    assert found.ctaidi_minutes == pytest.approx(60.5, rel=1e-12)


def test_an_open_interruption_has_lasted_until_now():
    waiting = [Interruption("C-1", MONTH_S, None)]
    assert _indices(waiting, now_s=MONTH_S + 5400).saidi_minutes == pytest.approx(0.09)
    early = _indices(waiting, now_s=MONTH_S + 300)
    assert (early.interruptions, early.momentary) == (0, 0), "it may yet be either"


def test_five_minutes_are_momentary_and_more_is_sustained():
    brief = [
        Interruption("C-1", MONTH_S, MONTH_S + 300),
        Interruption("C-2", MONTH_S, MONTH_S + 301),
    ]
    found = _indices(brief)
    assert (found.momentary, found.interruptions) == (1, 1)
    assert found.maifi == pytest.approx(1e-3)
    assert _indices(brief, momentary_s=60).momentary == 0


def test_an_interruption_belongs_to_the_period_in_which_it_began():
    over = [Interruption("C-1", END_S - 600, END_S + 6000)]
    assert _indices(over, now_s=END_S + 9000).minutes == 110
    after = indices(over, END_S, END_S + 9000, customers_served=SERVED, now_s=END_S + 9000)
    assert after.minutes == 0
    assert after.caidi_minutes is None
    assert after.ctaidi_minutes is None


def test_planned_interruptions_are_left_out_where_that_is_asked_for():
    both = [
        Interruption("C-1", MONTH_S, MONTH_S + 3600),
        Interruption("C-2", MONTH_S, MONTH_S + 7200, is_planned=True),
    ]
    assert _indices(both).minutes == 180
    assert _indices(both, with_planned=False).minutes == 60


def test_what_cannot_be_is_refused():
    with pytest.raises(BadInputError, match="customers_served is 0"):
        _indices([], customers_served=0)
    with pytest.raises(BadInputError, match="period ends"):
        indices([], END_S, MONTH_S, customers_served=1, now_s=END_S)
    with pytest.raises(BadInputError, match=r"C-1 .* must not be before it begins"):
        _indices([Interruption("C-1", MONTH_S, MONTH_S - 1)])
