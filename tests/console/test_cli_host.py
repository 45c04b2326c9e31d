"""``khazri network host`` answers people and machines, and refuses two questions at once."""

import csv
import json

import pytest

from grid.console import cli

RURAL = "simbench:1-LV-rural1--0-sw"


def _asked(capsys, *options):
    status = cli.main(["network", "host", *options])
    return status, capsys.readouterr()


def test_two_buses_of_a_year_are_told_with_what_limits_them(capsys, tmp_path):
    out = tmp_path / "host.csv"
    status, said = _asked(
        capsys, RURAL, "--voltage", "1.015", "--bus", "4", "--bus", "42", "--rise-max", "3",
        "--json", "--out", str(out),
    )  # fmt: skip
    assert status == 0
    told = json.loads(said.out.splitlines()[-1])
    far, head = told["buses"]
    assert (far["bus"], far["limit_kind"], far["checked"]) == (4, "voltage_rise", True)
    assert far["limit"] == "bus 4 'LV1.101 Bus 5' voltage rise 3 %"
    assert far["limit_at"].startswith("2016-")
    assert (head["capped"], head["hosting_kw"]) == (True, told["ceiling_kw"])
    with out.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["hosting_kw"]) for row in rows] == [far["hosting_kw"], head["hosting_kw"]]
    assert "khazri: judging 2 of 2 answers in every interval" in said.err
    status, said = _asked(capsys, RURAL, "--voltage", "1.015", "--bus", "4", "--rise-max", "3")
    assert f"{far['hosting_kw']:.2f}" in said.out
    assert "judged    1 of 1 answers in 35,136 intervals" in said.out


def test_a_network_without_a_year_is_judged_at_its_ratings(capsys):
    status, said = _asked(capsys, "pandapower:create_cigre_network_lv", "--json")
    assert status == 0
    told = json.loads(said.out.splitlines()[-1])
    assert told["series"] == "its rated loads and plants, together and alone"
    assert {row["limit_at"] for row in told["buses"] if row["hosting_kw"] < 200} == {
        "its rated plants alone"
    }


def test_all_together_and_drawn_orders(capsys):
    status, said = _asked(capsys, RURAL, "--joint", "--json")
    together = json.loads(said.out.splitlines()[-1])
    assert status == 0
    assert together["hosting_kw"] == pytest.approx(together["buses"] * together["each_kw"], abs=0.1)
    status, said = _asked(capsys, RURAL, "--drawn", "6", "--size", "5", "--rise-max", "2", "--json")
    drawn = json.loads(said.out.splitlines()[-1])
    assert status == 0
    percents = [one["penetration_percent"] for one in drawn["quantiles"]]
    assert percents == sorted(percents)
    assert sum(drawn["limit_kinds"].values()) == 6


@pytest.mark.parametrize(
    "options",
    [
        ("--joint", "--drawn", "3"),
        ("--voltage-min", "1.1", "--voltage-max", "1.0"),
        ("--always", "--coincidence", "0.8"),
        ("--joint", "--out", "x.csv"),
        ("--power-factor", "0.2"),
    ],
)
def test_wrong_usage_is_two(capsys, options):
    try:
        status = cli.main(["network", "host", RURAL, *options])
    except SystemExit as error:
        status = error.code
    assert status == 2


def test_an_unknown_bus_fails_by_name(capsys):
    status, said = _asked(capsys, RURAL, "--bus", "999")
    assert status == 1
    assert "bus 999 is not in the network" in said.err
