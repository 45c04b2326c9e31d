"""The plan that would be next: the stored one comes out again, and nothing is written."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from dispatch.what_if import changed, parse
from grid.console.cli import main
from grid.errors import BadInputError
from grid.interval import label
from grid.operation.deciding import Deciding
from grid.operation.next_plan import next_plan
from grid.operation.planning import input_hash
from grid.operation.room import Room
from grid.store import control, datasets


def _content(site: Path) -> str:
    return hashlib.sha256((site / "khazri.sqlite3").read_bytes()).hexdigest()


@pytest.mark.parametrize("number", [0, 1])
def test_the_plan_of_a_cycle_that_ran_comes_out_again(
    looked: Room, two_cycles: Path, number: int
) -> None:
    """The second one stays near to the first, which is then in force."""
    before = _content(two_cycles)
    at_s = looked.first_cycle_s + number * looked.site.interval_s
    made = next_plan(looked, at_s)
    with looked.store.read() as tx:
        stored, schedule = control.get_plan(tx, at_s), datasets.get_dataset(tx, "plan", at_s)
    assert stored is not None
    assert schedule is not None
    assert input_hash(made.plan_input, made.in_force) == stored["detail"]["input_sha256"]
    for name, column in made.plan.schedule.items():
        np.testing.assert_array_equal(column.values, schedule[name].values, err_msg=str(name))
    assert _content(two_cycles) == before


def test_the_next_cycle_is_planned_from_what_is_known_now(looked: Room, two_cycles: Path) -> None:
    before = _content(two_cycles)
    made = next_plan(looked)
    assert made.plan.start_s == looked.first_cycle_s + 2 * looked.site.interval_s
    assert (made.plan.source, made.findings) == ("new plan", ())
    more = next_plan(looked, change=lambda given: changed(given, [parse("demand=+10%")]))
    with looked.store.read() as tx:
        assert datasets.get_dataset(tx, "forecast", made.plan.start_s) is None
    loads = [f"load:{point}" for point in looked.points]
    was, now = (one.ahead["mean_kw"].sel(series=loads).values for one in (made, more))
    np.testing.assert_allclose(now, 1.1 * was)
    assert more.plan.objective > made.plan.objective
    assert _content(two_cycles) == before


@pytest.mark.parametrize("off_s", [900, -900, 60])
def test_a_plan_of_no_cycle_is_refused(looked: Room, off_s: int) -> None:
    at_s = looked.first_cycle_s + (2700 if off_s == 900 else off_s)
    with pytest.raises(BadInputError, match=label(at_s)):
        next_plan(looked, at_s)


def test_the_command_prints_the_plan_of_a_folder(
    two_cycles: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dispatch", "plan", str(two_cycles), "--json", "--set", "demand=+5%"]) == 0
    told = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert (told["source"], told["steps"]) == ("new plan", 96)
    assert told["what_if"]["cost"] > 0.0


def test_why_a_device_does_not_do_otherwise_is_of_the_plan_that_was_sent(
    looked: Room, two_cycles: Path
) -> None:
    before = _content(two_cycles)
    deciding = Deciding(two_cycles, looked.store)
    at_s = looked.first_cycle_s + looked.site.interval_s
    found = deciding.of(at_s, ("GEN-1",))
    assert found.as_sent
    codes = {one.code for one in found.reasons}
    assert codes & {"next.on", "next.no_on", "next.off"}
    assert any(code.startswith("edge.") for code in codes)
    assert deciding.of(at_s, ("GEN-1",)) is found
    with pytest.raises(BadInputError, match="'GEN-9' is no asset"):
        deciding.of(at_s, ("GEN-9",))
    assert _content(two_cycles) == before
