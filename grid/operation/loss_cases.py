"""Leaks and lost energy, looked for once a day is over; what is found becomes a case."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from grid import interval
from grid.errors import BadInputError, Finding, PeerError, Severity, SolverError
from grid.operation import leaks, metering_facts
from grid.operation.loss_watch import (
    Episode,
    Learned,
    Outlook,
    Spans,
    Waiting,
    family,
    judged,
    learned,
    spans,
    without,
)
from grid.operation.losses import site_record
from grid.operation.record import record_action
from grid.operation.room import Room
from grid.site import MeterRole, Site
from grid.site_file import parse
from grid.store import Store, Transaction, control, loss_cases, series
from meters.losses import Case

_LOOKED = "losses.looked"
"""The last civil day up to which leaks and lost energy were looked for."""
_MEMORY = "losses.learned"
_SUBJECT_MAX = 64


@dataclass(frozen=True, slots=True)
class Look:
    """What was found up to a day, or how much there is still to wait for.

    Attributes
    ----------
    outlook : Outlook or Waiting
    learned : Learned or None
    learned_s : int
        Of the first day that was learned from; 0 while waiting.
    """

    outlook: Outlook | Waiting
    learned: Learned | None = None
    learned_s: int = 0


def look_daily(room: Room, at_s: int) -> None:
    """Look for leaks and lost energy in the days up to the newest that is over.

    A day is over when each of its intervals has its reading or its estimate. Days that
    went by unlooked at are looked at with it. A pure function of what is stored.
    """
    zone = room.site.time_zone
    due_s = at_s - room.site.operation.estimate_after_intervals * room.site.interval_s
    newest = interval.local_day(due_s, zone) - dt.timedelta(days=1)
    first = interval.local_day(room.first_cycle_s, zone)
    findings: list[Finding] = []
    found: Look | None = None
    _, end_s = interval.day_bounds(newest, zone)
    with room.store.read() as tx:
        told = control.get_meta(tx, _LOOKED)
        is_new = newest >= first and (told is None or newest > dt.date.fromisoformat(told))
        if is_new:
            findings += leaks.find(tx, room.site, end_s)
            findings += metering_facts.expiring(tx, room.site, at_s)
            try:
                found = look(room, tx, room.first_cycle_s, end_s)
            except (BadInputError, SolverError) as error:
                findings.append(_unknown(room, end_s, error))
    with room.store.write() as tx:
        if found is not None:
            findings += keep(room, tx, found, end_s)
        if is_new:
            control.put_findings(tx, at_s, findings)
            control.put_meta(tx, _LOOKED, newest.isoformat())
        control.mark_done(tx, at_s, "look")
    if is_new:
        room.log(at_s, "look", day=newest, findings=len(findings))


def keep(room: Room, tx: Transaction, found: Look, end_s: int) -> list[Finding]:
    """Keep the cases of a look up to `end_s`; return what is new of them as findings."""
    if isinstance(found.outlook, Waiting):
        return []
    findings = []
    for case in found.outlook.cases:
        is_new, is_other = loss_cases.put_case(tx, facts(case, end_s), content(case, found))
        if is_new or is_other:
            findings.append(_told(room, case))
    return findings


def look(room: Room, tx: Transaction, first_s: int, end_s: int) -> Look:
    """Return what the days of ``[first_s, end_s)`` say of lost energy; nothing is stored.

    Raises
    ------
    BadInputError
        When no interval of the days has every reading.
    SolverError
        When the network model has no state for what was metered.
    """
    zone = room.site.time_zone
    if not any(meter.role is MeterRole.FEEDER_HEAD for meter in room.site.meter):
        return Look(Waiting(0))
    first = _day(first_s, zone)
    if interval.day_bounds(dt.date.fromordinal(first), zone)[0] < first_s:
        first += 1
    end = _day(end_s, zone)
    end_s, _ = interval.day_bounds(dt.date.fromordinal(end), zone)
    span = spans(first, end, _episodes(tx, zone))
    if isinstance(span, Waiting):
        return Look(span)

    def starts(day: int) -> int:
        return end_s - (end - day) * interval.DAY_S

    known = _learned(room, tx, span, starts(span.learn_from), starts(span.learn_to))
    if isinstance(known, Waiting):
        return Look(known)
    try:
        since = site_record(room, tx, starts(span.judge_from), end_s)
    except BadInputError:
        return Look(Waiting(0, 1))
    return Look(judged(known, since), known, starts(span.learn_from))


def _day(at_s: int, zone: str) -> int:
    return interval.local_day(at_s, zone).toordinal()


def _episodes(tx: Transaction, zone: str) -> list[Episode]:
    return [
        Episode(
            _day(row["since_s"], zone),
            None if row["closed_s"] is None else _day(row["closed_s"], zone),
            row["reason"] != loss_cases.NOT_CONFIRMED,
        )
        for row in loss_cases.cases(tx)
    ]


def _learned(
    room: Room, tx: Transaction, span: Spans, start_s: int, end_s: int
) -> Learned | Waiting:
    """Return what the trusted days say, kept in memory until they or their readings change."""
    key = (start_s, end_s, span.unusual, series.last_change(tx, start_s, end_s))
    kept = room.memory.get(_MEMORY)
    if kept is not None and kept[0] == key:
        found: Learned | Waiting = kept[1]
        return found
    try:
        trusted = site_record(room, tx, start_s, end_s)
    except BadInputError:
        found = Waiting(0)
    else:
        found = learned(without(trusted, span.learn_from, span.unusual))
    room.memory[_MEMORY] = (key, found)
    return found


def facts(case: Case, end_s: int) -> dict[str, Any]:
    """Return the columns of a case as of a day's end."""
    return {
        "family": family(case),
        "kind": str(case.kind),
        "subject": " ".join(case.subject)[:255],
        "since_s": case.since_s,
        "found_s": case.found_s,
        "last_s": end_s,
        "wh_per_day": round(1000.0 * case.kwh_per_day),
        "wh_per_day_sd": round(1000.0 * case.kwh_per_day_sd),
    }


def content(case: Case, found: Look) -> dict[str, Any]:
    """Return what a case rests on, as JSON knows it: evidence, suspects, the feeder's days."""
    assert isinstance(found.outlook, Outlook)
    assert found.learned is not None
    return {
        "message": case.message,
        "evidence": [asdict(item) for item in case.evidence],
        "suspects": [[point, round(share, 4)] for point, share in case.suspects],
        "elsewhere": round(case.elsewhere, 4),
        "narrowed": list(case.narrowed),
        "next_step": case.next_step,
        "learned": {"start_s": found.learned_s, "wh": _plain(found.learned.day_wh)},
        "judged": {
            "start_s": found.outlook.start_s,
            "wh": _plain(found.outlook.day_wh),
            "sd_wh": _plain(found.outlook.day_sd_wh),
        },
    }


def _plain(values: npt.NDArray[np.float64]) -> list[int | None]:
    return [round(value) if np.isfinite(value) else None for value in values.tolist()]


def _told(room: Room, case: Case) -> Finding:
    subject = " ".join(case.subject) or str(room.head)
    label = interval.label(case.since_s)
    return Finding(
        f"losses.{case.kind}", subject[:_SUBJECT_MAX], label, Severity.WARNING, case.message
    )


def _unknown(room: Room, end_s: int, error: Exception) -> Finding:
    label = interval.label(end_s)
    message = f"{room.head} {label} lost energy could not be looked for: {error}"
    return Finding("losses.unknown", str(room.head), label, Severity.WARNING, message)


def close(tx: Transaction, site: Site, number: int, *, by: str, reason: str, comment: str) -> None:
    """Close a case with what was found where somebody looked; the ledger has it without a name.

    Raises
    ------
    BadInputError
        When nothing is said of what was found.
    StoreError
        When there is no such case, it was closed before, or the reason is none of the known.
    """
    said = comment.strip()
    if not said:
        raise BadInputError(f"case {number}: say what was found")
    at_s = control.clock_s(tx)
    loss_cases.close_case(tx, number, user=by, at_s=at_s, reason=reason, comment=said)
    detail = {"case": number, "reason": reason}
    record_action(
        tx, site, at_s=at_s, user=by, kind="loss_case.close", subject=f"case {number}",
        detail=detail,
    )  # fmt: skip


class _NoField:
    """The field of a site that is only looked at."""

    def __init__(self) -> None:
        self.meters: dict[str, str] = {}
        self.devices: dict[str, str] = {}

    def advance(self, to_s: int) -> int:
        """Refuse: no cycle of it is run."""
        raise PeerError(f"no cycle of {interval.label(to_s)}: the site is only looked at")

    def now_s(self) -> float:
        """Refuse: no meter of it is asked."""
        raise PeerError("no meter is asked: the site is only looked at")


def looked_at(directory: Path, store: Store) -> Room:
    """Return the room of a site whose store is read and whose field is left alone.

    Raises
    ------
    BadInputError
        When no site is commissioned in the store.
    """
    with store.read() as tx:
        text, first = (control.get_meta(tx, name) for name in ("site_toml", "first_cycle_s"))
    if text is None or first is None:
        raise BadInputError(f"{directory}: no site here; 'khazri run SITE.toml' makes one")
    return Room(directory, parse(text), store, _NoField(), int(first))
