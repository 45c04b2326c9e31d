"""``khazri dispatch backtest``: what it prints, keeps and refuses."""

import csv
import json
from pathlib import Path

import pytest

from grid.console.cli import main

SHORT = ["dispatch", "backtest", "--days", "1", "--horizon", "6"]
ALONE = [*SHORT, "--without", "stochastic", "--without", "foresight"]


def test_costs_are_printed_and_kept_by_day(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "days.csv"
    assert main([*ALONE, "--json", "--out", str(kept)]) == 0
    told = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert set(told["controllers"]) == {"rule", "mpc"}
    for one in told["controllers"].values():
        assert one["cost"] == pytest.approx(sum(one["items"].values()))
        assert told["bound"] <= one["cost"] + 1e-6
        assert one["unserved_kwh"] == 0.0
    with kept.open(encoding="utf-8") as file:
        (day,) = csv.DictReader(file)
    assert day["day"] == "2026-03-01"
    assert float(day["mpc"]) == pytest.approx(told["controllers"]["mpc"]["cost"], abs=1e-5)


def test_a_site_with_a_real_field_has_no_weather_to_play(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", str(tmp_path / "site")]) == 0
    path = tmp_path / "site" / "SITE.toml"
    path.write_text(path.read_text().replace('kind = "simulated"', 'kind = "real"'))
    capsys.readouterr()
    assert main([*SHORT, str(path)]) == 1
    assert "a backtest plays a simulated one" in capsys.readouterr().err
