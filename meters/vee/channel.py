"""One channel of a window: a first look at all meters, and a close one at some."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid.errors import Finding
from meters.reading import MISSING
from meters.vee import report
from meters.vee.boundaries import Clashes
from meters.vee.examine import Examined, Rows, examine
from meters.vee.exchange import Stay, joined, registers_of
from meters.vee.facts import Facts
from meters.vee.quality import Quality, least_certain
from meters.vee.rules import RULES
from meters.vee.thresholds import Columns

Ints = npt.NDArray[np.int64]
Rowset = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Window:
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


def sd_name(channel: str) -> str:
    """Return the name of the standard deviation of a channel: ``"import_sd_wh"``."""
    direction, unit = channel.split("_")
    return f"{direction}_sd_{unit}"


def channel_energy(
    window: Window, channel: str, known: Ints, reference: xr.Dataset
) -> tuple[Ints, npt.NDArray[np.float32], Ints]:
    """Return energy and deviation (meter, interval) and the total (meter,) of a channel."""
    values = np.diff(known, axis=1)
    sd_wh = np.zeros(values.shape, dtype=np.float32)
    if not values.shape[1]:
        return values, sd_wh, np.zeros(known.shape[0], dtype=np.int64)
    total = known[:, -1] - known[:, 0]
    look = _needs_a_look(window, channel, known, values, total)
    placed = np.array(sorted(window.devices), dtype=np.intp)
    plain = np.setdiff1d(look, placed)
    if plain.size:
        shown = _shown(window, channel, plain, known[plain], reference)
        _take(window, shown, plain, values, sd_wh, total)
    if placed.size:
        shown = _by_device(window, channel, placed, known, reference)
        _take(window, shown, placed, values, sd_wh, total)
    return values, sd_wh, total


def _take(
    window: Window,
    shown: Examined,
    rows: Rowset,
    values: Ints,
    sd_wh: npt.NDArray[np.float32],
    total: Ints,
) -> None:
    """Write what came of some meters beside what the others are."""
    values[rows], sd_wh[rows] = shown.values, shown.sd_wh
    worse = least_certain(window.quality[rows], shown.quality)
    takes = (worse != window.quality[rows]) | (window.rule[rows] == 0)
    window.rule[rows] = np.where(takes, shown.rule, window.rule[rows])
    window.quality[rows] = worse
    lost = (shown.values < 0).any(axis=1)
    total[rows] = np.where(lost, MISSING, shown.values.sum(axis=1))


def _needs_a_look(window: Window, channel: str, known: Ints, values: Ints, total: Ints) -> Rowset:
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


def _captured(window: Window, channel: str) -> Ints | None:
    """Return what the meters counted per interval, as far as they call it valid."""
    given = window.facts.captured
    if given is None or channel not in given:
        return None
    marks = window.facts.captured_quality
    if marks is None:
        return given[channel]
    return np.where(marks == Quality.INVALID, MISSING, given[channel])


def _shown(
    window: Window,
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
    window: Window, look: Rowset, captured: Ints, limit: Ints, causes: report.Causes
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


def _by_device(
    window: Window, channel: str, placed: Rowset, known: Ints, reference: xr.Dataset
) -> Examined:
    """Return what comes of meters that were exchanged, examined device by device."""
    spans = [stay for row in placed.tolist() for stay in window.devices[row]]
    rows = np.array([r for r in placed.tolist() for _ in window.devices[r]], dtype=np.intp)
    registers = [
        registers_of(stay, known[row], window.at_s, channel)
        for row, stay in zip(rows.tolist(), spans, strict=True)
    ]
    wrap_wh = np.array([stay.tenure.wrap_wh for stay in spans], dtype=np.int64)
    apart = _shown(window, channel, rows, np.stack(registers), reference, wrap_wh, spans)
    shape = (placed.size, window.count)
    shown = Examined(
        values=np.full(shape, MISSING, dtype=np.int64),
        quality=np.full(shape, Quality.VALID, dtype=np.uint16),
        rule=np.zeros(shape, dtype=np.uint16),
        sd_wh=np.zeros(shape, dtype=np.float32),
    )
    for index, row in enumerate(placed.tolist()):
        mine = np.flatnonzero(rows == row)
        devices = window.devices[row]
        shown.values[index] = joined(list(apart.values[mine]), devices)
        for number, stay in zip(mine.tolist(), devices, strict=True):
            at, to = (number, slice(stay.first, stay.last)), (index, slice(stay.first, stay.last))
            shown.quality[to] = least_certain(shown.quality[to], apart.quality[at])
            shown.rule[to] = np.maximum(shown.rule[to], apart.rule[at])
            shown.sd_wh[to] = np.hypot(shown.sd_wh[to], apart.sd_wh[at])
            if stay.tenure.from_s is not None and stay.tenure.from_s > window.at_s[0]:
                began = (index, stay.first)
                shown.rule[began] = shown.rule[began] or RULES["exchange"].code
        lost = shown.values[index] < 0
        shown.quality[index, lost] = Quality.MISSING
        shown.rule[index, lost & (shown.rule[index] == 0)] = RULES["missing"].code
    return shown
