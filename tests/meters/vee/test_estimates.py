"""Estimates: what they go by, how far they may be off, and that they are not biased."""

from datetime import date

import numpy as np
import pytest
import xarray as xr
from vee_days import cumulative, households, reference, registers, run

from grid.interval import day_bounds, minute_of_day, starts
from meters.reading import CHANNELS, MISSING
from meters.vee import Quality
from meters.vee.facts import Facts, FeederHead
from meters.vee.like_days import (
    DayClass,
    day_class,
    group_shape,
    like_days,
    mean_of_last,
    reference_days,
)

BERLIN = "Europe/Berlin"


def test_like_day_is_the_mean_of_the_last_valid_days_of_its_class():
    history = np.array([[[10], [MISSING], [20], [30], [50], [900]]])
    mean, sd = mean_of_last(history)
    assert mean.tolist() == [[28]]
    assert sd[0, 0] == pytest.approx(12.5 * np.sqrt(5 / 3))
    assert mean_of_last(history, last=1)[0].tolist() == [[10]]
    assert mean_of_last(history, last=1)[1].tolist() == [[-1.0]]
    assert mean_of_last(np.full((1, 3, 1), MISSING))[0].tolist() == [[MISSING]]


def test_reference_days_are_of_the_same_class_and_a_holiday_is_a_sunday():
    friday, easter_monday = date(2026, 4, 3), date(2026, 4, 6)
    assert day_class(friday, frozenset()) is DayClass.WORKDAY
    holidays = frozenset({friday, easter_monday})
    assert day_class(friday, holidays) is DayClass.SUNDAY
    days = reference_days(date(2026, 4, 8), holidays, back=9)
    assert days == [date(2026, 4, 7), date(2026, 4, 2), date(2026, 4, 1), date(2026, 3, 31),
                    date(2026, 3, 30)]  # fmt: skip
    assert reference_days(friday, holidays, back=7) == [date(2026, 3, 29)]


def _past(first, until, wh_of):
    """A meter that takes ``wh_of(civil slot)`` from the first civil day to before the second."""
    start_s, end_s = day_bounds(first, BERLIN)[0], day_bounds(until, BERLIN)[0]
    at = starts(start_s, (end_s - start_s) // 900, 900)
    slot = [minute_of_day(int(s), BERLIN) // 15 for s in at.astype(np.int64)]
    values = np.array([[wh_of(one) for one in slot]])
    dims = ("meter", "interval")
    return xr.Dataset(
        {**dict.fromkeys(CHANNELS, (dims, values)),
         "quality": (dims, np.full(values.shape, Quality.VALID, np.uint16))},
        coords={"meter": ["E-17"], "interval": at},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("day", "intervals"),
    [(date(2026, 3, 29), 92), (date(2026, 4, 5), 96), (date(2026, 10, 25), 100)],
)
def test_days_of_92_96_and_100_intervals_are_laid_over_each_other_by_civil_time(day, intervals):
    past = _past(date.fromordinal(day.toordinal() - 36), day, lambda slot: 100 + slot)
    start_s, end_s = day_bounds(day, BERLIN)
    count = (end_s - start_s) // 900
    assert count == intervals
    like = like_days(past, start_s, count, interval_s=900, time_zone=BERLIN)
    values = like["import_wh"].values[0]
    assert values[0] == 100
    assert values[-1] == 195
    assert values[40] == 100 + 40 + {92: 4, 96: 0, 100: -4}[intervals]
    assert (like["import_sd_wh"].values == 0).all()


def test_like_days_leave_out_what_was_estimated_or_in_doubt():
    past = _past(date(2026, 5, 1), date(2026, 5, 15), lambda slot: 100)
    past["import_wh"].values[0, -96:] = 900
    past["quality"].values[0, -96:] = Quality.SUSPECT
    past["quality"].values[0, -192:-96] = Quality.SCALED
    start_s, _ = day_bounds(date(2026, 5, 15), BERLIN)
    like = like_days(past, start_s, 4, interval_s=900, time_zone=BERLIN)
    assert like["import_wh"].values.tolist() == [[100] * 4]


def test_the_shape_of_a_group_is_the_mean_of_those_that_are_trusted():
    energy = np.array([[10, 20], [30, MISSING], [7, 7], [MISSING, MISSING]])
    shape = group_shape(energy, energy >= 0, np.array([0, 0, 1, 2]))
    assert shape.tolist() == [[20, 20], [20, 20], [7, 7], [MISSING, MISSING]]


COUNT = 250


def _with_gaps(length, *, closed, like=True, seed=3):
    """A day of households with one gap each, what flowed, and what was estimated."""
    wh = households(COUNT, 29, seed)
    draw = np.random.default_rng(seed + length)
    today = wh[:, 28]
    registers_wh = cumulative(today)
    gap = np.zeros(today.shape, dtype=np.bool_)
    for row in range(COUNT):
        first = int(draw.integers(1, 95 - length))
        gap[row, first : first + length] = True
        registers_wh[row, first + 1 : first + length] = MISSING
        if not closed:
            # Another device from the end of the gap on, of which no first register is known.
            registers_wh[row, first + length :] -= registers_wh[row, first + length] - 5
    of = registers(registers_wh)
    # Day 28 is a Thursday: the three days before it and the Friday of the week before.
    mean, sd = mean_of_last(wh[:, [27, 26, 25, 22]])
    refer = reference(of, mean if like else None)
    if like:
        refer["import_sd_wh"] = (("meter", "interval"), sd)
    result, _ = run(of, refer, limit=10_000)
    return today, gap, result


@pytest.mark.parametrize("closed", [True, False], ids=["scaled", "open"])
@pytest.mark.parametrize("length", [2, 4, 8, 9, 12, 24, 40, 80])
def test_68_percent_of_what_flowed_lies_within_one_sigma(length, closed):
    today, gap, result = _with_gaps(length, closed=closed)
    quality = result["quality"].values[gap]
    estimated = {True: [Quality.SCALED]}.get(
        closed, [Quality.ESTIMATED_LINEAR if length <= 8 else Quality.ESTIMATED_LIKE_DAY]
    )
    assert np.isin(quality, estimated).all()
    error = abs(result["import_wh"].values - today)[gap]
    within = (error <= result["import_sd_wh"].values[gap]).mean()
    assert 0.60 <= within <= 0.76, within
    assert (result["import_sd_wh"].values[~gap] == 0).all()


@pytest.mark.parametrize("length", [12, 30])
def test_68_percent_lies_within_one_sigma_of_the_load_shape_of_the_group(length):
    today = households(COUNT, 1, 21)[:, 0]
    draw = np.random.default_rng(length)
    gap = np.zeros(today.shape, dtype=np.bool_)
    for row, first in enumerate(draw.integers(1, 95 - length, COUNT)):
        gap[row, first : first + length] = True
    none = np.full(today.shape, MISSING)
    shape = group_shape(today, ~gap, np.zeros(COUNT, dtype=np.int64))
    given = dict.fromkeys(CHANNELS, none)
    facts = Facts(
        captured=given | {"import_wh": np.where(gap, MISSING, today)},
        shape=given | {"import_wh": shape},
    )
    of = registers(np.full((COUNT, 97), MISSING))
    result, _ = run(of, limit=10_000, facts=facts)
    assert (result["quality"].values[gap] == Quality.ESTIMATED_LOAD_SHAPE).all()
    error = abs(result["import_wh"].values - today)[gap]
    within = (error <= result["import_sd_wh"].values[gap]).mean()
    assert 0.60 <= within <= 0.76, within


def test_68_percent_lies_within_one_sigma_of_a_share_of_the_feeders_rest():
    today = households(COUNT, 2, 31)
    average = today[:, 0].sum(axis=1)
    known = cumulative(today[:, 1])
    lost = np.arange(COUNT) % 5 == 0
    of = registers(known)
    for name in CHANNELS:
        of[name].values[lost] = MISSING
    net = today[:, 1].sum(axis=0)
    every = np.ones(COUNT, dtype=np.bool_)
    feeder = FeederHead("F-1", net, net * 0, np.ones(96, np.bool_), net * 0, every)
    facts = Facts(average_day_wh=average, feeder=feeder)
    result, _ = run(of, limit=10_000, facts=facts)
    values = result["import_wh"].values
    assert (result["quality"].values[lost] == Quality.ESTIMATED_FEEDER).all()
    assert np.array_equal(values.sum(axis=0), net)
    error = abs(values - today[:, 1])[lost]
    within = (error <= result["import_sd_wh"].values[lost]).mean()
    assert 0.60 <= within <= 0.76, within


def test_sigma_of_one_lost_register_between_two_reads_of_one_interval_is_zero():
    of = registers([[0, 10, 20, 30]])
    result, _ = run(of)
    assert (result["import_sd_wh"].values == 0).all()


def test_a_meter_that_was_not_read_at_all_has_the_sigma_of_its_reference_days():
    wh = households(COUNT, 29, 5)
    mean, sd = mean_of_last(wh[:, [27, 26, 25, 22]])
    of = registers(np.full((COUNT, 97), MISSING))
    refer = reference(of, mean)
    refer["import_sd_wh"] = (("meter", "interval"), sd)
    result, _ = run(of, refer, limit=10_000)
    error = abs(result["import_wh"].values - wh[:, 28])
    within = (error <= result["import_sd_wh"].values).mean()
    assert 0.60 <= within <= 0.76, within


def test_a_month_with_2_percent_missing_is_biased_by_half_a_percent_at_most():
    """Registers that stay lost: no estimate is scaled to a difference that tells the truth."""
    count, days = 300, 28 + 30
    wh = households(count, days, 11)
    draw = np.random.default_rng(12)
    true_wh = estimated_wh = month_wh = guessed_wh = 0
    for day in range(28, days):
        weekday = (day + 3) % 7
        alike = [
            one
            for one in range(day - 1, -1, -1)
            if ((one + 3) % 7 >= 5) == (weekday >= 5) and (weekday < 5 or (one + 3) % 7 == weekday)
        ][:4]
        mean, _ = mean_of_last(wh[:, alike])
        today = wh[:, day]
        missing = np.zeros(today.shape, dtype=np.bool_)
        for row in range(count):
            length = int(
                draw.choice([0, 0, 1, 2, 4, 8, 12], p=[0.3, 0.2, 0.2, 0.1, 0.1, 0.06, 0.04])
            )
            first = int(draw.integers(0, 97 - length))
            missing[row, first : first + length] = True
        none = np.full(today.shape, MISSING)
        captured = dict.fromkeys(CHANNELS, none)
        captured["import_wh"] = np.where(missing, MISSING, today)
        of = registers(np.full((count, 97), MISSING))
        result, _ = run(of, reference(of, mean), limit=10_000, facts=Facts(captured=captured))
        values = result["import_wh"].values
        assert np.array_equal(values[~missing], today[~missing])
        true_wh += today[missing].sum()
        estimated_wh += values[missing].sum()
        month_wh += today.sum()
        guessed_wh += values.sum()
    share = true_wh / month_wh
    assert 0.01 < share < 0.03
    assert abs(guessed_wh - month_wh) / month_wh <= 0.005
    # And of the estimated energy itself, of which the sample of 300 months tells 1 %.
    assert abs(estimated_wh - true_wh) / true_wh <= 0.02, estimated_wh / true_wh
