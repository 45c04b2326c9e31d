"""Registers in, validated interval energies out, with the rule that decided each.

Rules per register: missing, negative and duplicate reads; misread, rollover, dip
and jump between reads, exchange and tampering (:mod:`meters.vee.examine`). Rules
per day and mark: :data:`meters.vee.rules.DAY_RULES`. What the rules leave open is
estimated (:mod:`meters.vee.estimation`). Every rule works on all meters at once;
meters that pass a first look take no part in the rest.

Each rule has a test of its name:

=================== ==========================================================================
Rule                Test in ``tests/meters/vee``
=================== ==========================================================================
missing             test_missing_says_which_rule_and_which_method
duplicate           test_duplicate_reads_count_once_and_contradicting_ones_not_at_all
negative            test_negative_registers_count_as_missing
misread             test_a_single_wrong_read_costs_no_energy
rollover            test_rollover_of_99999_to_3_is_counted_and_named
dip                 test_rollover_dip_and_exchange_are_told_apart
jump                test_a_jump_that_stays_is_not_billed
exchange            test_exchange_splits_a_gap_and_counts_both_sides_exactly
tamper              test_tamper_event_at_a_dip_becomes_a_case
serial              test_serial_of_another_device_is_told_and_its_fall_is_no_rollover
spike               test_spike_exactly_at_its_threshold_is_none_and_groups_have_their_own
sum_check           test_sum_check_of_intervals_against_the_register_difference
high                test_high_and_low_against_the_average_day
low                 test_high_and_low_against_the_average_day
zero                test_zero_for_days_unless_power_was_lost
inactive            test_inactive_meter_consuming
interval_length     test_interval_length_marks_both_sides_of_a_late_read
capture_period      test_capture_period_that_is_not_the_interval
multiplier          test_multiplier_of_a_known_ratio
sibling             test_sibling_meters_with_equal_series
check_meter         test_check_meter_and_main_meter
power_failure       test_power_failure_is_no_end_point_of_an_interpolation
clock_forward       test_clock_forward_and_back_mark_the_intervals_they_changed
clock_back          test_clock_forward_gap_and_clock_back_overlap_lose_no_energy
voltage             test_voltage_against_nominal
feeder_sum          test_feeder_sum_of_meters_against_the_head_with_losses
prolonged           test_prolonged_estimation_escalates
invalid             test_invalid_marks_of_the_meter_are_estimated
backfill            test_backfill_is_named
edit                test_edit_writes_a_new_value_and_keeps_what_was_there
linear              test_an_unscaled_gap_of_two_hours_is_linear_and_2_h_15_is_like_day
like_day            test_like_day_is_the_mean_of_the_last_valid_days_of_its_class
load_shape          test_load_shape_of_the_group_at_the_level_of_the_meter
nearest             test_without_reference_an_open_gap_takes_the_nearest_value
feeder_residual     test_feeder_residual_is_the_last_resort_and_adds_up_to_the_head
no_power            test_nothing_is_estimated_into_a_power_failure
=================== ==========================================================================
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid.errors import BadInputError, Finding
from grid.interval import label
from meters.reading import CHANNELS, MISSING
from meters.vee import report
from meters.vee.boundaries import instants, merged
from meters.vee.channel import Window, channel_energy, sd_name
from meters.vee.day import Day
from meters.vee.exchange import Places, places
from meters.vee.facts import Facts
from meters.vee.feeder import share_rest
from meters.vee.judging import mark
from meters.vee.quality import READ, Quality, one_of
from meters.vee.rules import RULES
from meters.vee.thresholds import Columns, Thresholds

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

LIMIT_MAX_WH: Final = 10**10


def validate(
    registers: xr.Dataset,
    reference: xr.Dataset,
    *,
    limit_wh: npt.NDArray[np.int64],
    register_digits: npt.NDArray[np.int64],
    estimate_before_s: int,
    facts: Facts | None = None,
    thresholds: Columns | None = None,
) -> tuple[xr.Dataset, list[Finding]]:
    """Validate cumulative registers and return the energy of each interval.

    Parameters
    ----------
    registers : Dataset, dims (meter, boundary)
        :data:`~meters.reading.CHANNELS` int64, cumulative Wh or varh,
        :data:`~meters.reading.MISSING` where not read; optionally
        `from_profile` bool, the register came from the meter's load profile.
        `boundary` is datetime64 or seconds, evenly spaced; one that is given
        twice is merged.
    reference : Dataset, dims (meter, interval)
        CHANNELS int64, mean Wh of like days, MISSING where unknown, and
        optionally their deviation (:func:`~meters.vee.channel.sd_name`), negative
        where unknown. Its intervals start at the boundaries but the last.
    limit_wh : ndarray of int64 (meter,)
        The most energy that one interval of the connection can carry.
    register_digits : ndarray of int64 (meter,)
        Digits of the register in Wh: it wraps at ``10**digits``. A tenure in
        `facts` knows better.
    estimate_before_s : int
        Gaps which a later register may still close are estimated only in
        intervals that start before this instant.
    facts : Facts, optional
        What else is known; rules run as far as they have what they need.
    thresholds : Columns, optional
        Of each meter's group; without, the defaults.

    Returns
    -------
    intervals : Dataset, dims (meter, interval)
        CHANNELS int64 (MISSING where not determined); `quality` uint16
        (:class:`~meters.vee.Quality`), that of the least certain channel; `rule`
        uint16 (:func:`~meters.vee.rules.decided`), 0 where simply as read; and
        the standard deviation of each estimate (:func:`~meters.vee.channel.sd_name`) float32.
    findings : list of Finding
        In order of subject, interval and code.

    Raises
    ------
    BadInputError
        When shapes, coordinates, limits, digits or facts do not fit.
    """
    registers, findings, clashes = merged(registers)
    meters = [str(meter) for meter in registers["meter"].values]
    at_s, interval_s = instants(registers)
    shape = (len(meters), max(at_s.size - 1, 0))
    limit = _checked(limit_wh, len(meters), "limit_wh", 1, LIMIT_MAX_WH)
    wrap = 10 ** _checked(register_digits, len(meters), "register_digits", 1, 18)
    _require_same_grid(registers, reference, at_s)
    facts = facts if facts is not None else Facts()
    facts.require(*shape)
    thresholds = (
        thresholds if thresholds is not None else Columns.uniform(Thresholds(), len(meters))
    )
    if len(thresholds) != len(meters):
        raise BadInputError(f"thresholds: of {len(thresholds)} meters, must be {len(meters)}")
    there = places(facts.tenures, meters, at_s)
    findings += _exchanges(there, meters, at_s)
    quality, rule = _as_read(registers, shape)
    window = Window(
        meters, at_s, interval_s, limit, _wraps(wrap, there, facts), facts, thresholds,
        estimate_before_s, there.changed, clashes, quality, rule, findings,
    )  # fmt: skip
    energy: dict[str, Ints] = {}
    sd_wh: dict[str, npt.NDArray[np.float32]] = {}
    total: dict[str, Ints] = {}
    for channel in CHANNELS:
        known = (
            registers[channel].transpose("meter", "boundary").values.astype(np.int64, copy=False)
        )
        energy[channel], sd_wh[channel], total[channel] = channel_energy(
            window, channel, known, reference
        )
    if shape[1]:
        share_rest(energy, sd_wh, quality, rule, facts, limit, at_s[:-1] < estimate_before_s)
        day = Day(
            meters=meters,
            energy=energy,
            total_wh=total,
            limit_wh=limit,
            read=one_of(quality, READ),
            serial=there.serial,
            starts_s=at_s[:-1],
            interval_s=interval_s,
            facts=facts,
            thresholds=thresholds,
        )
        findings += mark(day, quality, rule)
    findings += report.outcomes(meters, at_s, energy, quality, estimate_before_s)
    findings.sort(key=lambda item: (item.subject, item.interval, item.code, item.message))
    return _result(registers, at_s, energy, sd_wh, quality, rule), findings


def _as_read(
    registers: xr.Dataset, shape: tuple[int, int]
) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint16]]:
    """Return quality and rule of intervals with which nothing is wrong."""
    quality = np.full(shape, Quality.VALID, dtype=np.uint16)
    rule = np.zeros(shape, dtype=np.uint16)
    if "from_profile" in registers:
        late = registers["from_profile"].transpose("meter", "boundary").values
        if late.any():
            filled = late[:, :-1] | late[:, 1:]
            quality[filled] = Quality.BACKFILLED
            rule[filled] = RULES["backfill"].code
    return quality, rule


def _wraps(wrap_wh: Ints, there: Places, facts: Facts) -> Ints:
    """Return where registers go round, by the device that is there rather than by default."""
    wrap_wh = np.where(there.wrap_wh > 0, there.wrap_wh, wrap_wh)
    if facts.serial is None:
        return wrap_wh
    # A fall of a device that is not the known one is no rollover of it.
    foreign = (facts.serial != "") & (there.serial != "") & (facts.serial != there.serial)
    return np.where(foreign, 0, wrap_wh)


def _exchanges(there: Places, meters: list[str], at_s: Ints) -> list[Finding]:
    """Return one finding per device that came within the window."""
    rule = RULES["exchange"]
    findings = []
    for row, devices in there.changed.items():
        before: str | None = None
        for stay in devices:
            from_s, stays = stay.tenure.from_s, stay.tenure.serial == before
            before = stay.tenure.serial
            if from_s is not None and from_s > at_s[0]:
                at = label(from_s)
                message = f"{meters[row]} {at} was exchanged: {stay.tenure.serial} counts from here"
                if stays:
                    message = f"{meters[row]} {at} counts times {stay.tenure.factor} from here"
                findings.append(Finding(rule.finding, meters[row], at, rule.severity, message))
    return findings


def _checked(values: npt.ArrayLike, count: int, name: str, low: int, high: int) -> Ints:
    array = np.asarray(values)
    if array.shape != (count,) or not np.issubdtype(array.dtype, np.integer):
        raise BadInputError(f"{name}: needs {count} integers, one per meter, got {array.shape}")
    bad = (array < low) | (array > high)
    if bad.any():
        at = int(np.argmax(bad))
        raise BadInputError(f"{name}[{at}] is {array[at]}: must be within {low} to {high}")
    return array.astype(np.int64)


def _require_same_grid(registers: xr.Dataset, reference: xr.Dataset, at_s: Ints) -> None:
    if not np.array_equal(registers["meter"].values, reference["meter"].values):
        raise BadInputError("reference: its meters differ from those of the registers")
    starts = reference["interval"].values
    if starts.dtype.kind == "M":
        starts = starts.astype("datetime64[s]").astype(np.int64)
    if not np.array_equal(starts, at_s[:-1]):
        raise BadInputError("reference: its intervals do not start at the register boundaries")


def _result(
    registers: xr.Dataset,
    at_s: Ints,
    energy: dict[str, Ints],
    sd_wh: dict[str, npt.NDArray[np.float32]],
    quality: npt.NDArray[np.uint16],
    rule: npt.NDArray[np.uint16],
) -> xr.Dataset:
    dims = ("meter", "interval")
    variables = {
        channel: (dims, values, {"units": channel.rsplit("_", 1)[1], "missing": MISSING})
        for channel, values in energy.items()
    }
    deviations = {
        sd_name(channel): (dims, values, {"units": channel.rsplit("_", 1)[1]})
        for channel, values in sd_wh.items()
    }
    return xr.Dataset(
        {
            **variables,
            **deviations,
            "quality": (dims, quality, {"scheme": "meters.vee.Quality"}),
            "rule": (dims, rule, {"scheme": "meters.vee.rules.RULES"}),
        },
        coords={
            "meter": registers["meter"].values,
            "interval": at_s[:-1].astype("datetime64[s]"),
        },
    )
