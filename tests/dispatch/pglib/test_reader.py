"""The reader of pglib-uc files: what is wrong is refused with the path of its field."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.commitment import CommitmentProblem
from dispatch.pglib import parse, problem, read
from grid.errors import BadInputError
from tests.dispatch.pglib.instances import instance, running, unit

RIGHT = instance(
    [50.0, 60.0],
    reserves=[5.0, 5.0],
    thermal_generators={
        "a": unit(startup=[{"lag": 1, "cost": 10.0}, {"lag": 4, "cost": 20.0}]),
        "b": running(60.0),
    },
    renewable_generators={
        "w": {"name": "w", "power_output_minimum": [0.0, 1], "power_output_maximum": [5, 6.0]}
    },
)


def wrong(path, value):
    """Return a copy of RIGHT with `value` at `path`, or without it for None."""
    raw = copy.deepcopy(RIGHT)
    at = raw
    for step in path[:-1]:
        at = at[step]
    if value is None:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return raw


A = ("thermal_generators", "a")
B = ("thermal_generators", "b")
W = ("renewable_generators", "w")
CASES = [
    (("demand",), None, "problem.demand is missing"),
    (("demand",), [1.0], "demand is a list of 1, must be of length time_periods, 2"),
    (("demand", 1), float("nan"), "demand[1] is nan, must be within 0 to 1e+07"),
    (("demand", 1), float("inf"), "demand[1] is inf"),
    (("demand", 1), 1e30, "demand[1] is 1e+30"),
    (("demand", 0), -1.0, "demand[0] is -1.0"),
    (("demand", 0), "7", "demand[0] is 7, must be a number"),
    (("demand", 0), True, "demand[0] is True, must be a number"),
    (("reserves", 0), -5.0, "reserves[0]"),
    (("time_periods",), 0, "time_periods is 0, must be within 1 to 8784"),
    (("time_periods",), 2.5, "time_periods is 2.5, must be a whole number"),
    (("load",), [1.0], "problem.load is unknown"),
    ((*A, "ramp_up_limit"), None, "thermal_generators.a.ramp_up_limit is missing"),
    ((*A, "ramp_up_limit"), -1.0, "thermal_generators.a.ramp_up_limit is -1.0"),
    ((*A, "must_run"), 2, "thermal_generators.a.must_run is 2"),
    ((*A, "power_output_minimum"), 200.0, "at most power_output_maximum, 100"),
    ((*A, "ramp_startup_limit"), 9.0, "ramp_startup_limit is 9.0, must be at least"),
    ((*A, "ramp_shutdown_limit"), 9.0, "ramp_shutdown_limit is 9.0, must be at least"),
    ((*A, "power_output_t0"), 5.0, "a.power_output_t0 is 5.0, must be 0, unit_on_t0 being 0"),
    ((*A, "time_down_t0"), 0, "a.time_down_t0 is 0, must be at least 1"),
    ((*A, "time_up_t0"), 3, "a.time_up_t0 is 3, must be 0"),
    ((*B, "power_output_t0"), 5.0, "b.power_output_t0 is 5.0, must be within 10 to 100"),
    ((*A, "startup"), [], "a.startup is a list of 0"),
    ((*A, "startup", 1, "lag"), 1, "a.startup[1].lag is 1, must be above the one before"),
    ((*A, "startup", 1, "cost"), 5.0, "a.startup[1].cost is 5.0, must be at least the one before"),
    ((*A, "startup", 0, "lag"), 3, "a.startup[0].lag is 3, must be at most time_down_minimum"),
    ((*A, "startup", 0, "hot"), 3, "a.startup[0].hot is unknown"),
    ((*A, "piecewise_production", 0, "mw"), 20.0, "20.0, must be power_output_minimum, 10"),
    ((*A, "piecewise_production", 1, "mw"), 90.0, "90.0, must be power_output_maximum, 100"),
    ((*A, "piecewise_production", 1, "mw"), 9.0, "must be above the one before"),
    ((*W, "power_output_minimum"), [6.0, 1], "w.power_output_minimum[0] is 6.0, must be at most"),
    (W, [1.0], "renewable_generators.w is list, must be an object"),
    (("thermal_generators",), [], "must be an object of generators by name"),
]


@pytest.mark.parametrize(("path", "value", "said"), CASES)
def test_what_is_wrong_is_refused_by_its_field(path, value, said):
    """Missing, unknown, not finite, out of range or contradictory: the message names the field."""
    with pytest.raises(BadInputError) as told:
        problem(wrong(path, value))
    assert said in str(told.value)


def test_a_bent_cost_curve_is_refused():
    """Falling marginal costs have no mixture that is the curve."""
    points = [
        {"mw": 10.0, "cost": 100.0},
        {"mw": 60.0, "cost": 600.0},
        {"mw": 100.0, "cost": 700.0},
    ]
    raw = wrong((*A, "piecewise_production"), points)
    with pytest.raises(BadInputError, match=r"production\[2\].cost is 700.0, must be convex"):
        problem(raw)


def test_who_must_run_and_may_not_is_refused():
    """One that must run cannot be held off by its minimum down time."""
    held = unit(must_run=1, time_down_minimum=12)
    with pytest.raises(BadInputError, match="must_run is 1, must be 0"):
        problem(instance([50.0], thermal_generators={"g": held}))


def test_nobody_to_serve_is_refused():
    """Without generators, or with a reserve that no thermal one can keep, nothing is solved."""
    with pytest.raises(BadInputError, match="thermal_generators is empty"):
        problem(instance([50.0]))
    plant = {"power_output_minimum": [0.0], "power_output_maximum": [60.0]}
    with pytest.raises(BadInputError, match="reserves is 5, must be 0"):
        problem(instance([50.0], reserves=[5.0], renewable_generators={"w": plant}))


@pytest.mark.parametrize(
    ("octets", "said"),
    [
        (b"", "no JSON"),
        (b"[]", "problem is list, must be an object"),
        (b"\xff\xfe\x00", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b'{"demand": NaN}', "NaN is not a finite number"),
        (b'{"demand": 1, "demand": 2}', "'demand' stands twice"),
        (b'{"time_periods": ' + b"9" * 5000 + b"}", "no JSON"),
    ],
)
def test_what_is_no_such_file_is_refused(octets, said):
    """No JSON, numbers that JSON does not have, keys twice, depth and length without end."""
    with pytest.raises(BadInputError, match=said.replace("[", r"\[")):
        parse(octets)


def test_the_file_is_named(tmp_path):
    """A message begins with the file it is about, and a missing one is told as such."""
    path = tmp_path / "day.json"
    with pytest.raises(BadInputError, match=r"day.json: No such file"):
        read(path)
    path.write_text("{}")
    with pytest.raises(BadInputError, match=r"day.json: problem.demand is missing"):
        read(path)


def test_a_right_file_says_what_it_says(tmp_path):
    """Each fact arrives; a reserve that is not stated is none."""
    path = tmp_path / "day.json"
    path.write_text(json.dumps(RIGHT))
    found = read(path)
    first, second = found.thermal
    assert (found.n, first.name, first.on, first.hours_in_state) == (2, "a", False, 9)
    assert [(category.lag, category.cost) for category in first.start] == [(1, 10.0), (4, 20.0)]
    assert (second.on, second.output_mw, second.above_mw) == (True, 60.0, 50.0)
    assert found.renewable[0].max_mw.tolist() == [5.0, 6.0]
    assert problem(wrong(("reserves",), None)).reserve_mw.tolist() == [0.0, 0.0]


NUMBERS = st.one_of(
    st.integers(-5, 200),
    st.floats(),
    st.sampled_from([1e30, -1.0, 0, 1, True, None, "x", [], {}]),
)


def _leaves(raw, path=()):
    if isinstance(raw, dict):
        steps = list(raw)
    elif isinstance(raw, list):
        steps = list(range(len(raw)))
    else:
        return [path]
    return [path, *(leaf for step in steps for leaf in _leaves(raw[step], (*path, step)))]


PATHS = [path for path in _leaves(RIGHT) if path]


@given(st.lists(st.tuples(st.sampled_from(PATHS), NUMBERS), min_size=1, max_size=3))
def test_no_value_crashes_the_reader(changes):
    """Any values at any places: a problem whose numbers are finite, or a typed error."""
    raw = copy.deepcopy(RIGHT)
    for path, value in changes:
        at = raw
        for step in path[:-1]:
            at = at[step] if isinstance(at, dict | list) and _has(at, step) else None
        if isinstance(at, dict | list) and _has(at, path[-1]):
            at[path[-1]] = value
    try:
        found = problem(raw)
    except BadInputError:
        return
    assert isinstance(found, CommitmentProblem)
    assert all(0.0 <= mw <= 1e7 for mw in (*found.demand_mw, *found.reserve_mw))


def _has(at, step):
    return step in at if isinstance(at, dict) else isinstance(step, int) and step < len(at)


@given(st.binary(max_size=200))
def test_no_bytes_crash_the_reader(octets):
    """Any bytes are refused with a typed error."""
    with pytest.raises(BadInputError):
        parse(octets)
