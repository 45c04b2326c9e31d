"""Weather files, and forecasts that weather makes better and never wiser than their time."""

from __future__ import annotations

import numpy as np
import pytest

from dispatch.forecast import physical, predict, train
from dispatch.forecast.outlook import Outside
from dispatch.forecast.skill import by_group, skill
from dispatch.forecast.weather import by_issue, instants_of, joined, parse_weather
from grid.errors import BadInputError
from tests.dispatch.weather_world import (
    BAKU,
    DAY,
    PLANTS,
    START_S,
    World,
    forecasts,
    outside,
    world,
)

HEAD = "issued_at,time,ghi_w_per_m2,temperature_celsius,wind_10m_m_per_s\n"
LINE = "2026-06-01T00:00Z,2026-06-01T10:00Z,700,21.5,4\n"
NEXT = "2026-06-01T00:00Z,2026-06-01T11:00Z,800,,4\n"


@pytest.fixture(scope="module")
def lived() -> World:
    return world(40)


@pytest.fixture(scope="module")
def foretold(lived: World) -> bytes:
    return forecasts(lived)


def test_a_file_becomes_records_with_units_and_gaps() -> None:
    found = parse_weather((HEAD + NEXT + "\n" + LINE).encode())
    assert found["ghi_w_per_m2"].values.tolist() == [700.0, 800.0]
    assert found["ghi_w_per_m2"].attrs == {"units": "W/m2"}
    assert np.isnan(found["temperature_celsius"].values[1])
    assert np.isnan(found["dni_w_per_m2"].values).all()
    assert found["wind_height_m"].values.tolist() == [10.0, 10.0]
    assert found["length_s"].values.tolist() == [3600, 3600]
    assert found["interval"].values[0] == np.datetime64("2026-06-01T10:00", "s")
    assert found["issued"].values[0] == np.datetime64("2026-06-01T00:00", "s")


def test_local_offsets_are_utc_and_quarters_are_told_from_hours() -> None:
    text = "time,ghi_w_per_m2\n2026-06-01T14:00+04:00,1\n2026-06-01T14:15+04:00,2\n"
    found = parse_weather(text.encode(), issued_s=0)
    assert found["interval"].values[0] == np.datetime64("2026-06-01T10:00", "s")
    assert found["length_s"].values.tolist() == [900, 900]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "needs a line of column names"),
        (HEAD, "needs a line of column names"),
        ("time,ghi_w_per_m2\n2026-06-01T10:00Z,1\n", ":1: has no column issued_at"),
        (HEAD.replace("ghi", "gih") + LINE, ":1: unknown column 'gih_w_per_m2'"),
        (HEAD.replace("ghi", "dni").replace("temperature_celsius", "dni_w_per_m2") + LINE, "twice"),
        (HEAD.replace("wind_10m", "wind_900m") + LINE, "must be of 1 to 300 m"),
        (HEAD + LINE.replace("700", "7000"), ":2: ghi_w_per_m2: is 7000, must be within 0 to 1600"),
        (HEAD + LINE.replace("700", "nan"), ":2: ghi_w_per_m2: is nan, must be within"),
        (HEAD + LINE.replace("700", "7OO"), ":2: ghi_w_per_m2: '7OO' is not a number"),
        (HEAD + LINE + NEXT.replace("T11:00Z", "T11:00"), ":3: time: '2026-06-01T11:00' has no"),
        (HEAD + LINE + NEXT.replace("T11:00Z", "T10:10Z"), "intervals are 600 s long"),
        (HEAD + LINE + NEXT.replace("T11:00Z", "T11:07Z"), ":3: 2026-06-01T11:07Z is not on a"),
        (HEAD + LINE + LINE, ":3: 2026-06-01T10:00Z stands twice in its issue"),
        (HEAD + LINE + "2026-06-01T00:00Z,1\n", ":3: has 2 cells, the header 5"),
        (HEAD + '"' + LINE, ":2: "),
    ],
)
def test_what_cannot_be_is_told_with_line_and_column(text: str, message: str) -> None:
    with pytest.raises(BadInputError) as caught:
        parse_weather(text.encode(), "weather.csv")
    assert message in str(caught.value)
    assert str(caught.value).startswith("weather.csv:")


def test_issues_part_and_join(foretold: bytes) -> None:
    whole = parse_weather(foretold)
    parts = by_issue(whole)
    assert len(parts) == 40 * 4
    again = joined(list(parts.values())[::-1])
    assert again is not None
    assert again.identical(whole)
    assert joined([]) is None


def test_weather_lowers_the_errors_of_sun_wind_and_a_heated_house(
    lived: World, foretold: bytes
) -> None:
    plain = by_group(skill(lived.power, days=2))
    better = by_group(skill(lived.power, days=2, outside=outside(foretold)))
    for past, one in zip(plain, better, strict=True):
        assert one["mae_ratio"] < 0.6 * past["mae_ratio"], one["group"]
        assert one["pinball_ratio"] < 0.6 * past["pinball_ratio"], one["group"]


def test_weather_issued_later_changes_no_bit_of_training_or_forecast(
    lived: World, foretold: bytes
) -> None:
    """Later issues are shuffled and doubled and tell of hours before, or are gone."""
    origin = 30 * DAY + 22
    at_s = START_S + 900 * origin
    whole = parse_weather(foretold)
    later = instants_of(whole, "issued") > at_s
    shuffled = whole.copy(deep=True)
    order = np.random.default_rng(1).permutation(np.flatnonzero(later))
    for name in ("ghi_w_per_m2", "temperature_celsius", "wind_m_per_s"):
        shuffled[name].values[later] = 2 * whole[name].values[order]
    before = shuffled.isel(record=np.flatnonzero(later))
    before["interval"] = before["interval"] - np.timedelta64(43_200, "s")
    shuffled = joined([shuffled, before])
    plants = lived.power.isel(series=[1, 2, 3])
    made = []
    for weather in (whole, shuffled, whole.isel(record=np.flatnonzero(~later))):
        told = Outside(BAKU, PLANTS, weather)
        model = train(plants.isel(interval=slice(2 * DAY, 30 * DAY)), outside=told)
        recent = plants.isel(interval=slice(27 * DAY, origin))
        made.append(predict(model, recent, at_s, 150, weather=weather))
    assert "by the weather issued 2026-05-20T00:00Z" in made[0].attrs["method"]
    assert made[1].identical(made[0])
    assert made[2].identical(made[0])


def test_the_issue_that_came_last_is_the_one_that_counts(lived: World, foretold: bytes) -> None:
    """At noon the forecast of six o'clock is replaced by one without any sun."""
    plants = lived.power.isel(series=[1, 2])
    told = outside(foretold)
    model = train(plants.isel(interval=slice(2 * DAY, 30 * DAY)), outside=told)
    at_s = START_S + 30 * 86_400 + 6 * 3600
    recent = plants.isel(interval=slice(27 * DAY, 30 * DAY + 24))
    weather = told.weather
    assert weather is not None
    dull = weather.copy(deep=True)
    dull["ghi_w_per_m2"].values[instants_of(weather, "issued") == at_s] = 0.0
    fine = predict(model, recent, at_s, DAY, weather=weather)["mean_kw"].sum()
    assert predict(model, recent, at_s, DAY, weather=dull)["mean_kw"].sum() < 0.3 * fine


def test_without_weather_a_model_that_knows_some_forecasts_as_one_that_does_not(
    lived: World, foretold: bytes
) -> None:
    plants = lived.power.isel(series=[1, 2, 3])
    past, recent = (plants.isel(interval=slice(a * DAY, 30 * DAY)) for a in (2, 27))
    start_s = START_S + 30 * 86_400
    knows = predict(train(past, outside=outside(foretold)), recent, start_s, DAY)
    assert knows.identical(predict(train(past), recent, start_s, DAY))
    # Weather that ends is taken as far as it goes.
    model = train(past, outside=outside(foretold))
    weather = parse_weather(foretold)
    short = weather.isel(
        record=np.flatnonzero(instants_of(weather, "interval") < start_s + 6 * 3600)
    )
    part = predict(model, recent, start_s, DAY, weather=short)
    assert np.array_equal(part["mean_kw"].values[:, 24:], knows["mean_kw"].values[:, 24:])
    assert not np.array_equal(part["mean_kw"].values[:, :24], knows["mean_kw"].values[:, :24])


def test_the_series_of_a_group_add_up_and_the_night_is_dark(lived: World, foretold: bytes) -> None:
    plants = lived.power.isel(series=[1, 2, 3])
    model = train(plants.isel(interval=slice(2 * DAY, 30 * DAY)), outside=outside(foretold))
    recent = plants.isel(interval=slice(27 * DAY, 30 * DAY))
    ahead = predict(model, recent, START_S + 30 * 86_400, DAY, weather=parse_weather(foretold))
    total = ahead["total_mean_kw"].sel(group="solar").values
    assert np.allclose(ahead["mean_kw"].values[:2].sum(axis=0), total)
    assert (np.diff(ahead["power_kw"].values, axis=0) >= 0).all()
    night = slice(4 * 18, 4 * 23)  # 22:00 to 03:00 in Baku
    assert (ahead["power_kw"].values[:, :2, night] == 0).all()


def test_after_dull_weeks_a_fine_day_is_foretold(lived: World, foretold: bytes) -> None:
    """The highest of weeks that gave a third of it does not cut a fine day off."""
    dull = lived.power.isel(series=[1], interval=slice(0, 30 * DAY)).copy(deep=True)
    weather = parse_weather(foretold)
    ghi = weather["ghi_w_per_m2"]
    ghi.values[:] = np.where(instants_of(weather, "interval") < START_S + 30 * 86_400, 0.25, 1)
    middle_s = instants_of(weather, "interval") + 1800
    ghi.values[:] = ghi.values * physical.clear_ghi(physical.sun(BAKU, middle_s))
    told = Outside(BAKU, PLANTS, weather)
    dull["power_kw"].values[:] = np.minimum(dull["power_kw"].values, 2.0)
    model = train(dull.isel(interval=slice(2 * DAY, None)), outside=told)
    recent = dull.isel(interval=slice(27 * DAY, None))
    ahead = predict(model, recent, START_S + 30 * 86_400, DAY, weather=weather)
    assert float(ahead["mean_kw"].max()) > 4.0


def test_a_plant_without_a_past_is_forecast_by_physics_and_says_so(
    lived: World, foretold: bytes
) -> None:
    plants = lived.power.isel(series=[1, 2]).assign_coords(rating_kw=("series", [8.0, 5.0]))
    told, weather = outside(foretold), parse_weather(foretold)
    start_s = START_S + 31 * 86_400
    none = plants.isel(interval=slice(31 * DAY, 31 * DAY))
    model = train(plants.isel(interval=slice(30 * DAY, 31 * DAY - 80)), outside=told)
    ahead = predict(model, none, start_s, DAY, weather=weather)
    assert "cold start after 4 h" in ahead.attrs["method"]
    assert "by the weather issued" in ahead.attrs["method"]
    truth = plants["power_kw"].values[:, 31 * DAY : 32 * DAY]
    missed = np.abs(ahead["mean_kw"].values - truth).mean()
    assert missed < 0.5 * truth.mean()
    assert (ahead["power_kw"].values[2][:, 4 * 18 : 4 * 23] == 0).all()
    low, _, high = ahead["power_kw"].values
    assert ((low <= truth) & (truth <= high)).mean() > 0.8


def test_weather_of_longer_steps_than_the_model_is_refused(lived: World, foretold: bytes) -> None:
    weather = parse_weather(foretold)
    odd = weather.assign_coords(length_s=("record", np.full(weather.sizes["record"], 1000)))
    plants = lived.power.isel(series=[1, 2], interval=slice(0, 20 * DAY))
    told = Outside(BAKU, PLANTS, odd)
    with pytest.raises(BadInputError, match="no multiple of 900 s"):
        train(plants, outside=told)
