"""The stage that forecasts, on a real store: what it may know, and how good it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from grid import interval
from grid.operation import demo, forecasting
from grid.operation.demo_site import DEFAULT_DAY, TIME_ZONE
from grid.operation.room import Room
from grid.site_file import parse
from grid.store import Store, control, datasets, series
from meters.vee import Quality

START_S, _ = interval.day_bounds(DEFAULT_DAY, TIME_ZONE)


@pytest.fixture
def room(tmp_path: Path) -> Room:
    """A commissioned site with its history and no field, as if it had begun three days ago."""
    demo.prepare(tmp_path / "site", day=DEFAULT_DAY, seed=1)
    store = Store.at(tmp_path / "site")
    with store.read() as tx:
        site = parse(control.get_meta(tx, "site_toml") or "")
    return Room(tmp_path / "site", site, store, None, START_S - 3 * 86_400)


def _forecast(room: Room, at_s: int) -> dict[str, np.ndarray]:
    room.memory.clear()
    with room.store.write() as tx:
        tx.exec_driver_sql("DELETE FROM dataset WHERE kind = 'forecast'")
        tx.exec_driver_sql("DELETE FROM stage WHERE stage = 'forecast'")
    forecasting.forecast(room, at_s)
    with room.store.read() as tx:
        found = datasets.require_dataset(tx, "forecast", at_s)
    return {str(name): found[name].values for name in found.data_vars}


def test_readings_after_an_instant_change_no_bit_of_its_forecast(room: Room) -> None:
    at_s = START_S - 3 * 86_400 + 5 * 3600
    before = _forecast(room, at_s)
    names = [*room.points, *(f"{plant.id}.available" for plant in room.site.plants)]
    with room.store.write() as tx:
        later = series.get_intervals(tx, names, at_s, START_S, time_zone=TIME_ZONE)
        order = np.random.default_rng(1).permutation(later.sizes["interval"])
        for name in ("import_wh", "export_wh"):
            later[name].values[:] = later[name].values[:, order] * 3
        series.put_intervals(tx, later, time_zone=TIME_ZONE, cycle_s=START_S)
    after = _forecast(room, at_s)
    for name, values in before.items():
        assert np.array_equal(values, after[name]), name


def test_an_estimated_reading_of_a_point_or_its_device_says_less(room: Room) -> None:
    plant = room.site.solar[0]
    with room.store.write() as tx:
        day = series.get_intervals(
            tx, [str(plant.id), room.points[1]], START_S - 86_400, START_S, time_zone=TIME_ZONE
        )
        day["quality"].values[:] = Quality.ESTIMATED_LIKE_DAY
        day["import_wh"].values[:] += 1
        series.put_intervals(tx, day, time_zone=TIME_ZONE, cycle_s=START_S)
        weight = forecasting.gross(room, tx, START_S - 86_400, START_S)["weight"]
    assert (weight.sel(series=f"load:{plant.usage_point}") == forecasting.ESTIMATE_WEIGHT).all()
    assert (weight.sel(series=f"load:{room.points[1]}") == forecasting.ESTIMATE_WEIGHT).all()
    assert float(weight.sum()) == weight.size - 2 * 96 * (1 - forecasting.ESTIMATE_WEIGHT)


def test_the_skill_of_a_site_is_stored_and_beats_the_day_before(room: Room) -> None:
    seen: list[int] = []
    found = forecasting.keep_skill(room, 3, 28, lambda done, of: seen.append(done))
    with room.store.read() as tx:
        stored = datasets.require_dataset(tx, "skill", control.clock_s(tx))
    assert stored.identical(found)
    assert seen == [1, 2, 3]
    load = found.isel(series=found["group"].values == "load")
    moving = load["naive_mae_kw"].values > 0
    ratio = load["mae_kw"].values[moving].sum() / load["naive_mae_kw"].values[moving].sum()
    assert ratio < 0.85
