"""What a row says follows from its timings, and a wrong outcome is a failure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace

import pytest

from grid.benchmark import Error, Measure, Row, Timing, alternate, faster, per_second, within
from grid.console.cli import bench, main

ROW = Row(
    craft="store",
    name="a row",
    work="some work",
    unit="steps",
    taken="best of 1",
    ours=Timing(30, 1_000_000_000),
    peer="another",
    theirs=Timing(1, 100_000_000),
)


@pytest.mark.parametrize(
    ("reach", "ratio", "met"),
    [
        (None, 3.0, None),
        (faster(3), 3.0, True),
        (faster(4), 3.0, False),
        (within(Fraction(1, 3)), 1 / 3, True),
        (within(Fraction(1, 4)), 1 / 3, False),
        (per_second(30), 3.0, True),
        (per_second(31), 3.0, False),
    ],
)
def test_ratio_and_verdict_follow_from_the_timings(reach, ratio, met):
    row = replace(ROW, reach=reach)
    assert row.ratio == pytest.approx(ratio)
    assert row.met is met


def test_a_peer_that_is_not_installed_has_no_figure_and_no_verdict():
    row = replace(ROW, theirs=None, reach=faster(3), note="another is not installed")
    assert (row.ratio, row.met, row.measure) == (None, None, Measure.SPEED)
    text = bench.as_text(row)
    assert "another is not installed" in text
    assert "not measured" in text
    assert replace(row, reach=per_second(30)).met is True


def test_works_are_run_in_turn():
    calls = []
    times = alternate(2, lambda turn: calls.append(("a", turn)), lambda turn: calls.append(turn))
    assert calls == [("a", 0), 0, ("a", 1), 1]
    assert len(times) == 2
    assert min(times) > 0


@pytest.mark.parametrize(("value", "status"), [(0.5, 0), (1.5, 1), (float("nan"), 1)])
def test_an_outcome_beyond_its_limit_of_error_is_exit_status_1(monkeypatch, capsys, value, status):
    def rows(*, quick, progress) -> Iterator[Row]:
        yield replace(ROW, error=Error(value, "pu", 1.0, "the reference"))

    monkeypatch.setattr(bench.importlib, "import_module", lambda name: SimpleNamespace(rows=rows))
    assert bench.run(SimpleNamespace(craft="store", quick=True, json=False)) == status
    assert ("BEYOND" in capsys.readouterr().out) is bool(status)


def test_an_unknown_craft_is_wrong_usage():
    with pytest.raises(SystemExit) as stop:
        main(["bench", "weather"])
    assert stop.value.code == 2
