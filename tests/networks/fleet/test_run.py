"""Lost workers, killed planners and feeders that cannot be solved change no result of another."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from grid.errors import BadInputError, PeerError, StoreError
from grid.fleet import cluster
from grid.fleet.folder import open_array
from grid.fleet.results import PENDING
from networks.fleet.fleet import Fleet
from networks.fleet.jobs import Outcome, solve
from networks.fleet.results import findings, read
from networks.fleet.run import run
from networks.fleet.store import Store

_PLANNER = """
import os, signal, sys
from pathlib import Path
from networks.fleet.fleet import plan
from networks.fleet.run import run
from networks.fleet.store import Store

def told(progress):
    if progress.done >= 18:
        os.kill(os.getpid(), signal.SIGKILL)

with Store(Path(sys.argv[1]), plan(sys.argv[2:], count=40, seed=3)) as store:
    run(store, batch=3, tell=told)
"""


@dataclass(frozen=True, eq=False)
class Poisoned(Fleet):
    """A fleet in which feeder 5 has a load that is no number."""

    def feeder(self, number):
        one = super().feeder(number)
        return replace(one, scale=one.scale * np.nan) if number == 5 else one


def _poisoned(fleet):
    return Poisoned(fleet.bases, fleet.count, fleet.seed)


@pytest.fixture(scope="module")
def client():
    """Two worker processes."""
    with cluster.local(2) as one:
        yield one


def test_a_worker_killed_half_way_costs_no_result(fleet, serial, client, contents, tmp_path):
    pids = client.run(os.getpid)
    seen = []

    def told(progress):
        seen.append(progress)
        if progress.done >= 20 and not killed:
            at_work = [one for one, tasks in client.processing().items() if tasks]
            killed.append(at_work[0])
            os.kill(pids[at_work[0]], signal.SIGKILL)

    killed = []
    with Store(tmp_path / "spread", fleet) as store:
        run(store, client=client, batch=2, tell=told)
        assert not len(store.pending)
    assert killed
    assert killed[0] not in client.nthreads()
    assert sum(progress.lost for progress in seen) == 1
    assert contents(tmp_path / "spread") == contents(serial)


def test_a_worker_holds_no_pandapower_and_little_memory(client):
    def look():
        import psutil

        return "pandapower" in sys.modules, psutil.Process().memory_info().rss

    for loaded, rss in client.run(look).values():
        assert not loaded
        assert rss < 600e6


def test_a_feeder_that_cannot_be_solved_is_a_finding(fleet, serial, client, tmp_path):
    with Store(tmp_path / "poisoned", _poisoned(fleet)) as store:
        run(store, client=client)
        assert (store.refused, len(store.pending)) == (1, 0)
    (found,) = findings(tmp_path / "poisoned")
    assert (found.code, found.subject) == ("fleet.unsolved", "feeder 5")
    assert "absorbed_kw is nan" in found.message
    ours, truth = read(tmp_path / "poisoned"), read(serial)
    assert np.flatnonzero(ours["losses_kwh"].isnull()).tolist() == [5]
    assert np.isnat(ours["vm_pu_lowest_at"].to_numpy()).nonzero()[0].tolist() == [5]
    rest = [number for number in range(fleet.count) if number != 5]
    assert ours["losses_kwh"][rest].identical(truth["losses_kwh"][rest])


def test_a_bug_is_told_by_name_and_stops_no_other(fleet, monkeypatch):
    def broken(one, *_):
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr("networks.fleet.jobs.feeder_year", broken)
    (outcome,) = solve(fleet.batch((7,)))
    assert outcome.values is None
    assert outcome.findings[0].code == "fleet.crashed"
    assert "feeder 7: ZeroDivisionError: by nothing" in outcome.findings[0].message


def test_the_store_of_a_killed_planner_goes_on_to_the_same_bytes(fleet, serial, contents, tmp_path):
    directory = tmp_path / "killed"
    sources = [one.source for one in fleet.bases]
    planner = [sys.executable, "-c", _PLANNER, str(directory), *sources]
    done = subprocess.run(planner, timeout=120, check=False, cwd=Path.cwd())
    assert done.returncode == -signal.SIGKILL
    with Store(directory, fleet) as store:
        # Batches of three of the twenty feeders of a base: 3, 6, ... 18.
        assert len(store.pending) == 22
        before = np.array(open_array(directory, "quantities"))
        run(store)
    after = np.array(open_array(directory, "quantities"))
    there = np.isfinite(before).all(axis=1)
    assert there.sum() == 18
    assert (before[there] == after[there]).all()
    assert contents(directory) == contents(serial)


def test_what_is_half_written_is_not_done(fleet, serial, contents, tmp_path):
    directory = tmp_path / "torn"
    with Store(directory, fleet) as store:
        store.array["quantities"][4] = 1.0
        store.array["quantities"].flush()
    assert np.isnan(read(directory)["losses_kwh"][4])
    with Store(directory, fleet) as store:
        assert 4 in store.pending
        run(store)
    assert contents(directory) == contents(serial)


def test_feeders_are_done_after_their_values_are_on_disk(fleet, tmp_path, monkeypatch):
    with Store(tmp_path / "order", fleet) as store:
        values, bus_pu = (
            np.ones(store.array["quantities"].shape[1]),
            np.ones((len(fleet.bus(0)), 2)),
        )

        def fails():
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(store.array["buses"], "flush", fails, raising=False)
        with pytest.raises(OSError, match="No space"):
            store.write([Outcome(0, values, bus_pu, ())])
        assert store.array["done"][0] == PENDING
        monkeypatch.undo()


def test_two_planners_do_not_write_at_once(fleet, tmp_path):
    with (
        Store(tmp_path / "one", fleet),
        pytest.raises(BadInputError, match="another run is writing"),
    ):
        Store(tmp_path / "one", fleet)


@pytest.mark.parametrize("change", [{"count": 39}, {"seed": 4}])
def test_results_of_another_fleet_are_not_mixed(fleet, serial, change):
    with pytest.raises(
        BadInputError, match=f"of another fleet.*{fleet.count if 'count' in change else 3}, now"
    ):
        Store(serial, replace(fleet, **change))


def test_a_folder_with_something_else_is_left_alone(fleet, tmp_path):
    (tmp_path / "thesis.txt").write_text("words")
    with pytest.raises(BadInputError, match=r"thesis\.txt.* folder of their own"):
        Store(tmp_path, fleet)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_damaged_array_is_told_of(fleet, tmp_path):
    Store(tmp_path / "cut", fleet).close()
    path = tmp_path / "cut" / "quantities.npy"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(StoreError, match=r"quantities\.npy: not a whole array"):
        Store(tmp_path / "cut", fleet)


def test_results_are_one_dataset_with_units_and_survive_netcdf(fleet, serial, tmp_path):
    import xarray as xr

    results = read(serial)
    assert results["losses_kwh"].attrs["units"] == "kWh"
    assert results["vm_pu_lowest_at"].dtype == np.dtype("datetime64[s]")
    assert results.sizes == {"feeder": 40, "feeder_bus": int(results["bus_count"].sum())}
    own = results.isel(feeder_bus=np.flatnonzero(results["feeder_of_bus"] == 7))
    assert own["bus"].to_numpy().tolist() == fleet.bus(7).tolist()
    assert float(own["vm_pu_minimum"].min()) == pytest.approx(
        float(results["vm_pu_lowest"][7]), abs=1e-15
    )
    results.to_netcdf(tmp_path / "fleet.nc", engine="scipy")
    with xr.open_dataset(tmp_path / "fleet.nc", engine="scipy") as kept:
        assert np.array_equal(kept["losses_kwh"], results["losses_kwh"])
        assert np.array_equal(kept["vm_pu_lowest_at"], results["vm_pu_lowest_at"])


def test_a_scheduler_that_is_not_there_is_named():
    with (
        pytest.raises(PeerError, match=r"scheduler tcp://127\.0\.0\.1:9"),
        cluster.at("tcp://127.0.0.1:9", wait_s=1.0),
    ):
        pass


def test_ctrl_c_leaves_a_store_that_goes_on(fleet, tmp_path):
    directory = tmp_path / "stopped"
    words = ["fleet", "year", "--feeders", "2000", "--base", fleet.bases[1].source]
    words += ["--workers", "1", "--dir", str(directory)]
    command = [sys.executable, "-m", "grid.console.cli", *words]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert running.stderr is not None
    said = []
    for line in running.stderr:
        said.append(line)
        if "feeder-years" in line and not line.startswith("khazri: 0 of"):
            # As a terminal does: to the whole group.
            os.killpg(running.pid, signal.SIGINT)
            break
    said += running.stderr.read().splitlines(keepends=True)
    assert running.wait(timeout=60) == 130
    text = "".join(said)
    assert "Traceback" not in text
    assert "the same command goes on" in text
    done = np.array(open_array(directory, "done"))
    assert 0 < done.sum() < 2000
    facts = json.loads((directory / "fleet.json").read_text())
    assert facts["feeders"] == 2000
    assert not [path for path in directory.iterdir() if path.suffix == ".part"]
