"""Each rule on a day small enough to read."""

import numpy as np
import pytest
import xarray as xr

from grid.errors import BadInputError
from meters.reading import CHANNELS, MISSING
from meters.vee import Quality, validate

START_S = 1_774_746_000  # 2026-03-29T01:00Z
LATE = START_S + 10**7


def registers(rows, *, channel="import_wh", from_profile=None, meters=None):
    """One meter per row of `rows`; the other channels stand still at 0."""
    known = np.array(rows, dtype=np.int64)
    meters = meters or [f"E-{17 + index}" for index in range(len(known))]
    boundary = (START_S + 900 * np.arange(known.shape[1])).astype("datetime64[s]")
    values = {name: (("meter", "boundary"), np.zeros_like(known)) for name in CHANNELS}
    values[channel] = (("meter", "boundary"), known)
    if from_profile is not None:
        values["from_profile"] = (("meter", "boundary"), np.array(from_profile))
    return xr.Dataset(values, coords={"meter": meters, "boundary": boundary})


def reference(of, rows=None, *, channel="import_wh"):
    shape = (of.sizes["meter"], of.sizes["boundary"] - 1)
    values = {name: (("meter", "interval"), np.full(shape, MISSING)) for name in CHANNELS}
    if rows is not None:
        values[channel] = (("meter", "interval"), np.array(rows, dtype=np.int64))
    return xr.Dataset(
        values, coords={"meter": of["meter"].values, "interval": of["boundary"].values[:-1]}
    )


def run(of, like=None, *, limit=5000, digits=9, before=LATE):
    count = of.sizes["meter"]
    return validate(
        of,
        reference(of) if like is None else like,
        limit_wh=np.full(count, limit),
        register_digits=np.full(count, digits),
        estimate_before_s=before,
    )


def energy(result, channel="import_wh"):
    return result[channel].values[0].tolist()


def kinds(result):
    return [Quality(int(value)) for value in result["quality"].values[0]]


V, LIN, LIKE, SC, MISS = (
    Quality.VALID,
    Quality.ESTIMATED_LINEAR,
    Quality.ESTIMATED_LIKE_DAY,
    Quality.SCALED,
    Quality.MISSING,
)


def test_plain_registers_give_differences_and_nothing_to_say():
    result, findings = run(registers([[100, 150, 150, 400]]))
    assert energy(result) == [50, 0, 250]
    assert kinds(result) == [V] * 3
    assert findings == []
    assert result["import_wh"].dtype == np.int64
    assert result["quality"].dtype == np.uint16
    assert result["import_wh"].attrs["missing"] == MISSING
    assert result["interval"].values[0] == np.datetime64(START_S, "s")


def test_a_gap_of_two_hours_is_linear_and_a_longer_one_follows_the_like_day():
    def gap(length):
        shape = [0, 100, *[-1] * (length - 1), 100 + 100 * length, 400 + 100 * length]
        like = [[7] + [10 * (index % 3) for index in range(length)] + [7]]
        of = registers([shape])
        return run(of, reference(of, like))[0]

    two_hours, longer = gap(8), gap(9)
    inner = energy(two_hours)[1:-1]
    # From 100 before to 300 after, scaled to 800 in all.
    assert inner == sorted(inner)
    assert inner[0] < 75
    assert sum(inner) == 800
    assert kinds(two_hours) == [V, *[SC] * 8, V]
    assert energy(longer)[1:-1] == [0, 100, 200] * 3
    assert kinds(longer) == [V, *[SC] * 9, V]


def test_an_unscaled_gap_of_two_hours_is_linear_and_2_h_15_is_like_day():
    def gap(length):
        # The register of the exchanged meter says nothing of the gap.
        shape = [50_000, 50_100, *[-1] * (length - 1), 10, 310]
        of = registers([shape])
        return kinds(run(of, reference(of, [[60] * (length + 2)]))[0])

    assert gap(8) == [V, *[LIN] * 8, V]
    assert gap(9) == [V, *[LIKE] * 9, V]


def test_a_rollover_a_dip_and_a_meter_exchange_are_told_apart():
    rolled, found = run(registers([[99_990, 99_999, 3, 20]]), digits=5)
    assert energy(rolled) == [9, 4, 17]
    assert kinds(rolled) == [V] * 3
    assert [item.code for item in found] == ["vee.rollover"]

    dip, found = run(registers([[50_000, 50_020, 49_920, 49_960]]), digits=5)
    assert energy(dip) == [20, 30, 40]
    assert kinds(dip) == [V, LIN, V]
    assert {item.code for item in found} == {"vee.dip", "vee.estimated"}

    exchanged, found = run(registers([[50_000, 50_020, 0, 40]]), digits=5)
    assert energy(exchanged) == [20, 30, 40]
    assert "vee.dip" in [item.code for item in found]


def test_a_dip_is_told_with_meter_instant_register_and_both_values():
    _, found = run(registers([[8123456, 8123001, 8123100]]))
    dip = next(item for item in found if item.code == "vee.dip")
    assert dip.subject == "E-17"
    assert dip.interval == "2026-03-29T01:00Z"
    assert dip.message == (
        "E-17 2026-03-29T01:00Z import_wh register fell from 8123456 to 8123001 Wh"
    )


def test_a_small_fall_is_a_dip_even_when_the_limit_exceeds_the_register_range():
    result, found = run(registers([[500, 490, 520, 530]]), digits=3, limit=10_000)
    assert "vee.dip" in [item.code for item in found]
    assert energy(result)[1:] == [30, 10]


def test_the_limit_itself_is_valid_and_one_more_is_not():
    at, found = run(registers([[0, 10, 5010, 5020]]))
    assert energy(at) == [10, 5000, 10]
    assert kinds(at) == [V] * 3
    assert found == []
    above, found = run(registers([[0, 10, 5011, 5031]]))
    assert energy(above) == [10, 15, 20]
    assert kinds(above) == [V, LIN, V]
    assert "vee.spike" in [item.code for item in found]


def test_a_lone_peak_within_the_limit_is_kept_and_suspect_from_just_above_the_threshold():
    def peak(wh, like=100):
        of = registers([np.cumsum([0, 100, 100, wh, 100, 100])])
        return run(of, reference(of, [[like] * 5]))

    at, found = peak(3100)  # 0.6 of 5000 above the third-highest
    assert kinds(at) == [V] * 5
    assert found == []
    above, found = peak(3101)
    assert energy(above) == [100, 100, 3101, 100, 100]
    assert kinds(above)[2] is Quality.SUSPECT
    assert [item.code for item in found] == ["vee.suspect"]
    usual, found = peak(3101, like=1100)
    assert kinds(usual) == [V] * 5
    assert found == []


def test_a_single_wrong_read_costs_no_energy():
    for wrong in (9_000_000, 0):
        result, found = run(registers([[60_000, 60_020, wrong, 60_060, 60_090]]))
        assert energy(result) == [20, 19, 21, 30]
        assert kinds(result) == [V, SC, SC, V]
        assert {item.code for item in found} == {"vee.misread", "vee.scaled"}


def test_alternating_wrong_reads_leave_the_true_line():
    result, found = run(registers([[100, 9_000_000, 120, 9_000_000, 140, 150]]))
    assert sum(energy(result)) == 50
    assert kinds(result) == [SC] * 4 + [V]
    assert [item.code for item in found].count("vee.misread") == 2


def test_a_jump_that_stays_is_not_billed():
    result, found = run(registers([[0, 20, 900_000, 900_040, 900_080]]))
    assert energy(result) == [20, 30, 40, 40]
    assert kinds(result) == [V, LIN, V, V]
    spike = next(item for item in found if item.code == "vee.spike")
    assert "899980 Wh" in spike.message
    assert "5000 Wh" in spike.message


def test_a_jump_at_the_last_register_waits_until_it_is_due():
    of = registers([[0, 20, 40, 900_000]])
    waiting, _ = run(of, reference(of, [[5, 5, 5]]), before=START_S + 1800)
    assert energy(waiting) == [20, 20, MISSING]
    due, _ = run(of, reference(of, [[5, 5, 5]]), before=START_S + 1801)
    assert energy(due) == [20, 20, 5]
    assert kinds(due)[2] is LIKE


def test_an_open_gap_is_estimated_only_before_the_given_instant():
    of = registers([[0, 20, 40, -1, -1, -1]])
    result, found = run(of, reference(of, [[9, 9, 9, 8, 7]]), before=START_S + 3 * 900)
    assert energy(result) == [20, 20, 9, MISSING, MISSING]
    assert kinds(result) == [V, V, LIKE, MISS, MISS]
    missing = next(item for item in found if item.code == "vee.missing")
    assert missing.interval == "2026-03-29T01:45Z"
    assert "2 intervals" in missing.message


def test_without_reference_an_open_gap_takes_the_nearest_value():
    result, _ = run(registers([[0, 20, 50, -1, -1]]))
    assert energy(result) == [20, 30, 30, 30]
    assert kinds(result) == [V, V, LIN, LIN]


def test_with_both_ends_missing_the_day_is_filled_from_both_sides():
    of = registers([[-1, -1, 100, 130, -1, -1]])
    bare, _ = run(of)
    assert energy(bare) == [30] * 5
    like, _ = run(of, reference(of, [[1, 2, 3, 4, 5]]))
    assert energy(like) == [1, 2, 30, 4, 5]
    assert kinds(like) == [LIKE, LIKE, V, LIKE, LIKE]


def test_a_meter_of_which_nothing_is_known_stays_missing():
    result, found = run(registers([[-1] * 4]))
    assert energy(result) == [MISSING] * 3
    assert kinds(result) == [MISS] * 3
    assert [item.code for item in found] == ["vee.missing"]
    assert "3 intervals" in found[0].message


def test_a_meter_read_once_has_no_energy_and_its_like_day_when_due():
    of = registers([[-1, 500, -1]])
    assert energy(run(of)[0]) == [MISSING] * 2
    assert energy(run(of, reference(of, [[4, 6]]))[0]) == [4, 6]


def test_gaps_add_up_exactly_with_largest_remainders():
    of = registers([[0, 10, *[-1] * 10, 110, 120]])
    result, _ = run(of, reference(of, [[5] * 13]))
    assert energy(result)[1:12] == [10, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9]
    zero, _ = run(of, reference(of, [[0] * 13]))
    assert sum(energy(zero)) == 120


def test_import_and_export_are_told_separately_when_the_sun_shines():
    of = registers([[0, 50, -1, -1, 60, 160]])
    of["export_wh"] = (("meter", "boundary"), np.array([[0, 0, -1, -1, 900, 900]]))
    result, _ = run(of)
    assert sum(energy(result)) == 160
    assert sum(energy(result, "export_wh")) == 900
    assert energy(result, "export_wh")[0] == 0
    assert kinds(result) == [V, SC, SC, SC, V]


def test_a_dip_in_export_leaves_import_as_read():
    of = registers([[0, 50, 90, 100]])
    of["export_wh"] = (("meter", "boundary"), np.array([[700, 710, 5, 25]]))
    result, found = run(of)
    assert energy(result) == [50, 40, 10]
    assert energy(result, "export_wh") == [10, 15, 20]
    assert kinds(result) == [V, LIN, V]
    assert any("export_wh register fell from 710 to 5 Wh" in item.message for item in found)


def test_load_profile_rows_fill_boundaries_and_are_told():
    of = registers([[0, 10, 20, 30, 40]], from_profile=[[False, False, True, False, False]])
    result, found = run(of)
    assert energy(result) == [10] * 4
    back = Quality.BACKFILLED
    assert kinds(result) == [V, back, back, V]
    assert [(item.code, item.interval) for item in found] == [
        ("vee.backfilled", "2026-03-29T01:15Z")
    ]


def test_negative_registers_count_as_missing():
    result, found = run(registers([[0, 10, -7, 30, 40]]))
    assert energy(result) == [10, 10, 10, 10]
    assert "vee.negative" in [item.code for item in found]


def test_duplicate_reads_count_once_and_contradicting_ones_not_at_all():
    of = registers([[0, 10, 20, 30]])
    same = xr.concat([of, of.isel(boundary=[2])], "boundary")
    assert run(same, reference(of))[0].identical(run(of)[0])
    other = of.isel(boundary=[2]).copy(deep=True)
    other["import_wh"].values[:] = 25
    result, found = run(xr.concat([of, other], "boundary"), reference(of))
    assert sum(energy(result)) == 30
    assert kinds(result) == [V, SC, SC]
    assert "vee.duplicate" in [item.code for item in found]


def test_a_meter_that_falls_at_every_read_is_one_finding():
    _, found = run(registers([np.arange(9_000_000, 0, -100_000)]))
    dips = [item for item in found if item.code == "vee.dip"]
    assert len(dips) == 1
    assert "88 more times" in dips[0].message


@pytest.mark.parametrize("length", [92, 96, 100])
def test_days_of_the_clock_change_are_only_longer_or_shorter(length):
    result, found = run(registers([np.arange(length + 1) * 10]))
    assert energy(result) == [10] * length
    assert found == []


def test_neighbouring_meters_do_not_change_each_other():
    rows = [[0, 10, 20, 30, 40], [0, -1, -1, -1, 90], [90_000, 4, 8, 900_000, 900_004]]
    together, found = run(registers(rows))
    for index, row in enumerate(rows):
        alone, mine = run(registers([row], meters=[f"E-{17 + index}"]))
        assert together.isel(meter=[index]).identical(alone)
        assert [item for item in found if item.subject == f"E-{17 + index}"] == mine


def test_validating_twice_changes_neither_result_nor_input():
    of = registers([[0, -1, 9_000_000, 20, 5, -1, -1]])
    before = of.copy(deep=True)
    first, found = run(of)
    second, again = run(of)
    assert first.identical(second)
    assert found == again
    assert of.identical(before)


def test_qualities_carry_codes_and_labels():
    assert Quality.VALID.code == "1.0.0"
    assert Quality.MISSING.code == "3.5.259"
    assert Quality.SUSPECT.code == "3.5.258"
    assert len({kind.code for kind in Quality}) == len(Quality)
    assert all(kind.label for kind in Quality)


def test_shapes_limits_and_coordinates_that_do_not_fit_are_refused():
    of = registers([[0, 10, 20]])
    with pytest.raises(BadInputError, match="limit_wh"):
        run(of, limit=0)
    with pytest.raises(BadInputError, match="register_digits"):
        run(of, digits=40)
    with pytest.raises(BadInputError, match="do not start at"):
        run(of, reference(registers([[0, 1]])))
    with pytest.raises(BadInputError, match="must be even"):
        run(registers([[0, 10, 20, 30]]).isel(boundary=[0, 1, 3]))
    doubled = registers([[0, 1], [0, 1]], meters=["E-17", "E-17"])
    with pytest.raises(BadInputError, match="twice"):
        run(doubled)
