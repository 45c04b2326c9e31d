"""Values set by a person, and what later readings may replace.

Nothing is overwritten: what an edit replaced is returned beside the new values,
and every changed interval gets the next version.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid.errors import BadInputError
from grid.interval import label
from meters.reading import CHANNELS, MISSING
from meters.vee.channel import sd_name
from meters.vee.quality import ESTIMATED, READ, Quality, one_of, uncertainty
from meters.vee.rules import RULES, checked_by

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.uint16]

_REFUSES = ("negative", "misread", "dip", "jump", "tamper", "duplicate", "invalid")
"""Rules by which a later register shows that an earlier one does not count."""
_OF_A_DAY = ("high", "multiplier", "interval_length")
"""Rules that see more than a window of a cycle does: :func:`meters.vee.judging.judge`."""

VALUE_MAX_WH = 10**10
TEXT_MAX = 500


@dataclass(frozen=True, slots=True)
class Edit:
    """What a person sets.

    Attributes
    ----------
    meter, channel : str
    start_s : int
        Start of the first interval.
    values_wh : tuple of int
        Energy of each interval from there.
    reason, editor : str
    at_s : int
        When it was decided; of two edits of an interval the later holds.
    until_better : bool
        Give way to what the meter turns out to have counted.
    """

    meter: str
    channel: str
    start_s: int
    values_wh: tuple[int, ...]
    reason: str
    editor: str
    at_s: int
    until_better: bool = False

    def __post_init__(self) -> None:
        who = f"edit of {self.meter} {label(self.start_s)}"
        if self.channel not in CHANNELS:
            raise BadInputError(f"{who}: {self.channel!r} is none of {', '.join(CHANNELS)}")
        if not self.values_wh:
            raise BadInputError(f"{who}: has no values")
        for value in self.values_wh:
            if type(value) is not int or not 0 <= value <= VALUE_MAX_WH:
                raise BadInputError(f"{who}: {value!r} must be within 0 to {VALUE_MAX_WH}")
        for name in ("reason", "editor"):
            if not 0 < len(getattr(self, name).strip()) <= TEXT_MAX:
                raise BadInputError(f"{who}: needs a {name} of up to {TEXT_MAX} characters")


@dataclass(frozen=True, slots=True)
class Kept:
    """What an edit replaced in one interval."""

    edit: Edit
    start_s: int
    value_wh: int
    quality: Quality
    rule: int
    version: int


def edit(intervals: xr.Dataset, edits: Sequence[Edit]) -> tuple[xr.Dataset, list[Kept]]:
    """Return `intervals` with `edits` applied, and what they replaced.

    Parameters
    ----------
    intervals : Dataset, dims (meter, interval)
        As :func:`meters.vee.validate` returns, with or without `rule` and deviations, and
        optionally with `version` uint16.
    edits : sequence of Edit

    Returns
    -------
    Dataset
        With quality EDITED, the rule ``edit`` and the next `version` where a value
        changed. An interval of which another channel is missing stays missing.
    list of Kept
        In order of meter, channel and interval; applying the same edits again keeps
        nothing and changes nothing.

    Raises
    ------
    BadInputError
        When an edit is about a meter or an interval that is not there.
    """
    result = _versioned(intervals)
    quality, version = result["quality"].values, result["version"].values
    rule = result["rule"].values
    starts_s = _starts(result)
    kept: list[Kept] = []
    touched = np.zeros(quality.shape, dtype=np.bool_)
    for (row, channel, at), (one, value) in sorted(_last(intervals, edits).items()):
        before = int(result[channel].values[row, at])
        if before == value and quality[row, at] == Quality.EDITED:
            continue
        kept.append(
            Kept(
                one,
                int(starts_s[at]),
                before,
                Quality(int(quality[row, at])),
                int(rule[row, at]),
                int(version[row, at]),
            )
        )
        result[channel].values[row, at] = value
        if sd_name(channel) in result:
            result[sd_name(channel)].values[row, at] = 0
        touched[row, at] = True
    known = np.all([result[channel].values != MISSING for channel in CHANNELS], axis=0)
    quality[touched & known] = Quality.EDITED
    rule[touched] = RULES["edit"].code
    version[touched] += 1
    return result, kept


def supersede(
    stored: xr.Dataset, fresh: xr.Dataset, edits: Sequence[Edit] = ()
) -> tuple[xr.Dataset, Bools]:
    """Return `stored` with what `fresh` knows better, and where it changed.

    What a meter counted replaces estimates and earlier counts; an estimate replaces
    what is missing and estimates that promise no more, and a count that a later register
    shows to be wrong. An edit stays, unless it says until better and the meter's count has
    come. A mark that only a whole day can show stays beside the same count.

    Parameters
    ----------
    stored, fresh : Dataset, dims (meter, interval)
        Of the same meters and intervals; `fresh` as :func:`meters.vee.validate` returns.
    edits : sequence of Edit
        All that `stored` has.

    Returns
    -------
    Dataset
        With the next `version` where an interval that was known changed.
    ndarray of bool (meter, interval)
        What must be settled again.

    Raises
    ------
    BadInputError
        When meters or intervals differ.
    """
    for name in ("meter", "interval"):
        if not np.array_equal(stored[name].values, fresh[name].values):
            raise BadInputError(f"fresh intervals: {name} differs from what is stored")
    result = _versioned(stored)
    old, new = result["quality"].values, fresh["quality"].values.astype(np.uint16)
    real = one_of(new, READ)
    same = np.all([result[name].values == fresh[name].values for name in CHANNELS], axis=0)
    real &= ~(same & (new == Quality.VALID) & checked_by(result["rule"].values, _OF_A_DAY))
    estimate = one_of(new, ESTIMATED) & ~one_of(old, READ)
    estimate &= uncertainty(new) <= uncertainty(old)
    if "rule" in fresh:
        estimate |= one_of(new, ESTIMATED) & checked_by(fresh["rule"].values, _REFUSES)
    takes = np.where(old == Quality.EDITED, real & _gives_way(stored, edits), real | estimate)
    names = [*CHANNELS, "quality", "rule"]
    names += [sd_name(channel) for channel in CHANNELS if sd_name(channel) in result]
    differs = np.zeros(takes.shape, dtype=np.bool_)
    for name in (*CHANNELS, "quality"):
        differs |= takes & (result[name].values != fresh[name].values)
    result["version"].values[differs & (old != Quality.MISSING)] += 1
    for name in names:
        result[name].values[differs] = fresh[name].values[differs]
    return result, differs


def _versioned(intervals: xr.Dataset) -> xr.Dataset:
    """Return a copy with versions and rules."""
    result = intervals.transpose("meter", "interval").copy(deep=True)
    for name in ("version", "rule"):
        if name not in result:
            none = np.zeros(result["quality"].shape, dtype=np.uint16)
            result[name] = (("meter", "interval"), none)
    return result


def _starts(intervals: xr.Dataset) -> Ints:
    seconds: Ints = intervals["interval"].values.astype("datetime64[s]").astype(np.int64)
    return seconds


def _last(
    intervals: xr.Dataset, edits: Sequence[Edit]
) -> dict[tuple[int, str, int], tuple[Edit, int]]:
    """Return the edit that holds for each (row, channel, interval) and its value."""
    rows = {str(meter): row for row, meter in enumerate(intervals["meter"].values)}
    starts_s = _starts(intervals)
    places = {int(at_s): at for at, at_s in enumerate(starts_s)}
    last: dict[tuple[int, str, int], tuple[Edit, int]] = {}
    for one in sorted(edits, key=lambda one: (one.at_s, one.editor, one.reason, one.values_wh)):
        row, first = rows.get(one.meter), places.get(one.start_s)
        if row is None or first is None or first + len(one.values_wh) > starts_s.size:
            raise BadInputError(
                f"edit of {one.meter} {label(one.start_s)}: {len(one.values_wh)} intervals from "
                "there are not all in what is edited"
            )
        for at, value in enumerate(one.values_wh, start=first):
            last[row, one.channel, at] = (one, value)
    return last


def _gives_way(intervals: xr.Dataset, edits: Sequence[Edit]) -> Bools:
    """Return where every edit that holds says until better."""
    found = np.zeros(intervals["quality"].shape, dtype=np.bool_)
    firm = np.zeros_like(found)
    for (row, _, at), (one, _) in _last(intervals, edits).items():
        (found if one.until_better else firm)[row, at] = True
    return found & ~firm
