"""``khazri dispatch plan`` of a problem file: what it prints, keeps, compares and refuses."""

import csv
import json
from pathlib import Path

import pytest

from grid.console.cli import main

EVENING = Path(__file__).parents[2] / "docs" / "examples" / "evening.toml"


def told(capsys, *words: str):
    assert main(["dispatch", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out.strip().splitlines()[-1])


def test_plan_and_solve_of_a_file_are_one(capsys):
    plan, solved = (told(capsys, verb, str(EVENING)) for verb in ("plan", "solve"))
    assert plan.pop("findings") == []
    assert plan.pop("seconds") > 0.0
    del solved["seconds"]
    assert plan == solved
    assert plan["cost"] == pytest.approx(sum(plan["items"].values()))
    energy = plan["energy_kwh"]
    own = sum(v for k, v in energy.items() if k not in ("demand", "import", "export"))
    assert energy["demand"] == pytest.approx(energy["import"] - energy["export"] + own)


def test_the_table_has_a_row_an_interval_totals_and_reasons(capsys):
    assert main(["dispatch", "plan", str(EVENING)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("2026-10-21T") for line in lines) == 4
    (total,) = (line.split() for line in lines if line.startswith("kWh in all"))
    assert float(total[3]) == 100.0
    assert any(line.startswith("GEN-1: runs at") for line in lines)


def test_what_if_says_what_it_costs_and_what_moves(capsys, tmp_path):
    kept = tmp_path / "plan.csv"
    words = ("plan", str(EVENING), "--set", "demand=+5%", "--set", "asset.BAT-1.power_kw=20")
    found = told(capsys, *words, "--csv", str(kept))["what_if"]
    assert found["plan"]["energy_kwh"]["demand"] == pytest.approx(105.0)
    base = told(capsys, "plan", str(EVENING))["cost"]
    assert found["cost"] == pytest.approx(found["plan"]["cost"] - base)
    assert {"BAT-1"} <= {one["asset"] for one in found["moved"]}
    with kept.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["demand_kw"]) for row in rows] == pytest.approx([21.0, 25.2, 31.5, 27.3])
    for row in rows:
        given = float(row["import_kw"]) - float(row["export_kw"]) - float(row["EV-1 charge_kw"])
        given += float(row["BAT-1 discharge_kw"]) - float(row["BAT-1 charge_kw"])
        given += float(row["PV-1 produce_kw"]) + float(row["GEN-1 produce_kw"])
        assert given == pytest.approx(float(row["demand_kw"]), abs=1e-6)


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--set", "demand"], 1, "'demand' is no change"),
        (["--set", "asset.B-9.power_kw=1"], 1, "names no asset of this plan"),
        (["--at", "2026-10-21T17:00Z"], 2, "a problem file has its own start"),
        (["--set", "demand=+500%"], 1, "kW short"),
    ],
)
def test_what_is_asked_wrongly_is_told(capsys, words, status, message):
    assert main(["dispatch", "plan", str(EVENING), *words]) == status
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said


def test_explain_says_of_each_set_point_what_else_it_could_be(capsys):
    at = "2026-10-21T19:00Z"
    found = told(capsys, "explain", str(EVENING), "--at", at, "--asset", "GEN-1", "--push", "1")
    assert found["at"] == at
    codes = {one["code"] for one in found["reasons"]}
    assert {"limit.rating", "next.no_more", "next.less", "next.off"} <= codes
    assert {one["subject"] for one in found["reasons"]} == {"GEN-1"}
    assert main(["dispatch", "explain", str(EVENING)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "BAT-1   gives 0.00 kW, takes 5.00 kW" in lines
    assert any(line.startswith("  runs at 15.0 kW") for line in lines)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--at", "2026-10-21T19:10Z"], "no step of the plan begins then"),
        (["--at", "2026-10-21T23:00Z"], "no step of the plan begins then"),
        (["--asset", "GEN-9"], "'GEN-9' is no asset of this plan"),
    ],
)
def test_explain_refuses_what_is_not_in_the_plan(capsys, words, message):
    assert main(["dispatch", "explain", str(EVENING), *words]) == 1
    assert message in capsys.readouterr().err
