"""Nonsense between HiGHS's answer and the plan: each is refused, and none reaches a device."""

from dataclasses import replace

import numpy as np
import pytest

from dispatch import highs
from dispatch.plan import NEW_PLAN
from dispatch.solve import solve
from grid.errors import SolverError

SOUND = highs.optimise


def tampered(change):
    """Return a solver whose answers are changed on the way back."""

    def optimise(problem, **options):
        answer = SOUND(problem, **options)
        columns = answer.columns.copy()
        change(problem.column, columns)
        return replace(answer, columns=columns)

    return optimise


def put(name, index, value):
    """Return a change that gives a variable a value."""

    def change(column, columns):
        columns[column[name].at(index)] = value

    return change


def add(name, index, value):
    """Return a change that adds to a variable."""

    def change(column, columns):
        columns[column[name].at(index)] += value

    return change


NONSENSE = [
    (put("on", ("gen-1", 20), 0.5), "0.5 for on, must be 0 or 1"),
    (put("on", ("gen-1", 20), -np.inf), "-inf for on, must be finite"),
    (put("on", ("gen-1", 20), 4.5), "4.5 for on, must be 0 or 1"),
    (put("on", ("gen-1", 20), np.nan), "nan for on, must be finite"),
    (put("on", ("gen-1", 20), 1.0), "produce_kw is below its least load"),
    (add("import_kw", (20,), 1.0), "balance .* does not close by 1 kW"),
    (add("import_kw", (20,), -1.0), "balance .* does not close by 1 kW"),
    (add("charge", ("bat-c", 20), 1.0), "balance .* does not close by 1 kW"),
    (put("discharge", ("bat-c", 20), np.nan), "nan for discharge, must be finite"),
    (put("discharge", ("bat-c", 20), 1e30), "discharge_kw is above its limit"),
    (put("import_kw", (20,), np.inf), "inf for import_kw, must be finite"),
    (add("energy", ("bat-c", 20), 1.0), "energy_kwh does not follow from its flows by 1 kWh"),
    (add("solar", ("pv-3", 50), 1.0), "produce_kw is above its limit"),
    (add("shed", ("shed-1", 20), 1.0), "balance .* does not close"),
]


@pytest.mark.parametrize("follows", [False, True], ids=["from nothing", "with a plan in force"])
@pytest.mark.parametrize(("change", "message"), NONSENSE, ids=[text for _, text in NONSENSE])
def test_nonsense_from_the_solver_is_refused(demo_day, change, message, follows):
    day = demo_day()
    in_force = solve(day) if follows else None
    with pytest.raises(SolverError, match=message):
        solve(day, optimise=tampered(change), in_force=in_force)


@pytest.mark.parametrize("nonsense", [0.5, np.nan, 1e30])
def test_nonsense_from_the_second_problem_leaves_the_cheapest_plan(demo_day, monkeypatch, nonsense):
    """The optimum has been judged; what is near the plan in force is judged again."""
    day = demo_day()
    plan = solve(day)
    changed = replace(day, demand_kw=1.01 * day.demand_kw)
    best = solve(changed)
    monkeypatch.setattr(highs, "optimise", tampered(add("import_kw", (3,), nonsense)))
    found = solve(changed, in_force=plan)
    assert found.source == NEW_PLAN
    assert found.objective == best.objective
    assert found.schedule.equals(best.schedule)
