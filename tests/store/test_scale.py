"""What the run of a million meter-days does, done with two thousand."""

from __future__ import annotations

from pathlib import Path

import pytest

from grid.store import Store, bench_scale, series


def test_meter_days_come_back_as_they_were_validated(tmp_path: Path) -> None:
    store = Store.at(tmp_path, create=True)
    facts = bench_scale.run(store, 400, 5)
    assert facts["meter_days"] == 2000
    assert 1000 < facts["intervals_not_simply_read"] < 2000 * 96
    # Facts that switch a rule on are worth nothing where it never notices anything.
    assert {
        "vee.check_meter",
        "vee.clock_set",
        "vee.inactive",
        "vee.interval_length",
        "vee.power_failure",
        "vee.scaled",
        "vee.voltage",
    } <= set(facts["findings"])


def test_a_value_that_is_lost_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = series.get_intervals

    def losing(*args: object, **options: object) -> object:
        found = real(*args, **options)
        found["import_wh"].values[3, 7] += 1
        return found

    monkeypatch.setattr(bench_scale, "get_intervals", losing)
    with pytest.raises(AssertionError, match="is not what was put in"):
        bench_scale.run(Store.at(tmp_path, create=True), 10, 1)
