"""``khazri market bill``: a table for people, an object for machines, and a verdict."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from grid.console.cli import main

CASES = Path(__file__).parents[1] / "trading" / "bills" / "cases"
GUARANTEED = CASES / "bought_of_neighbours_guaranteed.toml"


def test_people_see_the_loss_by_trading_and_the_guarantee_that_tops_it_up(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["market", "bill", str(GUARANTEED)]) == 0
    rows = [line.rsplit(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    told = {name.strip(): amount for name, amount in rows}
    assert (told["Supplier"], told["Trading"]) == ("18.80", "12.00")
    assert (told["Without trading"], told["Loss by trading"]) == ("29.80", "1.00")
    assert (told["Guarantee"], told["To pay"], told["of which VAT"]) == ("-1.00", "29.80", "2.87")


def test_machines_get_every_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["market", "bill", str(CASES / "dynamic_price.toml"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["lines"][0] == {
        "kind": "supply", "tariff": "Price of the hour", "rate": "spot",
        "energy_wh": 3500, "price_per_kwh": None, "amount": "0.695",
    }  # fmt: skip
    assert (facts["total"], facts["wrong"]) == ("0.70", [])


def test_a_case_that_states_the_origin_of_the_energy_has_it_on_its_bill_as_an_invoice_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = tmp_path / "case.toml"
    origin = "[origin]\nlocal_wh = 150000\nco2_mg_per_kwh = 412500\n"
    case.write_text(origin + GUARANTEED.read_text("utf-8"), "utf-8")
    assert main(["market", "bill", str(case)]) == 0
    said = capsys.readouterr().out
    assert [line.split(maxsplit=1)[0] for line in said.splitlines()[-4:]] == [
        "Imported", "of", "of", "CO2",
    ]  # fmt: skip
    # 150 of 320 kWh: 46.8 of a hundred, not rounded up; the other 170 at 412.5 g are 70.125 kg.
    assert "sun and wind, 46.8 %" in said
    assert said.rstrip().endswith("CO2 of it: 70.125 kg")
    assert main(["market", "bill", str(case), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["origin"] == {
        "grid_wh": 170_000, "local_wh": 150_000, "local_permille": 468, "co2_mg": 70_125_000,
    }  # fmt: skip
    assert main(["market", "bill", str(GUARANTEED), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["origin"] is None


def test_a_bill_that_is_not_the_expected_one_fails_and_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(GUARANTEED.read_text("utf-8").replace('gain = "-1.00"', 'gain = "1.00"'))
    assert main(["market", "bill", str(wrong)]) == 1
    assert "wrong.toml: gain is -1.00, expected 1.00" in capsys.readouterr().err


def test_a_file_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["market", "bill", str(tmp_path / "none.toml")]) == 1
    assert "No such file" in capsys.readouterr().err
