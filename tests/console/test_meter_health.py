"""How meters and gateways are: the same figures on the page and at the command line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from grid.console import cli
from grid.site import Site
from grid.store import Store, reading
from grid.store.reading import HOUR_S, KEPT_S
from meters.statistics import Record
from tests.console import village


def _statistics(folder: Path, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    (folder / "SITE.toml").write_text(village.TOML)
    assert cli.main(["meter", "statistics", "--dir", str(folder), *more]) == 0
    return capsys.readouterr().out


def test_the_command_tells_success_latency_and_age(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = json.loads(_statistics(folder, capsys, "--json"))
    meters = {row["meter"]: row for row in told["meters"]}
    # Nineteen of twenty answers took 40 ms, one 1.44 s; of classes the upper limit is told.
    first = meters["M-1"]
    assert (first["requests"], first["success_percent"]) == (120, 100.0)
    assert (first["p50_ms"], first["p99_ms"], first["clock_offset_s"]) == (50, 2000, 0)
    third = meters["M-3"]
    assert (third["success_percent"], third["timeouts"]) == (50.0, 60)
    assert (meters["M-2"]["clock_offset_s"], third["clock_offset_s"]) == (7, None)
    # The head has no statistics, and that is not a success of 0 %.
    assert meters["M-HEAD"]["success_percent"] is None
    gateways = {row["gateway"]: row for row in told["gateways"]}
    assert gateways["10.0.0.2:4059"]["requests"] == 4 * 120
    assert gateways["10.0.0.2:4059"]["success_percent"] == pytest.approx(87.5)
    assert gateways["10.0.0.1:4059"]["age_s"] == 900
    least = told["gateways"][0]["gateway"]
    assert least == "10.0.0.2:4059"


def test_fewer_hours_are_of_those_hours_and_people_get_a_table(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = json.loads(_statistics(folder, capsys, "--json", "--hours", "2"))
    (third,) = [row for row in told["meters"] if row["meter"] == "M-3"]
    assert third["success_percent"] == 0.0
    text = _statistics(folder, capsys)
    (line,) = [row for row in text.splitlines() if row.startswith("M-2 ")]
    assert line.split()[-1] == "+7"
    assert re.search(r"^10\.0\.0\.2:4059 +15 +480 +87\.5 ", text, re.MULTILINE)
    assert len({len(row) for row in text.split("\n\n")[0].splitlines()}) == 1


def test_the_page_shows_the_same(sign_in: Callable[..., FlaskClient]) -> None:
    page = sign_in("metering").get("/admin/meters").text
    assert "50 / 2000" in page
    assert "+7" in page
    assert "10.0.0.2:4059" in page
    assert "87.5 %" in page


def test_hours_add_up_and_old_ones_are_forgotten(tmp_path: Path, site: Site) -> None:
    store = Store.at(tmp_path, create=True)
    now_s = 480_000 * HOUR_S
    asked = Record()
    for one in asked.observers("M-1", "line"):
        one.answered(0.003)
        one.failed("malformed")
    with store.write() as tx:
        for cycle_s in (now_s - KEPT_S - HOUR_S, now_s, now_s + 900):
            reading.add_statistics(tx, asked, cycle_s=cycle_s)
        every = reading.statistics(tx, "meter", 0, now_s + 900)["M-1"]
        assert (every.statistics.requests, every.statistics.successes) == (4, 2)
        assert every.statistics.latency_ms(50) == 5
        assert every.answered_s == now_s + 900
        silent = Record()
        silent.observers("M-1", "line")[0].failed("silent")
        reading.add_statistics(tx, silent, cycle_s=now_s + 1800)
        every = reading.statistics(tx, "meter", 0, now_s + 1800)["M-1"]
        assert (every.statistics.timeouts, every.answered_s) == (1, now_s + 900)
    store.close()
