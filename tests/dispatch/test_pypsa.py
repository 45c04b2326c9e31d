"""PyPSA as a peer: its published figures, and the same optimum of commitment as ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from dispatch.check import check_plan
from dispatch.pglib import problem
from dispatch.solve import solve as plan_of
from dispatch.uc import solve
from tests import peers
from tests.dispatch.pypsa_cases import CASES, MICROGRIDS, TUTORIAL, to_pglib
from tests.dispatch.pypsa_input import to_input

SCRIPT = Path(__file__).with_name("pypsa_peer.py")

WITHOUT = {
    "sun curtailed beside a genset's minimum load": {"units": {"big": {"least": 0.0}}},
    "a price on emissions turns the order": {"emission_price": 0.0},
    "a cap on emissions is filled by storage and shedding": {"emission_cap": 1e6},
    "export limited, the rest curtailed": {"grid": {"export": 1e3}},
    "outage of the feeder": {"grid": {"away": []}},
    "gensets with ramps at start and stop": {"units": {"big": {"ramp_up": 60.0}}},
    "minimum times left over from before": {"units": {"big": {"before": -9}}},
}
"""What binds in a case, taken away."""


def merged(case, changes):
    """Return a case with nested changes."""
    return {
        **case,
        **{
            key: merged(case.get(key, {}), value) if isinstance(value, dict) else value
            for key, value in changes.items()
        },
    }


@pytest.fixture(scope="module")
def theirs():
    """PyPSA's optimum of every case, and of those without what binds in them."""
    freed = {f"{name}, freed": merged(CASES[name], changes) for name, changes in WITHOUT.items()}
    return peers.run("pypsa", SCRIPT, {**CASES, **freed})


def test_there_are_cases_enough():
    """Five of the tutorial and a dozen more."""
    assert len(TUTORIAL) == 5
    assert len(MICROGRIDS) >= 12


@pytest.mark.parametrize("name", TUTORIAL)
def test_the_tutorial_gives_its_figures(theirs, name):
    """The peer is asked rightly: its own published optimum comes back."""
    assert theirs[name] == pytest.approx(TUTORIAL[name]["optimum"], rel=1e-9)


@pytest.mark.parametrize("name", WITHOUT)
def test_what_a_case_is_about_binds_in_it(theirs, name):
    """Without its limit a case has another optimum: equal figures then mean something."""
    assert abs(theirs[name] - theirs[f"{name}, freed"]) > 1e-3 * abs(theirs[name])


SAID = [name for name, case in CASES.items() if to_pglib(case) is not None]


def test_commitment_alone_is_said_in_the_benchmarks_format():
    """Seven cases need neither stores nor tariffs."""
    assert len(SAID) == 7


@pytest.mark.parametrize("name", SAID)
def test_commitment_has_the_same_optimum(theirs, name):
    """Ours, through the benchmark's format, and PyPSA's: equal to a millionth."""
    found = solve(problem(to_pglib(CASES[name])), gap=1e-9)
    assert found.cost == pytest.approx(theirs[name], rel=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_a_plan_has_the_same_optimum(theirs, name):
    """Ours and PyPSA's, of commitment, ramps, storage, emissions, curtailment: to a millionth."""
    given = to_input(CASES[name])
    plan = plan_of(given, gap=1e-9, nodes=100_000)
    assert check_plan(given, plan) == []
    assert plan.objective == pytest.approx(theirs[name], rel=1e-6)
