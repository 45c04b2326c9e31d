"""Pictures of a backtest: what is drawn is what the tables hold, and both are what was counted."""

from __future__ import annotations

import csv
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from grid import interval
from grid.console.backtest_pictures import HEIGHT, pictures
from grid.console.backtest_record import Record
from grid.console.cli import main

SVG = "{http://www.w3.org/2000/svg}"
START_S = interval.parse("2026-03-30T20:00Z")
HOURS = 72


@pytest.fixture
def record() -> Record:
    """Three days over a month's end, of which the last is dear for the rule."""
    rng = np.random.default_rng(1)
    base = rng.random(HOURS)
    cost = {"rule": (base + 0.5).tolist(), "foresight": base.tolist()}
    stored = {"rule": [10.0] * (HOURS + 1), "foresight": [float(t % 9) for t in range(HOURS + 1)]}
    return Record(START_S, 3600, "Asia/Baku", stored, cost)


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def test_tables_are_sums_of_what_was_counted(record: Record) -> None:
    files = pictures(record, "AZN")
    last = rows(files["cost.csv"])[-1]
    assert float(last["rule"]) == pytest.approx(sum(record.cost["rule"]), abs=1e-5)
    regret = {row["month"]: row for row in rows(files["regret.csv"])}
    # 30 March 20:00 UTC is midnight in Baku: a day of March and two of April
    assert {month: float(row["rule"]) for month, row in regret.items()} == {
        "2026-03": pytest.approx(12.0), "2026-04": pytest.approx(24.0),
    }  # fmt: skip
    assert {float(row["foresight"]) for row in regret.values()} == {0.0}
    week = rows(files["week.csv"])
    assert [float(row["foresight stored_kwh"]) for row in week[:3]] == [1.0, 2.0, 3.0]
    assert [float(row["foresight charge_kw"]) for row in week[7:10]] == [1.0, -8.0, 1.0]
    assert all(float(row["rule charge_kw"]) == 0.0 for row in week)


def test_lines_and_bars_stand_where_their_numbers_are(record: Record) -> None:
    files = pictures(record, "<AZN>")
    for name in ("cost.svg", "week.svg", "regret.svg"):
        drawn = ET.fromstring(files[name])
        width, height = map(float, drawn.attrib["viewBox"].split()[2:])
        for line in drawn.iter(f"{SVG}polyline"):
            points = [tuple(map(float, one.split(","))) for one in line.attrib["points"].split()]
            assert len(points) == HOURS
            assert all(0.0 <= x <= width and 0.0 <= y <= HEIGHT for x, y in points)
        assert height in (HEIGHT, 2 * HEIGHT)
        assert drawn.find(f".//{SVG}title") is not None
    rule, best = (
        [float(one.split(",")[1]) for one in line.attrib["points"].split()]
        for line in ET.fromstring(files["cost.svg"]).iter(f"{SVG}polyline")
    )
    # dearer is higher, and both only rise
    assert all(one < other for one, other in zip(rule, best, strict=True))
    assert rule == sorted(rule, reverse=True)
    bars = [r for r in ET.fromstring(files["regret.svg"]).iter(f"{SVG}rect") if len(r)]
    heights = [float(bar.attrib["height"]) for bar in bars]
    assert heights[1] == pytest.approx(2.0 * heights[0], abs=0.2)
    assert heights[2:] == [0.0, 0.0]


def test_axes_have_round_numbers_and_civil_days(record: Record) -> None:
    drawn = ET.fromstring(pictures(record, "AZN")["cost.svg"])
    words = [one.text or "" for one in drawn.iter(f"{SVG}text")]
    assert [w for w in words if w.startswith("2026-")] == ["2026-03-31", "2026-04-01", "2026-04-02"]
    top = float(record.cumulative()["rule"][-1])
    numbers = [float(w) for w in words if w.replace(".", "").isdigit()]
    assert numbers == [0.0, 20.0, 40.0, 60.0, 80.0]
    assert numbers[-2] < top < numbers[-1]


def test_without_foresight_regret_is_against_the_cheapest(record: Record) -> None:
    cost = {"rule": record.cost["rule"], "mpc": record.cost["foresight"]}
    stored = {"rule": record.stored_kwh["rule"], "mpc": record.stored_kwh["foresight"]}
    other = Record(START_S, 3600, "Asia/Baku", stored, cost)
    assert other.reference == "mpc"
    assert "above that of mpc by month" in pictures(other, "AZN")["regret.svg"]


def test_the_command_keeps_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["dispatch", "backtest", "--days", "1", "--horizon", "6", "--without", "stochastic"]
    out, plots = tmp_path / "days.csv", tmp_path / "plots"
    more = ["--without", "foresight", "--out", str(out), "--plots", str(plots)]
    assert main([*words, *more]) == 0
    capsys.readouterr()
    names = {path.name for path in plots.iterdir()}
    assert names == {
        f"{one}.{kind}" for one in ("cost", "week", "regret") for kind in ("svg", "csv")
    }
    with out.open(encoding="utf-8") as file:
        (day,) = csv.DictReader(file)
    last = rows((plots / "cost.csv").read_text(encoding="utf-8"))[-1]
    for name in ("rule", "mpc"):
        assert float(last[name]) == pytest.approx(float(day[name]), abs=1e-5)
