"""What an event delivered, from the meter at the connection.

Each interval is held against its limit and against the baseline
(:mod:`grid.operation.event_baseline`). What is not known is told as missing and counts for neither
side. The report is canonical JSON of feeder sums alone; its hash is a public fact of the ledger,
so whoever has the file can show that it is the one that was made then.
"""

from __future__ import annotations

import csv
import io
import json
from typing import Any, Final

from grid import interval
from grid.errors import Finding, Severity
from grid.operation import event_baseline, record
from grid.operation.control_record import CONTROL_ROOM
from grid.operation.event_baseline import KNOWN
from grid.site import Site
from grid.store import Transaction, control
from grid.store import events as stored
from grid.store.events import Event, EventState
from meters.reading import MISSING
from meters.vee.quality import Quality
from trading.ledger import canonical
from trading.ledger.entry import Kind

SCHEMA: Final = 1

COLUMNS: Final = (
    "start", "limit_wh", "metered_wh", "quality", "kept", "above_wh", "baseline_wh",
    "delivered_wh", "raised_wh",
)  # fmt: skip

SUMS: Final = ("metered_wh", "above_wh", "baseline_wh", "delivered_wh", "raised_wh")


def report(tx: Transaction, site: Site, one: Event) -> dict[str, Any]:
    """Return what an event delivered as far as it is known now; integers and text alone.

    Returns
    -------
    dict
        ``rows``, one for each interval: energy of the limit, as metered, above the limit, of the
        baseline, delivered (less than the baseline) and raised (more than it), Wh, null where it
        is not known; their ``totals``; ``reward_nano`` for what was delivered less what was
        raised, and ``penalty_nano`` for what was above the limit.
    """
    way = one.kind.way
    energy, quality = event_baseline.metered(tx, site, way, one.start_s, one.end_s)
    base = event_baseline.of_event(tx, site, way, one.start_s, one.end_s, one.received_s)
    rows = []
    for slot, limit_w in enumerate(one.limits_w):
        code = Quality(int(quality[slot]))
        is_known = code in KNOWN and int(energy[slot]) != MISSING
        usual = None if base is None else int(base.baseline.energy_wh[slot])
        at_s = one.start_s + slot * site.interval_s
        flow = int(energy[slot]) if is_known else None
        rows.append(_row(at_s, limit_w * site.interval_s // 3600, flow, code, usual))
    totals = {name: _total([row[name] for row in rows]) for name in SUMS}
    counts = {
        "intervals": len(rows),
        "kept": sum(row["kept"] is True for row in rows),
        "missing": sum(row["kept"] is None for row in rows),
    }
    worth = max(0, (totals["delivered_wh"] or 0) - (totals["raised_wh"] or 0))
    return {
        "adjustment_wh": None if base is None else base.baseline.adjustment_wh,
        "baseline_days": [] if base is None else [day.isoformat() for day in base.days],
        "baseline_method": None if base is None else base.method,
        "end": interval.label(one.end_s),
        "event": one.id,
        "interval_s": site.interval_s,
        "kind": str(one.kind),
        "meter": event_baseline.head(site),
        "penalty_nano": str(one.penalty * (totals["above_wh"] or 0)),
        "reward_nano": str(one.reward * worth),
        "rows": rows,
        "schema": SCHEMA,
        "site": str(site.id),
        "start": interval.label(one.start_s),
        "totals": {**totals, **counts},
    }


def of_event(tx: Transaction, site: Site, one: Event) -> dict[str, Any]:
    """Return the report that was made of an event, or the one so far."""
    if one.report is not None:
        made: dict[str, Any] = json.loads(one.report)
        return made
    return report(tx, site, one)


def measure_due(tx: Transaction, site: Site, at_s: int) -> list[Finding]:
    """Measure what is over and known, or past the time at which readings are final.

    The report is stored, and its hash and sums go to the ledger in clear, in this transaction.
    """
    told = []
    for one in stored.in_states(tx, (EventState.OVER,)):
        made = report(tx, site, one)
        final_s = one.end_s + site.operation.final_after_intervals * site.interval_s
        if made["totals"]["missing"] and at_s < final_s:
            continue
        text = canonical.encode(made).decode()
        done = stored.move(tx, one.id, one.state, EventState.MEASURED, report=text)
        totals = made["totals"]
        public = {
            "action": "event.measure",
            "above_wh": _amount(totals["above_wh"]),
            "delivered_wh": _amount(totals["delivered_wh"]),
            "event": one.id,
            "report_sha256": done.report_sha256,
        }
        start_s = at_s - at_s % site.interval_s
        sequence = record.append(tx, Kind.ACTION, start_s, at_s, public)
        subject = f"event {one.id}"
        control.put_action(
            tx, at_s=at_s, user=CONTROL_ROOM, kind="event.measure", subject=subject,
            detail=public, sequence=sequence,
        )  # fmt: skip
        if totals["above_wh"] or totals["missing"]:
            when = interval.label(one.end_s)
            above_kwh = (totals["above_wh"] or 0) / 1000
            text = (
                f"{subject} {when} kept in {totals['kept']} of {totals['intervals']} intervals, "
                f"{totals['missing']} not known, {above_kwh:g} kWh above its limit"
            )
            told.append(Finding("event.broken", subject, when, Severity.WARNING, text))
    return told


def as_csv(made: dict[str, Any]) -> str:
    """Return the intervals of a report as CSV."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(made["rows"])
    return out.getvalue()


def _amount(value: int | None) -> str | None:
    """Return an amount as the ledger has it."""
    return None if value is None else str(value)


def _total(values: list[int | None]) -> int | None:
    """Return the sum of what is known; None where nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _row(
    at_s: int, limit_wh: int, flow_wh: int | None, code: Quality, usual_wh: int | None
) -> dict[str, Any]:
    less = None if flow_wh is None or usual_wh is None else usual_wh - flow_wh
    return {
        "above_wh": None if flow_wh is None else max(0, flow_wh - limit_wh),
        "baseline_wh": usual_wh,
        "delivered_wh": None if less is None else max(0, less),
        "kept": None if flow_wh is None else flow_wh <= limit_wh,
        "limit_wh": limit_wh,
        "metered_wh": flow_wh,
        "quality": code.code,
        "raised_wh": None if less is None else max(0, -less),
        "start": interval.label(at_s),
    }
