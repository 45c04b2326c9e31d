"""``khazri network quality`` judges files and sites, and 0 means that every point is kept."""

import csv
import json

import numpy as np
import pytest
import xarray as xr

from grid import interval
from grid.console import cli
from grid.store import Store, field
from meters.reading import MeterRead, RegisterRow
from tests.console import village

MONDAY_S = interval.parse("2026-05-18T00:00Z")


def _csv(path, columns, step_s=600, start_s=MONDAY_S):
    count = len(next(iter(columns.values())))
    with path.open("w", encoding="utf-8") as file:
        file.write("interval," + ",".join(columns) + "\n")
        for row in range(count):
            values = ",".join(
                "" if np.isnan(column[row]) else f"{column[row]:.1f}" for column in columns.values()
            )
            file.write(f"{interval.label(start_s + step_s * row)},{values}\n")
    return path


def _run(capsys, *options):
    status = cli.main(["network", "quality", *(str(option) for option in options)])
    return status, capsys.readouterr()


def test_a_week_of_means_in_a_file_is_judged(capsys, tmp_path):
    low = np.full(1008, 230.0)
    low[:60] = 204.0
    path = _csv(tmp_path / "v.csv", {"UP-1": np.full(1008, 231.0), "UP-2": low})
    status, said = _run(
        capsys, "--file", path, "--nominal", "230", "--json", "--out", tmp_path / "o.csv"
    )
    told = json.loads(said.out)
    assert status == 1, "one point is not kept"
    assert told["verdicts"] == {"kept": 1, "not kept": 1}
    assert told["rules"].startswith("EN 50160:2010")
    assert told["weeks"][1]["share_within_percent"] == pytest.approx(
        100 * (1 - 60 / 1008), abs=1e-3
    )
    with (tmp_path / "o.csv").open(encoding="utf-8") as file:
        assert [row["verdict"] for row in csv.DictReader(file)] == ["kept", "not kept"]
    flags = _csv(tmp_path / "f.csv", {"UP-2": (low < 207) * 1.0})
    status, said = _run(capsys, "--file", path, "--nominal", "230", "--flags", flags)
    assert status == 0
    assert "verdicts  kept 2" in said.out


def test_quarter_hours_are_indicative_and_half_a_week_is_not_passed(capsys, tmp_path):
    path = _csv(tmp_path / "v.csv", {"UP-1": np.full(672, 231.0)}, 900)
    status, said = _run(capsys, "--file", path, "--nominal", "230")
    assert status == 0
    assert "indicative: only 10-minute means" in said.out
    half = _csv(tmp_path / "h.csv", {"UP-1": np.full(500, 231.0)})
    status, said = _run(capsys, "--file", half, "--nominal", "230")
    assert status == 1
    assert "insufficient: less than 90 % of the week" in said.out
    status, said = _run(capsys, "--file", half, "--nominal", "230", "--coverage", "49")
    assert status == 0


def test_netcdf_says_the_same_and_a_week_that_is_not_there_is_told(capsys, tmp_path):
    values = np.full((1008, 2), 1.0)
    values[:80, 1] = 1.11
    xr.Dataset(
        {"voltage_pu": (("interval", "usage_point"), values)},
        {"interval": interval.starts(MONDAY_S, 1008, 600), "usage_point": ["A", "B"]},
    ).to_netcdf(tmp_path / "v.nc", engine="scipy")
    status, said = _run(capsys, "--file", tmp_path / "v.nc", "--week", "2026-W21", "--json")
    assert status == 1
    assert [row["verdict"] for row in json.loads(said.out)["weeks"]] == ["kept", "not kept"]
    status, said = _run(capsys, "--file", tmp_path / "v.nc", "--week", "2026-W30")
    assert status == 1
    assert "nothing to judge" in said.err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("interval,A\n2026-05-18T00:00Z,1\n2026-05-18 00:10,1\n", "line 3: .* has no time zone"),
        ("interval,A\n2026-05-18T00:00Z,1\n2026-05-18T00:10Z,x\n", "line 3: A is 'x'"),
        ("interval,A\n2026-05-18T00:10Z,1\n2026-05-18T00:00Z,1\n", "does not come after"),
        ("interval,A\n2026-05-18T00:00Z,1\n2026-05-18T00:10Z,-1\n", "A is -1.0"),
        (
            "interval,A\n2026-05-18T00:00Z,1\n2026-05-18T00:10Z,1\n2026-05-18T00:25Z,1\n",
            "00:25Z is off the 600 s steps",
        ),
        ("interval,A\n2026-05-18T00:00Z,1\n", "needs at least 2"),
    ],
)
def test_a_wrong_file_is_refused_where_it_is_wrong(capsys, tmp_path, text, words):
    (tmp_path / "v.csv").write_text(text)
    status, said = _run(capsys, "--file", tmp_path / "v.csv")
    assert status == 1
    import re

    assert re.search(words, said.err), said.err


def test_volts_without_a_nominal_voltage_are_wrong_usage(capsys, tmp_path):
    path = _csv(tmp_path / "v.csv", {"UP-1": np.full(10, 231.0)})
    status, said = _run(capsys, "--file", path)
    assert status == 2
    assert "give --nominal V" in said.err
    assert _run(capsys, "--file", path, "--dir", tmp_path)[0] == 2


def test_a_site_is_judged_by_what_its_meters_showed_and_only_indicatively(
    capsys, folder, store: Store, site
):
    """The week before the village's clock: one meter at 230 V, one too high for a twentieth."""
    start_s, end_s = interval.week_bounds(interval.parse_week("2026-W21"), site.time_zone)
    reads = []
    for step in range(1, (end_s - start_s) // 900 + 1):
        row = RegisterRow(start_s + 900 * step, (step, 0, 0, 0))
        high = 254.0 if step % 15 == 0 else 230.0
        reads += [
            MeterRead("M-1", row, (), 230.0, bytes(32)), MeterRead("M-2", row, (), high, bytes(32)),
        ]  # fmt: skip
    with store.write() as tx:
        field.put_reads(tx, reads, cycle_s=end_s)
    (folder / "SITE.toml").write_text(village.TOML)
    status, said = _run(capsys, "--dir", folder, "--json")
    told = json.loads(said.out)
    assert status == 1
    verdict = {row["usage_point"]: row["verdict"] for row in told["weeks"]}
    assert verdict["UP-1"] == "indicative kept"
    assert verdict["UP-2"] == "indicative not kept"
    assert verdict["UP-3"] == "insufficient"
    assert {row["week"] for row in told["weeks"]} == {"2026-W21"}
    assert told["values"] == "900 s spot readings"


def test_losses_of_a_year_add_up(capsys):
    assert cli.main(["network", "losses", "simbench:1-LV-rural1--0-sw", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert sum(one["losses_kwh"] for one in told["groups"]) == pytest.approx(told["losses_kwh"])
    lost = told["entering_kwh"] - told["delivered_kwh"]
    assert lost == pytest.approx(told["losses_kwh"], abs=0.01)
    assert 0.5 < told["share_percent"] < 5.0
