"""Forecasts on series small enough to reason about."""

import numpy as np
import pytest
import xarray as xr

from dispatch.forecast import QUANTILES, predict, scenarios, train
from dispatch.forecast.past import weekend
from grid.errors import BadInputError

DAY = 96
START_S = 1_776_643_200  # 2026-04-20T00:00Z, a Monday
GROUPS = ["load"] * 6 + ["solar"] * 3 + ["wind"]


def series(days, *, seed=3, start_s=START_S):
    """Loads with a daily shape and quiet weekends, clouded sun, persistent wind; in kW."""
    rng = np.random.default_rng(seed)
    count = days * DAY
    hour = np.arange(count) % DAY / 4
    working = 1.0 - 0.4 * weekend(start_s, count, 900, 0)
    shape = 0.3 + np.exp(-((hour - 8) ** 2) / 4) + 1.5 * np.exp(-((hour - 19) ** 2) / 6)
    load = [(1 + row) * shape * working * rng.gamma(20.0, 1 / 20, count) for row in range(6)]
    cloud = np.repeat(rng.uniform(0.3, 1.0, days * 4), DAY // 4)
    sun = np.clip(np.sin((hour - 6) / 12 * np.pi), 0, None) * cloud
    solar = [power * sun for power in (3.0, 5.0, 9.0)]
    gust = np.zeros(count)
    for at in range(1, count):
        gust[at] = 0.98 * gust[at - 1] + 0.2 * rng.standard_normal()
    power = np.array([*load, *solar, 10 / (1 + np.exp(-gust))])
    starts = (start_s + 900 * np.arange(count)).astype("datetime64[s]")
    names = [f"{group}-{row}" for row, group in enumerate(GROUPS)]
    return xr.Dataset(
        {"power_kw": (("series", "interval"), power)},
        coords={"series": names, "interval": starts, "group": ("series", GROUPS)},
    )


def days(dataset, first, last):
    return dataset.isel(interval=slice(first * DAY, last * DAY))


@pytest.fixture(scope="module")
def world():
    return series(32)


@pytest.fixture(scope="module")
def model(world):
    return train(days(world, 0, 28))


def start_of(day):
    return START_S + day * 86_400


def test_a_forecast_has_the_declared_dims_units_and_order(world, model):
    result = predict(model, days(world, 26, 28), start_of(28), 96)
    assert result["power_kw"].dims == ("quantile", "series", "interval")
    assert result["total_kw"].dims == ("quantile", "group", "interval")
    assert result["mean_kw"].dims == ("series", "interval")
    assert result["quantile"].values.tolist() == list(QUANTILES)
    assert result["group"].values.tolist() == ["load", "solar", "wind"]
    assert result["interval"].values[0] == np.datetime64(start_of(28), "s")
    for name in ("power_kw", "mean_kw", "total_kw", "total_mean_kw"):
        values = result[name].values
        assert result[name].attrs["units"] == "kW"
        assert np.isfinite(values).all()
        assert (values >= 0).all()
    assert (np.diff(result["power_kw"].values, axis=0) >= 0).all()
    assert (np.diff(result["total_kw"].values, axis=0) >= 0).all()


def test_the_series_of_a_group_add_up_to_its_total(world, model):
    result = predict(model, days(world, 26, 28), start_of(28), 96)
    for group in ("load", "solar", "wind"):
        rows = [item == group for item in GROUPS]
        parts = result["mean_kw"].values[rows].sum(axis=0)
        assert np.allclose(parts, result["total_mean_kw"].sel(group=group).values)


def test_the_interval_of_a_total_is_narrower_than_the_sum_of_the_intervals(world, model):
    result = predict(model, days(world, 26, 28), start_of(28), 96)
    rows = [item == "load" for item in GROUPS]
    width = np.diff(result["power_kw"].values[[0, 2]][:, rows], axis=0).sum()
    total = result["total_kw"].sel(group="load").values
    assert (total[2] - total[0]).sum() < 0.8 * width


def test_nothing_at_or_after_the_start_is_looked_at(world, model):
    start = start_of(29) + 5 * 900
    known = world.isel(interval=slice(27 * DAY, 29 * DAY + 5))
    later = world.isel(interval=slice(27 * DAY, 32 * DAY)).copy(deep=True)
    later["power_kw"].values[:, 2 * DAY + 5 :] = np.nan
    wild = later.copy(deep=True)
    wild["power_kw"].values[:, 2 * DAY + 5 :] = 1e6
    plain = predict(model, known, start, 200)
    assert predict(model, later, start, 200).identical(plain)
    assert predict(model, wild, start, 200).identical(plain)


def test_a_model_that_has_seen_the_future_is_refused(world, model):
    with pytest.raises(BadInputError, match="trained until"):
        predict(model, days(world, 25, 27), start_of(27), 96)


def test_what_happened_just_before_the_start_matters(world, model):
    recent = days(world, 26, 28).copy(deep=True)
    plain = predict(model, recent, start_of(28), 96)["total_mean_kw"]
    recent["power_kw"].values[:6, -8:] *= 3
    raised = predict(model, recent, start_of(28), 96)["total_mean_kw"]
    gain = (raised - plain).sel(group="load").values
    assert gain[0] > 0
    assert abs(gain[40]) < gain[0]


def test_the_night_has_no_sun_and_nothing_exceeds_the_envelope(world, model):
    result = predict(model, days(world, 26, 28), start_of(28), 96)
    sun = result["power_kw"].values[:, 6:9]
    assert (sun[:, :, :20] == 0).all()
    highest = days(world, 0, 28)["power_kw"].values[6:9].max(axis=1)
    assert (sun.max(axis=(0, 2)) <= 1.05 * highest + 1e-9).all()


def test_weekends_are_civil_and_quieter(world, model):
    assert weekend(0, 4, 86_400, 0).tolist() == [False, False, True, True]  # from a Thursday
    assert weekend(START_S - 3600, 1, 900, 0).all()
    assert not weekend(START_S - 3600, 1, 900, 4 * 3600).any()
    start = start_of(32)  # a Friday
    longer = predict(train(days(world, 4, 32)), days(world, 30, 32), start, 3 * DAY)
    load = longer["total_mean_kw"].sel(group="load").values.reshape(3, DAY).sum(axis=1)
    assert load[1] < 0.85 * load[0]
    assert load[2] < 0.85 * load[0]


def test_training_and_forecasting_twice_give_the_same(world, model):
    again = train(days(world, 0, 28))
    recent = days(world, 26, 28)
    assert predict(again, recent, start_of(28), 96).identical(
        predict(model, recent, start_of(28), 96)
    )


def test_the_order_of_recent_series_and_unknown_ones_do_not_matter(world, model):
    recent = days(world, 26, 28)
    shuffled = recent.isel(series=[3, 1, 9, 0, 2, 8, 7, 6, 5, 4])
    stranger = shuffled.isel(series=[0]).assign_coords(series=["stranger"])
    mixed = xr.concat([shuffled, stranger], "series")
    start = start_of(28)
    assert predict(model, mixed, start, 96).identical(predict(model, recent, start, 96))


def test_missing_powers_are_bridged_and_never_zero(world):
    holed = world.copy(deep=True)
    rng = np.random.default_rng(1)
    holed["power_kw"].values[rng.random(holed["power_kw"].shape) < 0.1] = np.nan
    holed["power_kw"].values[2, 20 * DAY :] = np.nan
    holed["power_kw"].values[4] = np.nan
    result = predict(train(days(holed, 0, 28)), days(holed, 26, 28), start_of(28), 96)
    assert np.isfinite(result["power_kw"].values).all()
    whole = world["power_kw"].values[2, 28 * DAY : 29 * DAY].mean()
    assert result["mean_kw"].values[2].mean() > 0.5 * whole


def test_a_short_history_repeats_the_day_before_with_wide_quantiles_and_says_so(world):
    model = train(days(world, 0, 3))
    result = predict(model, days(world, 1, 3), start_of(3), 96)
    assert "cold start" in result.attrs["method"]
    yesterday = days(world, 2, 3)["power_kw"].values
    assert np.allclose(result["mean_kw"].values[:6], yesterday[:6])
    low, middle, high = result["total_kw"].sel(group="load").values
    assert (high - middle).mean() > 0.5 * middle.mean()
    assert (low <= middle).all()


def test_without_any_history_the_forecast_is_zero_and_cold():
    empty = days(series(1), 0, 0)
    result = predict(train(empty), empty, 0, 8)
    assert "cold start" in result.attrs["method"]
    assert (result["mean_kw"].values == 0).all()


def test_a_kind_stands_for_a_group_where_none_is_given(world):
    loads = days(world, 0, 28).isel(series=slice(0, 6)).drop_vars("group")
    result = predict(
        train(loads, kind="load"), loads.isel(interval=slice(-192, None)), start_of(28), 4
    )
    assert result["group"].values.tolist() == ["load"]
    with pytest.raises(BadInputError, match="needs a kind"):
        train(loads)
    with pytest.raises(BadInputError, match="none of"):
        train(loads, kind="tide")


def test_uneven_infinite_and_misaligned_series_are_refused(world, model):
    with pytest.raises(BadInputError, match="not contiguous"):
        train(days(world, 0, 28).isel(interval=[0, 1, 3]))
    infinite = days(world, 26, 28).copy(deep=True)
    infinite["power_kw"].values[1, 5] = np.inf
    with pytest.raises(BadInputError, match="load-1 is inf at step 5"):
        predict(model, infinite, start_of(28), 4)
    with pytest.raises(BadInputError, match="does not fit"):
        predict(model, days(world, 26, 28), start_of(28) + 60, 4)


def test_eighty_of_a_hundred_values_lie_between_the_outer_quantiles():
    world = series(40, seed=11)
    inside = []
    for day in range(30, 39):
        result = predict(
            train(days(world, day - 28, day)), days(world, day - 2, day), start_of(day), 96
        )
        low, _, high = result["power_kw"].values[:, :6]
        truth = days(world, day, day + 1)["power_kw"].values[:6]
        inside.append(((low <= truth) & (truth <= high)).mean())
    assert 0.7 < np.mean(inside) < 0.9


@pytest.mark.parametrize("change", ["nan", "shuffle", "huge"])
def test_whatever_comes_after_an_origin_changes_no_bit_of_training_forecast_or_scenarios(
    world, change
):
    origin = 29 * DAY + 13
    other = world.copy(deep=True)
    later = other["power_kw"].values[:, origin:]
    if change == "nan":
        later[:] = np.nan
    elif change == "shuffle":
        np.random.default_rng(1).shuffle(later, axis=1)
    else:
        later[:] = 1e9
    made = []
    for one in (world, other):
        model = train(days(one, 1, 29))
        start = start_of(29) + 13 * 900
        ahead = predict(model, one.isel(interval=slice(26 * DAY, None)), start, 2 * DAY)
        made.append((ahead, *scenarios(model, ahead, count=20, keep=4, seed=1)))
    assert made[0][0].identical(made[1][0])
    assert np.array_equal(made[0][1], made[1][1])
    assert all(np.array_equal(made[0][2][name], made[1][2][name]) for name in made[0][2])


@pytest.mark.parametrize("hours", [6, 24, 100])
def test_hours_of_history_give_a_forecast_that_says_so_and_holds_eighty_of_a_hundred(world, hours):
    inside = []
    rating = ("series", [60.0] * 6 + [3.0, 5.0, 9.0, 10.0])
    for day in range(8, 28):
        at = day * DAY + day % 4 * 24
        known = world.isel(interval=slice(at - hours * 4, at)).assign_coords(rating_kw=rating)
        result = predict(train(known), known, START_S + at * 900, DAY)
        assert f"cold start after {hours} h" in result.attrs["method"]
        low, middle, high = result["power_kw"].values
        truth = world["power_kw"].values[:, at : at + DAY]
        assert (low <= middle).all()
        assert (middle <= high).all()
        inside.append((low <= truth) & (truth <= high))
    assert np.mean(inside) >= 0.8


def test_estimated_readings_say_less_and_worthless_ones_nothing(world):
    """A fortnight of three times the load, marked as estimated, hardly moves the forecast."""
    wrong = days(world, 0, 28).copy(deep=True)
    at = slice(10 * DAY, 20 * DAY)
    wrong["power_kw"].values[:6, at] *= np.random.default_rng(1).uniform(0, 6, (6, 10 * DAY))
    weight = np.ones(wrong["power_kw"].shape)
    recent, start = days(world, 26, 28), start_of(28)
    truth = days(world, 28, 29)["power_kw"].values[:6]
    missed, width = [], []
    for trust in (1.0, 0.25, 0.0):
        weight[:6, at] = trust
        given = wrong.assign(weight=(("series", "interval"), weight.copy()))
        ahead = predict(train(given), recent, start, DAY)
        missed.append(np.abs(ahead["mean_kw"].values[:6] - truth).mean())
        width.append(np.diff(ahead["power_kw"].values[[0, 2], :6], axis=0).mean())
    assert missed[2] < missed[1] < missed[0]
    assert width[2] < width[1] < width[0]


def test_weights_and_ratings_that_cannot_be_are_refused(world):
    past = days(world, 0, 28)
    heavy = past.assign(weight=(("series", "interval"), np.full(past["power_kw"].shape, 1.5)))
    with pytest.raises(BadInputError, match="weight is 1.5"):
        train(heavy)
    with pytest.raises(BadInputError, match="rating_kw of load-0 is -1.0"):
        train(past.assign_coords(rating_kw=("series", [-1.0] * 10)))


def test_nothing_exceeds_its_rating(world):
    rated = days(world, 0, 28).assign_coords(rating_kw=("series", [1.0] * 10))
    result = predict(train(rated), days(world, 26, 28), start_of(28), DAY)
    assert result["power_kw"].values.max() <= 1.0
    assert result["mean_kw"].values.max() <= 1.0
