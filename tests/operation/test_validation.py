"""What validation is told, what a whole day shows, and what people set and take back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from grid import interval
from grid.errors import BadInputError, StoreError
from grid.operation import (
    commission,
    demo,
    metering,
    reading_edits,
    resettlement,
    validation_facts,
)
from grid.operation.check import check
from grid.operation.demo_site import DEFAULT_DAY, TIME_ZONE, demo_site
from grid.operation.room import Room
from grid.site_file import SiteFileError, parse
from grid.store import Store, control, datasets, edits, field, series
from meters.reading import CHANNELS, MeterRead, RegisterRow
from meters.vee import Quality
from meters.vee.editing import Edit

START_S, END_S = interval.day_bounds(DEFAULT_DAY, TIME_ZONE)
POINT = "UP-001"


@pytest.fixture
def room(tmp_path: Path) -> Room:
    """A commissioned site with its history and no field."""
    demo.prepare(tmp_path / "site", day=DEFAULT_DAY, seed=1)
    return _open(tmp_path / "site")


def _open(directory: Path) -> Room:
    store = Store.at(directory)
    with store.read() as tx:
        site = parse(control.get_meta(tx, "site_toml") or "")
    return Room(directory, site, store, None, START_S)


def _meter(room: Room, point: str = POINT) -> str:
    return next(str(meter.id) for meter in room.site.meter if meter.usage_point == point)


def _read(
    room: Room, count: int, *, wh: Mapping[str, int] | None = None, silent: tuple[str, ...] = (),
    first: int = 0,
) -> None:  # fmt: skip
    """Store registers at `count` boundaries: 100 Wh an interval, or as `wh` says by meter."""
    each = {str(meter.id): 100 for meter in room.site.meter if meter.usage_point}
    each |= wh or {}
    each[room.head] = sum(each.values())
    with room.store.write() as tx:
        for n in range(first, count):
            at_s = START_S + 900 * n
            reads = [
                MeterRead(
                    meter, RegisterRow(at_s, (5000 + n * step, 0, 0, 0)), (), 230.0,
                    bytes([n]) * 32, serial=f"SN-{meter}", invocation_counter=7 + n,
                )
                for meter, step in each.items()
                if meter not in silent
            ]  # fmt: skip
            field.put_reads(tx, reads, cycle_s=at_s)


def _validate(room: Room, count: int) -> None:
    with room.store.write() as tx:
        tx.exec_driver_sql("DELETE FROM stage")
        control.put_meta(tx, "clock_s", str(START_S + 900 * count))
    metering.validate_intervals(room, START_S + 900 * count)


def _day(room: Room, count: int, point: str = POINT) -> tuple[list[int], list[int]]:
    with room.store.read() as tx:
        found = series.get_intervals(
            tx, [point], START_S, START_S + 900 * count, time_zone=TIME_ZONE
        )
    return found["import_wh"].values[0].tolist(), found["quality"].values[0].tolist()


def _set(room: Room, at: int, *values: int, until_better: bool = False, count: int = 6) -> int:
    clock_s = START_S + 900 * count
    with room.store.write() as tx:
        wanted = Edit(
            POINT, "import_wh", START_S + 900 * at, values, "read by phone", "op@example.org",
            clock_s, until_better,
        )  # fmt: skip
        return reading_edits.set_readings(tx, room.site, wanted)


def test_an_edit_holds_through_later_cycles_and_is_settled_signed_and_taken_back(
    room: Room,
) -> None:
    _read(room, 7)
    _validate(room, 6)
    before = _day(room, 6)
    with room.store.write() as tx:
        resettlement.take_changed(tx)
    number = _set(room, 2, 150, 160)
    values, quality = _day(room, 6)
    assert values == [100, 100, 150, 160, 100, 100]
    assert quality == [1, 1, Quality.EDITED, Quality.EDITED, 1, 1]
    with room.store.write() as tx:
        assert resettlement.take_changed(tx) == [START_S + 1800, START_S + 2700]
        told = control.actions(tx)[0]
        assert told["kind"] == "readings.edit"
        assert json.loads(told["detail"])["reason"] == "read by phone"
        assert told["sequence"] > 0
    _validate(room, 6)
    assert _day(room, 6) == (values, quality)
    with pytest.raises(BadInputError, match="set to this already"):
        _set(room, 2, 150, 160)
    later = _set(room, 3, 170)
    with room.store.write() as tx, pytest.raises(BadInputError, match=f"edit {later} came after"):
        reading_edits.take_back(tx, room.site, number, "op@example.org", START_S + 5400)
    for one in (later, number):
        with room.store.write() as tx:
            reading_edits.take_back(tx, room.site, one, "op@example.org", START_S + 5400)
    assert _day(room, 6) == before
    with room.store.write() as tx, pytest.raises(StoreError, match="withdrawn before"):
        reading_edits.take_back(tx, room.site, number, "op@example.org", START_S + 5400)


def test_the_networks_state_follows_what_a_person_set(room: Room) -> None:
    def state(n: int) -> float:
        with room.store.read() as tx:
            return float(
                datasets.require_dataset(tx, "network", START_S + 900 * n)["head_import_kw"]
            )

    _read(room, 7)
    _validate(room, 6)
    before = [state(n) for n in range(6)]
    with room.store.write() as tx:
        resettlement.take_changed(tx)
    _set(room, 2, 1100)
    _validate(room, 6)
    after = [state(n) for n in range(6)]
    # 1,000 Wh more in a quarter-hour are 4 kW, and some losses.
    assert after[2] - before[2] == pytest.approx(4.0, abs=0.4)
    assert [one for n, one in enumerate(after) if n != 2] == before[:2] + before[3:]


def test_an_edit_until_better_gives_way_to_the_meter_and_a_firm_one_does_not(room: Room) -> None:
    meter = _meter(room)
    _read(room, 3)
    _read(room, 7, first=3, silent=(meter,))
    _validate(room, 6)
    _set(room, 2, 1, until_better=True)
    _set(room, 3, 2)
    _read(room, 7)
    _validate(room, 6)
    values, quality = _day(room, 6)
    assert (values[2], quality[2]) == (100, Quality.VALID)
    assert (values[3], quality[3]) == (2, Quality.EDITED)


def test_what_was_missing_and_set_counts_as_missing_when_taken_back(room: Room) -> None:
    _read(room, 3)
    _read(room, 7, first=3, silent=(_meter(room),))
    _validate(room, 6)
    assert _day(room, 6)[1][5] == Quality.MISSING
    number = _set(room, 5, 90)
    with room.store.write() as tx:
        reading_edits.take_back(tx, room.site, number, "op@example.org", START_S + 5400)
    assert _day(room, 6)[1][5] == Quality.MISSING
    _validate(room, 8)
    assert _day(room, 6)[1][5] == Quality.ESTIMATED_LIKE_DAY


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"start_s": START_S + 900 * 5, "values_wh": (1, 2)}, "after the site's clock"),
        ({"start_s": START_S + 60}, "quarter-hour"),
        ({"meter": "UP-999"}, "no usage point UP-999"),
        ({"values_wh": (10**9,)}, "twice what the connection carries"),
    ],
)
def test_a_wrong_edit_is_refused_and_nothing_is_stored(
    room: Room, change: dict[str, object], told: str
) -> None:
    _read(room, 7)
    _validate(room, 6)
    whole = {"meter": POINT, "start_s": START_S, "values_wh": (1,)} | change
    wanted = Edit(**whole, channel="import_wh", reason="r", editor="e", at_s=0)
    with room.store.write() as tx, pytest.raises(BadInputError, match=told):
        reading_edits.set_readings(tx, room.site, wanted)
    with room.store.read() as tx:
        assert edits.within(tx, room.points, START_S, END_S) == []


def test_a_trace_names_raw_bytes_counter_device_rule_version_and_editor(room: Room) -> None:
    _read(room, 7)
    _validate(room, 6)
    _set(room, 2, 150)
    with room.store.read() as tx:
        found = reading_edits.trace(tx, room.site, POINT, START_S + 1800)
    told = found.facts()
    assert told["energy"]["import_wh"] == 150
    assert told["quality"] == "3.7.0"
    assert told["rules"] == "edit 1"
    assert [read["raw_sha256"] for read in told["reads"]] == ["02" * 32, "03" * 32]
    assert [read["invocation_counter"] for read in told["reads"]] == [9, 10]
    assert told["reads"][0]["serial"] == f"SN-{_meter(room)}"
    assert ("import_wh", 2) in {(one["register"], one["version"]) for one in told["versions"]}
    assert told["edits"][0]["editor"] == "op@example.org"


def test_a_day_is_judged_when_it_is_over_and_its_marks_stay(room: Room) -> None:
    meter = _meter(room)
    _read(room, 99, wh={meter: 2400})
    for count in (60, 96):
        _validate(room, count)
    assert set(_day(room, 96)[1]) == {Quality.VALID}
    _validate(room, 98)
    assert set(_day(room, 96)[1]) == {Quality.SUSPECT}
    with room.store.read() as tx:
        codes = {(row["code"], row["subject"]) for row in control.findings(tx, limit=10**6)}
        first = series.versions(tx, POINT, DEFAULT_DAY.isoformat())
    assert ("vee.high", meter) in codes
    _validate(room, 98)
    assert set(_day(room, 96)[1]) == {Quality.SUSPECT}
    with room.store.read() as tx:
        assert series.versions(tx, POINT, DEFAULT_DAY.isoformat()) == first


def test_a_device_that_nobody_recorded_is_an_alarm(room: Room) -> None:
    meter = _meter(room)
    _read(room, 4)
    _validate(room, 3)
    with room.store.write() as tx:
        row = RegisterRow(START_S + 3600, (40, 0, 0, 0))
        field.put_reads(tx, [MeterRead(meter, row, (), None, b"x", serial="SN-OTHER")], cycle_s=1)
    _read(room, 5, first=4, silent=(meter,))
    _validate(room, 4)
    with room.store.read() as tx:
        told = [row for row in control.findings(tx) if row["code"] == "vee.serial"]
    assert [(row["subject"], row["severity"]) for row in told] == [(meter, "alarm")]
    assert "SN-OTHER" in told[0]["message"]


@pytest.mark.parametrize("alone", [False, True])
def test_a_meter_that_never_answered_is_estimated_from_its_group_or_the_feeder_head(
    alone: bool, tmp_path: Path
) -> None:
    commission.commission(
        tmp_path / "site", demo_site(day=DEFAULT_DAY, seed=1), at_s=START_S, seed=1
    )
    room = _open(tmp_path / "site")
    kind = "community" if alone else "household"
    points = [str(point.id) for point in room.site.usage_point if point.kind == kind]
    silent = points if alone else points[:1]
    _read(room, 7, silent=tuple(_meter(room, point) for point in silent))
    _validate(room, 6)
    rest = np.zeros(4, np.int64)
    for point in silent:
        values, quality = _day(room, 6, point)
        wanted = Quality.ESTIMATED_FEEDER if alone else Quality.ESTIMATED_LOAD_SHAPE
        assert set(quality[:4]) == {wanted}
        assert quality[4:] == [Quality.MISSING] * 2
        rest += values[:4]
    # The head measured 100 Wh for each, of which the feeder loses a part by its model.
    assert ((rest > 0) & (rest <= 100 * len(silent))).all(), rest
    assert alone == bool((rest < 100 * len(silent)).all())


def test_thresholds_are_those_of_the_usage_points_kind_and_the_later_holds() -> None:
    text = demo_site(day=DEFAULT_DAY, seed=1) + (
        '[vee]\nholidays = ["2026-01-01"]\nsiblings = true\n'
        '[[vee.threshold]]\nname = "high_percent"\nvalue = 700\n'
        '[[vee.threshold]]\nname = "high_percent"\nvalue = 900\nkind = "household"\n'
    )
    site = parse(text)
    kind = {str(point.id): str(point.kind) for point in site.usage_point}
    names = site.measured
    found = validation_facts.thresholds(site)["high_percent"]
    assert {kind.get(name, ""): value for name, value in zip(names, found, strict=True)} == {
        "household": 900, "business": 700, "community": 700, "": 700
    }  # fmt: skip
    assert site.vee.siblings
    assert [day.isoformat() for day in site.vee.holiday] == ["2026-01-01"]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ('[vee]\nholidays = ["1.1.2026"]\n', "holiday is '1.1.2026', must be a day"),
        ('[[vee.threshold]]\nname = "height"\nvalue = 1\n', "'height' is none of"),
        ('[[vee.threshold]]\nname = "high_wh"\nvalue = -1\n', "must be within 0 to"),
    ],
)
def test_a_wrong_threshold_is_an_error_with_its_line(lines: str, told: str, tmp_path: Path) -> None:
    text = demo_site(day=DEFAULT_DAY, seed=1)
    with pytest.raises(SiteFileError, match=told) as failed:
        check(text + lines, base_dir=tmp_path)
    number = int(failed.value.errors[0].split(":")[1])
    assert number > len(text.splitlines())


def test_channels_of_which_nothing_is_stored_say_nothing_of_the_others(tmp_path: Path) -> None:
    store = Store.at(tmp_path, create=True)
    day = np.full((1, 4), 5, np.int64)
    dims = ("usage_point", "interval")
    known = {name: (dims, day if name == "import_wh" else day * 0 - 1) for name in CHANNELS}
    quality = np.array([[1, 2, 7, 1]], np.uint16)
    written = xr.Dataset(
        {**known, "quality": (dims, quality), "rule": (dims, quality * 3)},
        coords={"usage_point": ["A"], "interval": interval.starts(START_S, 4, 900)},
    )
    with store.write() as tx:
        series.put_intervals(tx, written, time_zone=TIME_ZONE, cycle_s=1)
    with store.read() as tx:
        found = series.get_intervals(
            tx, ["A", "B"], START_S, START_S + 3600, time_zone=TIME_ZONE, decided=True
        )
    assert found["quality"].values.tolist() == [[1, 2, 7, 1], [0, 0, 0, 0]]
    assert found["rule"].values.tolist() == [[3, 6, 21, 3], [0, 0, 0, 0]]
