"""An interval is charged at the version and rate of the site's civil time."""

import numpy as np
import pytest

from grid.errors import BadInputError
from grid.interval import parse
from grid.site import Tariff, TariffRate
from trading.tariffs.clock import Segment, places, rate_at, segment_at

from .tariff_world import CHANGING, DAY, SPOT, TIMED, blocks

VIENNA, BAKU = "Europe/Vienna", "Asia/Baku"
TWO_RATES = Tariff(
    "t", "T", 0,
    rate=(TariffRate("day", blocks((0, 2)), hours=DAY), TariffRate("night", blocks((0, 1)))),
)  # fmt: skip


@pytest.mark.parametrize(
    ("instant", "zone", "rate"),
    [
        ("2026-05-29T05:45+04:00", BAKU, "night"),
        ("2026-05-29T06:00+04:00", BAKU, "day"),
        ("2026-05-29T21:45+04:00", BAKU, "day"),
        ("2026-05-29T22:00+04:00", BAKU, "night"),
        ("2026-05-30T06:00+04:00", BAKU, "night"),  # a Saturday
        ("2026-05-30T08:00+04:00", BAKU, "day"),
        ("2026-05-31T23:45+04:00", BAKU, "night"),  # a Sunday
        ("2026-06-01T06:00+04:00", BAKU, "day"),
        # On the last Sunday of March 02:00 is 03:00 in Vienna: 08:00 comes an hour earlier.
        ("2026-03-29T05:45Z", VIENNA, "night"),
        ("2026-03-29T06:00Z", VIENNA, "day"),
        ("2026-10-25T06:45Z", VIENNA, "night"),
        ("2026-10-25T07:00Z", VIENNA, "day"),
    ],
)
def test_the_rate_is_that_of_the_civil_time_and_the_kind_of_day(instant, zone, rate):
    assert segment_at(TWO_RATES, parse(instant), zone, {}) == Segment(0, rate)


def test_a_version_begins_with_the_first_instant_of_its_local_day():
    midnight = parse("2026-05-10T00:00+04:00")
    assert rate_at(CHANGING, midnight - 900, BAKU)[0] == 0
    assert rate_at(CHANGING, midnight, BAKU)[0] == 1
    assert rate_at(CHANGING, midnight, VIENNA)[0] == 0


@pytest.mark.parametrize(
    ("told", "price"), [(60_000, 80_000), (29_999, 50_000), (-500_000, 50_000), (290_000, 300_000)]
)
def test_a_dynamic_price_is_the_series_and_its_adder_between_floor_and_cap(told, price):
    at_night = parse("2026-05-29T23:00+04:00")
    assert segment_at(TIMED, at_night, BAKU, {"day_ahead": told}) == Segment(2, "spot", price)


def test_an_interval_without_a_price_is_named():
    with pytest.raises(BadInputError, match="timed 2026-05-29T19:00Z: series day_ahead has no"):
        segment_at(TIMED, parse("2026-05-29T23:00+04:00"), BAKU, {})


def test_a_day_before_the_first_version_is_refused():
    tariff = Tariff("t", "T", 0, blocks((0, 1)), valid_from=CHANGING.version[0].valid_from)
    with pytest.raises(BadInputError, match="t on 2026-05-09: its first version is of 2026-05-10"):
        rate_at(tariff, parse("2026-05-09T10:00Z"), BAKU)


def test_many_intervals_have_the_places_that_each_has():
    starts = np.arange(parse("2026-05-01T00:00+02:00"), parse("2026-06-01T00:00+02:00"), 900)
    columns, which = places(TIMED, starts, VIENNA)
    assert [(version, rate.id) for version, rate in columns] == [
        (0, "total"), (1, "day"), (1, "total"), (2, "day"), (2, "spot"),
    ]  # fmt: skip
    assert columns[4][1] is SPOT
    for start_s, place in zip(starts.tolist(), which.tolist(), strict=True):
        assert columns[place] == rate_at(TIMED, start_s, VIENNA)
