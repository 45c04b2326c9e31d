"""The baseline of an event, by hand."""

import numpy as np

from meters.baseline import baseline, high_x_of_y
from meters.vee.like_days import DayClass

DAYS = np.array([[10, 20], [30, 40], [50, 60], [5, 5], [20, 25]])
"""Sums 30, 70, 110, 10 and 45: the fourth is left out."""


def test_the_four_highest_of_five_days_and_their_mean_rounded_half_up() -> None:
    found = baseline(DAYS, 4)
    assert found.chosen == (0, 1, 2, 4)
    # (10 + 30 + 50 + 20) / 4 = 27.5 and (20 + 40 + 60 + 25) / 4 = 36.25
    assert found.energy_wh.tolist() == [28, 36]
    assert found.adjustment_wh == 0


def test_it_is_moved_by_what_the_day_differed_before_the_event() -> None:
    before = np.array([[8, 8, 8], [12, 12, 12], [16, 16, 16], [99, 99, 99], [12, 12, 12]])
    # the chosen days took 12 in the mean, this one 20, 18 and 13: 5 more, for each interval
    found = baseline(DAYS, 4, before=before, own=np.array([20, 18, 13]))
    assert found.adjustment_wh == 5
    assert found.energy_wh.tolist() == [33, 41]
    less = baseline(DAYS, 4, before=before, own=np.array([0, 0, 0]))
    assert (less.adjustment_wh, less.energy_wh.tolist()) == (-12, [16, 24])


def test_a_baseline_is_never_below_nothing() -> None:
    before = np.full((5, 1), 100)
    found = baseline(DAYS, 4, before=before, own=np.array([0]))
    assert found.energy_wh.tolist() == [0, 0]


def test_of_equal_days_the_nearest_are_taken() -> None:
    equal = np.array([[7], [7], [7]])
    assert baseline(equal, 2).chosen == (0, 1)
    assert high_x_of_y(DayClass.WORKDAY) == (4, 5)
    assert high_x_of_y(DayClass.SATURDAY) == high_x_of_y(DayClass.SUNDAY) == (2, 3)
