"""Files of readings reach the store once, whole, with where they came from."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from grid import interval
from grid.console import cli
from grid.errors import BadInputError
from grid.operation import commission
from grid.operation.demo_site import demo_site
from grid.operation.importing import Outcome, Request, import_file
from grid.site import Site
from grid.store import Store, control, imports, series
from meters.formats.labelled import read_netcdf
from meters.vee import Quality

FIRST = interval.parse("2026-07-01T08:15Z")
DAY = interval.parse("2026-06-10T00:00+10:00")

Folder = tuple[Path, Site]


@pytest.fixture
def site(tmp_path: Path) -> Folder:
    directory = tmp_path / "site"
    return directory, commission.commission(directory, demo_site(), at_s=FIRST, seed=1)


def nem12(path: Path, *days: tuple[str, str, str, str], nmi: str = "UP-001") -> Path:
    """Write days of (suffix, date, value, flag), 30 minutes each."""
    lines = ["100,NEM12,202607010000,MDP,RET"]
    for suffix, day, value, flag in days:
        unit = "kvarh" if suffix[0] in "QK" else "kWh"
        lines.append(f"200,{nmi},{suffix},1,{suffix},N1,METER,{unit},30,")
        lines.append(f"300,{day}," + f"{value}," * 48 + f"{flag},,,,")
    path.write_text("\n".join([*lines, "900", ""]))
    return path


def taken(site: Folder, path: Path, **options: object) -> Outcome:
    store = Store.at(site[0])
    try:
        return import_file(store, site[1], Request(path, **options))  # type: ignore[arg-type]
    finally:
        store.close()


def rows(site: Folder) -> str:
    """Return everything that is stored of intervals, files and actions."""
    store = Store.at(site[0])
    with store.read() as tx:
        found = [
            tx.exec_driver_sql(f"SELECT * FROM {name} ORDER BY 1, 2, 3, 4").all()
            for name in ("interval_day", "import_file", "import_channel", "action", "ledger_entry")
        ]
    store.close()
    return repr(found)


def stored(site: Folder, start_s: int, count: int, point: str = "UP-001") -> dict[str, list[int]]:
    store = Store.at(site[0])
    with store.read() as tx:
        found = series.get_intervals(
            tx, [point], start_s, start_s + 900 * count, time_zone=site[1].time_zone
        )
    store.close()
    return {name: found[name].values[0].tolist() for name in ("import_wh", "export_wh", "quality")}


def versions(site: Folder, point: str = "UP-001") -> set[int]:
    store = Store.at(site[0])
    with store.read() as tx:
        days = [(dt.date(2026, 6, 9) + dt.timedelta(n)).isoformat() for n in range(4)]
        found = {v for day in days for _, v, _ in series.versions(tx, point, day)}
    store.close()
    return found


def test_half_hours_become_quarter_hours_of_the_same_sum(site: Folder, tmp_path: Path) -> None:
    path = nem12(tmp_path / "a.csv", ("E1", "20260610", "0.101", "A"), ("B1", "20260610", "0", "A"))
    done = taken(site, path)
    assert (done.readings, done.filled, done.changed, done.refused) == (96, 96, 0, 0)
    found = stored(site, DAY, 96)
    assert found["import_wh"] == [51, 50] * 48
    assert found["export_wh"] == [0] * 96
    assert set(found["quality"]) == {Quality.SCALED}


def test_a_second_import_changes_no_row(site: Folder, tmp_path: Path) -> None:
    days = [("E1", "20260610", "0.5", "A"), ("E1", "20260611", "0.7", "S14")]
    path = nem12(tmp_path / "a.csv", *days)
    taken(site, path)
    before = rows(site)
    again = taken(site, path)
    assert (again.filled, again.changed, again.kept, again.known) == (0, 0, 0, True)
    assert rows(site) == before


def test_the_same_readings_in_another_order_change_no_reading(site: Folder, tmp_path: Path) -> None:
    days = [("E1", "20260610", "0.5", "A"), ("B1", "20260610", "0.2", "A"),
            ("E1", "20260611", "0.7", "S14")]  # fmt: skip
    taken(site, nem12(tmp_path / "a.csv", *days))
    before, at = rows(site), stored(site, DAY, 192)
    done = taken(site, nem12(tmp_path / "b.csv", *reversed(days)))
    assert (done.filled, done.changed, done.kept, done.known) == (0, 0, 0, False)
    assert stored(site, DAY, 192) == at
    assert rows(site).split("], [")[0] == before.split("], [")[0]
    assert versions(site) == {1}


def test_a_changed_value_makes_a_version_and_an_estimate_never_replaces_a_reading(
    site: Folder, tmp_path: Path
) -> None:
    taken(site, nem12(tmp_path / "a.csv", ("E1", "20260610", "0.5", "S14")))
    better = taken(site, nem12(tmp_path / "b.csv", ("E1", "20260610", "0.6", "A")))
    assert (better.changed, better.kept) == (96, 0)
    assert versions(site) == {1, 2}
    worse = taken(site, nem12(tmp_path / "c.csv", ("E1", "20260610", "0.7", "E52")))
    assert (worse.changed, worse.kept) == (0, 96)
    assert set(stored(site, DAY, 96)["import_wh"]) == {300}
    assert versions(site) == {1, 2}


def test_an_interval_leads_to_the_lines_of_its_file(site: Folder, tmp_path: Path) -> None:
    path = nem12(tmp_path / "a.csv", ("E1", "20260610", "0.5", "A"), ("E1", "20260611", "1", "F15"))
    taken(site, path)
    store = Store.at(site[0])
    with store.read() as tx:
        ((file, channel),) = imports.told_of(tx, "UP-001", "import_wh", DAY + 86_400)
        assert imports.told_of(tx, "UP-001", "export_wh", DAY) == []
        newest = control.actions(tx, limit=1)[0]
    store.close()
    assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (file.name, file.format, file.readings) == ("a.csv", "nem12", 96)
    assert (channel.channel, channel.first_line, channel.last_line) == ("E1", 3, 5)
    assert file.detail == {"flags": {"A": 96, "F15": 96}}
    assert newest["kind"] == "readings.import"
    assert file.sha256 in newest["detail"]


@pytest.mark.parametrize(
    ("day", "message"),
    [
        (("E1", "20260610", "0.5", "X"), "line 5: QualityMethod 'X'"),
        (("E1", "20260701", "0.5", "A"), "line 5: UP-001 2026-07-01T08:15Z: must be from"),
        (("E1", "19990101", "0.5", "A"), "line 5: UP-001 E1 1998-12-31T14:00Z: must be from"),
        (("E1", "20260611", "999", "A"), "line 5: UP-001 2026-06-10T14:00Z: import_wh 499500"),
        (("E1", "20260610", "0.6", "A"), "line 5: UP-001 E1 2026-06-09T14:00Z: 300 Wh, but 250"),
    ],
)
def test_one_bad_line_leaves_the_store_as_it_was(
    site: Folder, tmp_path: Path, day: tuple[str, str, str, str], message: str
) -> None:
    path = nem12(tmp_path / "a.csv", ("E1", "20260610", "0.5", "A"), day)
    before = rows(site)
    with pytest.raises(BadInputError) as caught:
        taken(site, path)
    assert message in str(caught.value)
    assert str(caught.value).startswith("a.csv line 5: ")
    assert rows(site) == before
    partial = taken(site, path, accept_partial=True)
    assert partial.refused >= 1
    assert set(stored(site, DAY, 96)["import_wh"]) == {250}


def test_a_strange_usage_point_is_refused_with_how_to_map_it(site: Folder, tmp_path: Path) -> None:
    path = nem12(tmp_path / "a.csv", ("E1", "20260610", "0.5", "A"), nmi="6305000001")
    with pytest.raises(BadInputError, match="--points 6305000001=USAGE_POINT"):
        taken(site, path)
    done = taken(site, path, points={"6305000001": "UP-002"})
    assert done.filled == 96
    assert set(stored(site, DAY, 96, "UP-002")["import_wh"]) == {250}


def test_channels_of_one_register_add_up_and_one_that_is_absent_leaves_it_missing(
    site: Folder, tmp_path: Path
) -> None:
    text = "100,NEM12,202607010000,MDP,RET\n"
    for suffix, value in (("E1", "0.3"), ("E2", "0.2"), ("B1", "0.1")):
        text += f"200,UP-001,E1E2B1B2,1,{suffix},N1,METER,kWh,30,\n300,20260610,"
        text += f"{value}," * 48 + "A,,,,\n"
    path = tmp_path / "a.csv"
    path.write_text(text + "900\n")
    taken(site, path)
    found = stored(site, DAY, 96)
    assert set(found["import_wh"]) == {250}
    assert set(found["export_wh"]) == {-1}


def test_a_dry_run_tells_and_does_nothing(site: Folder, tmp_path: Path) -> None:
    path = nem12(tmp_path / "a.csv", ("E1", "20260610", "0.5", "A"))
    before = rows(site)
    assert taken(site, path, dry_run=True).filled == 96
    assert rows(site) == before


def test_accumulated_reads_are_spread_only_when_asked(site: Folder, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        "100,NEM13,202607010000,MDP,RET\n"
        "250,UP-001,11,1,11,11,METER,E,006342.8,20260601093055,A,,,6442.801,20260602100333,A,,,"
        "100.001,kWh,,20260602100333,\n900\n"
    )
    with pytest.raises(BadInputError, match=r"line 2: UP-001 11 .* at most 3600 s"):
        taken(site, path)
    assert taken(site, path, spread=True).filled == 98
    found = stored(site, interval.parse("2026-06-01T09:30+10:00"), 98)
    assert sum(found["import_wh"]) == 100_001
    assert max(found["import_wh"]) - min(found["import_wh"]) == 1
    assert set(found["quality"]) == {Quality.SCALED}


def test_the_command_imports_exports_and_answers_machines(
    site: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = nem12(tmp_path / "a.csv", ("E1", "20260610", "0.5", "A"), nmi="630")
    folder = ["--dir", str(site[0]), "--json"]
    assert cli.main(["meter", "import", str(path), *folder]) == 1
    assert "--points 630=" in capsys.readouterr().err
    options = ["--points", "630=UP-001", *folder]
    assert cli.main(["meter", "import", str(path), *options, "--dry-run"]) == 0
    assert cli.main(["meter", "import", str(path), *options]) == 0
    dry, done = map(json.loads, capsys.readouterr().out.splitlines())
    assert {**dry, "dry_run": False} == done
    assert (done["filled"], done["days"], done["flags"]) == (96, 2, {"A": 96})
    out = tmp_path / "out.xml"
    assert cli.main(["meter", "export", str(out), "--point", "UP-001", *folder]) == 0
    assert json.loads(capsys.readouterr().out)["intervals"] == 96
    assert cli.main(["meter", "import", str(out), *folder]) == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["filled"], again["changed"], again["kept"]) == (0, 0, 0)
    assert again["readings"] == 96


def test_what_is_imported_after_the_first_cycle_is_settled_again(
    site: Folder, tmp_path: Path
) -> None:
    store = Store.at(site[0])
    with store.write() as tx:
        control.put_meta(tx, "clock_s", str(FIRST + 86_400))
    path = nem12(tmp_path / "a.csv", ("E1", "20260701", "0.5", "A"))
    import_file(store, site[1], Request(path))
    with store.read() as tx:
        waiting = json.loads(control.get_meta(tx, "resettle") or "[]")
    store.close()
    end = interval.parse("2026-07-02T00:00+10:00")
    assert waiting == np.arange(FIRST, end, 900).tolist()


def test_what_is_exported_names_the_files_it_came_from(
    site: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = nem12(tmp_path / "a.csv", ("E1", "20260610", "0.5", "A"))
    taken(site, path)
    folder = ["--dir", str(site[0])]
    span = ["--from", "2026-06-10T00:00+10:00", "--to", "2026-06-10T06:00+10:00"]
    out = tmp_path / "out.nc"
    assert cli.main(["meter", "export", str(out), *span, *folder]) == 0
    found = read_netcdf(out)
    assert found["import_wh"].sel(usage_point="UP-001").values.tolist() == [250] * 24
    files = json.loads(found.attrs["provenance"])["files"]
    assert files == {"UP-001": [hashlib.sha256(path.read_bytes()).hexdigest()]}
    table = tmp_path / "out.csv"
    assert cli.main(["meter", "export", str(table), "--point", "UP-001", *span, *folder]) == 0
    assert table.read_text().count(",250,,,,4\n") == 24
    capsys.readouterr()
    for wrong in (["--point", "UP-999"], ["--from", span[1], "--to", span[1]], ["--format", "x"]):
        try:
            assert cli.main(["meter", "export", str(out), *wrong, *folder]) in (1, 2)
        except SystemExit as ended:
            assert ended.code == 2  # noqa: PT017  the parser ends so, the command returns
    assert "UP-999" in capsys.readouterr().err
