"""A problem in a file: what it says is planned, and what is wrong with it is named."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch.check import check_plan
from dispatch.problem_file import parse, read
from dispatch.solve import solve
from grid.console.cli import main
from grid.errors import BadInputError

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "evening.toml"


def test_the_example_is_planned():
    """The vehicle leaves with its 30 kWh, and the peak of the period is not raised."""
    problem = read(EXAMPLE)
    plan = solve(problem)
    assert check_plan(problem, plan) == []
    charger = problem.rows("charger").start
    assert plan.schedule["energy_kwh"].values[charger, 2] == pytest.approx(30.0)
    assert float(plan.schedule["import_kw"].max()) == pytest.approx(18.0)


def test_the_command_prints_the_plan_and_why(capsys):
    assert main(["dispatch", "solve", str(EXAMPLE)]) == 0
    told = capsys.readouterr().out
    assert "cost 26.4869" in told
    assert "EV-1: charges its vehicle with 11.0 kW" in told


def test_a_genset_runs_for_its_heat_in_the_example(capsys):
    """In the dear hours alone; without the heat it would not run at all."""
    path = EXAMPLE.with_name("heat.toml")
    problem = read(path)
    plan = solve(problem, gap=0.0)
    assert check_plan(problem, plan) == []
    assert plan.schedule["on"].values[0].tolist() == [False, True, True, True, False, False]
    cold = solve(replace(problem, heat=()), gap=0.0)
    assert not cold.schedule["on"].values[0].any()
    assert main(["dispatch", "solve", str(path)]) == 0
    told = capsys.readouterr().out
    assert "of tanks what the boiler gives" in told
    assert "TANK-1: the boiler gives 8.1 kW of heat" in told


def test_what_is_not_given_is_nothing():
    text = 'start = "2026-10-21T17:00Z"\ninterval_s = 900\ndemand_kw = [0.0, 0.0]'
    problem = parse(text)
    assert problem.n == 2
    assert not problem.grid_available.any()
    assert solve(problem).objective == 0.0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("demand_kw = [20.0, 24.0, 30.0, 26.0]", "", "'demand_kw' is missing"),
        ("24.0", '"x"', "demand_kw must hold numbers alone"),
        ("24.0", "nan", "demand_kw"),
        ("24.0", "-1.0", "demand_kw"),
        ("[20.0, 24.0, 30.0, 26.0]", "20.0", "demand_kw is 20.0, must be a list"),
        ("[[3.0, 0.5, 0.0, 0.0]]", "[[3.0, 0.5], [1.0]]", "rows of unlike length"),
        ("[[3.0, 0.5, 0.0, 0.0]]", "[[3.0, 0.5]]", "solar_available_kw has shape"),
        ("peak_kw", "peek_kw", "unknown key 'peek_kw'"),
        ("true, true, true, false", "1, 1, 1, 0", "ev_connected must hold true or false"),
        ('wear = "0.01"', "wear = 0.01", r"problem.toml:\d+: \[battery\] wear"),
        ("[[battery]]", "[[batery]]", "unknown key 'batery'"),
        ("power_kw = 10.0", "power_kw = -10.0", "power_kw is -10.0"),
        ("interval_s = 3600", "interval_s = 0", "interval_s is 0"),
        ('"2026-10-21T17:00Z"', '"yesterday"', "yesterday"),
        (
            "[grid]",
            "[[grid]]\nimport_limit_kw = 1.0\nexport_limit_kw = 1.0\n[[grid]]",
            "may stand once",
        ),
    ],
)
def test_what_is_wrong_is_named(old, new, message):
    text = EXAMPLE.read_text()
    assert old in text
    with pytest.raises(BadInputError, match=message):
        parse(text.replace(old, new, 1))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_file_is_refused_or_is_a_problem(data):
    text = EXAMPLE.read_text()
    at = data.draw(st.integers(0, len(text) - 1))
    length = data.draw(st.integers(0, 12))
    junk = data.draw(st.text(max_size=8))
    try:
        parse(text[:at] + junk + text[at + length :])
    except BadInputError:
        return
