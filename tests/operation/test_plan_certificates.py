"""Each plan that is sent leaves a claim, and a certificate of it that anyone can verify."""

from __future__ import annotations

import json
import lzma
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from grid import interval
from grid.console.cli import main
from grid.operation import feasibility, plan_certificates
from grid.operation.room import Room
from grid.store import Store, control, datasets, log
from networks import verify_certificate

CYCLES = 2


@pytest.fixture(scope="module")
def room(played: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    """A control room after two cycles of the demo's day, with an outage ahead."""
    with played(tmp_path_factory.mktemp("certified"), CYCLES) as one:
        yield one


def _written(room: Room, out: Path, capsys: Any, *options: str) -> tuple[int, dict[str, Any]]:
    status = main(["network", "certificate", "--dir", str(room.directory), "--json", *options])
    return status, json.loads(capsys.readouterr().out.splitlines()[-1])


def test_the_certificate_of_the_newest_plan_is_written_and_verifies(
    room: Room, tmp_path: Path, capsys: Any
) -> None:
    out = tmp_path / "one.json"
    status, facts = _written(room, out, capsys, "--out", str(out))
    assert status == 0, facts
    assert (facts["verified"], facts["committed"], facts["source"]) == (True, True, "new plan")
    assert facts["at"] == interval.label(room.first_cycle_s + (CYCLES - 1) * 900)
    words = facts["verify"].split()[3:]
    assert verify_certificate.main([str(out), *words[1:]]) == 0
    assert "as given" in capsys.readouterr().out
    document = json.loads(out.read_bytes())
    assert len(document["intervals"]) == room.site.operation.horizon_intervals
    assert document["hashes"]["topology"][0] == room.model.topology_hash.hex()
    assert float(document["limits"]["voltage_max_pu"]) == room.site.network.voltage_max_pu


def test_it_is_of_the_plan_that_was_stored_under_its_forecast(
    room: Room, tmp_path: Path, capsys: Any
) -> None:
    at_s, out = room.first_cycle_s, tmp_path / "first.json"
    label = interval.label(at_s)
    assert _written(room, out, capsys, "--at", label, "--out", str(out))[0] == 0
    with room.store.read() as tx:
        ahead = datasets.require_dataset(tx, "forecast", at_s)
        schedule = datasets.require_dataset(tx, "plan", at_s)
    state = feasibility.state_of(room, ahead, schedule)
    net_kw = (state["injected_kw"] - state["absorbed_kw"]).to_numpy()
    told = np.array([one["p_w"] for one in json.loads(out.read_bytes())["intervals"]])
    assert np.abs(told / 1e3 - net_kw).max() <= 0.0005 + 1e-9
    assert np.abs(told).max() > 1000


def test_the_ledger_tells_the_topology_and_commits_to_the_claim(room: Room) -> None:
    with room.store.read() as tx:
        (row,) = log.listed(tx, kind="plan", label=interval.label(room.first_cycle_s))
        entry = json.loads(row["content"])
        (opening,) = log.openings(tx, sequence=row["sequence"])
    made = plan_certificates.certificate(room.store, room.first_cycle_s)
    assert entry["schema"] == 2
    assert entry["body"]["topology_sha256"] == room.model.topology_hash.hex()
    payload = json.loads(str(opening["content"]))["payload"]
    assert payload["claim_sha256"] == made.document["hashes"]["claim"] == made.told
    assert made.sequence == row["sequence"]


@pytest.fixture
def other(room: Room, tmp_path: Path) -> Iterator[tuple[Path, Store]]:
    """A copy of the site's store that can be edited."""
    for path in room.directory.glob("khazri.sqlite3*"):
        shutil.copy(path, tmp_path / path.name)
    store = Store.at(tmp_path)
    yield tmp_path, store
    store.close()


def test_a_claim_that_was_edited_in_the_store_is_not_the_one_in_the_ledger(
    room: Room, other: tuple[Path, Store], capsys: Any
) -> None:
    folder, store = other
    with store.write() as tx:
        kept = datasets.require_dataset(tx, "claim", room.first_cycle_s)
        value = json.loads(lzma.decompress(kept["content"].to_numpy().tobytes()))
        value["intervals"][0]["p_w"][-1] += 1
        content = np.frombuffer(lzma.compress(json.dumps(value).encode()), np.uint8)
        edited = xr.Dataset({"content": ("byte", content)})
        datasets.put_dataset(tx, "claim", room.first_cycle_s, edited)
    at = interval.label(room.first_cycle_s)
    arguments = ["--dir", str(folder), "--at", at, "--out", str(folder / "x.json")]
    assert main(["network", "certificate", *arguments]) == 1
    out = capsys.readouterr().out
    assert "NOT VERIFIED: the claim hash is" in out
    assert "does not commit to this claim" in out


def test_a_plan_that_is_not_there_or_has_no_state_is_told(
    room: Room, other: tuple[Path, Store], capsys: Any
) -> None:
    folder, store = other
    arguments = ["network", "certificate", "--dir", str(folder)]
    assert main([*arguments, "--at", "2001-01-01T00:00Z"]) == 1
    assert "the plan of 2001-01-01T00:00Z is not stored" in capsys.readouterr().err
    with store.write() as tx:
        facts = {"status": "rule", "source": "safe rule", "objective": None, "gap": None}
        at_s = room.first_cycle_s - 900
        control.put_plan(tx, at_s, {**facts, "rounds": 0, "cuts": 0}, {})
    assert main([*arguments, "--at", interval.label(at_s)]) == 1
    assert "has no known network state" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stopped:
        main([*arguments, "--at", "yesterday"])
    assert stopped.value.code == 2


def test_an_unsound_forecast_leaves_no_claim(room: Room) -> None:
    from dispatch.plan import Plan

    with room.store.read() as tx:
        ahead = datasets.require_dataset(tx, "forecast", room.first_cycle_s)
        schedule = datasets.require_dataset(tx, "plan", room.first_cycle_s)
    plan = Plan("optimal", "new plan", room.first_cycle_s, 900, 0.0, 0.0, schedule)
    assert plan_certificates.claim_of(room, ahead, plan) is not None
    unsound = ahead.assign(mean_kw=ahead["mean_kw"] * np.nan)
    assert plan_certificates.claim_of(room, unsound, plan) is None
