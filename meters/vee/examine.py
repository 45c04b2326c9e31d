"""What becomes of the registers of meters that need a look, one channel at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from meters.reading import MISSING
from meters.vee.estimation import Holes, Known, fill
from meters.vee.quality import Quality
from meters.vee.report import Causes
from meters.vee.rules import RULES
from meters.vee.segments import Segments, between, misread
from meters.vee.thresholds import Columns

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.uint16]

_METHOD: Final = np.uint16(256)


@dataclass(frozen=True, slots=True)
class Rows:
    """One register of some meters and what may be said about it.

    Attributes
    ----------
    known : ndarray of int64 (row, boundary)
        Registers; changed in place where one does not count.
    captured : ndarray of int64 (row, interval)
        Energies that the meter counted per interval, MISSING where none.
    refused : ndarray of uint16 (row, interval)
        Code of the rule that refused a captured energy before, 0 elsewhere.
    doubled : ndarray of bool (row, boundary)
        Read twice with different values: does not count.
    reference, reference_sd, shape, outage
        As :class:`~meters.vee.estimation.Known` has them.
    limit_wh, wrap_wh : ndarray of int64 (row,)
    thresholds : Columns
    """

    known: Ints
    captured: Ints
    refused: Codes
    doubled: Bools
    reference: Ints
    reference_sd: npt.NDArray[np.float64]
    shape: Ints
    outage: Bools
    limit_wh: Ints
    wrap_wh: Ints
    thresholds: Columns


@dataclass(frozen=True, slots=True)
class Examined:
    """What became of them: energy, quality, rule code and deviation (row, interval)."""

    values: Ints
    quality: Codes
    rule: Codes
    sd_wh: npt.NDArray[np.float32]


def examine(rows: Rows, causes: Causes, estimate_before_s: int) -> Examined:
    """Return what the rules make of `rows`, and tell `causes` what they noticed."""
    known, limit = rows.known, rows.limit_wh
    struck = np.where(rows.doubled, RULES["duplicate"].code, 0).astype(np.uint16)
    negative = known < MISSING
    causes.negative(*np.nonzero(negative))
    struck[negative] = RULES["negative"].code
    segments = between(known, limit, rows.wrap_wh)
    wrong = misread(segments, limit, rows.wrap_wh)
    if wrong.size:
        causes.misread(segments, wrong)
        at = segments.row[wrong], segments.last[wrong]
        struck[at] = RULES["misread"].code
        known[at] = MISSING
        segments = between(known, limit, rows.wrap_wh)
    causes.rollover(segments)
    tampered = causes.dip(segments)
    causes.jump(segments, limit)

    values = np.full((known.shape[0], known.shape[1] - 1), MISSING, dtype=np.int64)
    direct = (segments.last - segments.first == 1) & ~segments.bad
    values[segments.row[direct], segments.first[direct]] = segments.total_wh[direct]
    belongs = _belongs(segments, values.shape)
    total, doubt = _with_captured(rows, segments, belongs, values, causes)
    doubt_code = np.where(doubt, RULES["sum_check"].code, 0).astype(np.uint16)
    peaks = spike(values, rows.reference, limit, rows.thresholds)
    causes.suspect(values, rows.reference, peaks)

    rule = _judged(segments, tampered, struck, rows.refused, belongs, values)
    filled = fill(
        values,
        Known(
            trusted=(values >= 0) & ~peaks & ~doubt,
            reference=rows.reference,
            reference_sd=rows.reference_sd,
            shape=rows.shape,
            outage=rows.outage,
            limit_wh=limit,
            linear_s=rows.thresholds["linear_s"],
        ),
        _holes(known, segments, belongs, values, total),
        starts_s=causes.at_s[:-1],
        interval_s=causes.interval_s,
        estimate_before_s=estimate_before_s,
    )
    quality = np.where(peaks | doubt, np.uint16(Quality.SUSPECT), filled.quality)
    rule = np.where(peaks, np.uint16(RULES["spike"].code), np.where(doubt, doubt_code, rule))
    return Examined(values, quality, rule + _METHOD * filled.method, filled.sd_wh)


def spike(values: Ints, reference: Ints, limit_wh: Ints, thresholds: Columns) -> Bools:
    """Return the intervals that fail highest against third-highest and against like days.

    Only between two known neighbours: whether a load lasts is not known before.
    """
    suspect = np.zeros(values.shape, dtype=np.bool_)
    least = thresholds["spike_share_percent"] * limit_wh
    usual = reference.max(axis=1)
    row = np.flatnonzero((usual >= 0) & (100 * values.max(axis=1) > least))
    if values.shape[1] < 3 or not row.size:
        return suspect
    mine, part = values[row], thresholds.take(row)
    third = np.partition(mine, -3, axis=1)[:, -3][:, None]
    left, here, right = mine[:, :-2], mine[:, 1:-1], mine[:, 2:]
    others = np.maximum(np.maximum(left, right), third)
    inside = 100 * (here - others) > least[row, None]
    inside &= 100 * (here - third) > part["spike_rise_percent"][:, None] * third
    inside &= 100 * here > (part["spike_usual_percent"] * usual[row])[:, None]
    suspect[row, 1:-1] = inside & (left >= 0) & (right >= 0) & (third >= 0)
    return suspect


def _belongs(segments: Segments, shape: tuple[int, ...]) -> Ints:
    """Return the segment of each (row, interval), -1 before the first and after the last read."""
    belongs = np.full(shape, -1, dtype=np.int64)
    length = segments.last - segments.first
    start = np.cumsum(length) - length
    owner = np.repeat(np.arange(length.size), length)
    belongs[segments.row[owner], segments.first[owner] + np.arange(owner.size) - start[owner]] = (
        owner
    )
    return belongs


def _with_captured(
    rows: Rows, segments: Segments, belongs: Ints, values: Ints, causes: Causes
) -> tuple[Ints, Bools]:
    """Put captured energies where registers do not tell; return rests and what is in doubt.

    The sum check: what was captured between two registers against their difference. The
    rest is what the intervals without an energy share.
    """
    total = np.where(segments.bad, MISSING, segments.total_wh)
    captured = rows.captured >= 0
    doubt = np.zeros(values.shape, dtype=np.bool_)
    if not captured.any():
        return total, doubt
    row, at = np.nonzero(captured & (belongs >= 0))
    owner = belongs[row, at]
    count = np.bincount(owner, minlength=total.size)
    told = np.zeros(total.size, dtype=np.int64)
    np.add.at(told, owner, rows.captured[row, at])
    length = segments.last - segments.first
    within = rows.thresholds["sum_wh"][segments.row]
    rest = total - told
    tested = (count > 0) & ~segments.bad
    failed = tested & ((rest < -within) | ((count == length) & (rest > within)))
    causes.sum_check(segments, np.flatnonzero(failed), told)
    plain = captured & (values < 0)
    values[plain] = rows.captured[plain]
    doubt[row, at] = failed[owner] & (length[owner] > 1)
    rest = np.where(failed, MISSING, np.where(tested, np.maximum(rest, 0), total))
    return rest, doubt


def _judged(
    segments: Segments,
    tampered: Bools,
    struck: Codes,
    refused: Codes,
    belongs: Ints,
    values: Ints,
) -> Codes:
    """Return the code of the rule that judged each interval, before estimation."""
    of = np.zeros(segments.row.size + 1, dtype=np.uint16)
    of[:-1][segments.rolled] = RULES["rollover"].code
    of[:-1][segments.dip] = RULES["dip"].code
    of[:-1][tampered] = RULES["tamper"].code
    of[:-1][segments.jump] = RULES["jump"].code
    rule = of[belongs]
    hole = values < 0
    # A register that does not count leaves its mark on the intervals on both sides.
    beside = np.maximum(struck[:, :-1], struck[:, 1:])
    rule = np.where(hole & (rule == 0), np.where(refused > 0, refused, beside), rule)
    return np.where(hole & (rule == 0), np.uint16(RULES["missing"].code), rule)


def _holes(known: Ints, segments: Segments, belongs: Ints, values: Ints, total: Ints) -> Holes:
    """Return the stretches without a value.

    A bad segment that a later register follows cannot be told better any more;
    one at the end may yet turn out to be a single wrong read.
    """
    row, at = np.nonzero(values < 0)
    owner = belongs[row, at]
    fresh = np.ones(row.size, dtype=np.bool_)
    fresh[1:] = (np.diff(row) != 0) | (np.diff(at) != 1) | (np.diff(owner) != 0)
    begin = np.flatnonzero(fresh)
    length = np.diff(begin, append=row.size)
    mine, first, segment = row[begin], at[begin], owner[begin]
    inside = segment >= 0
    apart = np.ones(begin.size, dtype=np.bool_)
    apart[1:] = (np.diff(segment) != 0) | ~inside[1:]
    lead = np.flatnonzero(apart)
    # The extra element is what a hole outside of all segments looks up.
    ends = np.append(total, MISSING)
    bad, last = np.append(segments.bad, False), np.append(segments.last, 0)
    n = known.shape[1] - 1
    newest = n - (known >= 0)[:, ::-1].argmax(axis=1)
    return Holes(
        row=mine,
        first=first,
        last=first + length,
        group=np.cumsum(apart) - 1,
        total_wh=ends[segment[lead]],
        due=bad[segment] & (last[segment] < newest[mine]),
    )
