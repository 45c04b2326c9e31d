"""A site whose devices answer at their own addresses, in a time that nobody stops."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from grid import interval
from grid.errors import BadInputError, PeerError
from grid.operation import commission, cycle, demo, meter_keys, metering, opening
from grid.operation.check import check
from grid.operation.demo_site import DEFAULT_DAY, TIME_ZONE
from grid.operation.field import link
from grid.operation.field.serve import KEYS_FILE
from grid.operation.room import Room
from grid.site import Protocol
from grid.site_file import SITE_FILE
from grid.store import control, field, series
from grid.store import market as market_store
from meters.vee import Quality

STEP_S = 900


@dataclass
class World:
    """Devices that somebody else runs: a simulated field of another folder, and its time."""

    field: link.FieldLink
    now_s: float

    def pass_to(self, now_s: float) -> None:
        self.field.advance(int(now_s) // STEP_S * STEP_S)
        self.now_s = now_s


def _with_addresses(text: str, urls: dict[str, str]) -> str:
    lines = []
    for line in text.replace('kind = "simulated"', 'kind = "real"').splitlines():
        lines.append(line)
        name = line.removeprefix('id = "').removesuffix('"')
        if line.startswith("id = ") and name in urls:
            lines.append(f'url = "{urls[name]}"')
    return "\n".join(lines) + "\n"


def _keys_toml(access: dict[str, str]) -> str:
    tables = []
    for name, value in sorted(access.items()):
        if name.startswith(meter_keys.PASSWORD_SECRET):
            meter = name.removeprefix(meter_keys.PASSWORD_SECRET)
            tables.append(f'[{meter}]\npassword = "{value}"\n')
        elif name.startswith(meter_keys.KEYS_SECRET):
            meter = name.removeprefix(meter_keys.KEYS_SECRET)
            keys = json.loads(value)
            said = ("title", "encryption_key", "authentication_key")
            tables.append(f"[{meter}]\n" + "".join(f'{one} = "{keys[one]}"\n' for one in said))
    return "\n".join(tables)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Room]]:
    there = tmp_path_factory.mktemp("real") / "devices"
    demo.prepare(there, day=DEFAULT_DAY, seed=1)
    start_s, _ = interval.day_bounds(DEFAULT_DAY, TIME_ZONE)
    process = link.start(there, start_s=start_s)
    try:
        world = World(link.FieldLink(there), start_s + 36 * STEP_S + 400)
        world.field.advance(start_s + 36 * STEP_S)
        urls = {**world.field.meters, **world.field.devices}
        here = there.parent / "site"
        here.mkdir(mode=0o700)
        (here / SITE_FILE).write_text(_with_addresses((there / SITE_FILE).read_text(), urls))
        keys = here / meter_keys.KEYS_TOML
        keys.touch(mode=0o600)
        keys.write_text(_keys_toml(json.loads((there / KEYS_FILE).read_text())))
        assert commission.ensure(here / SITE_FILE, now_s=int(world.now_s))
        with opening.opened(here, clock=lambda: world.now_s) as room:
            yield world, room
    finally:
        process.terminate()
        process.wait(10)


def _missed(room: Room, at_s: int) -> list[str]:
    with room.store.read() as tx:
        rows = control.findings(tx, since_s=at_s, limit=1000)
    return [row["message"] for row in rows if row["code"] == "cycle.missed"]


def test_a_cycle_is_not_run_before_its_interval_is_over(run: tuple[World, Room]) -> None:
    world, room = run
    first_s = room.first_cycle_s
    assert cycle.due(room, world.now_s) == first_s
    with pytest.raises(PeerError, match="is not due yet"):
        cycle.run(room, first_s)
    for number in range(2):
        world.pass_to(first_s + number * STEP_S + cycle.BEHIND_S)
        assert cycle.due(room, world.now_s) == first_s + number * STEP_S
        cycle.run(room, cycle.due(room, world.now_s))
    with room.store.read() as tx:
        start_s = first_s
        got = series.get_intervals(
            tx, room.points, start_s, start_s + STEP_S, time_zone=room.site.time_zone
        )
        assert set(got["quality"].values.ravel().tolist()) == {int(Quality.VALID)}
        sent = control.setpoints(tx, first_s)
        assert len(sent) == len(room.site.assets)
    assert _missed(room, first_s) == []


def test_a_clock_that_was_set_back_is_told_of_once_and_nothing_is_run(
    run: tuple[World, Room],
) -> None:
    _, room = run
    at_s = cycle.clock(room)
    for back_s in (3600, 3570):
        assert cycle.due(room, at_s - back_s) == at_s
    with room.store.read() as tx:
        rows = control.findings(tx, since_s=at_s, limit=1000)
    (said,) = [row["message"] for row in rows if row["code"] == "cycle.clock"]
    assert "was the clock set back?" in said
    assert cycle.due(room, at_s - STEP_S) == at_s


def test_cycles_that_nobody_ran_are_told_of_and_their_energy_is_found(
    run: tuple[World, Room],
) -> None:
    world, room = run
    at_s = cycle.clock(room)
    assert cycle.due(room, at_s + cycle.LATE_S - 1) == at_s
    next_s = at_s + 4 * STEP_S
    world.pass_to(next_s - 100)
    assert cycle.due(room, world.now_s) == next_s
    assert cycle.clock(room) == next_s
    (said,) = _missed(room, at_s)
    first, last = interval.label(at_s), interval.label(next_s - STEP_S)
    assert said.startswith(f"cycles {first} to {last} were missed")
    for number in range(2):
        world.pass_to(next_s + number * STEP_S + cycle.BEHIND_S)
        cycle.run(room, cycle.due(room, world.now_s))

    meters = [meter.id for meter in room.site.meter]
    before_s, count = at_s - STEP_S, (next_s - at_s) // STEP_S + 1
    with room.store.read() as tx:
        registers = field.boundaries(tx, meters, before_s, count, STEP_S)["import_wh"].values
        got = series.get_intervals(
            tx, room.site.measured, before_s, next_s, time_zone=room.site.time_zone
        )
        settled = {row["start_s"] for row in market_store.settlements(tx, before_s, next_s)}
    moved = registers[:, -1] - registers[:, 0]
    assert np.array_equal(got["import_wh"].values.sum(axis=1), moved)
    assert moved.sum() > 0
    told = {
        meter.id: row for meter, row in zip(room.site.meter, got["quality"].values, strict=True)
    }
    for meter in room.site.meter:
        is_dlms = meter.protocol is Protocol.DLMS
        # Its load profile has every interval; a Modbus meter tells the sum of those missed.
        known = Quality.BACKFILLED if is_dlms else Quality.SCALED
        assert set(told[meter.id].tolist()) <= {int(known), int(Quality.VALID)}, meter.id
        assert int(known) in told[meter.id].tolist()
    assert settled == set(range(before_s, next_s, STEP_S))


def test_after_two_days_without_a_control_room_no_energy_is_missing(
    run: tuple[World, Room],
) -> None:
    """Longer than the day that every cycle looks back."""
    world, room = run
    at_s = cycle.clock(room)
    before_s, next_s = at_s - STEP_S, at_s + 2 * interval.DAY_S
    world.pass_to(next_s + cycle.BEHIND_S)
    assert cycle.due(room, world.now_s) == next_s
    metering.read(room, next_s)
    metering.validate_intervals(room, next_s)
    meters = [meter.id for meter in room.site.meter]
    count = (next_s - before_s) // STEP_S
    with room.store.read() as tx:
        registers = field.boundaries(tx, meters, before_s, count, STEP_S)["import_wh"].values
        got = series.get_intervals(
            tx, room.site.measured, before_s, next_s, time_zone=room.site.time_zone
        )
    assert not (got["quality"].values == Quality.MISSING).any()
    moved = registers[:, -1] - registers[:, 0]
    assert np.array_equal(got["import_wh"].values.sum(axis=1), moved)


def test_a_real_device_without_an_address_is_named(run: tuple[World, Room]) -> None:
    _, room = run
    text = (room.directory / SITE_FILE).read_text()
    meter = room.site.meter[3].id
    lines = text.splitlines()
    place = lines.index(f'id = "{meter}"') + 1
    del lines[place]
    with pytest.raises(BadInputError, match=rf":{place}: meter {meter}: url is missing"):
        check("\n".join(lines), base_dir=room.directory)
