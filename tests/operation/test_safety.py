"""Whatever goes wrong with a plan, it is named, labelled, and a safe set-point goes out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from dispatch.plan import (
    LAST_GOOD_PLAN,
    NEW_PLAN,
    SAFE_RULE,
    InfeasiblePlan,
    LinearCut,
    Plan,
    PlanInput,
)
from grid.errors import BadInputError, SolverError
from grid.operation import demo, feasibility, plan_inputs, planning
from grid.operation.demo_site import DEFAULT_DAY
from grid.operation.room import Room
from grid.operation.solver import Solver
from grid.site import Battery
from grid.site_file import parse
from grid.store import Store, control


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Room, int]:
    """A control room after two cycles; its field has stopped, its store is there."""
    directory = tmp_path_factory.mktemp("safety") / "site"
    demo.prepare(directory, day=DEFAULT_DAY, seed=1)
    with demo.opened(directory) as room:
        demo.play(room, 2, lambda text: None)
    store = Store.at(directory)
    with store.read() as tx:
        at_s = int(control.get_meta(tx, "clock_s") or 0) - 900
        text = control.get_meta(tx, "site_toml") or ""
    fresh = Room(directory, parse(text), store, None, at_s - 900)
    return fresh, at_s


def _given(played: tuple[Room, int]) -> tuple[Room, PlanInput, xr.Dataset, Plan | None]:
    room, at_s = played
    with room.store.read() as tx:
        given, ahead = plan_inputs.plan_input(room, tx, at_s)
        return room, given, ahead, planning.last_good_plan(room, tx, at_s)[0]


FALLBACKS = {(LAST_GOOD_PLAN, "reused"), (SAFE_RULE, "rule")}

SERIES = (
    "demand_kw",
    "solar_available_kw",
    "wind_available_kw",
    "sheddable_kw",
    "buy_price",
    "sell_price",
    "battery_energy_kwh",
    "reserve_kw",
)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e30, -1e9])
@pytest.mark.parametrize("name", SERIES)
def test_a_bad_value_is_named_and_a_labelled_plan_goes_out(
    played: tuple[Room, int], name: str, bad: float
) -> None:
    room, given, ahead, last = _given(played)
    values = getattr(given, name).astype(np.float64).copy()
    values.flat[-1] = bad
    broken = replace(given, **{name: values})
    chosen, _, _, _, findings = planning._feasible_plan(room, broken, ahead, last)
    assert (chosen.source, chosen.status) in FALLBACKS
    assert name in findings[0].message
    _safe(room, chosen, given, ahead)


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("end_value_per_kwh", np.nan),
        ("end_value_per_kwh", 1e30),
        ("grid_available", np.ones(3, np.bool_)),
        ("grid_available", np.full(96, 2.0)),
        ("genset_on", np.array([], np.bool_)),
        ("genset_on", np.array([np.nan])),
        ("genset_intervals_in_state", np.array([-1])),
        ("genset_intervals_in_state", np.array([10**12])),
        ("interval_s", 0),
        ("end_energy_min_kwh", np.array([np.inf])),
        ("cuts", (LinearCut(0, "vm_pu bus 25 <= 1.05", {"BAT-COMMUNITY": np.nan}, 1.0),)),
        ("cuts", (LinearCut(0, "vm_pu bus 25 <= 1.05", {"BAT-COMMUNITY": 1.0}, np.inf),)),
        ("cuts", (LinearCut(10**6, "vm_pu bus 25 <= 1.05", {"BAT-COMMUNITY": 1.0}, 1.0),)),
        ("cuts", (LinearCut(0, "vm_pu bus 25 <= 1.05", {"NOBODY": 1.0}, 1.0),)),
        *((name, None) for name in SERIES),
    ],
)
def test_any_other_bad_input_is_named_and_a_labelled_plan_goes_out(
    played: tuple[Room, int], name: str, bad: object
) -> None:
    room, given, ahead, last = _given(played)
    broken = replace(given, **{name: bad})
    chosen, _, _, _, findings = planning._feasible_plan(room, broken, ahead, last)
    assert (chosen.source, chosen.status) in FALLBACKS
    assert name.removesuffix("s") in findings[0].message
    _safe(room, chosen, given, ahead)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e30, -1e9])
@pytest.mark.parametrize("name", ["mean_kw", "mean_kvar", "total_kw", "total_mean_kw"])
def test_a_bad_forecast_never_leads_to_an_unlabelled_plan(
    played: tuple[Room, int], name: str, bad: float
) -> None:
    room, given, ahead, last = _given(played)
    wrong = ahead.copy(deep=True)
    wrong[name].values.flat[0] = bad
    chosen, _, _, _, findings = planning._feasible_plan(room, given, wrong, last)
    if chosen.source == NEW_PLAN:
        assert name.startswith("total"), "a plan was called new on a broken forecast"
    else:
        assert (chosen.source, chosen.status) in FALLBACKS
        assert findings[0].message
    _safe(room, chosen, given, ahead)


def _safe(room: Room, chosen: Plan, given: PlanInput, ahead: xr.Dataset) -> None:
    """What is sent is within ratings and stores, and holds in AC under the sound forecast."""
    hours = given.hours
    stored = dict(zip((b.id for b in given.battery), given.battery_energy_kwh, strict=True))
    for wish in planning.setpoints(room, chosen):
        asset = next(a for a in room.site.assets if a.id == wish.asset)
        rating_kw = getattr(asset, "power_kw", 1e9)
        assert 0 <= max(wish.charge_w, wish.discharge_w, wish.limit_w) <= rating_kw * 1000 + 1
        if isinstance(asset, Battery):
            gain = wish.charge_w / 1000 * hours * asset.charge_efficiency
            loss = wish.discharge_w / 1000 * hours / asset.discharge_efficiency
            left = stored[asset.id] + gain - loss
            assert asset.min_energy_kwh - 0.01 <= left <= asset.energy_kwh + 0.01
    state = feasibility.state_of(room, ahead, chosen.schedule.isel(interval=slice(0, 1)))
    network = room.site.network
    vm_pu = state["vm_pu"].values
    assert network.voltage_min_pu <= np.nanmin(vm_pu)
    assert np.nanmax(vm_pu) <= network.voltage_max_pu
    for table in ("line", "trafo"):
        assert state[f"{table}_loading_percent"].values.max() <= network.loading_max_percent


def test_a_killed_solver_is_an_error_and_the_next_plan_works(played: tuple[Room, int]) -> None:
    _, given, _, _ = _given(played)
    solver = Solver()
    assert solver.solve(given, gap=1e-2, nodes=10, deadline_s=60).source == NEW_PLAN

    def kill() -> None:
        time.sleep(0.01)
        assert solver.pid is not None
        os.kill(solver.pid, signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    with pytest.raises(SolverError, match="died"):
        solver.solve(given, gap=1e-9, nodes=10**6, deadline_s=60)
    thread.join()
    assert solver.solve(given, gap=1e-2, nodes=10, deadline_s=60).source == NEW_PLAN
    solver.close()


def test_a_solver_that_takes_too_long_is_killed(played: tuple[Room, int]) -> None:
    _, given, _, _ = _given(played)
    solver = Solver()
    with pytest.raises(SolverError, match=r"within 0\.001 s"):
        solver.solve(given, gap=1e-9, nodes=10**6, deadline_s=0.001)
    assert solver.pid is None


def test_a_missing_value_is_refused_by_name(played: tuple[Room, int]) -> None:
    _, given, _, _ = _given(played)
    solver = Solver()
    with pytest.raises(BadInputError, match="demand_kw must be one row"):
        solver.solve(replace(given, demand_kw=None), gap=1e-3, nodes=10, deadline_s=60)
    solver.close()


def test_an_infeasible_plan_names_the_reason(played: tuple[Room, int]) -> None:
    room, given, ahead, last = _given(played)
    cut = LinearCut(0, "vm_pu bus 25 <= 1.05", {"BAT-COMMUNITY": 1.0}, -1000.0)
    stuck = replace(given, cuts=(cut,))
    solver = Solver()
    with pytest.raises(InfeasiblePlan, match="vm_pu bus 25"):
        solver.solve(stuck, gap=1e-3, nodes=100, deadline_s=60)
    solver.close()
    chosen, _, _, _, findings = planning._feasible_plan(room, stuck, ahead, last)
    assert chosen.source != NEW_PLAN
    assert findings[0].code == "plan.fallback"
    room.solver.close()


def test_the_same_seed_gives_the_same_ledger_whatever_the_hash_seed(tmp_path: Path) -> None:
    notes = []
    for hash_seed in ("1", "2"):
        directory = tmp_path / hash_seed
        script = (
            "import sys; from pathlib import Path; from grid.operation import demo;"
            "from grid.operation.demo_site import DEFAULT_DAY\n"
            "if __name__ == '__main__':\n"
            "    d = Path(sys.argv[1]); demo.prepare(d, day=DEFAULT_DAY, seed=1)\n"
            "    with demo.opened(d) as room: demo.play(room, 2, print)\n"
            "    print(demo.ledger_facts(demo.commission.open_store(d))['ledger_root'])\n"
        )
        path = tmp_path / "play.py"
        path.write_text(script)
        done = subprocess.run(
            [sys.executable, str(path), str(directory)],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
        )
        notes.append(done.stdout.strip().splitlines()[-1])
    assert notes[0] == notes[1]
