"""Lost energy in what a site has stored: looked for daily, kept as cases, closed by a person."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from sqlalchemy import select

from grid import interval
from grid.console import cli
from grid.console.cli.users import COMMAND_LINE
from grid.errors import PeerError, StoreError
from grid.operation import demo
from grid.operation.demo_site import DEFAULT_DAY, TIME_ZONE
from grid.operation.loss_cases import look, look_daily, looked_at
from grid.operation.loss_watch import LEARN_DAYS, Outlook, Waiting
from grid.operation.losses_faults import constant
from grid.operation.losses_months import demo_feeder, fleet, shown
from grid.operation.losses_study import REALISTIC, SOURCE, SOURCE_VOLTAGE_PU
from grid.operation.room import Room
from grid.store import Store, control, loss_cases, series
from grid.store.schema import metadata, register_read
from meters.vee import Quality

DAYS, STOLEN_FROM, POINT = LEARN_DAYS + 3, LEARN_DAYS + 1, "UP-026"
START_S, _ = interval.day_bounds(DEFAULT_DAY, TIME_ZONE)
DAY_S = 86_400
DUE_S = 2 * 900
"""Two intervals after its end a day has its estimates."""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo site with four trusted weeks in its store, and three days of which two have a
    bypass of 5 kWh a day."""
    folder = tmp_path_factory.mktemp("losses") / "site"
    demo.prepare(folder, day=DEFAULT_DAY, seed=1)
    feeder = demo_feeder(SOURCE, SOURCE_VOLTAGE_PU)
    wrong = constant(feeder.usage_point.index(POINT), 5.0, since_day=STOLEN_FROM)
    record = shown(feeder, fleet(feeder, 901, REALISTIC), 150, DAYS, wrong)
    store = Store.at(folder)
    room = looked_at(folder, store)
    dims, count = ("usage_point", "interval"), DAYS * 96
    (idle,) = set(room.points) - set(record.usage_point)
    names = [*record.usage_point, idle, room.head]
    still = np.zeros((1, count), np.int64)
    varh = [
        np.vstack([np.rint(kvar[:, 150 * 96 :][:, :count] * 250).astype(np.int64), still, still])
        for kvar in (feeder.absorbed_kvar, feeder.injected_kvar)
    ]
    known = xr.Dataset(
        {
            "import_wh": (dims, np.vstack([record.import_wh, still, record.head_import_wh])),
            "export_wh": (dims, np.vstack([record.export_wh, still, record.head_export_wh])),
            "import_varh": (dims, varh[0]),
            "export_varh": (dims, varh[1]),
            "quality": (dims, np.full(varh[0].shape, Quality.VALID, np.uint16)),
        },
        coords={"usage_point": names, "interval": interval.starts(START_S, count, 900)},
    )
    meter = {str(one.usage_point): str(one.id) for one in room.site.meter}
    plain = {"cycle_s": START_S, "from_profile": False, "raw_sha256": b""}
    plain |= dict.fromkeys(("import_wh", "export_wh", "import_varh", "export_varh"), 0)
    with store.write() as tx:
        series.put_intervals(tx, known, time_zone=TIME_ZONE, cycle_s=START_S)
        for point, volts in zip(record.usage_point, record.voltage_v, strict=True):
            rows = [
                {"meter": meter[point], "at_s": START_S + 900 * (n + 1), "voltage_v": volt, **plain}
                for n, volt in enumerate(volts.tolist())
                if n % 2
            ]
            tx.execute(register_read.insert(), rows)
    store.close()
    return folder


@pytest.fixture
def room(filled: Path, tmp_path: Path) -> Iterator[Room]:
    shutil.copytree(filled, tmp_path, dirs_exist_ok=True)
    store = Store.at(tmp_path)
    yield looked_at(tmp_path, store)
    store.close()


def _end(days: int) -> int:
    return START_S + days * DAY_S


def _cases(room: Room) -> list[dict[str, object]]:
    with room.store.read() as tx:
        return loss_cases.cases(tx)


def _findings(room: Room) -> list[str]:
    with room.store.read() as tx:
        return [row["code"] for row in control.findings(tx) if row["code"].startswith("losses.")]


def test_a_case_is_opened_on_the_day_that_tells_kept_up_and_told_once(room: Room) -> None:
    look_daily(room, _end(LEARN_DAYS + 1) + DUE_S)
    assert _cases(room) == []
    assert _findings(room) == []
    look_daily(room, _end(LEARN_DAYS + 2) + DUE_S)
    (first,) = _cases(room)
    assert first["since_s"] == _end(STOLEN_FROM)
    assert first["found_s"] == first["last_s"] == _end(STOLEN_FROM + 1)
    assert first["closed_s"] is None
    look_daily(room, _end(LEARN_DAYS + 3) + DUE_S)
    (case,) = _cases(room)
    assert case["id"] == first["id"]
    assert case["last_s"] == _end(STOLEN_FROM + 2)
    assert case["found_s"] == first["found_s"]
    assert case["wh_per_day"] == pytest.approx(5000, abs=3 * case["wh_per_day_sd"])
    content = case["content"]
    assert POINT in [point for point, _ in content["suspects"]]
    assert {"balance", "voltage", "share", "misfit"} <= {e["code"] for e in content["evidence"]}
    assert len(content["learned"]["wh"]) == LEARN_DAYS
    quiet, *stolen = content["judged"]["wh"]
    assert abs(quiet) < 2000 < 3500 < min(stolen)
    assert len(_findings(room)) == (1 if case["subject"] == first["subject"] else 2)


def test_looking_again_changes_nothing_and_a_room_without_memory_says_the_same(room: Room) -> None:
    def rows() -> list[object]:
        with room.store.read() as tx:
            tables = [metadata.tables[name] for name in ("loss_case", "finding", "meta")]
            return [tuple(row) for table in tables for row in tx.execute(select(table))]

    at_s = _end(DAYS) + DUE_S
    look_daily(room, at_s)
    before = rows()
    room.memory.clear()
    look_daily(room, at_s + 900)
    assert rows() == before
    with room.store.read() as tx:
        assert "look" in control.done(tx, at_s + 900)
        kept = look(room, tx, START_S, _end(DAYS))
        again = look(room, tx, START_S, _end(DAYS))
        room.memory.clear()
        fresh = look(room, tx, START_S, _end(DAYS))
    assert again.learned is kept.learned
    assert fresh.learned is not kept.learned
    assert isinstance(fresh.outlook, Outlook)
    assert isinstance(kept.outlook, Outlook)
    assert fresh.outlook.cases == kept.outlook.cases != ()


def test_a_day_is_not_looked_at_before_its_estimates_are_due(room: Room) -> None:
    look_daily(room, _end(DAYS) + DUE_S - 900)
    with room.store.read() as tx:
        assert control.get_meta(tx, "losses.looked") == str(
            interval.local_day(_end(DAYS - 2), TIME_ZONE)
        )


def test_a_closed_case_stays_closed_and_its_days_are_not_told_again(
    room: Room, capsys: pytest.CaptureFixture[str]
) -> None:
    look_daily(room, _end(LEARN_DAYS + 2) + DUE_S)
    (case,) = _cases(room)
    with room.store.write() as tx:
        act = {"user": "o@example.org", "at_s": _end(LEARN_DAYS + 2) + 3600, "comment": "seal"}
        control.put_meta(tx, "clock_s", str(act["at_s"]))
        with pytest.raises(StoreError, match="must be one of confirmed, not_confirmed"):
            loss_cases.close_case(tx, case["id"], reason="because", **act)
    closes = ["meter", "losses", "--dir", str(room.directory), "--close", str(case["id"])]
    assert cli.main([*closes, "--reason", "confirmed"]) == 1
    assert "say what was found" in capsys.readouterr().err
    assert cli.main(closes) == 2
    assert "--close needs --reason confirmed or not_confirmed" in capsys.readouterr().err
    found = [*closes, "--reason", "confirmed", "--comment", "a bridge before the seal"]
    assert cli.main(found) == 0
    assert cli.main(found) == 1
    assert "was closed before" in capsys.readouterr().err
    with room.store.read() as tx:
        assert control.actions(tx)[0]["kind"] == "loss_case.close"
    look_daily(room, _end(DAYS) + DUE_S)
    (after,) = _cases(room)
    assert (after["reason"], after["closed_by"]) == ("confirmed", COMMAND_LINE)
    assert after["last_s"] == case["last_s"]
    with room.store.read() as tx:
        assert look(room, tx, START_S, _end(DAYS)).outlook == Waiting(0, 1)


def test_the_command_tells_cases_none_and_too_little(
    room: Room, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(*arguments: str) -> str:
        assert cli.main(["meter", "losses", "--dir", str(tmp_path), *arguments]) == 0
        return capsys.readouterr().out.strip()

    until = interval.label(_end(DAYS))
    text = said("--until", until)
    assert "judged 3 days since" in text
    assert "kWh a day" in text
    assert POINT in text
    assert "next: " in text
    facts = json.loads(said("--until", until, "--json").splitlines()[-1])
    assert facts["state"] == "judged"
    assert [case["kind"] for case in facts["cases"]] == ["bypass"]
    assert said("--until", interval.label(_end(LEARN_DAYS + 1))).endswith("no case")
    assert said("--until", interval.label(_end(9))) == "not enough data: 9 of 28 days"
    assert cli.main(["meter", "losses", "--dir", str(tmp_path)]) == 2
    assert _cases(room) == [], "the command looks, and keeps nothing"


def test_a_room_that_only_looks_asks_no_field(room: Room) -> None:
    with pytest.raises(PeerError, match="only looked at"):
        room.link.advance(0)
