"""``khazri fleet plan``: the same bytes whoever plans, lost workers, killed runs, no plan."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dispatch.fleet.jobs import QUANTITIES
from dispatch.fleet.problems import derived, fleet
from dispatch.fleet.run import Store, results, run
from dispatch.problem_file import read
from dispatch.solve import solve
from grid.console.cli import main
from grid.errors import BadInputError
from grid.fleet import cluster

EVENING = Path(__file__).parents[2] / "docs" / "examples" / "evening.toml"
COUNT = 60
NAMES = ("quantities.npy", "schedules.npy", "done.npy")

_KILLED = """
import os, signal, sys
from pathlib import Path
from dispatch.fleet.problems import fleet
from dispatch.fleet.run import Store, run

def told(progress):
    if progress.done >= 20:
        os.kill(os.getpid(), signal.SIGKILL)

given = fleet([Path(sys.argv[2])], generate=60, seed=3, gap=1e-3, nodes=1000)
with Store(Path(sys.argv[1]), given) as store:
    run(store, tell=told)
"""


def many(count=COUNT):
    return fleet([EVENING], generate=count, seed=3, gap=1e-3, nodes=1000)


def contents(directory):
    return {name: (directory / name).read_bytes() for name in NAMES}


@pytest.fixture(scope="module")
def serial(tmp_path_factory):
    directory = tmp_path_factory.mktemp("serial")
    with Store(directory, many()) as store:
        run(store)
    return contents(directory)


def test_workers_give_the_bytes_of_one_process_and_a_lost_one_costs_nothing(serial, tmp_path):
    seen = []
    with cluster.local(2) as client:
        pids = client.run(os.getpid)

        def told(progress):
            seen.append(progress)
            if progress.done >= 8 and pids:
                os.kill(pids.popitem()[1], signal.SIGKILL)
                pids.clear()

        with Store(tmp_path, many()) as store:
            run(store, client=client, tell=told)
    assert contents(tmp_path) == serial
    assert (seen[-1].done, seen[-1].refused) == (COUNT, 0)


def test_a_killed_run_goes_on_to_the_same_bytes(serial, tmp_path):
    words = [sys.executable, "-c", _KILLED, str(tmp_path), str(EVENING)]
    killed = subprocess.run(words, check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    with Store(tmp_path, many()) as store:
        assert 0 < len(store.pending) <= COUNT - 20
        run(store)
    assert contents(tmp_path) == serial


def test_what_is_kept_is_the_plan_of_the_derived_problem(serial, tmp_path):
    with Store(tmp_path, many(2)) as store:
        run(store)
    values, _ = results(tmp_path)
    plan = solve(derived(read(EVENING), 3, 1), gap=1e-3, nodes=1000)
    kept = dict(zip(QUANTITIES, values[1], strict=True))
    assert kept["cost"] == plan.objective
    assert kept["import_kwh"] == pytest.approx(float(plan.schedule["import_kw"].sum()))
    assert np.load(tmp_path / "schedules.npy")[0].tobytes() in serial["schedules.npy"]


def test_derived_problems_differ_from_each_other_and_not_by_who_asks():
    given = read(EVENING)
    loads = {float(derived(given, 3, number).demand_kw[0]) for number in range(20)}
    assert len(loads) == 20
    assert all(0.7 * 20.0 <= load <= 1.3 * 20.0 for load in loads)
    same = derived(given, 3, 7), derived(given, 3, 7)
    np.testing.assert_array_equal(same[0].buy_price, same[1].buy_price)


def test_a_problem_without_a_plan_is_told_and_stops_no_other(tmp_path, capsys):
    folder = tmp_path / "sites"
    folder.mkdir()
    text = EVENING.read_text()
    (folder / "a.toml").write_text(text)
    (folder / "b.toml").write_text(text.replace("demand_kw = [20.0", "demand_kw = [900.0"))
    (folder / "c.toml").write_text(text.replace("interval_s", "interval"))
    words = ["fleet", "plan", "--sites", str(folder), "--serial", "--dir", str(tmp_path / "out")]
    assert main([*words, "--json"]) == 1
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (told["problems"], told["planned"]) == (3, 1)
    first, second = told["findings"]
    assert first.startswith("problem 1: b.toml:")
    assert "kW short" in first
    assert "c.toml: unknown key 'interval'" in second
    assert main(words) == 1
    assert "plans     1 of 3" in capsys.readouterr().out


def test_another_fleet_no_file_and_two_to_derive_from_are_refused(tmp_path, capsys):
    words = ["fleet", "plan", "--sites", str(EVENING), "--serial", "--dir", str(tmp_path / "out")]
    assert main([*words, "--generate", "2"]) == 0
    assert main([*words, "--generate", "2", "--seed", "2"]) == 1
    assert "results of another fleet (seed differs: 1, now 2)" in capsys.readouterr().err
    with pytest.raises(BadInputError, match="no problem file"):
        fleet([tmp_path], generate=None, seed=1, gap=0.0, nodes=0)
    with pytest.raises(BadInputError, match="derived from one file, not from 2"):
        fleet([EVENING, EVENING], generate=2, seed=1, gap=0.0, nodes=0)
    assert main([*words, "--workers", "2"]) == 2
