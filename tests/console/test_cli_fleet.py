"""``khazri fleet year`` from the outside: what it says, and that it goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from grid.console.cli import main

RURAL = "simbench:1-LV-rural1--0-sw"


def _words(directory: Path, *more: str) -> list[str]:
    words = ["fleet", "year", "--feeders", "6", "--base", RURAL, "--serial"]
    return [*words, "--dir", str(directory), *more]


def test_a_serial_year_answers_machines_and_people_and_is_not_solved_twice(tmp_path, capsys):
    low, out = "1.0,1.05", tmp_path / "fleet.nc"
    directory = tmp_path / "fleet"
    words = _words(directory, "--band", low, "--loading", "50", "--out", str(out))
    assert main([*words, "--json"]) == 0
    said = capsys.readouterr()
    facts = json.loads(said.out.splitlines()[-1])
    assert (facts["solved"], facts["solved_now"], facts["findings"]) == (6, 6, [])
    assert 0 < facts["out_of_band"] == facts["below_band"] <= 6
    assert facts["loading_percent"] == 50.0
    assert facts["worst"][0]["below_band_h"] > 0
    assert facts["recheck_pu"] < 1e-10
    assert out.stat().st_size > 1_000
    assert "6 of 6 feeder-years" in said.err
    before = (directory / "quantities.npy").stat().st_mtime_ns
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "6 of 6 solved" in text
    assert "feeders leave 1 to 1.05 pu" in text
    assert (directory / "quantities.npy").stat().st_mtime_ns == before


def test_another_fleet_in_the_same_folder_is_refused(tmp_path, capsys):
    assert main(_words(tmp_path / "fleet")) == 0
    assert main(_words(tmp_path / "fleet", "--seed", "2")) == 1
    assert "results of another fleet (seed differs: 1, now 2)" in capsys.readouterr().err


def test_ways_to_solve_exclude_each_other(tmp_path, capsys):
    assert main(_words(tmp_path, "--workers", "2")) == 2
    assert "exclude each other" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["fleet", "year", "--scenario", "3"])
    assert ended.value.code == 2
