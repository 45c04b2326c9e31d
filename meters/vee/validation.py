"""Registers in, validated interval energies out.

Rules per register: missing, negative and duplicate reads; misread, rollover,
dip and jump between reads; highest against third-highest interval within what
the connection can carry. What the rules leave open is estimated
(:mod:`meters.vee.estimation`). Every rule works on all meters at once; meters
that pass a first look take no part in the rest.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid.errors import BadInputError, Finding
from meters.reading import CHANNELS, MISSING
from meters.vee import report
from meters.vee.boundaries import instants, merged
from meters.vee.estimation import Holes, fill
from meters.vee.quality import Quality, least_certain
from meters.vee.segments import Segments, between, misread

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

PEAK_SHARE: Final = 0.6
"""A lone interval is suspect when it exceeds the others by this share of the limit.

A load that runs for half an hour or more fills at least half of a neighbouring
interval, so that it exceeds that one by no more than half of the limit.
"""
PEAK_RATIO: Final = 3
LIMIT_MAX_WH: Final = 10**10


def validate(
    registers: xr.Dataset,
    reference: xr.Dataset,
    *,
    limit_wh: npt.NDArray[np.int64],
    register_digits: npt.NDArray[np.int64],
    estimate_before_s: int,
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
        CHANNELS int64, mean Wh of like days, MISSING where unknown. Its
        intervals start at the boundaries but the last.
    limit_wh : ndarray of int64 (meter,)
        The most energy that one interval of the connection can carry.
    register_digits : ndarray of int64 (meter,)
        Digits of the register in Wh: it wraps at ``10**digits``.
    estimate_before_s : int
        Gaps which a later register may still close are estimated only in
        intervals that start before this instant.

    Returns
    -------
    intervals : Dataset, dims (meter, interval)
        CHANNELS int64 (MISSING where not determined) and `quality` uint16
        (:class:`~meters.vee.Quality`), that of the least certain channel.
    findings : list of Finding
        In order of subject, interval and code.

    Raises
    ------
    BadInputError
        When shapes, coordinates, limits or digits do not fit.
    """
    registers, findings = merged(registers)
    meters = [str(meter) for meter in registers["meter"].values]
    at_s, interval_s = instants(registers)
    count = len(meters)
    shape = (count, max(at_s.size - 1, 0))
    limit = _checked(limit_wh, count, "limit_wh", 1, LIMIT_MAX_WH)
    wrap = 10 ** _checked(register_digits, count, "register_digits", 1, 18)
    _require_same_grid(registers, reference, at_s)

    from_profile = np.zeros((count, at_s.size), dtype=np.bool_)
    if "from_profile" in registers:
        from_profile |= registers["from_profile"].transpose("meter", "boundary").values
    quality = np.where(
        from_profile[:, :-1] | from_profile[:, 1:], Quality.BACKFILLED, Quality.VALID
    ).astype(np.uint16)
    energy: dict[str, Ints] = {}
    for channel in CHANNELS:
        known = (
            registers[channel].transpose("meter", "boundary").values.astype(np.int64, copy=False)
        )
        values = np.diff(known, axis=1)
        look = _needs_a_look(known, values, limit)
        if look.size and shape[1]:
            like_day = reference[channel].transpose("meter", "interval").values[look]
            causes = report.Causes(channel, [meters[index] for index in look], at_s, interval_s)
            values[look], found = _examine(
                known[look],
                np.minimum(like_day.astype(np.int64), limit[look, None]),
                limit[look],
                wrap[look],
                causes,
                estimate_before_s,
            )
            quality[look] = least_certain(quality[look], found)
            findings += causes.findings()
        energy[channel] = values
    findings += report.outcomes(meters, at_s, energy, quality, estimate_before_s)
    findings.sort(key=lambda item: (item.subject, item.interval, item.code, item.message))
    return _result(registers, at_s, energy, quality), findings


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


def _needs_a_look(known: Ints, values: Ints, limit: Ints) -> npt.NDArray[np.intp]:
    """Return the meters that have anything but plain differences within the limit."""
    if not values.shape[1]:
        return np.zeros(0, dtype=np.intp)
    strange = known.min(axis=1) < 0
    strange |= values.min(axis=1) < 0
    strange |= values.max(axis=1) > PEAK_SHARE * limit
    return np.flatnonzero(strange)


def _examine(
    known: Ints,
    reference: Ints,
    limit: Ints,
    wrap: Ints,
    causes: report.Causes,
    estimate_before_s: int,
) -> tuple[Ints, npt.NDArray[np.uint16]]:
    """Return values and qualities (row, interval) of registers that need a look."""
    causes.negative(*np.nonzero(known < MISSING))
    segments = between(known, limit, wrap)
    wrong = misread(segments, limit, wrap)
    if wrong.size:
        causes.misread(segments, wrong)
        known[segments.row[wrong], segments.last[wrong]] = MISSING
        segments = between(known, limit, wrap)
    causes.rollover(segments)
    causes.dip(segments)
    causes.jump(segments, limit)

    values = np.full((known.shape[0], known.shape[1] - 1), MISSING, dtype=np.int64)
    direct = (segments.last - segments.first == 1) & ~segments.bad
    values[segments.row[direct], segments.first[direct]] = segments.total_wh[direct]
    suspect = _lone_peaks(values, reference, limit)
    causes.suspect(values, reference, suspect)
    quality = fill(
        values,
        (values >= 0) & ~suspect,
        reference,
        _holes(known, segments, direct),
        limit_wh=limit,
        starts_s=causes.at_s[:-1],
        interval_s=causes.interval_s,
        estimate_before_s=estimate_before_s,
    )
    quality[suspect] = Quality.SUSPECT
    return values, quality


def _lone_peaks(values: Ints, reference: Ints, limit: Ints) -> Bools:
    """Return the intervals that fail highest against third-highest and against like days.

    Only between two known neighbours: whether a load lasts is not known before.
    """
    suspect = np.zeros(values.shape, dtype=np.bool_)
    usual = reference.max(axis=1)
    row = np.flatnonzero((usual >= 0) & (values.max(axis=1) > PEAK_SHARE * limit))
    if values.shape[1] < 3 or not row.size:
        return suspect
    mine = values[row]
    third = np.partition(mine, -3, axis=1)[:, -3]
    left, here, right = mine[:, :-2], mine[:, 1:-1], mine[:, 2:]
    others = np.maximum(np.maximum(left, right), third[:, None])
    inside = (here - others > PEAK_SHARE * limit[row, None]) & (
        here > PEAK_RATIO * usual[row, None]
    )
    suspect[row, 1:-1] = inside & (left >= 0) & (right >= 0) & (third >= 0)[:, None]
    return suspect


def _holes(known: Ints, segments: Segments, direct: Bools) -> Holes:
    """Return the stretches without a plain difference.

    A bad segment that a later register follows cannot be told better any more;
    one at the end may yet turn out to be a single wrong read.
    """
    read = known >= 0
    some = read.any(axis=1)
    n = known.shape[1] - 1
    leading = np.where(some, read.argmax(axis=1), n)
    trailing = np.where(some, n - read[:, ::-1].argmax(axis=1), n)
    before, after = np.flatnonzero(leading > 0), np.flatnonzero(trailing < n)
    gap = np.flatnonzero(~direct)
    gap_bad = segments.bad[gap]
    followed = segments.last[gap] < trailing[segments.row[gap]]
    none_before, none_after = np.zeros_like(before), np.zeros_like(after)
    return Holes(
        row=np.concatenate([before, segments.row[gap], after]),
        first=np.concatenate([none_before, segments.first[gap], trailing[after]]),
        last=np.concatenate([leading[before], segments.last[gap], none_after + n]),
        total_wh=np.concatenate(
            [
                none_before + MISSING,
                np.where(gap_bad, MISSING, segments.total_wh[gap]),
                none_after + MISSING,
            ]
        ),
        due=np.concatenate(
            [none_before.astype(np.bool_), gap_bad & followed, none_after.astype(np.bool_)]
        ),
    )


def _result(
    registers: xr.Dataset, at_s: Ints, energy: dict[str, Ints], quality: npt.NDArray[np.uint16]
) -> xr.Dataset:
    dims = ("meter", "interval")
    variables = {
        channel: (dims, values, {"units": channel.rsplit("_", 1)[1], "missing": MISSING})
        for channel, values in energy.items()
    }
    return xr.Dataset(
        {**variables, "quality": (dims, quality, {"scheme": "meters.vee.Quality"})},
        coords={
            "meter": registers["meter"].values,
            "interval": at_s[:-1].astype("datetime64[s]"),
        },
    )
