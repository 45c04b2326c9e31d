"""Skill on a year of a real feeder, against repeating the day before."""

import numpy as np
import pytest
import xarray as xr

from dispatch.forecast import predict, train
from networks.sources.demo import load_year

DAY = 96
MID_MAY = 134
ORIGINS = (0, 32, 56)


@pytest.fixture(scope="module")
def feeder():
    year = load_year("simbench:1-LV-rural2--2-sw")
    parts = {
        "load": year["load_kw"].values.T,
        "solar": year["solar_kw"].values.T,
        "wind": 50 * year["wind_per_unit"].values.T,
    }
    group = [name for name, rows in parts.items() for _ in rows]
    return xr.Dataset(
        {"power_kw": (("series", "interval"), np.concatenate(list(parts.values())))},
        coords={
            "series": [f"{name}-{row}" for row, name in enumerate(group)],
            "interval": year["interval"].values,
            "group": ("series", group),
        },
    )


@pytest.fixture(scope="module")
def errors(feeder):
    """Mean absolute errors of totals, ours and of the day before, and the share inside."""
    power, group = feeder["power_kw"].values, feeder["group"].values
    first = feeder["interval"].values[0].astype("datetime64[s]").astype(np.int64)
    rows = {}
    for day in range(MID_MAY - 3, MID_MAY + 4):
        past = slice((day - 28) * DAY, day * DAY)
        model = train(feeder.isel(interval=past), utc_offset_s=7200)
        for hour in ORIGINS:
            at = day * DAY + hour
            recent = feeder.isel(interval=slice(at - 2 * DAY, at))
            result = predict(model, recent, int(first) + at * 900, DAY)
            for name in result["group"].values:
                truth = power[group == name, at : at + DAY].sum(axis=0)
                naive = power[group == name, at - DAY : at].sum(axis=0)
                mean = result["total_mean_kw"].sel(group=name).values
                low, _, high = result["total_kw"].sel(group=name).values
                lit = high > 0.01
                rows.setdefault(str(name), []).append(
                    [
                        np.abs(mean - truth).mean(),
                        np.abs(naive - truth).mean(),
                        np.abs(mean - truth)[:16].mean(),
                        np.abs(naive - truth)[:16].mean(),
                        ((low <= truth) & (truth <= high))[lit].mean(),
                    ]
                )
    return {name: np.mean(values, axis=0) for name, values in rows.items()}


@pytest.mark.parametrize(("group", "day", "hours"), [("load", 0.92, 0.95), ("wind", 0.9, 0.7)])
def test_the_day_ahead_and_the_next_hours_beat_the_day_before(errors, group, day, hours):
    ours, naive, ours_soon, naive_soon, _ = errors[group]
    assert ours < day * naive
    assert ours_soon < hours * naive_soon


def test_the_sun_is_no_worse_a_day_ahead_and_better_in_the_next_hours(errors):
    ours, naive, ours_soon, naive_soon, _ = errors["solar"]
    assert ours < 1.02 * naive
    assert ours_soon < 0.95 * naive_soon


@pytest.mark.parametrize("group", ["load", "solar", "wind"])
def test_quantiles_of_totals_hold_about_eighty_percent(errors, group):
    assert 0.65 < errors[group][4] < 0.95
