"""Unit commitment: against every commitment there is, by hand, and on published instances."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch import uc_search
from dispatch.commitment import Commitment
from dispatch.pglib import problem
from dispatch.uc import InfeasibleCommitment, facts, solve
from dispatch.uc_check import check
from grid.console.cli import main
from tests import peers
from tests.dispatch.pglib.instances import cut, instance, running, unit
from tests.dispatch.pglib.verifier import verify

CURVE = [{"mw": 10.0, "cost": 100.0}, {"mw": 40.0, "cost": 460.0}, {"mw": 100.0, "cost": 1300.0}]


def solved(raw, **how):
    """Return our commitment as a file has it, after the verifier agreed to it."""
    given_problem = problem(raw)
    told = json.loads(json.dumps(facts(given_problem, solve(given_problem, **how))))
    verdict = verify(raw, told)
    assert verdict.broken == []
    return told


def test_the_hand_computed_optimum_of_a_valley():
    """Through a valley of two hours the dear start is avoided by running on at minimum.

    60 and 60 MW cost 740 each; standing through two empty hours would save 200 and cost 300, so
    it runs at 10 MW beside a plant that gives the rest of the 20 MW.
    """
    base = running(60.0, startup=[{"lag": 1, "cost": 300.0}], piecewise_production=CURVE)
    plant = {"power_output_minimum": [0.0] * 4, "power_output_maximum": [0.0, 20.0, 20.0, 0.0]}
    raw = instance(
        [60.0, 20.0, 20.0, 60.0],
        thermal_generators={"g": base},
        renewable_generators={"w": plant},
    )
    told = solved(raw, gap=0.0)
    assert told["thermal_generators"]["g"]["on"] == [1, 1, 1, 1]
    assert told["cost"] == pytest.approx(2 * 740.0 + 2 * 100.0, abs=1e-6)


def small(draw):
    """Draw two generators and four hours that often, not always, have a commitment."""
    n = 4
    units = {}
    for name in ("a", "b"):
        cold = draw(st.integers(2, 4))
        shape = {
            "piecewise_production": CURVE,
            "ramp_up_limit": float(draw(st.sampled_from([25, 90]))),
            "ramp_down_limit": float(draw(st.sampled_from([25, 90]))),
            "ramp_startup_limit": float(draw(st.sampled_from([30, 100]))),
            "ramp_shutdown_limit": float(draw(st.sampled_from([30, 100]))),
            "time_up_minimum": draw(st.integers(1, 3)),
            "time_down_minimum": draw(st.integers(1, 2)),
            "startup": [{"lag": 1, "cost": 50.0}, {"lag": cold, "cost": 120.0}],
            "must_run": 0,
        }
        hours = draw(st.integers(1, 3))
        units[name] = (
            running(float(draw(st.sampled_from([10, 40]))), hours, **shape)
            if draw(st.booleans())
            else unit(time_down_t0=hours, **shape)
        )
    demand = [float(draw(st.integers(0, 160))) for _ in range(n)]
    spare = [float(draw(st.sampled_from([0, 15]))) for _ in range(n)]
    least = float(draw(st.sampled_from([0, 5])))
    plant = {"power_output_minimum": [least] * n, "power_output_maximum": [30.0] * n}
    return instance(
        demand,
        reserves=spare,
        thermal_generators=units,
        renewable_generators={"w": plant},
    )


def cheapest(raw):
    """Return the least cost of any commitment, each dispatched by itself; inf when none is."""
    from scipy.optimize import linprog

    n, units = raw["time_periods"], list(raw["thermal_generators"].items())
    best = np.inf
    blank = {"w": {"output_mw": [raw["renewable_generators"]["w"]["power_output_minimum"][0]] * n}}
    for states in itertools.product((0, 1), repeat=n * len(units)):
        on = np.array(states).reshape(len(units), n)
        told = {
            "cost": 0.0,
            "renewable_generators": blank,
            "thermal_generators": {
                name: {
                    "on": on[i].tolist(),
                    "output_mw": (10.0 * on[i]).tolist(),
                    "reserve_mw": [0.0] * n,
                }
                for i, (name, _) in enumerate(units)
            },
        }
        verdict = verify(raw, told)
        if any("time" in text.split(":")[0] for text in verdict.broken):
            continue
        # per unit and hour: two segments above minimum and reserve; per hour: the plant
        cost, a_eq, b_eq, a_ub, b_ub, bounds = [], [], [], [], [], []
        count = len(units) * n * 3 + n

        def at(i, t, k):
            return (i * n + t) * 3 + k

        for i, (_, facts_) in enumerate(units):
            start = np.diff(np.concatenate([[facts_["unit_on_t0"]], on[i]]))
            for t in range(n):
                cost += [12.0, 14.0, 0.0]
                bounds += [(0, 30.0 * on[i, t]), (0, 60.0 * on[i, t]), (0, None)]
                room = 90.0 * on[i, t]
                if start[t] > 0:
                    room = min(room, facts_["ramp_startup_limit"] - 10.0)
                if t + 1 < n and start[t + 1] < 0:
                    room = min(room, facts_["ramp_shutdown_limit"] - 10.0)
                row = np.zeros(count)
                row[[at(i, t, 0), at(i, t, 1), at(i, t, 2)]] = 1.0
                a_ub.append(row)
                b_ub.append(room)
                up, down = row.copy(), np.zeros(count)
                down[[at(i, t, 0), at(i, t, 1)]] = -1.0
                before = 0.0
                if t:
                    up[[at(i, t - 1, 0), at(i, t - 1, 1)]] = -1.0
                    down[[at(i, t - 1, 0), at(i, t - 1, 1)]] = 1.0
                elif facts_["unit_on_t0"]:
                    before = facts_["power_output_t0"] - 10.0
                a_ub += [up, down]
                b_ub += [facts_["ramp_up_limit"] + before, facts_["ramp_down_limit"] - before]
            if start[0] < 0 and facts_["power_output_t0"] > facts_["ramp_shutdown_limit"]:
                bounds[0] = (1.0, 0.0)
        for t in range(n):
            row, kept = np.zeros(count), np.zeros(count)
            for i in range(len(units)):
                row[[at(i, t, 0), at(i, t, 1)]] = 1.0
                kept[at(i, t, 2)] = -1.0
            row[len(units) * n * 3 + t] = 1.0
            a_eq.append(row)
            b_eq.append(raw["demand"][t] - 10.0 * on[:, t].sum())
            a_ub.append(kept)
            b_ub.append(-raw["reserves"][t])
            cost.append(0.0)
            plant = raw["renewable_generators"]["w"]
            bounds.append((plant["power_output_minimum"][t], plant["power_output_maximum"][t]))
        if any(low > (high if high is not None else np.inf) for low, high in bounds):
            continue
        found = linprog(cost, np.array(a_ub), b_ub, np.array(a_eq), b_eq, bounds)
        if found.status == 0:
            # at their minima the schedule costs 100 an hour on, and its starts
            best = min(best, found.fun + verdict.cost)
    return best


@settings(max_examples=8, derandomize=True)
@given(st.data())
def test_no_commitment_at_all_is_cheaper(data):
    """All 256 commitments of two generators and four hours, each with its own linear programme."""
    raw = small(data.draw)
    best = cheapest(raw)
    if np.isinf(best):
        with pytest.raises(InfeasibleCommitment):
            solve(problem(raw), gap=0.0)
    else:
        assert solved(raw, gap=0.0)["cost"] == pytest.approx(best, rel=1e-7, abs=1e-5)


def test_what_is_missing_is_told_by_hour_and_power():
    """130 MW of 100, a reserve of 20 with 10 left, and a minimum that nobody takes."""
    raw = instance([130.0, 90.0], thermal_generators={"g": running(90.0)}, reserves=[0.0, 20.0])
    with pytest.raises(InfeasibleCommitment) as told:
        solve(problem(raw))
    said = str(told.value)
    assert "hour 1: 30.000 MW of a demand of 130 MW unserved" in said
    assert "hour 2: 10.000 MW of a reserve of 20 MW not kept" in said
    raw = instance([4.0], thermal_generators={"g": running(60.0, must_run=1)})
    with pytest.raises(InfeasibleCommitment, match=r"hour 1: 6\.000 MW above a demand of 4 MW"):
        solve(problem(raw))


@pytest.mark.parametrize("part", ["on", "output_mw", "reserve_mw", "renewable_mw", "cost"])
def test_the_second_look_finds_what_is_changed(part):
    """A commitment changed anywhere after the solver is refused."""
    plant = {"power_output_minimum": [0.0] * 3, "power_output_maximum": [5.0] * 3}
    raw = instance(
        [60.0, 65.0, 70.0],
        reserves=[30.0] * 3,
        thermal_generators={"g": running(55.0, time_up_minimum=9)},
        renewable_generators={"w": plant},
    )
    given_problem = problem(raw)
    found = solve(given_problem)
    assert check(given_problem, found) == []
    values = {name: np.copy(getattr(found, name)) for name in Commitment.__slots__}
    if part == "cost":
        values["cost"] = found.cost + 1.0
    elif part == "on":
        values["on"][0, 1] = False
    else:
        values[part][0, 1] -= 3.0
    values["status"] = found.status
    assert check(given_problem, Commitment(**values))


SIZES = [
    ("rts_gmlc/2020-07-06.json", 24, 1e-3),
    ("rts_gmlc/2020-08-12.json", 48, 1e-2),
    ("ca/2014-09-01_reserves_3.json", 12, 1e-2),
    ("ferc/2015-07-01_lw.json", 4, 1e-2),
]


def test_a_search_that_starts_from_a_part_finds_the_same(monkeypatch):
    """With the threshold at nothing, the small instances go the way of the large ones."""
    raw = instance(
        [90.0, 140.0, 60.0, 30.0, 120.0],
        reserves=[10.0] * 5,
        thermal_generators={
            "a": running(60.0, piecewise_production=CURVE, time_up_minimum=3),
            "b": unit(startup=[{"lag": 1, "cost": 80.0}], piecewise_production=CURVE),
        },
    )
    plain = solved(raw, gap=0.0)
    monkeypatch.setattr(uc_search, "MANY", 0)
    assert solved(raw, gap=0.0)["cost"] == pytest.approx(plain["cost"], rel=1e-9)
    raw["demand"][1] = 999.0
    with pytest.raises(InfeasibleCommitment, match=r"hour 2: 799\.000 MW of a demand of 999 MW"):
        solve(problem(raw))


@pytest.mark.parametrize(("name", "hours", "gap"), SIZES)
def test_published_instances_are_solved_to_their_gap(name, hours, gap):
    """73, 610 and 934 thermal generators: every rule of the raw JSON holds, and so does the gap."""
    raw = cut(peers.data("pglib-uc") / name, hours)
    told = solved(raw, gap=gap)
    assert told["status"] == "optimal"
    assert told["gap"] <= gap


def test_every_published_instance_is_read():
    """Of all 56 files every fifth, of 73, 610, 934 and 978 generators: none is refused."""
    paths = sorted(peers.data("pglib-uc").glob("*/*.json"))
    assert len(paths) == 56
    for path in paths[::5]:
        assert problem(json.loads(path.read_text())).n == 48


def test_the_command_solves_a_file(tmp_path, capsys):
    """``khazri dispatch solve`` prints cost and commitment, keeps the schedule, and fails aloud."""
    raw = instance([60.0, 70.0], thermal_generators={"g": running(60.0)})
    path, out = tmp_path / "day.json", tmp_path / "schedule.json"
    path.write_text(json.dumps(raw))
    assert main(["dispatch", "solve", str(path), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "cost 1,300.00   gap 0.00%   optimal" in printed
    assert "██" in printed
    assert verify(raw, json.loads(out.read_text())).broken == []
    assert main(["dispatch", "solve", str(path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (told["cost"], told["hours_on"]) == (pytest.approx(1300.0), {"g": 2})
    raw["demand"][1] = 500.0
    path.write_text(json.dumps(raw))
    assert main(["dispatch", "solve", str(path)]) == 1
    assert "hour 2: 400.000 MW of a demand of 500 MW unserved" in capsys.readouterr().err
