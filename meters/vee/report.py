"""Findings of validation: what was noticed, and what became of each interval.

Consecutive intervals of one meter with the same finding are one finding.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from grid.errors import Finding, Severity
from grid.interval import label
from meters.vee.quality import Quality
from meters.vee.segments import Segments

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_OUTCOMES: Final = {
    Quality.ESTIMATED_LINEAR: ("vee.estimated", Severity.WARNING),
    Quality.ESTIMATED_LIKE_DAY: ("vee.estimated", Severity.WARNING),
    Quality.SCALED: ("vee.scaled", Severity.INFO),
    Quality.BACKFILLED: ("vee.backfilled", Severity.INFO),
}


class Causes:
    """Collects what the rules noticed about one register of some meters.

    Parameters
    ----------
    channel : str
        One of :data:`~meters.reading.CHANNELS`.
    meters : list of str
        The meter of each row.
    at_s : ndarray of int64 (boundary,)
    interval_s : int
    """

    def __init__(self, channel: str, meters: list[str], at_s: Ints, interval_s: int) -> None:
        self.channel = channel
        self.unit = channel.rsplit("_", 1)[1].replace("wh", "Wh")
        self.meters = meters
        self.at_s = at_s
        self.interval_s = interval_s
        self._noted: list[tuple[int, str, int, int, Severity, str]] = []

    def _note(
        self, row: int, code: str, first: int, last: int, severity: Severity, what: str
    ) -> None:
        self._noted.append((int(row), code, int(first), int(last), severity, what))

    def negative(self, rows: npt.NDArray[np.intp], boundaries: npt.NDArray[np.intp]) -> None:
        """Note registers below zero that are not the mark of a missing one."""
        for row, at in zip(rows, boundaries, strict=True):
            what = f"{self.channel} register is negative: not counted"
            self._note(row, "vee.negative", at, at + 1, Severity.WARNING, what)

    def misread(self, segments: Segments, wrong: npt.NDArray[np.int64]) -> None:
        """Note registers that stand off the line of their neighbours."""
        for index in wrong:
            what = (
                f"{self.channel} register {segments.end_wh[index]} {self.unit} lies off the line "
                f"from {segments.start_wh[index]} to {segments.end_wh[index + 1]} {self.unit}: "
                "not counted"
            )
            at = segments.last[index]
            self._note(segments.row[index], "vee.misread", at, at + 1, Severity.WARNING, what)

    def rollover(self, segments: Segments) -> None:
        """Note registers that went round their digits."""
        for index in np.flatnonzero(segments.rolled).tolist():
            what = (
                f"{self.channel} register rolled over from {segments.start_wh[index]} to "
                f"{segments.end_wh[index]} {self.unit}"
            )
            self._stretch(segments, index, "vee.rollover", Severity.INFO, what)

    def dip(self, segments: Segments) -> None:
        """Note registers that fell."""
        for index in np.flatnonzero(segments.dip).tolist():
            what = (
                f"{self.channel} register fell from {segments.start_wh[index]} to "
                f"{segments.end_wh[index]} {self.unit}"
            )
            self._stretch(segments, index, "vee.dip", Severity.ALARM, what)

    def jump(self, segments: Segments, limit: Ints) -> None:
        """Note registers that rose by more than the connection can carry."""
        for index in np.flatnonzero(segments.jump).tolist():
            span = segments.last[index] - segments.first[index]
            most = limit[segments.row[index]] * span
            what = (
                f"{self.channel} register rose by {segments.total_wh[index]} {self.unit}, "
                f"the connection allows {most} {self.unit}"
            )
            self._stretch(segments, index, "vee.spike", Severity.ALARM, what)

    def suspect(self, values: Ints, reference: Ints, where: Bools) -> None:
        """Note lone peaks, possible for the connection and unlike the meter."""
        for row, at in zip(*np.nonzero(where), strict=True):
            what = (
                f"{self.channel} is {values[row, at]} {self.unit} in one interval, at most "
                f"{reference[row].max()} {self.unit} on like days: kept as read"
            )
            self._note(row, "vee.suspect", at, at + 1, Severity.WARNING, what)

    def _stretch(
        self, segments: Segments, index: int, code: str, severity: Severity, what: str
    ) -> None:
        first, last = segments.first[index], segments.last[index]
        self._note(segments.row[index], code, first, last, severity, what)

    def findings(self) -> list[Finding]:
        """Return the findings, those of consecutive intervals as one."""
        result: list[Finding] = []
        noted = sorted(self._noted)
        index = 0
        while index < len(noted):
            row, code, first, last, severity, what = noted[index]
            more = index + 1
            while more < len(noted) and noted[more][:3] == (row, code, last):
                last = noted[more][3]
                more += 1
            again = f" (and {more - index - 1} more times in a row)" if more - index > 1 else ""
            meter, at = self.meters[row], label(int(self.at_s[first]))
            result.append(Finding(code, meter, at, severity, f"{meter} {at} {what}{again}"))
            index = more
        return result


def outcomes(
    meters: list[str],
    at_s: Ints,
    energy: Mapping[str, Ints],
    quality: npt.NDArray[np.uint16],
    estimate_before_s: int,
) -> list[Finding]:
    """Return one finding per run of intervals that are not simply as read.

    Parameters
    ----------
    meters : list of str
    at_s : ndarray of int64 (boundary,)
    energy : mapping of channel to ndarray of int64 (meter, interval)
    quality : ndarray of uint16 (meter, interval)
    estimate_before_s : int
        Missing intervals from here on are only waiting: an information.
    """
    told = (quality != Quality.VALID) & (quality != Quality.SUSPECT)
    edge = np.zeros((quality.shape[0], 1), dtype=np.bool_)
    changed = np.diff(quality, axis=1) != 0
    begins = told & np.concatenate([~edge, changed], axis=1)[:, : quality.shape[1]]
    ends = told & np.concatenate([changed, ~edge], axis=1)[:, : quality.shape[1]]
    rows, first = np.nonzero(begins)
    last = np.nonzero(ends)[1] + 1
    return [
        _outcome(meters[row], at_s, energy, quality, int(row), int(a), int(b), estimate_before_s)
        for row, a, b in zip(rows, first, last, strict=True)
    ]


def _outcome(
    meter: str,
    at_s: Ints,
    energy: Mapping[str, Ints],
    quality: npt.NDArray[np.uint16],
    row: int,
    first: int,
    last: int,
    estimate_before_s: int,
) -> Finding:
    at, kind = label(int(at_s[first])), Quality(int(quality[row, first]))
    count = f"{last - first} interval" + ("s" if last - first > 1 else "")
    if kind is Quality.MISSING:
        waiting = at_s[first] >= estimate_before_s
        severity = Severity.INFO if waiting else Severity.WARNING
        reason = "missing, a later register may tell" if waiting else "missing and not estimated"
        return Finding("vee.missing", meter, at, severity, f"{meter} {at} {count} {reason}")
    code, severity = _OUTCOMES[kind]
    sums = ", ".join(
        f"{channel} {energy[channel][row, first:last].sum()}"
        for channel in ("import_wh", "export_wh")
    )
    return Finding(code, meter, at, severity, f"{meter} {at} {count} {kind.label}: {sums}")
