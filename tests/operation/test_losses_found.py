"""Lost energy is looked for in what a site has stored, once a day is over."""

from __future__ import annotations

import re

import numpy as np
import pytest
import xarray as xr

from grid import interval
from grid.operation import day_judgement, demo, losses
from grid.operation.demo_site import DEFAULT_DAY, TIME_ZONE
from grid.operation.losses_faults import constant
from grid.operation.losses_months import Errors, demo_feeder, fleet, shown
from grid.operation.room import Room
from grid.site_file import parse
from grid.store import Store, control, series
from grid.store.schema import register_read
from meters.losses.record import FeederRecord
from meters.vee import Quality

LEARN_DAYS, WATCH_DAYS = 14, 2
START_S, _ = interval.day_bounds(DEFAULT_DAY, TIME_ZONE)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Room:
    """A site whose meters were read for two weeks, and two days with a bypass."""
    folder = tmp_path_factory.mktemp("losses") / "site"
    demo.prepare(folder, day=DEFAULT_DAY, seed=1)
    store = Store.at(folder)
    with store.read() as tx:
        site = parse(control.get_meta(tx, "site_toml") or "")
    here = Room(folder, site, store, None, START_S)
    feeder = demo_feeder(site.network.source, site.network.source_voltage_pu)
    meters = fleet(feeder, 901, Errors())
    row = feeder.usage_point.index("UP-026")
    _store(here, shown(feeder, meters, 150, LEARN_DAYS), START_S)
    wrong = constant(row, 5.0)
    _store(
        here,
        shown(feeder, meters, 150 + LEARN_DAYS, WATCH_DAYS, wrong),
        START_S + LEARN_DAYS * 86_400,
    )
    return here


def _store(room: Room, record: FeederRecord, start_s: int) -> None:
    dims = ("usage_point", "interval")
    count = record.import_wh.shape[1]
    names = [*record.usage_point, *(set(room.points) - set(record.usage_point)), room.head]
    rest = np.zeros((len(names) - len(record.usage_point) - 1, count), np.int64)
    none = np.zeros((len(names), count), np.int64)
    known = xr.Dataset(
        {
            "import_wh": (dims, np.vstack([record.import_wh, rest, record.head_import_wh])),
            "export_wh": (dims, np.vstack([record.export_wh, rest, record.head_export_wh])),
            "import_varh": (dims, none),
            "export_varh": (dims, none),
            "quality": (dims, np.full(none.shape, Quality.VALID, np.uint16)),
        },
        coords={
            "usage_point": names,
            "interval": interval.starts(start_s, count, 900),
        },
    )
    meter = {str(one.usage_point): str(one.id) for one in room.site.meter}
    with room.store.write() as tx:
        series.put_intervals(tx, known, time_zone=TIME_ZONE, cycle_s=start_s)
        rows = [
            {
                "meter": meter[point], "at_s": start_s + 900 * (n + 1), "cycle_s": start_s,
                "from_profile": False, "import_wh": 0, "export_wh": 0, "import_varh": 0,
                "export_varh": 0, "voltage_v": float(volt), "raw_sha256": b"",
            }
            for point, volts in zip(record.usage_point, record.voltage_v, strict=True)
            for n, volt in enumerate(volts)
        ]  # fmt: skip
        tx.execute(register_read.insert(), rows)


def test_a_bypass_is_told_with_its_evidence_and_a_clean_feeder_is_not(room: Room) -> None:
    end_s = START_S + (LEARN_DAYS + WATCH_DAYS) * 86_400
    with room.store.read() as tx:
        told = losses.find(room, tx, end_s, learn_days=LEARN_DAYS, watch_days=WATCH_DAYS)
        assert [one.code for one in told] == ["losses.bypass"]
        # Two weeks to learn from and two days are enough to tell how much, not where.
        amount = re.search(r": ([0-9.]+) ± [0-9.]+ kWh a day; detected", told[0].message)
        assert amount
        assert abs(float(amount[1]) - 5.0) < 0.5
        assert "Next: " in told[0].message
        before = losses.find(room, tx, end_s - 2 * 86_400, learn_days=12, watch_days=2)
        assert before == []
        assert losses.find(room, tx, end_s) == [], "too few days were read to learn from"


def test_they_are_looked_for_when_a_day_is_over_and_not_again(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []
    monkeypatch.setattr(losses, "find", lambda room, tx, end_s: looked.append(end_s) or [])
    at_s = START_S + (LEARN_DAYS + WATCH_DAYS) * 86_400 + 2 * 900
    with room.store.write() as tx:
        control.put_meta(
            tx, "vee.judged", interval.local_day(at_s - 2 * 86_400, TIME_ZONE).isoformat()
        )
        for _ in range(2):
            day_judgement.judge_days(room, tx, at_s, set())
    assert looked == [at_s - 2 * 900]
