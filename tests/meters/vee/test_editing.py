"""Editing by a person, and late data."""

from datetime import date

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from vee_days import (
    START_S,
    cumulative,
    energy,
    households,
    judges,
    kinds,
    reference,
    registers,
    run,
)

from grid.errors import BadInputError
from grid.interval import day_bounds
from meters.reading import CHANNELS, MISSING
from meters.vee import Quality
from meters.vee.editing import Edit, edit, supersede
from meters.vee.quality import READ
from meters.vee.rules import RULES, both

V, SC, MISS = Quality.VALID, Quality.SCALED, Quality.MISSING
EDITED = Quality.EDITED


def change(at, *values, meter="E-17", channel="import_wh", when=1, **more):
    return Edit(
        meter, channel, START_S + 900 * at, values, "display read by phone", "op-1", when, **more
    )


def day():
    return run(registers([[0, 10, -1, 50, 60], [0, 1, 2, 3, 4]]))[0]


def test_edit_writes_a_new_value_and_keeps_what_was_there():
    before = day()
    untouched = before.copy(deep=True)
    after, kept = edit(before, [change(1, 25, 15)])
    assert before.identical(untouched)
    assert energy(after) == [10, 25, 15, 10]
    assert kinds(after) == [V, EDITED, EDITED, V]
    assert judges(after) == ["", "edit", "edit", ""]
    assert after["version"].values.tolist() == [[0, 1, 1, 0], [0, 0, 0, 0]]
    assert after["import_sd_wh"].values[0, 1] == 0
    assert [(one.value_wh, one.quality, one.version) for one in kept] == [(20, SC, 0)] * 2
    assert kept[0].edit.editor == "op-1"
    assert kept[0].start_s == START_S + 900
    assert after.isel(meter=[1]).drop_vars("version").identical(before.isel(meter=[1]))


def test_the_same_edits_again_change_nothing_and_the_later_of_two_holds():
    edits = [change(1, 30, when=2), change(1, 25, 15), change(3, 9, meter="E-18")]
    once, _ = edit(day(), edits)
    assert energy(once) == [10, 30, 15, 10]
    twice, kept = edit(once, edits)
    assert twice.identical(once)
    assert kept == []
    back, kept = edit(once, [*edits, change(1, 12, when=3)])
    assert energy(back) == [10, 12, 15, 10]
    assert [(one.value_wh, one.quality, one.version) for one in kept] == [(30, EDITED, 1)]


def test_an_interval_of_which_another_channel_is_missing_stays_missing():
    of = registers([[0, -1, -1]])
    of["export_wh"].values[:] = MISSING
    after, _ = edit(run(of)[0], [change(0, 5, 5)])
    assert energy(after) == [5, 5]
    assert kinds(after) == [MISS, MISS]
    whole, _ = edit(after, [change(0, 0, 0, channel="export_wh")])
    assert kinds(whole) == [EDITED, EDITED]


def test_late_real_data_supersedes_estimates_and_edits_stay_unless_until_better():
    stored, _ = run(registers([[0, 10, -1, -1, -1, 90, 100]]))
    edits = [change(2, 33), change(3, 44, until_better=True)]
    stored, _ = edit(stored, edits)
    fresh, _ = run(registers([[0, 10, 20, 30, 60, 90, 100]]))
    result, changed = supersede(stored, fresh, edits)
    assert energy(result) == [10, 10, 33, 30, 30, 10]
    assert kinds(result) == [V, V, EDITED, V, V, V]
    assert changed.tolist() == [[False, True, False, True, True, False]]
    assert result["version"].values.tolist() == [[0, 1, 1, 2, 1, 0]]
    again, changed = supersede(result, fresh, edits)
    assert again.identical(result)
    assert not changed.any()


def test_an_estimate_replaces_no_read_value_and_no_better_estimate():
    read, _ = run(registers([[0, 10, 20, 30]]))
    guess, _ = run(registers([[0, 10, -1, -1]]))
    assert supersede(read, guess)[0]["import_wh"].identical(read["import_wh"])
    scaled, _ = run(registers([[0, 10, -1, 50]]))
    result, changed = supersede(guess, scaled)
    assert kinds(result) == [V, SC, SC]
    assert changed.tolist() == [[False, True, True]]
    worse, changed = supersede(scaled, guess)
    assert kinds(worse) == [V, SC, SC]
    assert not changed.any()


def test_filling_what_was_missing_makes_no_new_version():
    waiting, _ = run(registers([[0, 10, -1]]), before=START_S)
    fresh, _ = run(registers([[0, 10, 30]]))
    result, changed = supersede(waiting, fresh)
    assert energy(result) == [10, 20]
    assert changed.tolist() == [[False, True]]
    assert (result["version"].values == 0).all()


def test_edits_that_cannot_be_are_refused():
    with pytest.raises(BadInputError, match="needs a reason"):
        Edit("E-17", "import_wh", START_S, (1,), " ", "op-1", 1)
    with pytest.raises(BadInputError, match="-1 must be within"):
        change(0, -1)
    with pytest.raises(BadInputError, match="'watts'"):
        change(0, 1, channel="watts")
    with pytest.raises(BadInputError, match="has no values"):
        change(0)
    for wrong in (change(0, 1, meter="E-99"), change(3, 1, 2), change(-1, 1)):
        with pytest.raises(BadInputError, match="not all in what is edited"):
            edit(day(), [wrong])
    with pytest.raises(BadInputError, match="meter differs"):
        supersede(day(), day().isel(meter=[0]))


def _grid(of, start_s):
    at = start_s + 900 * np.arange(of.sizes["boundary"])
    return of.assign_coords(boundary=at.astype("datetime64[s]"))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    on=st.sampled_from([date(2026, 3, 29), date(2026, 5, 1), date(2026, 10, 25)]),
    holes=st.floats(0.01, 0.6),
)
def test_a_second_run_changes_nothing_whatever_the_faults(seed, on, holes):
    """Days of 92, 96 and 100 intervals in Berlin, with gaps, wrong reads, edits and late data."""
    start_s, end_s = day_bounds(on, "Europe/Berlin")
    count = (end_s - start_s) // 900
    draw = np.random.default_rng(seed)
    wh = households(4, 2, seed % 1000).reshape(4, -1)[:, :count]
    true = _grid(registers(cumulative(wh)), start_s)
    like = reference(true, np.roll(wh, 1, axis=0))
    early = true.copy(deep=True)
    values = early["import_wh"].values
    values[draw.random(values.shape) < holes] = MISSING
    values[draw.random(values.shape) < 0.01] += 10**6
    values[draw.random(values.shape) < 0.01] = -5
    limit, before = 10_000, end_s
    stored, _ = run(early, like, limit=limit, before=before)
    assert stored.sizes["interval"] == count
    at = int(draw.integers(count))
    edits = [
        Edit("E-18", "import_wh", start_s + 900 * at, (7,), "seen", "op-1", 1),
        Edit("E-19", "import_wh", start_s + 900 * at, (8,), "seen", "op-1", 1, True),
    ]
    stored, _ = edit(stored, edits)
    rerun, _ = run(early, like, limit=limit, before=before)
    same, changed = supersede(stored, rerun, edits)
    gave_way = np.zeros_like(changed)
    gave_way[2, at] = Quality(int(rerun["quality"].values[2, at])) in READ
    assert np.array_equal(changed, gave_way)
    assert same["import_wh"].values[1, at] == 7
    fresh, _ = run(true, like, limit=limit, before=before)
    final, _ = supersede(same, fresh, edits)
    expected = wh.copy()
    expected[1, at] = 7
    assert np.array_equal(final["import_wh"].values, expected)
    again, changed = supersede(final, fresh, edits)
    assert not changed.any()
    assert again.identical(final)
    assert edit(final, edits[:1])[0].identical(final)
    assert set(final["quality"].values.ravel()) <= {V, EDITED}


def test_estimates_add_up_to_the_register_difference_on_days_of_92_96_and_100():
    for on, count in ((date(2026, 3, 29), 92), (date(2026, 4, 1), 96), (date(2026, 10, 25), 100)):
        start_s, end_s = day_bounds(on, "Europe/Berlin")
        assert (end_s - start_s) // 900 == count
        wh = households(20, 2, count).reshape(20, -1)[:, :count]
        known = cumulative(wh)
        inner = known[:, 1:-1]
        inner[np.random.default_rng(count).random(inner.shape) < 0.7] = MISSING
        of = _grid(registers(known), start_s)
        result, _ = run(of, reference(of, np.roll(wh, 1, axis=0)), limit=10_000, before=end_s)
        assert np.array_equal(result["import_wh"].values.sum(axis=1), wh.sum(axis=1))


def test_intervals_from_a_store_without_rules_are_edited_too():
    stored = day().drop_vars(["rule", *[name for name in day() if "_sd_" in str(name)]])
    after, _ = edit(stored, [change(0, 11)])
    assert judges(after) == ["edit", "", "", ""]
    assert energy(supersede(stored, day())[0]) == energy(day())


def test_versions_given_are_continued():
    stored = day().assign(version=(("meter", "interval"), np.full((2, 4), 3, dtype=np.uint16)))
    assert isinstance(stored, xr.Dataset)
    after, _ = edit(stored, [change(0, 11)])
    assert after["version"].values[0].tolist() == [4, 3, 3, 3]
    assert set(CHANNELS) <= set(after)


def test_a_count_that_a_later_register_shows_to_be_wrong_is_not_kept():
    stored = day()
    fresh = stored.copy(deep=True)
    fresh["import_wh"].values[0, 0] = 7
    fresh["quality"].values[0, 0] = SC
    fresh["rule"].values[0, 0] = both("missing", "like_day")
    same, changed = supersede(stored, fresh)
    assert energy(same) == energy(stored)
    assert not changed.any()
    fresh["rule"].values[0, 0] = both("misread", "like_day")
    after, changed = supersede(stored, fresh)
    assert energy(after)[0] == 7
    assert changed.sum() == 1


def test_a_mark_of_a_whole_day_stays_beside_the_same_count_alone():
    stored = day()
    stored["quality"].values[0, :2] = Quality.SUSPECT
    stored["rule"].values[0, :2] = RULES["high"].code
    fresh = day()
    fresh["import_wh"].values[0, 1] += 1
    fresh["quality"].values[0, 1] = V
    after, _ = supersede(stored, fresh)
    assert kinds(after)[:2] == [Quality.SUSPECT, V]
