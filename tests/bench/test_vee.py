"""The VEE row does what it says: every rule finds something, and the energy comes out."""

from __future__ import annotations

import numpy as np

from meters import bench_vee
from meters.vee.rules import RULES


def test_every_rule_but_an_edit_finds_something_and_the_energy_is_what_flowed() -> None:
    feeders = [bench_vee.feeder(250, number) for number in range(2)]
    outcomes = [one.validated() for one in feeders]
    assert set(RULES) - bench_vee.noticed(outcomes) == bench_vee.BEYOND
    for one, (intervals, _) in zip(feeders, outcomes, strict=True):
        off_wh = abs(intervals["import_wh"].values.sum(axis=1) - one.whole_wh)
        assert (off_wh[one.exact] == 0).all()
        assert one.exact.sum() == 250 - len(bench_vee.LOSSY)


def test_no_fault_stands_where_another_is() -> None:
    places = [*bench_vee._PLACE.values()]
    assert len(set(places)) == len(bench_vee.EXACT) + len(bench_vee.LOSSY)
    assert not set(np.array(places) % (bench_vee.OFTEN // 4)) & {0}
