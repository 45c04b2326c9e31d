"""Transformers, verifications, seals and move-ins: each from its date, and exact to the Wh."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from grid import interval
from grid.console.cli import main
from grid.console.cli.users import COMMAND_LINE
from grid.errors import BadInputError, Severity
from grid.operation import (
    audit,
    commission,
    meter_exchanges,
    metering,
    metering_facts,
    opening,
    record,
)
from grid.operation.demo_site import DEFAULT_DAY, TIME_ZONE, demo_site
from grid.operation.room import Room
from grid.operation.validation_facts import phase_voltages
from grid.quantities import Ratio
from grid.site_file import SiteFileError, parse
from grid.store import control, series
from grid.store.metering_facts import MoveIn, move_ins
from meters.reading import CHANNELS, MISSING
from meters.vee.facts import Tenure
from tests.operation.test_meter_exchanges import (
    ACTOR,
    METER,
    NEW,
    OLD,
    POINT,
    START_S,
    _clock,
    _read,
    _record,
    _told,
    _validate,
)

SEAL = "PLOMB-4711"


def _room(folder: Path, said: str = "") -> Room:
    mine = f'id = "{METER}"\n'
    text = demo_site(day=DEFAULT_DAY, seed=1).replace(mine, mine + said)
    site = commission.commission(folder, text, at_s=START_S, seed=1)
    return Room(folder, site, commission.open_store(folder), None, START_S)


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return _room(tmp_path / "site")


def test_ratios_of_the_site_file_make_primary_energy_to_the_wh(tmp_path: Path) -> None:
    """150/7 A: no interval is a whole number of Wh, and none is lost."""
    room = _room(tmp_path / "site", 'current = "150/7"\n')
    shown = [5000, 5003, 5006, 5008, 5015]
    _read(room, [(one, OLD) for one in shown])
    values, _ = _validate(room, 4)
    primary = [one * 150 // 7 for one in shown]
    assert values == np.diff(primary).tolist()
    assert sum(values) == primary[-1] - primary[0]


def test_meters_behind_transformers_are_read_over_both_protocols_to_what_flowed(
    tmp_path: Path,
) -> None:
    """Each shows a fortieth; what is stored is what flowed, but for what it has not shown yet."""
    text = demo_site(day=DEFAULT_DAY, seed=1)
    behind = {"M-001": "modbus", "M-002": "dlms"}
    for name in behind:
        text = text.replace(f'id = "{name}"\n', f'id = "{name}"\ncurrent = "200/5"\n')
    found = []
    for folder, said in (("plain", demo_site(day=DEFAULT_DAY, seed=1)), ("behind", text)):
        site = commission.commission(tmp_path / folder, said, at_s=START_S, seed=1)
        assert {one.id: one.protocol for one in site.meter if one.id in behind} == behind
        with opening.opened(tmp_path / folder) as room:
            for number in range(3):
                at_s = START_S + 900 * number
                room.link.advance(at_s)
                metering.read(room, at_s)
                metering.validate_intervals(room, at_s)
            points = ["UP-001", "UP-002"]
            with room.store.read() as tx:
                got = series.get_intervals(tx, points, START_S, at_s, time_zone=TIME_ZONE)
            found.append(got["import_wh"].values)
    plain, behind_wh = found
    assert (plain > 0).any()
    assert (behind_wh % 40 == 0).all()
    assert (np.abs(behind_wh.cumsum(axis=1) - plain.cumsum(axis=1)) < 40).all()


@given(
    st.lists(st.integers(0, 10**12), min_size=2, max_size=40),
    st.tuples(st.integers(1, 10**4), st.integers(1, 10**4)),
)
def test_converted_registers_are_the_floor_of_the_exact_product(
    shown: list[int], ratio: tuple[int, int]
) -> None:
    factor = Ratio(*ratio).value
    boundary = np.arange(len(shown)).astype("datetime64[s]").astype("datetime64[ns]")
    dims = ("meter", "boundary")
    registers = xr.Dataset(
        {name: (dims, np.array([shown])) for name in CHANNELS},
        {"meter": [METER], "boundary": boundary},
    )
    found = meter_exchanges.converted(registers, [Tenure(METER, "", None, None, 9, factor)])
    exact = [int(one * factor) for one in shown]
    assert found["import_wh"].values[0].tolist() == [
        one if one <= 10**18 else MISSING for one in exact
    ]


def test_other_transformers_within_an_interval_count_from_the_registers_read_then(
    room: Room,
) -> None:
    """5000 to 5250 at 1, then 60 Wh shown at 300/5 until the boundary; the device stays."""
    _read(room, [(5000, OLD), (5100, OLD), (5200, OLD), (5251, OLD), (5252, OLD)])
    before, _ = _validate(room, 4)
    assert before == [100, 100, 51, 1]
    _record(room, _told(2250, 5250, 5250, new_serial=OLD, current=Ratio(300, 5)))
    values, _ = _validate(room, 4)
    assert values == [100, 100, 50 + 60, 60]
    with room.store.read() as tx:
        said = [row["message"] for row in control.findings(tx) if row["code"] == "vee.exchange"]
    assert said == [f"{METER} 2026-05-28T20:37Z counts times 60 from here"]


def test_the_command_changes_transformers_and_keeps_what_is_not_said(
    room: Room, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = ["--dir", str(room.directory), "--json"]
    _clock(room, 8)
    at = ["--at", interval.label(START_S + 900)]
    told = ["exchange", METER, "--old-serial", OLD, "--last-reading", "10", "--first-reading", "10"]
    assert main(["meter", *told, *at, "--current", "200/5", *folder]) == 0
    later = ["--at", interval.label(START_S + 3600), "--new-serial", NEW]
    dated = ["--verified-until", "2034-12-31"]
    assert main(["meter", *told, *later, *dated, *folder]) == 0
    capsys.readouterr()
    assert main(["meter", "facts", METER, *folder]) == 0
    said = json.loads(capsys.readouterr().out)["facts"]
    assert [one["current"] for one in said] == ["1/1", "200/5", "200/5"]
    assert [one["serial"] for one in said] == [OLD, OLD, NEW]
    assert [one["verified_until"] for one in said] == [None, None, "2034-12-31T20:00Z"]
    with pytest.raises(SystemExit):
        main(["meter", *told, *at, "--current", "0/5", *folder])
    assert "0/5" in capsys.readouterr().err
    assert main(["meter", "facts", "M-999", *folder]) == 1


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ('current = "200"', "must be a ratio as text"),
        ('current = "200/0"', "must be within 1 to 1000000"),
        ("current = 40", "must be a ratio as text"),
        ('verified_until = "soon"', "'soon' must be date"),
        ('current = "999983/7"\nvoltage = "999979/11"', "a part beyond 10\\^9"),
    ],
)
def test_wrong_facts_of_a_site_file_are_named_with_their_line(said: str, message: str) -> None:
    mine = f'id = "{METER}"\n'
    text = demo_site(day=DEFAULT_DAY, seed=1).replace(mine, f"{mine}{said}\n")
    with pytest.raises(SiteFileError, match=message) as caught:
        parse(text)
    line = text[: text.index(said)].count("\n") + 1
    assert f":{line}:" in str(caught.value)


def test_a_verification_is_told_of_before_and_after_it_expires(tmp_path: Path) -> None:
    day = date.fromordinal(DEFAULT_DAY.toordinal() + 91)
    room = _room(tmp_path / "site", f"verified_until = {day}\n")
    _, end_s = interval.day_bounds(day, TIME_ZONE)
    with room.store.read() as tx:
        assert metering_facts.expiring(tx, room.site, START_S) == []
        (soon,) = metering_facts.expiring(tx, room.site, START_S + 5 * interval.DAY_S)
        (past,) = metering_facts.expiring(tx, room.site, end_s)
    assert (soon.code, soon.subject, soon.severity) == (
        "meter.verification", METER, Severity.WARNING,
    )  # fmt: skip
    assert past.severity is Severity.ALARM


def test_a_meter_whose_last_seal_was_removed_is_told_of_and_no_number_is_in_the_ledger(
    room: Room, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _clock(room, 8)
    folder = ["--dir", str(room.directory)]
    at = ["--at", interval.label(START_S + 900)]
    seal = ["meter", "seal", METER, SEAL, *folder]
    assert main([*seal, "--removed", *at]) == 1
    assert "was not on it" in capsys.readouterr().err
    assert main([*seal, *at]) == 0
    assert main([*seal, *at]) == 1
    assert "is on it already" in capsys.readouterr().err
    with room.store.read() as tx:
        assert metering_facts.expiring(tx, room.site, START_S + 3600) == []
    assert main([*seal, "--removed", "--at", interval.label(START_S + 1800)]) == 0
    with room.store.read() as tx:
        (bare,) = metering_facts.expiring(tx, room.site, START_S + 3600)
        kinds = [one["kind"] for one in control.actions(tx)]
    assert (bare.code, bare.subject) == ("meter.seal", METER)
    assert kinds[:2] == ["meter.unseal", "meter.seal"]
    with closing(room.signer), room.store.write() as tx:
        record.checkpoint(tx, room.signer.sign, START_S + 7200)
    out = tmp_path / "export"
    audit.export(room.store, out, openings=True)
    everything = b"".join(path.read_bytes() for path in out.rglob("*") if path.is_file())
    assert b"meter.unseal" in everything
    assert SEAL.encode() not in everything


def test_a_move_in_is_kept_with_what_the_meter_showed(
    room: Room, capsys: pytest.CaptureFixture[str]
) -> None:
    _clock(room, 8)
    folder = ["--dir", str(room.directory)]
    party = str(room.site.party[5].id)
    moves = ["meter", "move-in", POINT, party, "--reading", "5100,7", *folder]
    assert main([*moves, "--at", interval.label(START_S + 900)]) == 0
    assert main([*moves, "--at", interval.label(START_S + 900)]) == 1
    assert "recorded then already" in capsys.readouterr().err
    assert main([*moves, "--at", interval.label(START_S + 960)]) == 1
    assert "no interval of 900 s begins then" in capsys.readouterr().err
    with room.store.read() as tx:
        assert move_ins(tx, [POINT]) == [
            MoveIn(POINT, party, START_S + 900, (5100, 7, -1, -1), COMMAND_LINE, START_S + 7200)
        ]
        assert control.actions(tx)[0]["kind"] == "usage_point.move_in"
    for wrong, message in (
        (MoveIn("UP-X", party, START_S, (0, 0, 0, 0), ACTOR, START_S), "no such usage point"),
        (MoveIn(POINT, "P-X", START_S, (0, 0, 0, 0), ACTOR, START_S), "no party of the site"),
        (MoveIn(POINT, party, START_S, (10**9, 0, 0, 0), ACTOR, START_S), "within 0 to 999999999"),
        (MoveIn(POINT, party, START_S + 9000, (0, 0, 0, 0), ACTOR, START_S), "site's clock"),
    ):
        with room.store.write() as tx, pytest.raises(BadInputError, match=message):
            metering_facts.record_move_in(tx, room.site, wrong)


def test_a_voltage_behind_a_transformer_is_not_compared_with_230_v(tmp_path: Path) -> None:
    room = _room(tmp_path / "site", 'voltage = "400/100"\n')
    _read(room, [(5000 + n, OLD) for n in range(5)])
    other = next(str(one.id) for one in room.site.meter if one.id not in (METER, room.head))
    with room.store.read() as tx:
        found = phase_voltages(room.site, tx, [other, METER, ""], START_S, 4)
    assert found[0].tolist() == [230.0] * 4
    assert np.isnan(found[1:]).all()
    _clock(room, 5)
    _record(room, _told(1800, 5002, 5002, new_serial=OLD))
    with room.store.read() as tx:
        found = phase_voltages(room.site, tx, [METER], START_S, 4)
    assert np.isnan(found[0]).tolist() == [True, True, False, False]
