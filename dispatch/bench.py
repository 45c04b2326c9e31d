"""Rows of the benchmark: a plan from nothing, and its model from nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import highspy
import numpy as np

from dispatch.bench_direct import direct
from dispatch.cost import day_cost
from dispatch.model import build
from dispatch.plan import Floats, Plan, PlanInput
from dispatch.problem import Answer
from dispatch.rolling import Rolling
from dispatch.solve import schedule_of, solve
from dispatch.statement import statement
from dispatch.template import forget, patched
from grid.benchmark import Error, Progress, Row, Timing, alternate, faster, within
from grid.errors import SolverError
from grid.ids import AssetId, UsagePointId
from grid.site import Battery, GridConnection, GridPrice, Price, Shedding, Solar, Wind

STEPS = 96
SAME = 1e-6
"""Share of the cost by which two solutions of one problem may differ."""


def rows(*, quick: bool, progress: Progress) -> Iterator[Row]:
    """Yield the rows, as they are measured.

    Parameters
    ----------
    quick : bool
        A tenth of the assets.
    """
    day = community(10 if quick else 100)
    rounds = 2 if quick else 5
    work = f"{len(day.assets)} assets, {STEPS} steps, no binaries"
    progress(f"dispatch: plan of {work}")
    plan = solve(day)
    yield _built(day, plan, work, rounds)
    yield _appsi(day, work, rounds)
    yield _linopy(day, plan, work, rounds)
    yield _rolled(day, work, rolls=2 if quick else 4)
    yield _planned(day, plan, work, rounds)


def _built(day: PlanInput, plan: Plan, work: str, rounds: int) -> Row:
    ours_ns, theirs_ns = alternate(rounds, lambda _: _ours(day), lambda _: _passed(direct(day)))
    solver = _passed(direct(day))
    solver.run()
    optimum = solver.getInfo().objective_function_value
    apart = abs(plan.objective - optimum) / abs(optimum)
    return Row(
        craft="dispatch",
        name="dispatch, cold",
        work=f"{work}: build and transfer",
        unit="models",
        taken=f"best of {rounds}",
        ours=Timing(1, ours_ns),
        peer="direct highspy",
        theirs=Timing(1, theirs_ns),
        reach=within(12),
        error=Error(apart, "of the cost", SAME, "optimum of the direct model"),
    )


def _appsi(day: PlanInput, work: str, rounds: int) -> Row:
    from pyomo.contrib.appsi.solvers import Highs

    ours_ns, theirs_ns = alternate(
        rounds, lambda _: _ours(day), lambda _: Highs().set_instance(build(day))
    )
    return Row(
        craft="dispatch",
        name="dispatch, cold, other layers",
        work=f"{work}: build and transfer",
        unit="models",
        taken=f"best of {rounds}",
        ours=Timing(1, ours_ns),
        peer="Pyomo's appsi",
        theirs=Timing(1, theirs_ns),
        reach=faster(3),
    )


def _linopy(day: PlanInput, plan: Plan, work: str, rounds: int) -> Row:
    row = Row(
        craft="dispatch",
        name="dispatch, cold, by arrays",
        work=f"{work}: build and transfer",
        unit="models",
        taken=f"best of {rounds}",
        ours=Timing(1, 0),
        peer="linopy",
        theirs=None,
        reach=faster(3),
        note="linopy is not installed",
    )
    if find_spec("linopy") is None:
        ours_ns, _ = alternate(rounds, lambda _: _ours(day), lambda _: None)
        return replace(row, ours=Timing(1, ours_ns))
    from dispatch.bench_linopy import stated

    ours_ns, theirs_ns = alternate(rounds, lambda _: _ours(day), lambda _: stated(day))
    solver = stated(day)
    solver.setOptionValue("output_flag", False)
    solver.run()
    # linopy's objective has no constant: what was stored before
    before = zip(day.battery, day.battery_energy_kwh.tolist(), strict=True)
    kept = day.end_value_per_kwh * sum(b.discharge_efficiency * held for b, held in before)
    optimum = solver.getInfo().objective_function_value + kept
    apart = abs(plan.objective - optimum) / abs(optimum)
    return replace(
        row,
        ours=Timing(1, ours_ns),
        theirs=Timing(1, theirs_ns),
        error=Error(apart, "of the cost", SAME, "optimum of linopy's model"),
        note="",
    )


def _rolled(day: PlanInput, work: str, rolls: int) -> Row:
    """Each roll is a step later, with other prices, weather, demand and stored energy."""
    from pyomo.contrib.appsi.solvers import Highs

    draw = np.random.default_rng(3)
    days = [day]
    for _ in range(2 * rolls):
        last = days[-1]
        series = {k: np.roll(v, -1, axis=-1) for k, v in last.series().items()}
        stored = np.clip(last.battery_energy_kwh + draw.uniform(-0.3, 0.3, len(day.battery)), 0, 10)
        days.append(replace(last, **series, battery_energy_kwh=stored))
    rolling, found, theirs = Rolling(), np.zeros(len(days)), np.zeros(len(days))

    def ours(turn: int) -> None:
        for k in range(turn * rolls, (turn + 1) * rolls):
            answer = rolling.optimise(patched(statement(days[k])), gap=0.0, nodes=0)
            found[k] = answer.objective

    def rebuilt(turn: int) -> None:
        for k in range(turn * rolls, (turn + 1) * rolls):
            solver = Highs()
            solver.config.load_solution = False
            # currency is not scaled there, and the tie-breaks lie below HiGHS' own 1e-7
            solver.highs_options = {"dual_feasibility_tolerance": 1e-10}
            theirs[k] = solver.solve(build(days[k])).best_feasible_objective

    rolling.optimise(patched(statement(day)), gap=0.0, nodes=0)
    ours_ns, theirs_ns = alternate(2, ours, rebuilt)
    done = slice(0, 2 * rolls)
    apart = float((np.abs(found - theirs)[done] / np.abs(theirs[done])).max())
    return Row(
        craft="dispatch",
        name="dispatch, rolling",
        work=f"{work}: {rolls} rolls, patched and solved",
        unit="rolls",
        taken="best of 2",
        ours=Timing(rolls, ours_ns),
        peer="Pyomo's appsi, built and solved anew",
        theirs=Timing(rolls, theirs_ns),
        reach=faster(20),
        error=Error(apart, "of the objective", 1e-9, "Pyomo's appsi"),
    )


def _planned(day: PlanInput, plan: Plan, work: str, rounds: int) -> Row:
    bare = _Bare(patched(statement(day)).lp)
    ours_ns, theirs_ns = alternate(rounds, lambda _: solve(day), bare)
    apart = _apart(day, plan, bare.columns)
    return Row(
        craft="dispatch",
        name="dispatch, whole plan",
        work=f"{work}: build, transfer, solve and check",
        unit="plans",
        taken=f"best of {rounds}",
        ours=Timing(1, ours_ns),
        peer="highspy given the arrays",
        theirs=Timing(1, theirs_ns),
        error=Error(apart, "of the cost", SAME, "bare HiGHS"),
        note="the solver's own time is in both",
    )


def _ours(day: PlanInput) -> Any:
    forget()
    return _passed(patched(statement(day)).lp)


class _Bare:
    """The same problem given to HiGHS as arrays, solved with its own settings."""

    def __init__(self, lp: Any) -> None:
        self._lp = lp
        self.columns: Floats = np.empty(0)

    def __call__(self, turn: int) -> None:
        solver = _passed(self._lp)
        solver.run()
        if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            raise SolverError("bare HiGHS found no optimum")
        self.columns = np.array(solver.getSolution().col_value)


def _passed(lp: Any) -> Any:
    solver: Any = highspy.Highs()  # type: ignore[no-untyped-call]  # highspy has no types
    solver.setOptionValue("output_flag", False)
    if solver.passModel(lp) != highspy.HighsStatus.kOk:
        raise SolverError("bare HiGHS refused the model")
    return solver


def _apart(day: PlanInput, plan: Plan, columns: Floats) -> float:
    """Return how far the plan's cost is from that of the bare solution, as a share of it."""
    answer = Answer("optimal", 0.0, np.nan, columns, np.empty(0))
    cost = day_cost(day, schedule_of(day, patched(statement(day)), answer)).total
    return abs(plan.objective - cost) / abs(cost)


def community(count: int) -> PlanInput:
    """Return a day of `count` assets: four tenths batteries, no gensets.

    Parameters
    ----------
    count : int
        A multiple of 10.
    """
    tenth = count // 10
    draw = np.random.default_rng(count)
    hour = np.arange(STEPS) / 4.0
    point = UsagePointId("up-1")
    battery = tuple(
        Battery(
            AssetId(f"battery-{i}"),
            point,
            power_kw=5.0,
            energy_kwh=10.0,
            charge_efficiency=0.95,
            discharge_efficiency=0.95,
            wear=Price(20_000),
        )
        for i in range(4 * tenth)
    )
    solar = tuple(Solar(AssetId(f"solar-{i}"), point, 5.0 + i % 7) for i in range(4 * tenth))
    wind = tuple(Wind(AssetId(f"wind-{i}"), point, 10.0) for i in range(tenth))
    shedding = tuple(
        Shedding(AssetId(f"shed-{i}"), (point,), Price(2_000_000)) for i in range(tenth)
    )
    sun = np.clip(np.sin((hour - 6.0) / 12.0 * np.pi), 0.0, None)
    rated_kw = np.array([plant.power_kw for plant in solar])
    demand_kw = count * (2.5 + np.sin((hour - 15.0) / 12.0 * np.pi) + 0.2 * draw.random(STEPS))
    return PlanInput(
        start_s=1_792_540_800,
        interval_s=900,
        battery=battery,
        solar=solar,
        wind=wind,
        genset=(),
        shedding=shedding,
        grid=GridConnection(
            AssetId("grid-1"), 5.0 * count, 3.0 * count, (GridPrice("00:00", Price(84), Price(50)),)
        ),
        demand_kw=demand_kw,
        solar_available_kw=rated_kw[:, None] * sun * (0.7 + 0.3 * draw.random((4 * tenth, STEPS))),
        wind_available_kw=10.0 * draw.random((tenth, STEPS)),
        sheddable_kw=np.full((tenth, STEPS), 1.0),
        buy_price=np.where((hour >= 8) & (hour < 23), 0.12, 0.06) + 0.01 * draw.random(STEPS),
        sell_price=np.full(STEPS, 0.05),
        end_value_per_kwh=0.08,
        grid_available=np.ones(STEPS, dtype=np.bool_),
        battery_energy_kwh=np.full(4 * tenth, 5.0),
        genset_on=np.zeros(0, dtype=np.bool_),
        genset_intervals_in_state=np.zeros(0, dtype=np.int64),
        reserve_kw=np.zeros(STEPS),
    )
