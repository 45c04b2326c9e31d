"""A leak is found in time and with its size, and households that only live are left alone."""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr

from grid import interval
from grid.errors import BadInputError, Severity
from meters.leaks import HOUSEHOLD, LeakLimits, find_leaks
from meters.reading import MISSING
from meters.simulator.households import month

ZONE = "Asia/Baku"
START_S = interval.parse("2026-06-01T00:00+04:00")
Ints = npt.NDArray[np.int64]


def _volumes(litres: Ints, start_s: int = START_S) -> xr.DataArray:
    return xr.DataArray(
        litres,
        dims=("usage_point", "interval"),
        coords={
            "usage_point": [f"W-{n}" for n in range(len(litres))],
            "interval": interval.starts(start_s, litres.shape[1], 900),
        },
    )


def _codes(litres: Ints, limits: LeakLimits = HOUSEHOLD, zone: str = ZONE) -> list[str]:
    groups = ["household"] * len(litres)
    found = find_leaks(_volumes(litres), {"household": limits}, groups, time_zone=zone)
    return [one.code for one in found]


def _households(seed: int, count: int) -> Ints:
    draw = np.random.default_rng(seed)
    return np.stack([month(draw) for _ in range(count)])


def _leaking(litres: Ints, litres_an_hour: float) -> Ints:
    """Add a leak to what a register of whole litres has counted."""
    total = np.cumsum(litres + litres_an_hour / 4, axis=1)
    return np.diff(np.floor(total), axis=1, prepend=0).astype(np.int64)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_thousand_months_of_households_raise_at_most_one_false_finding(seed: int) -> None:
    litres = _households(seed, 1000)
    # They are no straw men: they use water at night, and some of them through the day.
    assert 250 < litres.sum() / 30 / 1000 < 450
    assert (litres.reshape(1000, 30, 96)[:, :, 4:20].sum(axis=(1, 2)) > 0).mean() > 0.95
    assert len(_codes(litres)) <= 1


@pytest.mark.parametrize(
    ("litres_an_hour", "codes"), [(1, {"leak.slow"}), (5, {"leak.continuous", "leak.night"})]
)
def test_a_leak_is_found_in_every_household_that_has_it(
    litres_an_hour: float, codes: set[str]
) -> None:
    count = 200
    found = Counter(_codes(_leaking(_households(4, count), litres_an_hour)))
    assert {code: found[code] for code in codes} == dict.fromkeys(codes, count)


def test_a_leak_tells_since_when_and_how_much_it_loses() -> None:
    litres = np.zeros((1, 96 * 4), np.int64)
    litres[0, 100:] = 3
    (one, _) = find_leaks(_volumes(litres), {"h": HOUSEHOLD}, ["h"], time_zone=ZONE)
    since = interval.label(START_S + 900 * 100)
    assert (one.code, one.interval, one.severity) == ("leak.continuous", since, Severity.WARNING)
    hours = (96 * 4 - 100) // 4
    assert one.message == (
        f"W-0 {since} flowed without a pause for {hours} h, limit is 24 h: "
        "at least 12 l/h, 288 l a day"
    )


def test_a_flow_of_exactly_the_limit_is_found_and_one_interval_less_is_not() -> None:
    litres = np.zeros((2, 96 * 3), np.int64)
    litres[0, 20 : 20 + 96] = 1
    litres[1, 20 : 20 + 95] = 1
    limits = LeakLimits(slow_h=0, nights=0)
    found = find_leaks(_volumes(litres), {"h": limits}, ["h", "h"], time_zone=ZONE)
    assert [one.subject for one in found] == ["W-0"]


def test_missing_intervals_neither_stop_a_flow_nor_prove_it() -> None:
    litres = np.ones((3, 96 * 2), np.int64)
    litres[1, 10:20] = MISSING
    litres[2, ::2] = MISSING
    limits = LeakLimits(slow_h=0, nights=0)
    found = find_leaks(_volumes(litres), {"h": limits}, ["h"] * 3, time_zone=ZONE)
    assert [one.subject for one in found] == ["W-0", "W-1"]
    assert _codes(np.full((1, 96 * 30), MISSING, np.int64)) == []


def test_a_flow_on_nights_alone_is_found_by_the_night_rule() -> None:
    litres = np.zeros((1, 96 * 5), np.int64)
    for night in range(3):
        litres[0, 96 * night + 4 : 96 * night + 20] = 2
    (one,) = find_leaks(_volumes(litres), {"h": HOUSEHOLD}, ["h"], time_zone=ZONE)
    assert one.code == "leak.night"
    assert "on 3 nights in a row, limit is 4 l/h: at least 8 l/h" in one.message
    litres[0, 96 + 8] = 0
    assert _codes(litres) == []


def test_a_night_of_23_or_25_hours_days_is_skipped_and_nothing_breaks() -> None:
    zone = "Europe/Berlin"
    for day in ("2026-03-29", "2026-10-25"):
        start_s, _ = interval.day_bounds(interval.parse_date(day), zone)
        litres = np.zeros((1, 96 * 4), np.int64)
        volumes = _volumes(litres + 2, start_s)
        limits = LeakLimits(continuous_h=0, slow_h=0, nights=3)
        found = find_leaks(volumes, {"h": limits}, ["h"], time_zone=zone)
        (one,) = found
        # The night of the change has another length: the three after it count.
        assert one.interval > interval.label(start_s + 20 * 3600)


def test_a_burst_is_an_alarm_at_exactly_its_limit() -> None:
    litres = np.zeros((2, 96), np.int64)
    litres[0, 40:42] = 700
    litres[1, 40:43] = [700, 699, 700]
    (one,) = find_leaks(_volumes(litres), {"h": HOUSEHOLD}, ["h", "h"], time_zone=ZONE)
    assert (one.code, one.subject, one.severity) == ("leak.burst", "W-0", Severity.ALARM)
    assert "used 700 l or more in 2 intervals in a row, limit is 700 l" in one.message


def test_each_group_has_its_own_limits() -> None:
    litres = np.full((2, 96 * 8), 50, np.int64)
    limits = {"household": HOUSEHOLD, "laundry": LeakLimits(continuous_h=0, slow_h=0, nights=0)}
    found = find_leaks(_volumes(litres), limits, ["laundry", "household"], time_zone=ZONE)
    assert {one.subject for one in found} == {"W-1"}
    with pytest.raises(BadInputError, match="group 'hotel' has no leak limits"):
        find_leaks(_volumes(litres), limits, ["laundry", "hotel"], time_zone=ZONE)
    with pytest.raises(BadInputError, match="continuous_h is 12, must be within 24"):
        LeakLimits(continuous_h=12)
