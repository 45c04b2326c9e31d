"""Taking a file of readings into the store: whole or not at all, and never twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import xarray as xr

from grid import interval
from grid.errors import Finding
from grid.operation.history import DAYS_MAX, known_series, most_wh
from grid.operation.record import record_action
from grid.operation.resettlement import mark_changed
from grid.site import Site
from grid.store import Store, Transaction, control, imports, series
from meters.formats.column_map import ColumnMap
from meters.formats.detect import detect, read_blocks
from meters.formats.source import Refused, open_source
from meters.formats.spill import Spill
from meters.reading import CHANNELS, MISSING
from meters.vee.quality import least_certain

Progress = Callable[[int, int], None]

_SLOTS: Final = 1_000_000
"""Quarter-hours that are compared with the store at once."""
_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of one import.

    Attributes
    ----------
    path : Path
    file_format : str
        One of :data:`meters.formats.detect.FORMATS`, or ``"auto"``.
    points : mapping of str to str
        By the file's word for a usage point, ours; a word of ours needs none.
    column_map : ColumnMap or None
        For CSV.
    accept_partial : bool
        Take what is good beside refused lines and strange usage points.
    spread : bool
        Share readings of more than an hour out over their quarter-hours.
    dry_run : bool
        Tell what would be done, and do nothing.
    """

    path: Path
    file_format: str = "auto"
    points: Mapping[str, str] = field(default_factory=dict)
    column_map: ColumnMap | None = None
    accept_partial: bool = False
    spread: bool = False
    dry_run: bool = False


@dataclass(slots=True)
class Outcome:
    """What an import did, or would do.

    Attributes
    ----------
    name, sha256, file_format : str
    usage_points, days : int
        Usage points, and local days of them, that the file tells of.
    readings : int
        As they stand in the file.
    filled, changed, kept : int
        As :class:`grid.store.imports.ImportedFile`.
    refused : int
        Lines.
    known : bool
        The same file was taken in before.
    flags : Counter of str
        The file's own qualities, by quarter-hours of usage points.
    findings : list of Finding
    """

    name: str
    sha256: str
    file_format: str
    usage_points: int = 0
    days: int = 0
    readings: int = 0
    filled: int = 0
    changed: int = 0
    kept: int = 0
    refused: int = 0
    known: bool = False
    flags: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """Return the figures for machines."""
        names = ("name", "sha256", "file_format", "usage_points", "days", "readings")
        counts = ("filled", "changed", "kept", "refused", "known")
        facts = {name: getattr(self, name) for name in (*names, *counts)}
        return {**facts, "flags": dict(sorted(self.flags.items()))}


def import_file(
    store: Store, site: Site, request: Request, progress: Progress = lambda done, size: None
) -> Outcome:
    """Take one file of readings in, with its provenance and a record of the action.

    A stored value gives way only to one that is at least as certain; then it becomes a
    new version. Intervals of the cycles that change are settled again.

    Parameters
    ----------
    progress : callable
        Told the bytes read so far and those in all.

    Raises
    ------
    BadInputError
        Naming the first refused lines, or the usage points that are not of the site;
        nothing is stored then.
    """
    file_format = request.file_format
    if file_format == "auto":
        file_format = detect(request.path, mapped=request.column_map is not None)
    bounds_s = _bounds(store)
    with open_source(request.path) as source:
        refused = Refused(source.name, f"{file_format}.refused")
        outcome = Outcome(source.name, source.sha256, file_format)
        with Spill(refused, spread=request.spread, within_s=bounds_s) as spill:
            blocks = read_blocks(source, file_format, refused, request.column_map)
            for block in spill.take(blocks):
                outcome.readings += len(block.raw)
                progress(source.read_bytes, source.size_bytes)
            if not request.accept_partial:
                refused.raise_first()
            points = _points(site, request, spill, refused)
            _take(store, site, request, spill, points, bounds_s, refused, outcome)
    outcome.refused = refused.count
    outcome.findings += [*refused.findings, *outcome.findings]
    return outcome


def _bounds(store: Store) -> tuple[int, int]:
    """Return from when to before when readings may be: three years of history, until now."""
    with store.read() as tx:
        first_s = int(control.get_meta(tx, "first_cycle_s") or 0)
        clock_s = control.clock_s(tx)
    return first_s - DAYS_MAX * interval.DAY_S, max(first_s, clock_s)


def _points(site: Site, request: Request, spill: Spill, refused: Refused) -> dict[str, str]:
    """Return our usage point by each of the file's; strange ones are refused with a hint."""
    known = set(known_series(site))
    given = {**(request.column_map.points if request.column_map else {}), **request.points}
    found: dict[str, str] = {}
    first = {channel.point: channel.first_line for channel in reversed(spill.channels())}
    for point in spill.points:
        ours = given.get(point, point)
        if ours not in known:
            told = f"usage point {ours!r} is not of the site"
            hint = f"; map it with --points {point}=USAGE_POINT" if ours == point else ""
            refused.add(first[point], told + hint, point)
        elif ours in found.values():
            other = next(name for name, taken in found.items() if taken == ours)
            refused.add(first[point], f"{point!r} and {other!r} are both mapped to {ours}", point)
        else:
            found[point] = ours
    if not request.accept_partial:
        refused.raise_first()
    return found


def _take(
    store: Store,
    site: Site,
    request: Request,
    spill: Spill,
    points: Mapping[str, str],
    bounds_s: tuple[int, int],
    refused: Refused,
    outcome: Outcome,
) -> None:
    outcome.findings += spill.findings()
    opened = store.read() if request.dry_run else store.write()
    with opened as tx:
        outcome.known = imports.get_file(tx, outcome.sha256) is not None
        first_s = int(control.get_meta(tx, "first_cycle_s") or 0)
        clock_s = control.clock_s(tx)
        limits = most_wh(site)
        resettle: set[int] = set()
        for batch in _batches(spill, points):
            _refuse_impossible(batch, bounds_s, limits, refused)
            if not request.accept_partial:
                refused.raise_first()
            resettle |= _compare(tx, site, batch, outcome)
            if not request.dry_run:
                series.put_intervals(tx, batch, time_zone=site.time_zone, cycle_s=clock_s)
        outcome.refused = refused.count
        if request.dry_run or not (outcome.filled or outcome.changed or not outcome.known):
            return
        mark_changed(tx, {at_s for at_s in resettle if at_s >= first_s})
        _keep_provenance(tx, spill, points, outcome, clock_s)
        detail = {"intervals": outcome.filled + outcome.changed, "sha256": outcome.sha256}
        record_action(
            tx, site, at_s=clock_s, user="command line", kind="readings.import",
            subject=outcome.file_format, detail=detail,
        )  # fmt: skip


def _batches(spill: Spill, points: Mapping[str, str]) -> Iterator[xr.Dataset]:
    """Yield the registers of some usage points at a time, over the same quarter-hours."""
    batch: list[xr.Dataset] = []
    for point, usage_point in points.items():
        one = spill.dataset(point, usage_point)
        if one is None:
            continue
        same = bool(batch) and batch[0]["interval"].equals(one["interval"])
        if batch and (not same or (len(batch) + 1) * one.sizes["interval"] > _SLOTS):
            yield _joined(batch)
            batch = []
        batch.append(one)
    if batch:
        yield _joined(batch)


def _joined(batch: list[xr.Dataset]) -> xr.Dataset:
    return batch[0] if len(batch) == 1 else xr.concat(batch, "usage_point", join="exact")


def _refuse_impossible(
    batch: xr.Dataset, bounds_s: tuple[int, int], limits: Mapping[str, int], refused: Refused
) -> None:
    """Refuse what is outside the time or above what the connection carries; it becomes missing."""
    starts = batch["interval"].values.astype("datetime64[s]").astype(np.int64)
    outside = (starts < bounds_s[0]) | (starts >= bounds_s[1])
    low, high = interval.label(bounds_s[0]), interval.label(bounds_s[1])
    for row, name in enumerate(batch["usage_point"].values.tolist()):
        line = batch["line"].values[row]
        for register in CHANNELS:
            value = batch[register].values[row]
            bad = (value != MISSING) & (outside | (value > limits[name]))
            for at in _first_of_lines(bad, line):
                when = interval.label(int(starts[at]))
                told = f"{name} {when}: {register} {value[at]} must be at most {limits[name]}"
                if outside[at]:
                    told = f"{name} {when}: must be from {low} to before {high}"
                refused.add(int(line[at]), told, name)
            value[bad] = MISSING


def _first_of_lines(bad: np.ndarray, line: np.ndarray) -> list[int]:
    """Return the first place of each line that has a bad one."""
    places = np.flatnonzero(bad)
    _, first = np.unique(line[places], return_index=True)
    return places[np.sort(first)].tolist()  # type: ignore[no-any-return]  # tolist of ints


def _compare(tx: Transaction, site: Site, batch: xr.Dataset, outcome: Outcome) -> set[int]:
    """Count what a batch does to the store, and leave out of it what is stored more certain."""
    names = batch["usage_point"].values.tolist()
    starts = batch["interval"].values.astype("datetime64[s]").astype(np.int64)
    stored = series.get_intervals(
        tx, names, int(starts[0]), int(starts[-1]) + 900, time_zone=site.time_zone
    )
    quality, before_quality = batch["quality"].values, stored["quality"].values
    worse = least_certain(quality, before_quality) != before_quality
    shape = quality.shape
    filled, changed, kept, told = (np.zeros(shape, np.bool_) for _ in range(4))
    for register in CHANNELS:
        value, before = batch[register].values, stored[register].values
        here = value != MISSING
        told |= here
        there = here & (before != MISSING)
        filled |= here & ~there
        kept |= there & worse & (value != before)
        changed |= there & ~worse & ((value != before) | (quality != before_quality))
        value[there & worse] = MISSING
    outcome.usage_points += int(told.any(axis=1).sum())
    outcome.days += _days(starts, told, site.time_zone)
    outcome.filled += int((filled & ~changed).sum())
    outcome.changed += int(changed.sum())
    outcome.kept += int(kept.sum())
    flags, counts = np.unique(batch["flag"].values[told], return_counts=True)
    found = zip(flags.tolist(), counts.tolist(), strict=True)
    outcome.flags.update({flag.decode("ascii", "replace"): count for flag, count in found if flag})
    return set(starts[(filled | changed).any(axis=0)].tolist())


def _days(starts: np.ndarray, told: np.ndarray, time_zone: str) -> int:
    """Return how many local days of a usage point have a reading."""
    count, at = 0, 0
    while at < len(starts):
        day = interval.local_day(int(starts[at]), time_zone)
        end = int(np.searchsorted(starts, interval.day_bounds(day, time_zone)[1]))
        count += int(told[:, at:end].any(axis=1).sum())
        at = end
    return count


def _keep_provenance(
    tx: Transaction, spill: Spill, points: Mapping[str, str], outcome: Outcome, clock_s: int
) -> None:
    file = imports.ImportedFile(
        outcome.sha256, outcome.name[:255], outcome.file_format, clock_s, outcome.readings,
        outcome.filled, outcome.changed, outcome.kept, outcome.refused,
        {"flags": dict(outcome.flags)},
    )  # fmt: skip
    channels = [
        imports.ImportedChannel(
            points[one.point], one.name, one.point, one.register, one.start_s, one.end_s,
            one.first_line, one.last_line,
        )
        for one in spill.channels()
        if one.register and one.point in points
    ]  # fmt: skip
    imports.put_file(tx, file, channels)
