"""The plan of a cycle stays with the plan in force, and with it when the solver dies or hangs."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray as xr

from dispatch import highs
from dispatch.in_force import rest
from dispatch.kept import moved
from dispatch.plan import LAST_GOOD_PLAN, NEW_PLAN, Plan, PlanInput
from dispatch.problem import Answer, Problem
from dispatch.solve import solve
from grid.errors import SolverError
from grid.operation import feasibility, plan_inputs, planning
from grid.operation.bounds import bounds
from grid.operation.room import Room
from grid.operation.solver import Solver
from grid.store import datasets

CYCLES = 2
DEADLINE_S = 3.0


@pytest.fixture(scope="module")
def room(
    played: Callable[..., AbstractContextManager[Room]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Room]:
    """A control room after a few cycles."""
    with played(tmp_path_factory.mktemp("steady") / "site", CYCLES) as found:
        yield found


class Cycle:
    """What the plan of the newest cycle was made from."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.at_s = room.first_cycle_s + (CYCLES - 1) * room.site.interval_s
        with room.store.read() as tx:
            self.given, self.ahead = plan_inputs.plan_input(room, tx, self.at_s)
            self.last, self.watched = planning.last_good_plan(room, tx, self.at_s)
            self.bounds = bounds(room, tx, self.given, [])
            self.stored = datasets.require_dataset(tx, "plan", self.at_s)

    def plan(self, solver: Solver | None = None, **changes: Any) -> planning.Found:
        """Plan, with a solver of its own and some parts changed."""
        room = self.room
        if solver is not None:
            operation = replace(room.site.operation, solver_deadline_s=DEADLINE_S)
            room = Room(
                room.directory, replace(room.site, operation=operation), room.store, room.link, 0
            )
            room.__dict__ |= {"model": self.room.model, "solver": solver}
        parts = {"given": self.given, "last": self.last, **changes}
        return planning._feasible_plan(
            room, self.bounds.on(parts["given"]), self.ahead, parts["last"], self.watched
        )


@pytest.fixture(scope="module")
def cycle(room: Room) -> Cycle:
    return Cycle(room)


def same(one: xr.Dataset, other: xr.Dataset) -> bool:
    return all(one[name].values.tobytes() == other[name].values.tobytes() for name in one.data_vars)


def test_the_stage_makes_the_stored_plan_again_from_what_is_stored(cycle: Cycle) -> None:
    """The plan in force is one of its inputs, and is told in the hash of them."""
    chosen, used, *_ = cycle.plan()
    assert chosen.source == NEW_PLAN
    assert same(chosen.schedule, cycle.stored)
    hashes = {planning.input_hash(used), planning.input_hash(used, cycle.last)}
    assert len(hashes) == 2


def test_a_re_plan_of_unchanged_inputs_is_the_plan_through_ac_and_cuts(cycle: Cycle) -> None:
    first = cycle.plan()[0]
    again = cycle.plan(last=first)[0]
    assert again.source == NEW_PLAN
    assert moved(cycle.given, again.schedule, first.schedule) == set()


def test_a_percent_of_forecast_moves_fewer_set_points_and_holds_in_ac(cycle: Cycle) -> None:
    rng = np.random.default_rng(2)
    noise = 1.0 + 0.01 * rng.standard_normal(cycle.given.n)
    given = replace(cycle.given, demand_kw=cycle.given.demand_kw * noise)
    first = cycle.plan()[0]
    steady = cycle.plan(given=given, last=first)[0]
    free = solve(replace(given, cuts=()), gap=1e-3)
    before = rest(given, first)
    assert before is not None
    kept, moves = (len(moved(given, plan.schedule, before)) for plan in (steady, free))
    assert kept < 0.6 * moves
    verdict = feasibility.verdict(cycle.room, cycle.ahead, steady.schedule)
    assert verdict.broken == ()


class Stopped(Solver):
    """A solver whose process stops before it answers; with `then`, it is killed so."""

    def __init__(self, *, then_killed: bool) -> None:
        super().__init__()
        self.then_killed = then_killed

    def solve(self, plan_input: PlanInput, **more: Any) -> Plan:
        self.start()
        pid = self.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        if not self.then_killed:
            return super().solve(plan_input, **more)
        killer = threading.Timer(0.2, os.kill, (pid, signal.SIGKILL))
        killer.start()
        try:
            return super().solve(plan_input, **more)
        finally:
            killer.join()


@pytest.mark.parametrize(
    ("then_killed", "why"), [(True, "the solver process died"), (False, "no plan within 3 s")]
)
def test_a_solver_that_is_killed_or_hangs_leaves_the_last_good_plan(
    cycle: Cycle, then_killed: bool, why: str
) -> None:
    """Long before the interval is over, labelled, with nothing left running."""
    solver = Stopped(then_killed=then_killed)
    began = time.monotonic()
    chosen, _, _, _, findings = cycle.plan(solver)
    assert time.monotonic() - began < cycle.room.site.interval_s / 10
    assert (chosen.source, chosen.status) == (LAST_GOOD_PLAN, "reused")
    assert why in findings[0].message
    assert {reason.code for reason in chosen.reasons} == {"fallback.last_good"}
    assert cycle.last is not None
    before = rest(cycle.given, cycle.last)
    assert before is not None
    first = slice(0, 1)
    kept = moved(cycle.given, chosen.schedule.isel(interval=first), before.isel(interval=first))
    assert kept == set()
    assert solver.pid is None


class Nonsense(Solver):
    """A solver between whose answer and its check something goes wrong."""

    def __init__(self, variable: str, value: float) -> None:
        super().__init__()
        self.variable = variable
        self.value = value

    def solve(
        self, plan_input: PlanInput, *, deadline_s: float, gap: float, nodes: int, **more: Any
    ) -> Plan:
        def optimise(problem: Problem, **options: Any) -> Answer:
            answer = highs.optimise(problem, **options)
            columns = answer.columns.copy()
            at = problem.column[self.variable].first
            columns[at] = self.value if self.variable == "on" else columns[at] + self.value
            return replace(answer, columns=columns)

        return solve(plan_input, gap=gap, nodes=nodes, optimise=optimise, **more)


@pytest.mark.parametrize(
    ("variable", "value", "why"),
    [("on", 0.5, "0.5 for on, must be 0 or 1"), ("import_kw", 1.0, "does not close by 1 kW")],
)
def test_nonsense_of_the_solver_leaves_the_last_good_plan(
    cycle: Cycle, variable: str, value: float, why: str
) -> None:
    chosen, _, _, _, findings = cycle.plan(Nonsense(variable, value))
    assert (chosen.source, chosen.status) == (LAST_GOOD_PLAN, "reused")
    assert why in findings[0].message


def test_a_solver_that_hung_is_replaced(cycle: Cycle) -> None:
    solver = Solver()
    solver.start()
    pid = solver.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(SolverError, match="no plan within 1 s"):
        solver.solve(cycle.given, gap=1e-3, nodes=100, deadline_s=1.0)
    plan = solver.solve(cycle.given, gap=1e-3, nodes=100, deadline_s=60.0)
    assert plan.source == NEW_PLAN
    assert solver.pid != pid
    solver.close()
