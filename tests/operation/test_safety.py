"""Whatever goes wrong with a plan, it is named, labelled, and a safe set-point goes out."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

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
from grid import interval
from grid.errors import BadInputError, Finding, Severity, SolverError
from grid.operation import feasibility, plan_inputs, planning
from grid.operation.demo_site import DEFAULT_DAY, TIME_ZONE
from grid.operation.room import Room
from grid.operation.setpoints import setpoints
from grid.operation.solver import Solver
from grid.site import Battery
from grid.site_file import parse
from grid.store import Store, control

ORIGINS = {"midnight": "2026-05-29T00:15", "noon": "2026-05-29T12:45", "outage": "2026-05-29T19:30"}
"""Local times of cycles: without sun, with the voltage at its limit, and in the outage."""


@pytest.fixture(scope="module")
def room(days: list[Any]) -> Iterator[Room]:
    """The control room of the played day; its field has stopped, its store is there."""
    store = Store.at(days[0].directory)
    with store.read() as tx:
        site = parse(control.get_meta(tx, "site_toml") or "")
    start_s, _ = interval.day_bounds(DEFAULT_DAY, TIME_ZONE)
    room = Room(days[0].directory, site, store, None, start_s)
    yield room
    room.solver.close()
    store.close()


@pytest.fixture(params=ORIGINS)
def given(request: pytest.FixtureRequest, room: Room) -> Given:
    """What the plan of a cycle was made from, with the plan before it."""
    return _given(room, interval.parse(f"{ORIGINS[request.param]}+04:00"))


@pytest.fixture
def noon(room: Room) -> Given:
    """As `given`, at noon."""
    return _given(room, interval.parse(f"{ORIGINS['noon']}+04:00"))


def _given(room: Room, at_s: int) -> Given:
    with room.store.read() as tx:
        given, ahead = plan_inputs.plan_input(room, tx, at_s)
        return Given(room, given, ahead, planning.last_good_plan(room, tx, at_s)[0])


@dataclass(frozen=True)
class Given:
    """The parts of one plan."""

    room: Room
    plan_input: PlanInput
    ahead: xr.Dataset
    last: Plan | None

    def plan(self, **changes: Any) -> tuple[Plan, list[Finding]]:
        """Plan with some parts changed; return what is to be sent and what was found."""
        parts = [changes.get(name, getattr(self, name)) for name in ("plan_input", "ahead", "last")]
        chosen, _, _, _, findings = planning._feasible_plan(self.room, *parts)
        return chosen, findings


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
    given: Given, name: str, bad: float
) -> None:
    values = getattr(given.plan_input, name).astype(np.float64).copy()
    values.flat[-1] = bad
    chosen, findings = given.plan(plan_input=replace(given.plan_input, **{name: values}))
    assert (chosen.source, chosen.status) in FALLBACKS
    assert name in findings[0].message
    _safe(given, chosen, findings)


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
    noon: Given, name: str, bad: object
) -> None:
    chosen, findings = noon.plan(plan_input=replace(noon.plan_input, **{name: bad}))
    assert (chosen.source, chosen.status) in FALLBACKS
    assert name.removesuffix("s") in findings[0].message
    _safe(noon, chosen, findings)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e30, -1e9])
@pytest.mark.parametrize("name", ["mean_kw", "mean_kvar", "total_kw", "total_mean_kw"])
def test_a_bad_forecast_is_named_and_a_labelled_plan_goes_out(
    given: Given, name: str, bad: float
) -> None:
    wrong = given.ahead.copy(deep=True)
    wrong[name].values.flat[0] = bad
    chosen, findings = given.plan(ahead=wrong)
    assert (chosen.source, chosen.status) in FALLBACKS
    assert name in findings[0].message
    _safe(given, chosen)


class _Impatient(Solver):
    """A solver whose process is killed before it can answer."""

    def solve(self, plan_input: PlanInput, *, deadline_s: float, **more: Any) -> Plan:
        return super().solve(plan_input, deadline_s=deadline_s / 1e5, **more)


@pytest.mark.parametrize("hour", range(24))
def test_without_a_solver_what_goes_out_holds_in_ac_at_every_hour(room: Room, hour: int) -> None:
    alone = Room(room.directory, room.site, room.store, None, room.first_cycle_s)
    alone.__dict__ |= {"model": room.model, "solver": _Impatient()}
    start_s, _ = interval.day_bounds(DEFAULT_DAY, TIME_ZONE)
    given = _given(alone, start_s + 3600 * hour)
    for last in (None, given.last):
        chosen, findings = given.plan(last=last)
        assert (chosen.source, chosen.status) in FALLBACKS
        assert "no plan within" in findings[0].message
        _safe(given, chosen, findings)


def test_a_battery_that_is_away_for_hours_leaves_the_others_a_plan(
    noon: Given, tmp_path: Path
) -> None:
    store = Store.at(shutil.copytree(noon.room.directory, tmp_path / "site"))
    with store.write() as tx:
        tx.exec_driver_sql("DELETE FROM device_state WHERE asset = 'BAT-01'")
    room = Room(noon.room.directory, noon.room.site, store, None, noon.room.first_cycle_s)
    without = _given(room, noon.plan_input.start_s)
    chosen, findings = without.plan()
    assert (chosen.source, findings) == (NEW_PLAN, [])
    wishes = {wish.asset: wish for wish in setpoints(room, chosen, without.plan_input)}
    assert wishes["BAT-01"].charge_w == wishes["BAT-01"].discharge_w == 0
    assert any(wish.charge_w for wish in wishes.values()), "nobody charges at noon"
    with store.read() as tx:
        (alarm,) = plan_inputs.stale(room, tx, noon.plan_input.start_s)
    assert (alarm.code, alarm.subject, alarm.severity) == ("device.stale", "BAT-01", Severity.ALARM)
    assert "out of service" in alarm.message
    room.solver.close()
    store.close()


def _safe(given: Given, chosen: Plan, findings: Sequence[Finding] = ()) -> None:
    """What is sent is within ratings and stores, and holds in AC under the sound forecast."""
    room, ahead = given.room, given.ahead
    assert "plan.network" not in {finding.code for finding in findings}
    hours, batteries = given.plan_input.hours, given.plan_input.battery
    stored = dict(zip((b.id for b in batteries), given.plan_input.battery_energy_kwh, strict=True))
    for wish in setpoints(room, chosen, given.plan_input):
        asset = next(a for a in room.site.assets if a.id == wish.asset)
        rating_kw = getattr(asset, "power_kw", 1e9)
        assert 0 <= max(wish.charge_w, wish.discharge_w, wish.limit_w) <= rating_kw * 1000 + 1
        if isinstance(asset, Battery):
            gain = wish.charge_w / 1000 * hours * asset.charge_efficiency
            loss = wish.discharge_w / 1000 * hours / asset.discharge_efficiency
            left = stored[asset.id] + gain - loss
            assert asset.min_energy_kwh - 0.01 <= left <= asset.energy_kwh + 0.01
    network, step = room.site.network, chosen.schedule.isel(interval=slice(0, 1))
    now = ahead.isel(interval=slice(0, 1))
    for state in (
        feasibility.state_of(room, now, step),
        feasibility.state_at_worst(room, now, step),
    ):
        vm_pu = state["vm_pu"].values
        assert network.voltage_min_pu <= np.nanmin(vm_pu)
        assert np.nanmax(vm_pu) <= network.voltage_max_pu + 1e-9
        for table in ("line", "trafo"):
            assert state[f"{table}_loading_percent"].values.max() <= network.loading_max_percent


def test_a_killed_solver_is_an_error_and_the_next_plan_works(noon: Given) -> None:
    given = noon.plan_input
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


def test_a_solver_that_takes_too_long_is_killed(noon: Given) -> None:
    given = noon.plan_input
    solver = Solver()
    with pytest.raises(SolverError, match=r"within 0\.001 s"):
        solver.solve(given, gap=1e-9, nodes=10**6, deadline_s=0.001)
    assert solver.pid is None


def test_a_missing_value_is_refused_by_name(noon: Given) -> None:
    given = noon.plan_input
    solver = Solver()
    with pytest.raises(BadInputError, match="demand_kw must be one row"):
        solver.solve(replace(given, demand_kw=None), gap=1e-3, nodes=10, deadline_s=60)
    solver.close()


def test_an_infeasible_plan_names_the_reason(given: Given) -> None:
    cut = LinearCut(0, "vm_pu bus 25 <= 1.05", {"BAT-COMMUNITY": 1.0}, -1000.0)
    stuck = replace(given.plan_input, cuts=(cut,))
    solver = Solver()
    with pytest.raises(InfeasiblePlan, match="vm_pu bus 25"):
        solver.solve(stuck, gap=1e-3, nodes=100, deadline_s=60)
    solver.close()
    chosen, findings = given.plan(plan_input=stuck)
    assert chosen.source != NEW_PLAN
    assert findings[0].code == "plan.fallback"
    _safe(given, chosen, findings)


def test_the_same_seed_gives_the_same_ledger_whatever_the_hash_seed(tmp_path: Path) -> None:
    notes = []
    for hash_seed in ("1", "2"):
        directory = tmp_path / hash_seed
        script = (
            "import sys; from pathlib import Path; from grid.operation import demo, opening;"
            "from grid.operation.demo_site import DEFAULT_DAY\n"
            "if __name__ == '__main__':\n"
            "    d = Path(sys.argv[1]); demo.prepare(d, day=DEFAULT_DAY, seed=1)\n"
            "    with opening.opened(d) as room: demo.play(room, 2, print)\n"
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
