"""Samples of sensors come back as they were, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import numpy as np

from grid.store import Store, sensors
from meters.mqtt.mapping import SensorSample
from meters.vee import Quality

START = 1_780_000_200 - 1_780_000_200 % 900


def _sample(
    at_s: int, value: float | None, quality: Quality = Quality.VALID, *, retained: bool = False
) -> SensorSample:
    return SensorSample("S-1", at_s, value, quality, retained, at_s + 1)


def test_the_same_sample_again_adds_nothing_and_a_correction_is_a_version(store: Store) -> None:
    one = _sample(START, 21.5)
    with store.write() as tx:
        assert sensors.put_samples(tx, [one, one], interval_s=900) == 1
        assert sensors.put_samples(tx, [one], interval_s=900) == 0
        assert sensors.put_samples(tx, [_sample(START, 22.0)], interval_s=900) == 1
        got = sensors.get_samples(tx, "S-1", START, START + 1)
    assert got["value"].values.tolist() == [22.0]
    assert got["version"].values.tolist() == [2]


def test_missing_is_null_and_gives_way_to_a_value_but_never_takes_its_place(store: Store) -> None:
    missing = _sample(START, None, Quality.MISSING)
    with store.write() as tx:
        sensors.put_samples(tx, [missing], interval_s=900)
        empty = sensors.get_samples(tx, "S-1", START, START + 1)
        assert sensors.put_samples(tx, [_sample(START, 5.0)], interval_s=900) == 1
        assert sensors.put_samples(tx, [missing], interval_s=900) == 0
        got = sensors.get_samples(tx, "S-1", START, START + 1)
    assert np.isnan(empty["value"].values).tolist() == [True]
    assert empty["quality"].values.tolist() == [Quality.MISSING]
    assert got["value"].values.tolist() == [5.0]


def test_a_mean_is_of_valid_samples_and_an_empty_interval_is_missing(store: Store) -> None:
    samples = [
        *(_sample(START + 10, 20.0), _sample(START + 20, 22.0)),
        _sample(START + 30, 900.0, Quality.SUSPECT),
        _sample(START + 910, 50.0, Quality.SUSPECT),
        _sample(START + 1810, None, Quality.MISSING),
    ]
    with store.write() as tx:
        sensors.put_samples(tx, samples, interval_s=900)
        got = sensors.means(tx, ["S-1", "S-2"], START, 4, interval_s=900)
    assert got["mean"].values[0, :2].tolist() == [21.0, 50.0]
    assert (got["low"].values[0, 0], got["high"].values[0, 0]) == (20.0, 22.0)
    assert np.isnan(got["mean"].values[0, 2:]).all()
    assert np.isnan(got["mean"].values[1]).all()
    assert got["samples"].values[0].tolist() == [2, 1, 0, 0]
    assert got["quality"].values[0].tolist() == [Quality.VALID, Quality.SUSPECT, 0, 0]


def test_the_newest_sample_is_fresh_only_when_heard_in_time_and_not_retained(store: Store) -> None:
    def fresh(now_s: int) -> bool:
        with store.read() as tx:
            return sensors.latest(tx, {"S-1": 60}, now_s=now_s)["S-1"].fresh

    with store.write() as tx:
        assert sensors.latest(tx, {"S-1": 60}, now_s=START) == {}
        sensors.put_samples(tx, [_sample(START, 7.0), _sample(START + 5, 7.0)], interval_s=900)
        assert sensors.latest(tx, {"S-1": 60}, now_s=START + 9)["S-1"].since_s == START
    assert fresh(START + 65)
    assert not fresh(START + 66)
    with store.write() as tx:
        sensors.put_samples(tx, [_sample(START + 66, 7.0, retained=True)], interval_s=900)
    assert not fresh(START + 67)


def test_a_run_of_one_value_begins_after_the_last_other_or_missing_one(store: Store) -> None:
    values = [7.0, 1.0, 7.0, 7.0, None, 7.0, 7.0]
    rows = [
        _sample(START + 10 * n, value, Quality.VALID if value else Quality.MISSING)
        for n, value in enumerate(values)
    ]
    with store.write() as tx:
        sensors.put_samples(tx, rows, interval_s=900)
        runs = [
            sensors.latest(tx, {"S-1": 60}, now_s=START + now_s)["S-1"].since_s - START
            for now_s in (0, 35, 65)
        ]
    assert runs == [0, 20, 50]
