"""Registers in, validated interval energies out, with the rule that decided each.

Rules per register: missing, negative and duplicate reads; misread, rollover, dip
and jump between reads, exchange and tampering (:mod:`meters.vee.examine`). Rules
per day and mark: :data:`meters.vee.rules.DAY_RULES`. What the rules leave open is
estimated (:mod:`meters.vee.estimation`). Every rule works on all meters at once;
meters that pass a first look take no part in the rest.

Each rule has a test of its name:

=================== ==============================================================
Rule                Test in ``tests/meters/vee``
=================== ==============================================================
TABLE
=================== ==============================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid.errors import BadInputError, Finding
from grid.interval import label
from meters.reading import CHANNELS, MISSING
from meters.vee import report
from meters.vee.boundaries import Clashes, instants, merged
from meters.vee.day import Day
from meters.vee.day_rules import expected_serials
from meters.vee.examine import Examined, Rows, examine
from meters.vee.exchange import Stay, joined, registers_of, stays
from meters.vee.facts import Facts
from meters.vee.feeder import share_rest
from meters.vee.quality import READ, Quality, least_certain, one_of
from meters.vee.rules import DAY_RULES, RULES
from meters.vee.thresholds import Columns, Thresholds

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Rowset = npt.NDArray[np.intp]

LIMIT_MAX_WH: Final = 10**10


@dataclass(frozen=True, slots=True)
class _Window:
    """All that one validation is given, in arrays, and what comes of it."""

    meters: list[str]
    at_s: Ints
    interval_s: int
    limit_wh: Ints
    wrap_wh: Ints
    facts: Facts
    thresholds: Columns
    estimate_before_s: int
    devices: dict[int, list[Stay]]
    clashes: Clashes
    quality: npt.NDArray[np.uint16]
    rule: npt.NDArray[np.uint16]
    findings: list[Finding]

    @property
    def count(self) -> int:
        """Number of intervals."""
        return int(self.at_s.size) - 1


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
        optionally their deviation (:func:`sd_name`), negative where unknown. Its
        intervals start at the boundaries but the last.
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
        the standard deviation of each estimate (:func:`sd_name`) float32.
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
    devices = stays(facts.tenures, meters, at_s) if facts.tenures and shape[1] else {}
    quality, rule = _as_read(registers, shape)
    window = _Window(
        meters, at_s, interval_s, limit, wrap, facts, thresholds, estimate_before_s, devices,
        clashes, quality, rule, findings,
    )  # fmt: skip
    _known_devices(window)
    energy: dict[str, Ints] = {}
    sd_wh: dict[str, npt.NDArray[np.float32]] = {}
    total: dict[str, Ints] = {}
    for channel in CHANNELS:
        known = (
            registers[channel].transpose("meter", "boundary").values.astype(np.int64, copy=False)
        )
        energy[channel], sd_wh[channel], total[channel] = _channel(
            window, channel, known, reference
        )
    if shape[1]:
        share_rest(energy, sd_wh, quality, rule, facts, limit, at_s[:-1] < estimate_before_s)
        _judge_days(window, energy, total)
    findings += report.outcomes(meters, at_s, energy, quality, estimate_before_s)
    findings.sort(key=lambda item: (item.subject, item.interval, item.code, item.message))
    return _result(registers, at_s, energy, sd_wh, quality, rule), findings


def sd_name(channel: str) -> str:
    """Return the name of the standard deviation of a channel: ``"import_sd_wh"``."""
    direction, unit = channel.split("_")
    return f"{direction}_sd_{unit}"


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


def _known_devices(window: _Window) -> None:
    """Take digits and multiplier from the device that is there, and keep those that changed."""
    for row, devices in list(window.devices.items()):
        window.wrap_wh[row] = devices[-1].wrap_wh
        if len(devices) == 1 and (devices[0].first, devices[0].last) == (0, window.count):
            del window.devices[row]
    if window.facts.has("serial", "tenures") and window.count:
        told, wanted = window.facts.serial, _wanted(window)
        assert told is not None
        # A fall of a device that is not the known one is no rollover of it.
        window.wrap_wh[(told != "") & (wanted != "") & (told != wanted)] = 0
    for row, devices in window.devices.items():
        meter = window.meters[row]
        for stay in devices:
            if stay.tenure.from_s is not None and stay.tenure.from_s > window.at_s[0]:
                at = label(stay.tenure.from_s)
                message = f"{meter} {at} was exchanged: {stay.tenure.serial} counts from here"
                rule = RULES["exchange"]
                window.findings.append(Finding(rule.finding, meter, at, rule.severity, message))


def _wanted(window: _Window) -> npt.NDArray[np.str_]:
    none: dict[str, Ints] = {}
    day = Day(
        window.meters, none, none, window.limit_wh, np.zeros((0, 0), np.bool_),
        window.at_s[:-1], window.interval_s, window.facts, window.thresholds,
    )  # fmt: skip
    return expected_serials(day)


def _channel(
    window: _Window, channel: str, known: Ints, reference: xr.Dataset
) -> tuple[Ints, npt.NDArray[np.float32], Ints]:
    """Return energy and deviation (meter, interval) and the total (meter,) of a channel."""
    values = np.diff(known, axis=1)
    sd_wh = np.zeros(values.shape, dtype=np.float32)
    if not values.shape[1]:
        return values, sd_wh, np.zeros(known.shape[0], dtype=np.int64)
    total = known[:, -1] - known[:, 0]
    look = _needs_a_look(window, channel, known, values, total)
    if look.size:
        shown = _shown(window, channel, look, known[look], reference)
        whole = [index for index, row in enumerate(look) if int(row) not in window.devices]
        if len(whole) < look.size:
            shown = _with_devices(window, channel, look, known, reference, shown)
        values[look], sd_wh[look] = shown.values, shown.sd_wh
        worse = least_certain(window.quality[look], shown.quality)
        takes = (worse != window.quality[look]) | (window.rule[look] == 0)
        window.rule[look] = np.where(takes, shown.rule, window.rule[look])
        window.quality[look] = worse
        lost = (shown.values < 0).any(axis=1)
        total[look] = np.where(lost, MISSING, shown.values.sum(axis=1))
    return values, sd_wh, total


def _needs_a_look(window: _Window, channel: str, known: Ints, values: Ints, total: Ints) -> Rowset:
    """Return the meters that have anything but plain differences within the limit.

    A meter that counts its intervals itself passes too, when those fit: its energies are
    written into `values`.
    """
    least = window.thresholds["spike_share_percent"] * window.limit_wh
    strange = known.min(axis=1) < 0
    strange |= values.min(axis=1) < 0
    strange |= 100 * values.max(axis=1) > least
    strange[list(window.devices)] = True
    captured = _captured(window, channel)
    if captured is None:
        return np.flatnonzero(strange)
    counts = captured.max(axis=1) >= 0
    differs = counts & ((captured >= 0) & (captured != values)).any(axis=1)
    quiet = counts & (known[:, 0] >= 0) & (known[:, -1] >= 0) & (captured.min(axis=1) >= 0)
    quiet &= (known[:, 1:-1] == MISSING).all(axis=1) & (100 * captured.max(axis=1) <= least)
    quiet &= abs(captured.sum(axis=1) - total) <= window.thresholds["sum_wh"]
    quiet[list(window.devices)] = False
    values[quiet] = captured[quiet]
    total[quiet] = captured[quiet].sum(axis=1)
    return np.flatnonzero((strange | differs) & ~quiet)


def _captured(window: _Window, channel: str) -> Ints | None:
    """Return what the meters counted per interval, as far as they call it valid."""
    given = window.facts.captured
    if given is None or channel not in given:
        return None
    marks = window.facts.captured_quality
    if marks is None:
        return given[channel]
    return np.where(marks == Quality.INVALID, MISSING, given[channel])


def _shown(
    window: _Window,
    channel: str,
    look: Rowset,
    known: Ints,
    reference: xr.Dataset,
    wrap_wh: Ints | None = None,
    spans: list[Stay] | None = None,
) -> Examined:
    """Return what comes of `known` (row, boundary), which belong to the meters `look`."""
    shape = (look.size, window.count)
    facts, limit = window.facts, window.limit_wh[look]
    causes = report.Causes(
        channel, [window.meters[row] for row in look], window.at_s, window.interval_s,
        facts.events,
    )  # fmt: skip
    captured, refused = np.full(shape, MISSING, dtype=np.int64), np.zeros(shape, dtype=np.uint16)
    if facts.captured is not None and channel in facts.captured:
        captured = facts.captured[channel][look].astype(np.int64)
        refused = _refuse(window, look, captured, limit, causes)
    for index, stay in enumerate(spans or []):
        captured[index, : stay.first] = captured[index, stay.last :] = MISSING
    like_day = reference[channel].transpose("meter", "interval").values[look]
    sd = np.full(shape, -1.0)
    if sd_name(channel) in reference:
        sd = reference[sd_name(channel)].transpose("meter", "interval").values[look].astype(float)
    given = facts.shape is not None and channel in facts.shape
    none = np.zeros((look.size, window.at_s.size), dtype=np.bool_)
    rows = Rows(
        known=known,
        captured=captured,
        refused=refused,
        doubled=window.clashes[channel][look] if channel in window.clashes else none,
        reference=np.minimum(like_day.astype(np.int64), limit[:, None]),
        reference_sd=sd,
        shape=facts.shape[channel][look] if given and facts.shape else np.full(shape, MISSING),
        outage=facts.outage[look] if facts.outage is not None else none[:, 1:],
        limit_wh=limit,
        wrap_wh=window.wrap_wh[look] if wrap_wh is None else wrap_wh,
        thresholds=window.thresholds.take(look),
    )
    shown = examine(rows, causes, window.estimate_before_s)
    window.findings.extend(causes.findings())
    return shown


def _refuse(
    window: _Window, look: Rowset, captured: Ints, limit: Ints, causes: report.Causes
) -> npt.NDArray[np.uint16]:
    """Take out captured energies that cannot be; return the code of the rule that did."""
    refused = np.zeros(captured.shape, dtype=np.uint16)
    marks = window.facts.captured_quality
    faults = {"negative": captured < MISSING, "jump": captured > limit[:, None]}
    if marks is not None:
        faults["invalid"] = (marks[look] == Quality.INVALID) & (captured != MISSING)
    for name, where in faults.items():
        refused[where] = RULES[name].code
        causes.refused(RULES[name], captured, where, limit)
    captured[refused > 0] = MISSING
    return refused


def _with_devices(
    window: _Window,
    channel: str,
    look: Rowset,
    known: Ints,
    reference: xr.Dataset,
    shown: Examined,
) -> Examined:
    """Return `shown` with the meters that were exchanged examined device by device."""
    places = [(index, int(row)) for index, row in enumerate(look) if int(row) in window.devices]
    spans = [stay for _, row in places for stay in window.devices[row]]
    rows = np.array([row for _, row in places for _ in window.devices[row]], dtype=np.intp)
    apart = _shown(
        window,
        channel,
        rows,
        np.stack(
            [
                registers_of(stay, known[row], window.at_s, channel)
                for row, stay in zip(rows.tolist(), spans, strict=True)
            ]
        ),
        reference,
        np.array([stay.wrap_wh for stay in spans], dtype=np.int64),
        spans,
    )
    first = 0
    for index, row in places:
        devices = window.devices[row]
        part = slice(first, first + len(devices))
        first += len(devices)
        shown.values[index] = joined(list(apart.values[part]), devices)
        quality = np.full(window.count, Quality.VALID, dtype=np.uint16)
        shown.rule[index], shown.sd_wh[index] = 0, 0
        for number, stay in enumerate(devices, start=part.start):
            span = slice(stay.first, stay.last)
            quality[span] = least_certain(quality[span], apart.quality[number, span])
            shown.rule[index, span] = np.maximum(shown.rule[index, span], apart.rule[number, span])
            shown.sd_wh[index, span] = np.hypot(shown.sd_wh[index, span], apart.sd_wh[number, span])
            if stay.first and shown.rule[index, stay.first] == 0:
                shown.rule[index, stay.first] = RULES["exchange"].code
        shown.quality[index] = np.where(shown.values[index] < 0, Quality.MISSING, quality)
    return shown


def _judge_days(window: _Window, energy: dict[str, Ints], total: dict[str, Ints]) -> None:
    """Run the rules about days; mark what was read and tell."""
    day = Day(
        meters=window.meters,
        energy=energy,
        total_wh=total,
        limit_wh=window.limit_wh,
        read=one_of(window.quality, READ),
        starts_s=window.at_s[:-1],
        interval_s=window.interval_s,
        facts=window.facts,
        thresholds=window.thresholds,
    )
    for name, check in DAY_RULES.items():
        rule = RULES[name]
        if not window.facts.has(*rule.needs):
            continue
        found = check(day)
        window.findings.extend(report.hits(rule, found, day))
        if rule.quality is not None and found.row.size:
            row, at = found.elements()
            before = window.quality[row, at]
            after = least_certain(before, np.full(row.size, rule.quality, dtype=np.uint16))
            # An estimate stays one: what was read of a doubtful day is in doubt.
            mine = day.read[row, at] & (after != before)
            window.quality[row[mine], at[mine]] = rule.quality
            window.rule[row[mine], at[mine]] = rule.code


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
