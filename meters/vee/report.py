"""Findings of validation: what was noticed, and what became of each interval.

Consecutive intervals of one meter with the same finding are one finding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from grid.errors import Finding, Severity
from grid.interval import label
from meters.vee.day import Day, Hits
from meters.vee.facts import EventKind, MeterEvent
from meters.vee.quality import Quality, one_of
from meters.vee.rules import Rule
from meters.vee.segments import Segments

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_OUTCOMES: Final = {
    Quality.ESTIMATED_LINEAR: ("vee.estimated", Severity.WARNING),
    Quality.ESTIMATED_LIKE_DAY: ("vee.estimated", Severity.WARNING),
    Quality.SCALED: ("vee.scaled", Severity.INFO),
    Quality.BACKFILLED: ("vee.backfilled", Severity.INFO),
    Quality.POWER_FAILURE: ("vee.power_failure", Severity.INFO),
    Quality.ESTIMATED_LOAD_SHAPE: ("vee.estimated", Severity.WARNING),
    Quality.ESTIMATED_FEEDER: ("vee.estimated", Severity.WARNING),
}

_TOLD_ELSEWHERE: Final = frozenset(
    {Quality.VALID, Quality.SUSPECT, Quality.CLOCK_FORWARD, Quality.CLOCK_BACK}
)


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
    events : sequence of MeterEvent
        What the meters' logs tell of tampering.
    """

    def __init__(
        self,
        channel: str,
        meters: list[str],
        at_s: Ints,
        interval_s: int,
        events: Sequence[MeterEvent] = (),
    ) -> None:
        self.channel = channel
        self.unit = channel.rsplit("_", 1)[1].replace("wh", "Wh")
        self.meters = meters
        self.at_s = at_s
        self.interval_s = interval_s
        self._tampers: dict[str, list[int]] = {}
        for event in events:
            if event.kind is EventKind.TAMPER:
                self._tampers.setdefault(event.meter, []).append(event.at_s)
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

    def dip(self, segments: Segments) -> Bools:
        """Note registers that fell; return those that fell when the log tells of tampering."""
        tampered = np.zeros(segments.row.size, dtype=np.bool_)
        for index in np.flatnonzero(segments.dip).tolist():
            what = (
                f"{self.channel} register fell from {segments.start_wh[index]} to "
                f"{segments.end_wh[index]} {self.unit}"
            )
            low, high = self.at_s[segments.first[index]], self.at_s[segments.last[index]]
            instants = self._tampers.get(self.meters[segments.row[index]], [])
            at_s = next((at_s for at_s in sorted(instants) if low <= at_s <= high), None)
            if at_s is None:
                self._stretch(segments, index, "vee.dip", Severity.ALARM, what)
                continue
            tampered[index] = True
            what += f", its log tells of tampering at {label(at_s)}: a case"
            self._stretch(segments, index, "vee.tamper", Severity.ALARM, what)
        return tampered

    def sum_check(self, segments: Segments, failed: npt.NDArray[np.intp], told: Ints) -> None:
        """Note stretches whose captured energies differ from the register difference."""
        for index in failed.tolist():
            what = (
                f"{self.channel} intervals add up to {told[index]} {self.unit}, the registers "
                f"differ by {segments.total_wh[index]} {self.unit}"
            )
            self._stretch(segments, index, "vee.sum_check", Severity.ALARM, what)

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

    def refused(self, rule: Rule, captured: Ints, where: Bools, limit: Ints) -> None:
        """Note captured energies that do not count."""
        for row, at in zip(*np.nonzero(where), strict=True):
            what = (
                f"{self.channel} captured {captured[row, at]} {self.unit}, must be within 0 to "
                f"{limit[row]} {self.unit} and not marked: not counted"
            )
            self._note(row, rule.finding, at, at + 1, rule.severity, what)

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
    told = ~one_of(quality, _TOLD_ELSEWHERE)
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


def hits(rule: Rule, found: Hits, day: Day) -> list[Finding]:
    """Return one finding per stretch that a rule about the day noticed.

    Parameters
    ----------
    rule : Rule
    found : Hits
    day : Day
    """
    if not rule.text:
        return []
    findings = []
    for row, first, _, value, limit in _runs(found):
        subject = day.meters[row]
        words: dict[str, object] = {"value": value, "limit": limit}
        if rule.finding == "vee.sibling":
            words["other"] = day.meters[int(value)]
        elif rule.finding == "vee.multiplier":
            words["limit"] = f"{int(limit)} times" if limit > 0 else f"1/{-int(limit)}"
        elif rule.finding == "vee.feeder_sum" and day.facts.feeder is not None:
            subject = day.facts.feeder.name
        elif rule.finding == "vee.serial" and day.facts.serial is not None:
            words = {"told": day.facts.serial[row], "wanted": day.serial[row]}
        at = label(int(day.starts_s[first]))
        message = f"{subject} {at} {rule.text.format(**words)}"
        findings.append(Finding(rule.finding, subject, at, rule.severity, message))
    return findings


def _runs(found: Hits) -> list[tuple[int, int, int, float, float]]:
    """Return the hits, those that follow on each other in a row as one with the first's value."""
    runs: list[tuple[int, int, int, float, float]] = []
    columns = (found.row, found.first, found.last, found.value, found.limit)
    for row, first, last, value, limit in zip(*(c.tolist() for c in columns), strict=True):
        if runs and runs[-1][0] == row and runs[-1][2] >= first:
            runs[-1] = (row, runs[-1][1], max(last, runs[-1][2]), *runs[-1][3:])
        else:
            runs.append((row, first, last, value, limit))
    return runs
