"""Which days are learned from and which are judged, and what the study counts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from grid.operation.loss_watch import (
    JUDGED_DAYS_MAX,
    LEARN_DAYS,
    LEARN_DAYS_MIN,
    Episode,
    Learned,
    Spans,
    Waiting,
    learned,
    spans,
    without,
)
from grid.operation.losses_months import Feeder, demo_feeder, fleet, shown
from grid.operation.losses_study import (
    REALISTIC,
    SOURCE,
    SOURCE_VOLTAGE_PU,
    Thefts,
    bypasses,
    clean_months,
    table,
)
from meters.losses import Case, CaseKind


@pytest.fixture(scope="module")
def feeder() -> Feeder:
    return demo_feeder(SOURCE, SOURCE_VOLTAGE_PU)


def test_nothing_is_judged_before_four_weeks_and_then_every_day_is_once_known() -> None:
    assert spans(100, 100) == Waiting(0)
    assert spans(100, 100 + LEARN_DAYS) == Waiting(LEARN_DAYS)
    for end in range(129, 300):
        found = spans(100, end)
        assert isinstance(found, Spans)
        assert found.learn_to - found.learn_from == LEARN_DAYS
        assert found.learn_from >= 100
        assert found.learn_to <= found.judge_from < found.judge_to == end
        assert end - found.judge_from <= JUDGED_DAYS_MAX
        # A loss is two weeks old before its first day may be learned from.
        assert end <= 142 or end - found.learn_to >= 14


def test_the_trusted_weeks_are_held_while_a_case_is_open() -> None:
    moved = spans(0, 80)
    held = spans(0, 80, [Episode(45)])
    assert isinstance(moved, Spans)
    assert isinstance(held, Spans)
    assert moved.learn_to > 45 >= held.learn_to
    assert held.judge_from == 80 - JUDGED_DAYS_MAX


def test_after_a_confirmed_case_its_days_are_neither_judged_nor_learned_from() -> None:
    found = spans(0, 80, [Episode(60, 65, confirmed=True)])
    assert isinstance(found, Spans)
    assert found.judge_from == 66
    assert found.unusual == ((59, 66),)
    assert isinstance(spans(0, 80, [Episode(60, 79)]), Waiting)


def test_after_a_case_that_was_not_confirmed_the_feeder_is_learned_again() -> None:
    episode = [Episode(60, 65, confirmed=False)]
    assert spans(0, 80, episode) == Waiting(16, LEARN_DAYS_MIN)
    found = spans(0, 61 + LEARN_DAYS, episode)
    assert isinstance(found, Spans)
    assert found.learn_to - 61 >= LEARN_DAYS_MIN


def test_unusual_days_are_not_learned_from_and_too_few_days_are_told(feeder: Feeder) -> None:
    record = shown(feeder, fleet(feeder, 1, REALISTIC), 150, LEARN_DAYS)
    masked = without(record, 200, [(195, 203), (220, 260)])
    fine = np.flatnonzero(masked.complete.reshape(-1, 96).all(axis=1))
    assert fine.tolist() == list(range(3, 20))
    assert learned(masked) == Waiting(17, LEARN_DAYS_MIN)
    known = learned(without(record, 200, [(220, 225)]))
    assert isinstance(known, Learned)
    assert np.isnan(known.day_wh[20:25]).all()
    assert np.isfinite(known.day_wh[:20]).all()


def test_the_study_finds_what_it_hides_and_nothing_where_it_hides_nothing(feeder: Feeder) -> None:
    said: list[str] = []
    thefts = bypasses(feeder, said.append, households=2, seed=7)
    assert (thefts.tried, thefts.found) == (2, 2)
    assert thefts.named_right + thefts.narrowed_right + thefts.not_placed == 2
    clean = clean_months(feeder, said.append, fleets=1, seed=7, days=2)
    assert clean.false_cases == 0
    assert clean.meter_months == pytest.approx(95 * 2 / 30)
    assert said == [
        "2/2 bypasses, 2 found",
        "1/1 clean feeders, 6 meter-months, 0 false cases",
    ]
    figures = {"bypasses": vars(thefts), "clean": vars(clean), "cpu_s": 1, "seconds": 1}
    assert "found within 14 days                       2" in table(figures)


def test_the_study_tells_false_cases_and_late_ones(feeder: Feeder) -> None:
    """Meters far outside their class are told of: the count of false cases can rise."""
    case = Case(CaseKind.BYPASS, ("UP-2",), 0, 20 * 86_400, 5.0, 0.3, (("UP-2", 1.0),), 0.0, (), "")
    thefts = Thefts()
    thefts.judge("UP-1", 0, (case,))
    thefts.judge("UP-1", 0, ())
    assert (thefts.tried, thefts.found, thefts.named_wrong, thefts.among_suspects) == (2, 0, 1, 0)
    wild = replace(REALISTIC, gain_percent=5.0)
    clean = clean_months(feeder, lambda text: None, fleets=1, seed=7, days=1, errors=wild)
    assert clean.false_cases == len(clean.told) > 0
