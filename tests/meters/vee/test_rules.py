"""Each rule by its name, on a day small enough to read.

The rules of registers that need nothing else are in ``test_vee.py``.
"""

import re

import numpy as np
import pytest
import xarray as xr
from vee_days import (
    START_S,
    codes,
    cumulative,
    energy,
    judges,
    kinds,
    reference,
    registers,
    run,
)

from grid.errors import BadInputError, Severity
from meters.reading import CHANNELS, MISSING
from meters.vee import Quality, validation
from meters.vee.facts import EventKind, Facts, FeederHead, MeterEvent
from meters.vee.rules import DAY_RULES, RULES, decided, trace
from meters.vee.thresholds import Columns, Thresholds

V = Quality.VALID
DAY = 96


def whole_day(*rows):
    return registers(cumulative([[wh] * DAY for wh in rows]))


def test_missing_says_which_rule_and_which_method():
    of = registers([[0, 10, -1, -1, 40, 50]])
    result, _ = run(of)
    assert judges(result) == ["", *["missing→linear"] * 3, ""]
    assert trace(int(result["rule"].values[0, 1])) == "missing 1, linear 1"
    open_end, _ = run(registers([[0, 10, -1]]), reference(registers([[0, 10, -1]]), [[4, 6]]))
    assert judges(open_end) == ["", "missing→like_day"]
    bare, _ = run(registers([[0, 10, -1]]))
    assert judges(bare) == ["", "missing→nearest"]
    waiting, _ = run(registers([[0, 10, -1]]), before=START_S)
    assert judges(waiting) == ["", "missing"]


def test_duplicate_negative_misread_dip_and_jump_are_named_at_their_intervals():
    of = registers([[0, 10, 20, 30]])
    other = of.isel(boundary=[2]).copy(deep=True)
    other["import_wh"].values[:] = 25
    doubled, _ = run(xr.concat([of, other], "boundary"), reference(of))
    assert (
        judges(doubled) == ["", "duplicate→linear", "duplicate→linear"]
        or judges(doubled)[1:] == ["duplicate→nearest"] * 2
    )
    negative, _ = run(registers([[0, 10, -7, 30, 40]]))
    assert judges(negative) == ["", *["negative→linear"] * 2, ""]
    misread, _ = run(registers([[60_000, 60_020, 9_000_000, 60_060, 60_090]]))
    assert judges(misread) == ["", *["misread→linear"] * 2, ""]
    dip, _ = run(registers([[500, 520, 400, 440]]))
    assert judges(dip) == ["", "dip→linear", ""]
    jump, _ = run(registers([[0, 20, 900_000, 900_040]]))
    assert judges(jump) == ["", "jump→linear", ""]


def test_rollover_of_99999_to_3_is_counted_and_named():
    result, found = run(registers([[99_990, 99_999, 3, 20]]), digits=5)
    assert energy(result) == [9, 4, 17]
    assert judges(result) == ["", "rollover", ""]
    assert kinds(result) == [V] * 3
    assert codes(found) == ["vee.rollover"]


def test_backfill_is_named():
    of = registers([[0, 10, 20]])
    of["from_profile"] = (("meter", "boundary"), np.array([[False, False, True]]))
    assert judges(run(of)[0]) == ["", "backfill"]


def test_spike_exactly_at_its_threshold_is_none_and_groups_have_their_own():
    def peaks(wh, **thresholds):
        of = registers(cumulative([[100, 100, wh, 100, 100]] * 2))
        like = reference(of, [[100] * 5] * 2)
        groups = {"house": Thresholds(), "works": Thresholds(**thresholds)}
        result, _ = run(of, like, thresholds=Columns(groups, ["house", "works"]))
        return [kinds(result, row)[2] is Quality.SUSPECT for row in (0, 1)]

    assert peaks(3100, spike_share_percent=60) == [False, False]
    assert peaks(3101, spike_share_percent=60) == [True, True]
    # Another group: highest against third-highest alone, 180 % above it.
    only = {"spike_share_percent": 0, "spike_usual_percent": 0}
    assert peaks(280, **only) == [False, False]
    assert peaks(281, **only) == [False, True]
    assert peaks(3101, spike_share_percent=61) == [True, False]


def captured(of, rows):
    none = np.full((of.sizes["meter"], of.sizes["boundary"] - 1), MISSING)
    return dict.fromkeys(CHANNELS, none) | {"import_wh": np.array(rows)}


def test_sum_check_of_intervals_against_the_register_difference():
    of = registers([[1000, -1, -1, -1, 1400]])

    def told(rows, **more):
        return run(of, facts=Facts(captured=captured(of, [rows]), **more))

    exact, found = told([100, 50, 150, 100])
    assert energy(exact) == [100, 50, 150, 100]
    assert kinds(exact) == [V] * 4
    assert found == []
    at, found = told([100, 50, 150, 110])
    assert kinds(at) == [V] * 4
    assert found == []
    beyond, found = told([100, 50, 150, 111])
    assert energy(beyond) == [100, 50, 150, 111]
    assert kinds(beyond) == [Quality.SUSPECT] * 4
    assert judges(beyond) == ["sum_check"] * 4
    alarm = next(item for item in found if item.code == "vee.sum_check")
    assert alarm.severity is Severity.ALARM
    assert "add up to 411 Wh, the registers differ by 400 Wh" in alarm.message
    gap, _ = told([100, MISSING, MISSING, 100])
    assert sum(energy(gap)) == 400
    assert kinds(gap) == [V, Quality.SCALED, Quality.SCALED, V]
    too_much, found = told([300, MISSING, 150, 100])
    assert kinds(too_much)[0] is Quality.SUSPECT
    assert "vee.sum_check" in codes(found)


def test_passing_the_sum_check_waives_no_other_check():
    rows = [[100, 100, 3400, 100, 100]]
    of = registers([[0, -1, -1, -1, -1, 3800]])
    like = reference(of, [[100] * 5])
    result, found = run(of, like, facts=Facts(captured=captured(of, rows)))
    assert kinds(result)[2] is Quality.SUSPECT
    assert judges(result)[2] == "spike"
    assert codes(found) == ["vee.suspect"]
    above, found = run(of, like, facts=Facts(captured=captured(of, [[100, 0, 6000, 0, 0]])))
    assert judges(above)[2].startswith("jump→")
    assert "vee.spike" in codes(found)
    assert sum(energy(above)) == 3800


def test_a_captured_energy_that_differs_from_its_own_registers_does_not_count():
    of = registers([[0, 100, 200, 300]])
    result, found = run(of, facts=Facts(captured=captured(of, [[100, 150, 100]])))
    assert energy(result) == [100] * 3
    assert codes(found) == ["vee.sum_check"]


def test_invalid_marks_of_the_meter_are_estimated():
    of = registers([[0, -1, -1, -1, 400]])
    marks = np.array([[1, Quality.INVALID, 1, 1]], dtype=np.uint16)
    facts = Facts(captured=captured(of, [[100, 999, 120, 80]]), captured_quality=marks)
    result, found = run(of, facts=facts)
    assert energy(result) == [100, 100, 120, 80]
    assert judges(result)[1].startswith("invalid→")
    assert "vee.invalid" in codes(found)


def test_high_and_low_against_the_average_day():
    of = whole_day(250, 251, 2, 1)
    average = np.array([2_400, 2_400, 9_600, 9_600])
    no_ratio = Columns.uniform(Thresholds(multiplier_wh=10**6), 4)
    result, found = run(of, facts=Facts(average_day_wh=average), thresholds=no_ratio)
    assert [(item.code, item.subject) for item in found] == [
        ("vee.high", "E-18"),
        ("vee.low", "E-20"),
    ]
    assert kinds(result, 0) == [V] * DAY
    assert kinds(result, 1) == [Quality.SUSPECT] * DAY
    assert judges(result, 1) == ["high"] * DAY
    assert kinds(result, 3) == [V] * DAY
    assert "imported 24096 Wh, at most 24000 Wh" in found[0].message


def test_zero_for_days_unless_power_was_lost():
    of = whole_day(0, 0, 0)
    days = np.array([6, 7, 7])
    outage = np.zeros((3, DAY), dtype=np.bool_)
    _, found = run(of, facts=Facts(zero_days=days, outage=outage))
    assert [(item.code, item.subject) for item in found] == [
        ("vee.zero", "E-18"),
        ("vee.zero", "E-19"),
    ]
    outage[2, 5] = True
    _, found = run(of, facts=Facts(zero_days=days, outage=outage))
    assert ("vee.zero", "E-19") not in [(item.code, item.subject) for item in found]


def test_inactive_meter_consuming():
    of = registers([[0, 500], [0, 501], [0, 501]])
    _, found = run(of, facts=Facts(active=np.array([False, False, True])))
    assert [(item.code, item.subject) for item in found] == [("vee.inactive", "E-18")]


def test_interval_length_marks_both_sides_of_a_late_read():
    of = registers([[0, 10, 20, 30, 40]])
    for offset, expected in ((30, []), (31, [1, 2])):
        offsets = np.array([[0, 0, offset, 0, 0]])
        result, found = run(of, facts=Facts(offset_s=offsets))
        assert [i for i, k in enumerate(kinds(result)) if k is Quality.SUSPECT] == expected
        assert codes(found) == ["vee.interval_length"] * bool(expected)


def test_capture_period_that_is_not_the_interval():
    of = registers([[0, 10], [0, 10], [0, 10]])
    _, found = run(of, facts=Facts(capture_s=np.array([900, 1800, MISSING])))
    assert [(item.code, item.subject) for item in found] == [("vee.capture_period", "E-18")]
    assert "captures every 1800 s, must every 900 s" in found[0].message


@pytest.mark.parametrize(
    ("wh", "told"),
    [(1000, "10 times"), (1050, "10 times"), (1051, None), (100, None), (10, "1/10")]
    + [(1, "1/100"), (3000, "30 times"), (3, None)],
)
def test_multiplier_of_a_known_ratio(wh, told):
    of = whole_day(wh)
    facts = Facts(average_day_wh=np.array([9_600]), ratio=np.array([30]))
    result, found = run(of, facts=facts, thresholds=None)
    mine = [item for item in found if item.code == "vee.multiplier"]
    assert bool(mine) == (told is not None)
    if told:
        assert f"{told} of its average day" in mine[0].message
        assert kinds(result) == [Quality.SUSPECT] * DAY


def test_sibling_meters_with_equal_series():
    draw = np.random.default_rng(4)
    mine, theirs = draw.integers(20, 400, (2, DAY))
    shuffled = np.roll(mine, 1)
    of = registers(cumulative([mine, theirs, mine, shuffled]))
    assert run(of)[1] == []
    _, found = run(of, facts=Facts(siblings=True))
    assert [(item.code, item.subject) for item in found] == [("vee.sibling", "E-19")]
    assert "E-17" in found[0].message
    even = registers(cumulative([[20] * DAY, [20] * DAY]))
    flat, found = run(even, facts=Facts(siblings=True))
    assert found == []
    assert kinds(flat) == [V] * DAY


def test_check_meter_and_main_meter():
    of = registers([[0, 10_000], [0, 9_800], [0, 9_799]])
    for check, told in (("E-18", []), ("E-19", ["vee.check_meter"])):
        _, found = run(of, facts=Facts(checks=(("E-17", check),)), limit=20_000)
        assert codes(found) == told


def outages(of, rows):
    shape = (of.sizes["meter"], of.sizes["boundary"] - 1)
    outage = np.zeros(shape, dtype=np.bool_)
    for row, at in rows:
        outage[row, at] = True
    return Facts(outage=outage)


def test_power_failure_is_marked_and_its_zero_is_legitimate():
    of = registers(cumulative([[50, 0, 0, 60]]))
    result, found = run(of, facts=outages(of, [(0, 1), (0, 2)]))
    assert energy(result) == [50, 0, 0, 60]
    assert kinds(result) == [V, Quality.POWER_FAILURE, Quality.POWER_FAILURE, V]
    assert judges(result) == ["", "power_failure", "power_failure", ""]
    assert [item.severity for item in found] == [Severity.INFO]


def test_power_failure_is_no_end_point_of_an_interpolation():
    # One register is lost beside an outage, and the one after the gap is another device's.
    of = registers([[50_000, 50_100, -1, 10, 310]])
    like = reference(of, [[60] * 4])
    assert kinds(run(of, like)[0])[1] is Quality.ESTIMATED_LINEAR
    result, _ = run(of, like, facts=outages(of, [(0, 0)]))
    assert kinds(result)[1] is Quality.ESTIMATED_LIKE_DAY
    assert energy(result)[1:3] == [60, 60]


def test_nothing_is_estimated_into_a_power_failure():
    of = registers([[0, 100, -1, -1, 300, 400]])
    result, _ = run(of, facts=outages(of, [(0, 2)]))
    assert energy(result)[2] == 0
    assert sum(energy(result)) == 400
    assert judges(result)[2] == "missing→no_power"
    dark, _ = run(of, facts=outages(of, [(0, 1), (0, 2), (0, 3)]))
    assert sum(energy(dark)) == 400


def test_clock_forward_and_back_mark_the_intervals_they_changed():
    of = registers([[0, 10, 20, 30, 40]])

    def after(at_s, shift_s):
        events = (MeterEvent("E-17", START_S + at_s, EventKind.CLOCK_SET, shift_s),)
        return run(of, facts=Facts(events=events))

    forward, found = after(1000, 300)
    assert kinds(forward) == [Quality.CLOCK_FORWARD] * 2 + [V] * 2
    assert codes(found) == ["vee.clock_set"]
    back, _ = after(1000, -300)
    assert kinds(back) == [V, Quality.CLOCK_BACK, V, V]
    assert judges(back)[1] == "clock_back"
    small, found = after(1000, 30)
    assert kinds(small) == [V] * 4
    assert found == []


def test_clock_forward_gap_and_clock_back_overlap_lose_no_energy():
    events = (MeterEvent("E-17", START_S + 2700, EventKind.CLOCK_SET, 1800),)
    gap, _ = run(registers([[0, 10, -1, -1, 40, 50]]), facts=Facts(events=events))
    assert sum(energy(gap)) == 50
    of = registers([[0, 10, 20, 30]])
    again = of.isel(boundary=[2]).copy(deep=True)
    again["import_wh"].values[:] = 24
    events = (MeterEvent("E-17", START_S + 1500, EventKind.CLOCK_SET, -900),)
    overlap, found = run(
        xr.concat([of, again], "boundary"), reference(of), facts=Facts(events=events)
    )
    assert sum(energy(overlap)) == 30
    assert {"vee.duplicate", "vee.clock_set"} <= set(codes(found))


def test_voltage_against_nominal():
    of = registers([[0, 10, 20, 30]])
    volts = np.array([[276.0, 276.1, np.nan]])
    facts = Facts(voltage_v=volts, nominal_v=np.array([230.0]))
    result, found = run(of, facts=facts)
    assert [(item.code, item.interval) for item in found] == [("vee.voltage", "2026-03-29T01:15Z")]
    assert kinds(result) == [V] * 3
    dark = outages(of, [(0, 1)])
    _, found = run(
        of,
        facts=Facts(
            voltage_v=np.array([[230.0, 0.0, 230.0]]),
            nominal_v=np.array([230.0]),
            outage=dark.outage,
        ),
    )
    assert "vee.voltage" not in codes(found)


def test_serial_of_another_device_is_told_and_its_fall_is_no_rollover():
    from meters.vee.facts import Tenure

    of = registers([[99_990, 99_999, 3, 20]])
    there = (Tenure("E-17", "A1", None, None, digits=5),)
    same, found = run(of, facts=Facts(tenures=there, serial=np.array(["A1"])))
    assert codes(found) == ["vee.rollover"]
    assert energy(same) == [9, 4, 17]
    _, found = run(of, facts=Facts(tenures=there, serial=np.array(["B2"])))
    assert {"vee.serial", "vee.dip"} <= set(codes(found))
    told = next(item for item in found if item.code == "vee.serial")
    assert "calls itself B2, must be A1" in told.message


def test_prolonged_estimation_escalates():
    of = registers([[-1] * 5, [-1] * 5, [0, 10, 20, 30, 40]])
    facts = Facts(estimated_days=np.array([4, 5, 9]))
    _, found = run(of, reference(of, [[9] * 4] * 3), facts=facts)
    alarms = [(item.code, item.subject) for item in found if item.severity is Severity.ALARM]
    assert alarms == [("vee.prolonged", "E-18")]


def head(net, loss=0, known=True, members=(True, True)):
    count = len(net)
    return FeederHead(
        "F-1",
        np.array(net),
        np.zeros(count, np.int64),
        np.full(count, known),
        np.full(count, loss),
        np.array(members),
    )


def test_feeder_sum_of_meters_against_the_head_with_losses():
    of = registers(cumulative([[10_000, 10_000, 10_000], [6_000, 6_000, 6_000]]))
    net = [16_000 + 400, 16_000 + 400 + 492, 16_000 + 400 + 530]
    _, found = run(of, limit=50_000, facts=Facts(feeder=head(net, loss=400)))
    assert [(item.code, item.subject, item.interval) for item in found] == [
        ("vee.feeder_sum", "F-1", "2026-03-29T01:30Z")
    ]
    _, found = run(of, limit=50_000, facts=Facts(feeder=head(net, loss=400, known=False)))
    assert found == []


def test_feeder_residual_is_the_last_resort_and_adds_up_to_the_head():
    of = registers([[0, 300, 600], [-1, -1, -1], [-1, -1, -1]])
    for name in CHANNELS[1:]:
        of[name].values[1:] = MISSING
    facts = Facts(
        feeder=head([1000, 1000], loss=10, members=(True, True, True)),
        average_day_wh=np.array([30_000, 20_000, 10_000]),
    )
    result, _ = run(of, facts=facts)
    assert energy(result, 1) == [460, 460]
    assert energy(result, 2) == [230, 230]
    assert judges(result, 1) == ["missing→feeder_residual"] * 2
    assert kinds(result, 1) == [Quality.ESTIMATED_FEEDER] * 2
    early, _ = run(of, facts=facts, before=START_S + 900)
    assert energy(early, 1) == [460, MISSING]


def test_load_shape_of_the_group_at_the_level_of_the_meter():
    of = registers([[0, 100, 300, -1, -1]])
    shape = {name: np.full((1, 4), MISSING) for name in CHANNELS}
    shape["import_wh"] = np.array([[10, 20, 30, 40]])
    result, _ = run(of, facts=Facts(shape=shape))
    assert energy(result) == [100, 200, 300, 400]
    assert judges(result)[2:] == ["missing→load_shape"] * 2
    assert kinds(result)[2] is Quality.ESTIMATED_LOAD_SHAPE


def test_a_rule_that_lacks_what_it_needs_does_not_run():
    _, found = run(whole_day(5_000, 1))
    assert found == []


def test_thresholds_and_facts_that_do_not_fit_are_refused():
    with pytest.raises(BadInputError, match="zero_days is 400"):
        Thresholds(zero_days=400)
    with pytest.raises(BadInputError, match="'works' has no thresholds"):
        Columns({"house": Thresholds()}, ["works"])
    of = registers([[0, 10]])
    with pytest.raises(BadInputError, match="outage: shape"):
        run(of, facts=Facts(outage=np.zeros((1, 2), np.bool_)))
    with pytest.raises(BadInputError, match="must be 1"):
        run(of, thresholds=Columns.uniform(Thresholds(), 2))


def test_codes_are_told_apart_for_good():
    assert len({rule.code for rule in RULES.values()}) == len(RULES)
    assert all(0 < rule.code < 256 for rule in RULES.values())
    assert all(field in Thresholds.__slots__ for r in RULES.values() for field in r.thresholds)
    assert all(field in Facts.__slots__ for r in RULES.values() for field in r.needs)
    assert set(DAY_RULES) <= set(RULES)
    assert decided(0) == ()
    with pytest.raises(BadInputError, match="no rule has 99"):
        decided(99)


def test_the_table_of_the_module_names_a_test_for_every_rule():
    from pathlib import Path

    table = re.findall(r"^(\w+) +`{0,2}(test_\w+)", validation.__doc__, re.M)
    written = "".join(p.read_text() for p in Path(__file__).parent.glob("test_*.py"))
    assert {name for name, _ in table} >= set(RULES)
    for _, test in table:
        assert f"def {test}(" in written, test
