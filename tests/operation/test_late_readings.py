"""What is kept in memory follows the store: a restart after a late reading changes nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from grid import interval
from grid.operation import demo, forecasting, metering
from grid.operation.demo_site import DEFAULT_DAY, TIME_ZONE
from grid.operation.room import Room
from grid.site_file import parse
from grid.store import Store, control, datasets, series

START_S, _ = interval.day_bounds(DEFAULT_DAY, TIME_ZONE)


@pytest.fixture
def room(tmp_path: Path) -> Room:
    """A commissioned site with its history and no field."""
    demo.prepare(tmp_path / "site", day=DEFAULT_DAY, seed=1)
    store = Store.at(tmp_path / "site")
    with store.read() as tx:
        site = parse(control.get_meta(tx, "site_toml") or "")
    return Room(tmp_path / "site", site, store, None, START_S)


def _late(room: Room) -> None:
    """Let the readings of a week come out ten times as high, as if they came late."""
    with room.store.write() as tx:
        low_s = START_S - 7 * 86_400
        week = series.get_intervals(tx, room.points[:3], low_s, START_S, time_zone=TIME_ZONE)
        week["import_wh"] = 10 * week["import_wh"]
        assert series.put_intervals(tx, week, time_zone=TIME_ZONE, cycle_s=START_S + 900)


def test_like_days_follow_a_late_reading_at_once(room: Room) -> None:
    names = room.points[:3]
    with room.store.read() as tx:
        before = metering._like_day(room, tx, names, DEFAULT_DAY)["import_wh"].values
    _late(room)
    with room.store.read() as tx:
        after = metering._like_day(room, tx, names, DEFAULT_DAY)["import_wh"].values
        room.memory.clear()
        restarted = metering._like_day(room, tx, names, DEFAULT_DAY)["import_wh"].values
    assert (after != before).any()
    assert (after == restarted).all()


def test_a_forecast_after_a_late_reading_is_that_of_a_restarted_room(room: Room) -> None:
    made = []
    for step in range(3):
        at_s = START_S
        if step == 1:
            _late(room)
        if step == 2:
            room.memory.clear()
        with room.store.write() as tx:
            tx.exec_driver_sql("DELETE FROM dataset WHERE kind = 'forecast'")
            tx.exec_driver_sql("DELETE FROM stage")
        forecasting.forecast(room, at_s)
        with room.store.read() as tx:
            made.append(datasets.require_dataset(tx, "forecast", at_s)["mean_kw"].values)
    before, after, restarted = made
    assert not np.array_equal(before, after)
    assert np.array_equal(after, restarted)
