"""Skill on SimBench's year of measured profiles, against repeating the day before."""

import numpy as np
import pytest
import xarray as xr

from dispatch.forecast.skill import by_group, skill
from grid.errors import BadInputError
from networks.sources.profiles import load_profiles

LOADS = ("H0-A", "H0-B", "G1-A", "G4-A", "L0-A", "L2-A")
PLANTS = ("PV1", "PV4", "PV7", "WP2", "WP4", "WP10")
WANTED = {"load": (0.80, 0.70), "solar": (0.95, 0.80), "wind": (0.95, 0.80)}
DAY = 96


@pytest.fixture(scope="module")
def year():
    return load_profiles((*LOADS, *PLANTS))


@pytest.fixture(scope="module")
def found(year):
    """Loads on some days; plants, whose days of weather are one sample each, on more."""
    loads, plants = year.isel(series=slice(0, 6)), year.isel(series=slice(6, 12))
    return xr.concat([skill(loads, days=16), skill(plants, days=100)], "series")


@pytest.mark.parametrize("group", sorted(WANTED))
def test_a_day_ahead_beats_the_day_before_by_what_is_wanted(found, group):
    (one,) = (row for row in by_group(found) if row["group"] == group)
    mae, pinball = WANTED[group]
    assert one["mae_ratio"] <= mae
    assert one["pinball_ratio"] <= pinball


def test_of_loads_each_quantile_holds_what_it_states_within_three_points(found):
    (load,) = (row for row in by_group(found) if row["group"] == "load")
    assert np.abs(np.array(load["coverage"]) - [0.1, 0.5, 0.9]).max() <= 0.03


def test_of_sun_and_wind_a_hundred_days_hold_it_nearly(found):
    """A day of weather is one sample; 306 days by the command hold it within 2.1 points."""
    for row in by_group(found):
        assert np.abs(np.array(row["coverage"]) - [0.1, 0.5, 0.9]).max() <= 0.05


def test_quantiles_of_the_day_before_with_its_own_errors_are_beaten_too(found):
    load = found.isel(series=found["group"].values == "load")
    assert load["pinball_kw"].sum() < 0.85 * load["spread_pinball_kw"].sum()


def test_what_comes_after_the_last_forecast_changes_nothing(year):
    short = year.isel(interval=slice(0, 40 * DAY))
    changed = short.copy(deep=True)
    plain = skill(short, days=1)
    # One origin, at the end of the window: its truth ends a day later.
    changed["power_kw"].values[:, 29 * DAY :] = np.nan
    assert skill(changed, days=1).identical(plain)


def test_zeros_on_both_sides_of_a_quantile_count_as_held(year):
    dark = year.isel(interval=slice(0, 34 * DAY)).copy(deep=True)
    dark["power_kw"].values[6:9, 28 * DAY :] = 0.0
    low = skill(dark, days=3).isel(series=slice(6, 9))
    assert (low["below"].values <= low["coverage"].values).all()
    assert (low["coverage"].values <= low["up_to"].values).all()


def test_a_past_that_is_too_short_is_refused(year):
    with pytest.raises(BadInputError, match="needs a day more"):
        skill(year.isel(interval=slice(0, 28 * DAY)), days=3)


def test_an_unknown_profile_is_named():
    with pytest.raises(BadInputError, match="'H9-Z' is none of SimBench's"):
        load_profiles(("H9-Z",))
