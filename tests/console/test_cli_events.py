"""``khazri control events``: from a file to an answer by two operators, and the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from grid.console.cli import main
from grid.store import Store
from grid.store import events as stored

OPERATOR, SECOND = "operator@example.org", "second@example.org"
EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "event.json"


def test_a_file_becomes_an_event_that_two_operators_accept(
    site_folder: Path, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*words: str, code: int = 0) -> str:
        assert main(["control", "events", *words, "--dir", str(site_folder), "--json"]) == code
        told = capsys.readouterr()
        return told.err if code else told.out.splitlines()[-1]

    file = site_folder / "events.json"
    file.write_text(EXAMPLE.read_text().replace("2026-03-12", "2026-05-27"))
    take = ("import", str(file), "--asked-by", "City utility", "--reward", "0.25")
    assert "no role" in run(*take, "--by", "metering@example.org", code=1)
    (one,) = json.loads(run(*take, "--by", OPERATOR))["events"]
    assert (one["id"], one["state"], one["start"]) == (2, "received", "2026-05-27T13:00Z")
    assert one["limits_w"] == [20_000] * 4 + [25_000] * 4
    assert one["reward"] == 250_000
    assert "event 2 says the same" in run(*take, "--by", OPERATOR, code=1)
    assert json.loads(run("accept", "2", "--by", OPERATOR))["state"] == "approving"
    assert "second person" in run("approve", "2", "--by", OPERATOR, code=1)
    assert json.loads(run("approve", "2", "--by", SECOND))["approved_by"] == SECOND
    assert "cannot be declined" in run("decline", "2", "--cause", "other", "--by", SECOND, code=1)
    assert json.loads(run("cancel", "2", "--cause", "withdrawn", "--by", SECOND))["cause"] == (
        "withdrawn"
    )
    assert "nothing is left to weigh" in run("weigh", "2", code=1)
    listed = json.loads(run("list"))["events"]
    assert [row["id"] for row in listed] == [2, 1]


def test_a_whole_file_is_taken_or_nothing_of_it(
    site_folder: Path, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    good = json.loads(EXAMPLE.read_text().replace("2026-03-12", "2026-05-27"))
    wrong: dict[str, Any] = {**good, "intervals": good["intervals"][:1]}
    wrong["intervals"][0]["payloads"][0]["values"] = [900.0]
    file = site_folder / "events.json"
    file.write_text(json.dumps([{**good, "intervals": good["intervals"][1:]}, wrong]))
    words = ["control", "events", "import", str(file), "--asked-by", "U", "--by", OPERATOR]
    assert main([*words, "--dir", str(site_folder)]) == 1
    assert "import-limit is 900 kW, must be within 0 to 100 kW" in capsys.readouterr().err
    with store.read() as tx:
        assert [one.id for one in stored.listed(tx)] == [1]


def test_an_event_is_added_and_its_report_is_written(
    site_folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    add = ["control", "events", "add", "import-limit", "--kw", "80", "--asked-by", "Utility"]
    add += ["--from", "2026-05-27T17:00+04:00", "--to", "2026-05-27T18:00+04:00"]
    add += ["--by", OPERATOR, "--dir", str(site_folder)]
    assert main(add) == 0
    told = capsys.readouterr().out
    assert "2 import-limit 80 kW 2026-05-27T13:00Z to 2026-05-27T14:00Z for Utility" in told
    assert "khazri control events weigh 2" in told
    out, table = tmp_path / "report.json", tmp_path / "report.csv"
    report = ["control", "events", "report", "2", "--dir", str(site_folder)]
    assert main([*report, "--out", str(out), "--csv", str(table)]) == 1
    told = capsys.readouterr().out
    assert "kept in 0 of 4, 4 not known" in told
    assert "is made when all readings are there" in told
    assert json.loads(out.read_bytes())["totals"]["missing"] == 4
    assert len(table.read_text().splitlines()) == 5
    for wrong in (("add", "import-limit"), ("decline", "2", "--by", OPERATOR), ("accept", "x")):
        with pytest.raises(SystemExit) as ended:
            main(["control", "events", *wrong])
        assert ended.value.code == 2
