"""A meter that was exchanged: two exact differences, told in time or late, at each one's worth."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from grid import interval
from grid.console.cli import main
from grid.errors import BadInputError
from grid.operation import commission, metering, resettlement
from grid.operation.demo_site import DEFAULT_DAY, TIME_ZONE, demo_site
from grid.operation.meter_exchanges import record_exchange
from grid.operation.room import Room
from grid.site_file import SiteFileError, parse
from grid.store import control, field, series
from grid.store.meter_exchanges import MeterExchange, exchanges
from meters.reading import MeterRead, RegisterRow
from meters.vee import Quality

START_S, _ = interval.day_bounds(DEFAULT_DAY, TIME_ZONE)
POINT, METER = "UP-001", "M-001"
OLD, NEW = "SN-OLD", "SN-NEW"
ACTOR = "metering@example.org"


@pytest.fixture
def room(tmp_path: Path) -> Room:
    """A commissioned site without a field."""
    return _room(tmp_path / "site")


def _room(folder: Path, *, multiplier: int = 1) -> Room:
    text = demo_site(day=DEFAULT_DAY, seed=1)
    if multiplier != 1:
        mine = f'id = "{METER}"\n'
        assert text.count(mine) == 1
        text = text.replace(mine, f"{mine}multiplier = {multiplier}\n")
    site = commission.commission(folder, text, at_s=START_S, seed=1)
    return Room(folder, site, commission.open_store(folder), None, START_S)


def _told(at: int, last: int, first: int, **more: object) -> MeterExchange:
    facts = MeterExchange(
        METER, START_S + at, OLD, NEW, (last, 0, 0, 0), (first, 0, 0, 0), 9, 1, ACTOR, START_S
    )
    return replace(facts, **more)


def _clock(room: Room, count: int) -> None:
    with room.store.write() as tx:
        control.put_meta(tx, "clock_s", str(START_S + 900 * count))


def _record(room: Room, told: MeterExchange) -> int:
    with room.store.write() as tx:
        return record_exchange(tx, room.site, told)


def _read(room: Room, mine: list[tuple[int, str]], *, first: int = 0) -> None:
    """Store registers at boundaries: of METER as given, with its serial; 100 Wh for the others."""
    others = [str(one.id) for one in room.site.meter if one.id not in (METER, room.head)]
    with room.store.write() as tx:
        for n, (register, serial) in enumerate(mine, start=first):
            at_s = START_S + 900 * n
            rows = [(other, 5000 + 100 * n, f"SN-{other}") for other in others]
            rows.append((METER, register, serial))
            reads = [
                MeterRead(meter, RegisterRow(at_s, (wh, 0, 0, 0)), (), 230.0, b"x", serial=name)
                for meter, wh, name in rows
                if wh >= 0
            ]
            field.put_reads(tx, reads, cycle_s=at_s)


def _validate(room: Room, count: int) -> tuple[list[int], list[int]]:
    with room.store.write() as tx:
        tx.exec_driver_sql("DELETE FROM stage")
        control.put_meta(tx, "clock_s", str(START_S + 900 * count))
    metering.validate_intervals(room, START_S + 900 * count)
    with room.store.read() as tx:
        end_s = START_S + 900 * count
        found = series.get_intervals(tx, [POINT], START_S, end_s, time_zone=TIME_ZONE)
    return found["import_wh"].values[0].tolist(), found["quality"].values[0].tolist()


EXCHANGED = [(5000, OLD), (5100, OLD), (5200, OLD), (40, NEW), (140, NEW), (240, NEW), (340, NEW)]


def test_an_exchange_told_in_time_is_two_exact_differences(room: Room) -> None:
    _read(room, EXCHANGED[:3])
    _validate(room, 2)
    _clock(room, 3)
    _record(room, _told(2250, 5250, 10))
    _read(room, EXCHANGED[3:], first=3)
    values, quality = _validate(room, 6)
    assert values == [100, 100, 50 + 30, 100, 100, 100]
    assert set(quality) == {Quality.VALID}
    with room.store.read() as tx:
        told = [row for row in control.findings(tx) if row["subject"] == METER]
        action = control.actions(tx)[0]
    assert [(row["code"], row["severity"]) for row in told] == [("vee.exchange", "info")]
    assert (action["kind"], action["user"], action["subject"]) == ("meter.exchange", ACTOR, METER)
    assert action["sequence"] > 0
    assert OLD not in action["detail"]
    assert NEW not in action["detail"]


def test_an_exchange_told_late_corrects_what_was_made_of_it_and_settles_it_again(
    room: Room,
) -> None:
    """Later than the day that each cycle looks back."""
    count = 99
    _read(room, EXCHANGED[:3])
    _validate(room, 2)
    _read(room, EXCHANGED[3:] + [(340 + 100 * n, NEW) for n in range(1, count - 5)], first=3)
    _validate(room, 6)
    before, quality = _validate(room, count)
    assert before[2] != 80
    assert quality[2] != Quality.VALID
    with room.store.write() as tx:
        assert "vee.serial" in {row["code"] for row in control.findings(tx, limit=10**6)}
        resettlement.take_changed(tx)
    _record(room, _told(2250, 5250, 10))
    values, quality = _validate(room, count)
    assert values[:6] == [100, 100, 80, 100, 100, 100]
    assert quality[:6] == [Quality.VALID] * 6
    with room.store.write() as tx:
        assert START_S + 1800 in resettlement.take_changed(tx)
    assert _validate(room, count)[0] == values
    with room.store.write() as tx:
        assert resettlement.take_changed(tx) == []


def test_what_the_new_device_tells_of_the_time_before_it_came_counts_nowhere(room: Room) -> None:
    """It was in a drawer then, and its load profile says 0."""
    _read(room, [(5000, OLD), (5100, OLD), (-1, ""), (-1, ""), (70, NEW), (170, NEW)])
    profile = tuple(RegisterRow(START_S + 900 * n, (0, 0, 0, 0)) for n in (2, 3))
    now = RegisterRow(START_S + 3600, (70, 0, 0, 0))
    with room.store.write() as tx:
        read = MeterRead(METER, now, profile, 230.0, b"y", serial=NEW)
        field.put_reads(tx, [read], cycle_s=START_S + 3600)
    _clock(room, 5)
    _record(room, _told(3300, 5450, 30))
    values, quality = _validate(room, 5)
    assert sum(values[1:4]) == 350 + 40
    assert values[4] == 100
    assert Quality.SUSPECT not in quality


def test_each_device_counts_at_its_own_multiplier(tmp_path: Path) -> None:
    room = _room(tmp_path / "site", multiplier=40)
    _read(room, [(5000, OLD), (5002, OLD), (5004, OLD), (12, NEW), (14, NEW)])
    _clock(room, 4)
    _record(room, _told(2250, 5005, 10, multiplier=60))
    values, quality = _validate(room, 4)
    assert values == [80, 80, 40 + 2 * 60, 120]
    assert set(quality) == {Quality.VALID}


def test_a_register_goes_round_at_its_digits_times_its_multiplier(tmp_path: Path) -> None:
    room = _room(tmp_path / "site", multiplier=40)
    _read(room, [(999_999_998, ""), (1, ""), (3, "")])
    values, _ = _validate(room, 2)
    assert values == [120, 80]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"meter": "M-999"}, "no such meter"),
        ({"at_s": START_S + 10**6}, "not after the site's clock"),
        ({"at_s": START_S}, "must be after"),
        ({"old_serial": "SN-THIRD"}, "SN-OLD was there, not SN-THIRD"),
        ({"new_serial": ""}, "a serial number has 1 to 64"),
        ({"last": (10**9, 0, 0, 0)}, "last import_wh is 1000000000, must be within"),
        ({"digits": 5, "first": (0, 10**5, 0, 0)}, "first export_wh is 100000"),
    ],
)
def test_an_exchange_that_cannot_be_is_refused(
    room: Room, change: dict[str, object], told: str
) -> None:
    _read(room, EXCHANGED[:3])
    _validate(room, 2)
    _clock(room, 6)
    with pytest.raises(BadInputError, match=told):
        _record(room, replace(_told(2250, 5250, 10), **change))
    with room.store.read() as tx:
        assert exchanges(tx) == []


def test_exchanges_follow_each_other_whatever_order_they_are_told_in(room: Room) -> None:
    _clock(room, 100)
    _record(room, _told(20_000, 9000, 0, old_serial="SN-B", new_serial="SN-C"))
    with pytest.raises(BadInputError, match="SN-B was there until"):
        _record(room, _told(10_000, 5250, 10))
    _record(room, _told(10_000, 5250, 10, new_serial="SN-B"))
    with pytest.raises(BadInputError, match="recorded already"):
        _record(room, _told(10_000, 5250, 10, new_serial="SN-B"))
    with room.store.read() as tx:
        assert [one.new_serial for one in exchanges(tx, METER)] == ["SN-B", "SN-C"]


def test_the_commands_tell_and_list_an_exchange(
    room: Room, capsys: pytest.CaptureFixture[str]
) -> None:
    _clock(room, 6)
    at = interval.label(START_S + 2250)
    words = ["meter", "exchange", METER, "--old-serial", OLD, "--new-serial", NEW, "--at", at]
    folder = ["--dir", str(room.directory), "--json"]
    assert main([*words, "--last-reading", "5250,7", "--first-reading", "10", *folder]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (told["last"], told["first"]) == ([5250, 7, -1, -1], [10, -1, -1, -1])
    assert (told["digits"], told["multiplier"]) == (9, 1)
    with pytest.raises(SystemExit) as ended:
        main([*words, "--last-reading", "5250.5", "--first-reading", "10", *folder])
    assert ended.value.code == 2
    capsys.readouterr()
    assert main(["meter", "exchanges", *folder]) == 0
    assert len(json.loads(capsys.readouterr().out.splitlines()[-1])["exchanges"]) == 1
    assert main(["meter", "exchanges", *folder[:2]]) == 0
    assert f"{OLD} (5250,7,–,– Wh) gave way to {NEW}" in capsys.readouterr().out


def test_a_multiplier_that_no_register_holds_is_an_error_of_the_site_file() -> None:
    text = demo_site(day=DEFAULT_DAY, seed=1)
    assert {meter.multiplier for meter in parse(text).meter} == {1}
    wrong = f'id = "{METER}"\nmultiplier = 1000000\nregister_digits = 15\n'
    with pytest.raises(SiteFileError, match="15 digits times 1000000 is beyond"):
        parse(text.replace(f'id = "{METER}"\n', wrong))
