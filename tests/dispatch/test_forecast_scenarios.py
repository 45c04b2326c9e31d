"""Scenarios: calibrated one by one, joint together, within what can be."""

import numpy as np
import pytest

from dispatch.forecast import predict, scenarios, train
from dispatch.forecast.scenarios import reduce
from grid.errors import BadInputError
from tests.dispatch.test_forecast import DAY, days, series, start_of


@pytest.fixture(scope="module")
def world():
    return series(34)


@pytest.fixture(scope="module")
def model(world):
    return train(days(world, 0, 28))


@pytest.fixture(scope="module")
def ahead(world, model):
    return predict(model, days(world, 25, 28), start_of(28), 2 * DAY)


def test_the_share_below_each_quantile_is_that_quantile(model, ahead):
    probability, drawn = scenarios(model, ahead, count=200, keep=200, seed=1)
    assert probability.sum() == pytest.approx(1.0)
    for row, name in enumerate(model.series[:6]):
        below = drawn[name][:, None] < ahead["power_kw"].values[:, row]
        assert np.abs(below.mean(axis=(0, 2)) - [0.1, 0.5, 0.9]).max() < 0.03


def test_the_same_seed_gives_the_same_and_another_seed_others(model, ahead):
    first, again, other = (
        scenarios(model, ahead, count=40, keep=8, seed=seed) for seed in (1, 1, 2)
    )
    assert np.array_equal(first[0], again[0])
    assert all(np.array_equal(first[1][name], again[1][name]) for name in model.series)
    assert any(not np.array_equal(first[1][name], other[1][name]) for name in model.series)


def test_the_night_stays_dark_and_nothing_exceeds_its_rating(model, ahead):
    limit = {"solar-6": 2.0, "load-1": 0.5}
    _, drawn = scenarios(model, ahead, count=60, keep=60, seed=3, limit_kw=limit)
    for name, power in drawn.items():
        assert np.isfinite(power).all()
        assert (power >= 0).all()
        if name.startswith("solar"):
            assert (power[:, :20] == 0).all()
    assert drawn["solar-6"].max() <= 2.0
    assert drawn["load-1"].max() <= 0.5


def test_plants_under_one_sky_rise_and_fall_together_and_loads_apart(model, ahead):
    _, drawn = scenarios(model, ahead, count=100, keep=100, seed=1)
    noon = 48
    sun = np.corrcoef(drawn["solar-6"][:, noon], drawn["solar-7"][:, noon])[0, 1]
    load = np.corrcoef(drawn["load-0"][:, noon], drawn["load-1"][:, noon])[0, 1]
    assert sun > 0.9
    assert abs(load) < 0.4


def test_an_error_lasts_as_it_lasted(model, ahead):
    _, drawn = scenarios(model, ahead, count=100, keep=100, seed=1)
    wind = drawn["wind-9"]
    assert np.corrcoef(wind[:, 40], wind[:, 44])[0, 1] > 0.5


def test_what_is_left_out_gives_its_probability_to_the_nearest():
    points = np.array([[0.0], [0.1], [0.2], [10.0], [10.1]])
    chosen, probability = reduce(points, 2)
    assert chosen.tolist() == [2, 3]
    assert probability.tolist() == pytest.approx([0.6, 0.4])
    chosen, probability = reduce(np.zeros((4, 1)), 4)
    assert chosen.tolist() == [0, 1, 2, 3]
    assert probability.tolist() == [0.25] * 4


def test_few_keep_the_mean_of_many(model, ahead):
    _, many = scenarios(model, ahead, count=100, keep=100, seed=1)
    probability, few = scenarios(model, ahead, count=100, keep=10, seed=1)
    assert probability.shape == (10,)
    total = sum(power.mean() for power in many.values())
    reduced = sum((probability @ power).mean() for power in few.values())
    assert reduced == pytest.approx(total, rel=0.08)


def test_without_trailing_days_scenarios_span_the_stated_quantiles(world):
    cold = train(days(world, 0, 2))
    ahead = predict(cold, days(world, 0, 2), start_of(2), DAY)
    probability, drawn = scenarios(cold, ahead, count=20, keep=5, seed=1)
    assert probability.sum() == pytest.approx(1.0)
    low, _, high = ahead["power_kw"].values[:, 0]
    assert (drawn["load-0"].min(axis=0) <= low + 0.3 * (high - low)).all()
    assert (drawn["load-0"].max(axis=0) >= high - 0.3 * (high - low)).all()


def test_numbers_that_cannot_be_are_refused(world, model, ahead):
    with pytest.raises(BadInputError, match="keep 5 and count 4"):
        scenarios(model, ahead, count=4, keep=5, seed=1)
    with pytest.raises(BadInputError, match="other series"):
        scenarios(model, ahead.isel(series=[0]), count=4, keep=2, seed=1)
    spoilt = ahead.copy(deep=True)
    spoilt["power_kw"].values[0, 0, 0] = np.nan
    with pytest.raises(BadInputError, match="cannot be"):
        scenarios(model, spoilt, count=4, keep=2, seed=1)
