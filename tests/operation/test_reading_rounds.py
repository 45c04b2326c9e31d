"""Rounds in the hours that the site names; clocks told of, set and marked; statistics kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace

import pytest
from sqlalchemy import delete, select

from grid import interval
from grid.operation import cycle, metering, reading_rounds
from grid.operation.room import Room
from grid.site import Protocol, Reading
from grid.store import control, reading, series
from grid.store.schema import register_read
from meters.statistics import Record
from meters.vee import Quality

Played = Callable[..., AbstractContextManager[Room]]

STEP_S = 900
LIMITS = Reading(clock_warn_s=5, clock_correct_s=10, clock_max_s=300)


@pytest.fixture(scope="module")
def room(played: Played, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    """Two cycles in, everything well so far."""
    with played(tmp_path_factory.mktemp("rounds") / "site", 0) as here:
        for _ in range(2):
            _cycle(here)
        yield here


def _cycle(room: Room) -> int:
    """Read and validate, and no more: what comes after costs most of a cycle's time."""
    at_s = cycle.clock(room)
    room.link.advance(at_s)
    metering.read(room, at_s)
    metering.validate_intervals(room, at_s)
    with room.store.write() as tx:
        control.put_meta(tx, "clock_s", str(at_s + STEP_S))
    return at_s


def _codes(room: Room, at_s: int) -> dict[tuple[str, str], str]:
    with room.store.read() as tx:
        rows = control.findings(tx, since_s=at_s, limit=1000)
    return {
        (row["code"], row["subject"]): row["severity"] for row in rows if row["cycle_s"] == at_s
    }


def _leap(room: Room, meter: str, shift_s: int) -> None:
    at_s = cycle.clock(room)
    fault = {"meter": meter, "kind": "clock", "from_s": at_s, "to_s": at_s, "shift_s": shift_s}
    room.link.ask(do="fault", fault=fault)


def test_every_cycle_counts_how_asking_went_of_both_protocols(room: Room) -> None:
    until_s = cycle.clock(room)
    with room.store.read() as tx:
        meters = reading.statistics(tx, "meter", until_s - STEP_S, until_s)
        gateways = reading.statistics(tx, "gateway", until_s - STEP_S, until_s)
    assert set(meters) == {str(meter.id) for meter in room.site.meter}
    for one in meters.values():
        # On a machine that does much else an answer may be late, and is asked for again.
        assert one.statistics.successes >= 2
        assert one.statistics.requests == one.statistics.successes + one.statistics.timeouts
        assert sum(one.statistics.latency_count) == one.statistics.successes
        assert one.answered_s == until_s - STEP_S
    asked = sum(one.statistics.requests for one in meters.values())
    assert sum(one.statistics.requests for one in gateways.values()) == asked
    dlms = [str(one.id) for one in room.site.meter if one.protocol is Protocol.DLMS]
    # The association, the name and a list each cycle; what does not change in the first.
    assert all(meters[name].statistics.requests >= 7 for name in dlms)


def test_a_clock_is_told_of_set_or_left_and_what_it_touched_is_marked(room: Room) -> None:
    with room.store.read() as tx:
        clocks = reading.last_clocks(tx, cycle.clock(room))
    assert {row.offset_s for row in clocks.values()} == {0}
    room.site = replace(room.site, reading=LIMITS)
    _leap(room, "M-002", 40)
    _leap(room, "M-004", -400)
    _leap(room, "M-006", 7)
    at_s = _cycle(room)
    codes = _codes(room, at_s)
    assert codes["meter.clock_set", "M-002"] == "info"
    assert codes["meter.clock_beyond", "M-004"] == "alarm"
    assert codes["meter.clock_off", "M-006"] == "warning"
    with room.store.read() as tx:
        clocks = reading.last_clocks(tx, at_s)
        (done,) = reading.clocks_set(tx, 0, at_s)
    assert (done.meter, done.offset_s, done.shift_s) == ("M-002", 0, -40)
    assert (clocks["M-004"].offset_s, clocks["M-006"].offset_s) == (-400, 7)

    # Again within the hour: told of, and left until the hour is over. The rest is no news.
    _leap(room, "M-002", 20)
    again_s = _cycle(room)
    codes = _codes(room, again_s)
    assert codes["meter.clock_off", "M-002"] == "warning"
    assert ("meter.clock_off", "M-006") not in codes
    assert ("meter.clock_beyond", "M-004") not in codes
    with room.store.read() as tx:
        assert len(reading.clocks_set(tx, 0, again_s)) == 1
        quality = series.get_quality(
            tx, ["UP-002", "UP-006"], at_s - STEP_S, again_s, time_zone=room.site.time_zone
        )
    assert quality[0].tolist() == [Quality.VALID, Quality.CLOCK_BACK]
    assert quality[1].tolist() == [Quality.VALID, Quality.VALID]


def test_after_the_hour_it_is_set_again_and_never_where_the_site_does_not_say_so(
    room: Room,
) -> None:
    with room.store.read() as tx:
        (first,) = reading.clocks_set(tx, 0, cycle.clock(room))
    room.site = replace(room.site, reading=Reading())
    assert ("meter.clock_set", "M-002") not in _codes(room, _cycle(room))
    room.site = replace(room.site, reading=LIMITS)
    while cycle.clock(room) < first.at_s + 3600:
        assert ("meter.clock_set", "M-002") not in _codes(room, _cycle(room))
    at_s = _cycle(room)
    assert at_s == first.at_s + 3600
    assert _codes(room, at_s)["meter.clock_set", "M-002"] == "info"


def _next_day(room: Room, clock: str) -> int:
    """Let a night go by without a cycle; return the instant of a civil time of day after it."""
    zone = room.site.time_zone
    _, midnight_s = interval.day_bounds(interval.local_day(room.first_cycle_s, zone), zone)
    hours, minutes = clock.split(":")
    at_s = midnight_s + 3600 * int(hours) + 60 * int(minutes)
    with room.store.write() as tx:
        control.put_meta(tx, "clock_s", str(at_s))
    room.link.advance(at_s)
    return at_s


def _rows(room: Room, meter: str) -> dict[int, tuple[int, ...]]:
    with room.store.read() as tx:
        rows = tx.execute(select(register_read).where(register_read.c.meter == meter)).mappings()
        return {row["at_s"]: (row["import_wh"], row["export_wh"]) for row in rows}


def test_holes_of_a_past_day_are_filled_in_the_hours_of_rounds_and_only_then(room: Room) -> None:
    _leap(room, "M-004", 400)
    # The field began at midnight in Baku, four hours before midnight here.
    hours = Reading(profile_at=("00:30",), give_up_minutes=30, round_s=20)
    room.site = replace(room.site, time_zone="UTC", reading=hours)
    early_s = _next_day(room, "00:15")
    metering.read(room, early_s)  # fills the night up to now by itself, but no hole before it
    whole = {name: _rows(room, name) for name in ("M-008", "M-012")}
    hole = range(early_s - 9000, early_s - 3600, STEP_S)
    with room.store.write() as tx:
        for name in whole:
            tx.execute(
                delete(register_read).where(
                    register_read.c.meter == name, register_read.c.at_s.in_(list(hole))
                )
            )
    beside = reading_rounds.after_reading(room, early_s, [], [], Record())
    assert beside.profiles == []
    at_s = _next_day(room, "00:30")
    with room.store.read() as tx:
        missing = reading_rounds.gaps(room, tx, at_s)
    assert {name: sorted(missing[name]) for name in whole} == {name: list(hole) for name in whole}
    metering.read(room, at_s)
    for name, rows in whole.items():
        after = _rows(room, name)
        assert {at: after[at] for at in rows} == rows
    assert not any(code == "meter.gap" for code, _ in _codes(room, at_s))
    # What is still missing at the end of these hours is told of.
    last_s = _next_day(room, "00:45")
    with room.store.write() as tx:
        tx.execute(delete(register_read).where(register_read.c.at_s == hole[0]))
    fault = {"meter": "M-008", "kind": "silent", "from_s": last_s, "to_s": last_s + STEP_S}
    room.link.ask(do="fault", fault=fault)
    room.site = replace(room.site, reading=replace(hours, round_s=2))
    metering.read(room, last_s)
    assert [what for code, what in _codes(room, last_s) if code == "meter.gap"] == ["M-008"]
    assert hole[0] in _rows(room, "M-012")
