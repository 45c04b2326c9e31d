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

from dispatch.plan import LAST_GOOD_PLAN, NEW_PLAN, SAFE_RULE, InfeasiblePlan, LinearCut, PlanInput
from grid.errors import BadInputError, SolverError
from grid.operation import demo, planning
from grid.operation.demo_site import DEFAULT_DAY
from grid.operation.room import Room
from grid.operation.solver import Solver
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
    fresh = Room(directory, parse(text), store, None, at_s - 900)  # type: ignore[arg-type]
    return fresh, at_s


def _given(played: tuple[Room, int]) -> tuple[Room, PlanInput, object, object]:
    room, at_s = played
    with room.store.read() as tx:
        given, ahead = planning.plan_input(room, tx, at_s)
        return room, given, ahead, planning.last_good_plan(room, tx, at_s)


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
    chosen, _, _, findings = planning._feasible_plan(room, broken, ahead, last)  # type: ignore[arg-type]
    assert chosen.source in (LAST_GOOD_PLAN, SAFE_RULE)
    assert chosen.status != "optimal" or chosen.source == LAST_GOOD_PLAN
    assert name in findings[0].message
    _safe(room, chosen)


def _safe(room: Room, chosen: object) -> None:
    for wish in planning.setpoints(room, chosen):  # type: ignore[arg-type]
        rating = next(a for a in room.site.assets if a.id == wish.asset)
        power_kw = getattr(rating, "power_kw", 1e9)
        assert 0 <= max(wish.charge_w, wish.discharge_w) <= power_kw * 1000 + 1


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
        solver.solve(replace(given, demand_kw=None), gap=1e-3, nodes=10, deadline_s=60)  # type: ignore[arg-type]
    solver.close()


def test_an_infeasible_plan_names_the_reason(played: tuple[Room, int]) -> None:
    room, given, ahead, last = _given(played)
    cut = LinearCut(0, "vm_pu bus 25 <= 1.05", {"BAT-COMMUNITY": 1.0}, -1000.0)
    stuck = replace(given, cuts=(cut,))
    solver = Solver()
    with pytest.raises(InfeasiblePlan, match="vm_pu bus 25"):
        solver.solve(stuck, gap=1e-3, nodes=100, deadline_s=60)
    solver.close()
    chosen, _, _, findings = planning._feasible_plan(room, stuck, ahead, last)  # type: ignore[arg-type]
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
