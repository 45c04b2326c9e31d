"""How asking meters went, and what their clocks showed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from sqlalchemy import RowMapping, delete, func, select

from grid.store.engine import Transaction
from grid.store.schema import meter_clock, read_statistics
from grid.store.upsert import put
from meters.statistics import COUNTS, Record, Statistics

HOUR_S = 3600
KEPT_S = 40 * 86_400
"""How long the hours of the statistics are kept."""

KINDS = ("meter", "gateway")


@dataclass(frozen=True, slots=True)
class Asked:
    """How asking a meter or a gateway went over some hours.

    Attributes
    ----------
    statistics : Statistics
    answered_s : int or None
        The cycle of its last right answer, seconds UTC.
    """

    statistics: Statistics
    answered_s: int | None


def add_statistics(tx: Transaction, record: Record, *, cycle_s: int) -> None:
    """Add what a cycle counted to the hour that it belongs to, and forget hours long past."""
    hour_s = cycle_s - cycle_s % HOUR_S
    rows = []
    for kind, counted in zip(KINDS, (record.meters, record.gateways), strict=True):
        before = _asked(tx, kind, hour_s, hour_s)
        for subject, statistics in sorted(counted.items()):
            known = before.get(subject)
            total = Statistics()
            total.add(statistics)
            answered_s = cycle_s if statistics.successes else None
            if known is not None:
                total.add(known.statistics)
                answered_s = answered_s or known.answered_s
            rows.append(
                {
                    "kind": kind,
                    "subject": subject,
                    "hour_s": hour_s,
                    **{name: getattr(total, name) for name in COUNTS},
                    "latency_count": np.array(total.latency_count, "<i8").tobytes(),
                    "answered_s": answered_s,
                }
            )
    put(tx, read_statistics, rows)
    tx.execute(delete(read_statistics).where(read_statistics.c.hour_s < hour_s - KEPT_S))


def statistics(tx: Transaction, kind: str, since_s: int, until_s: int) -> dict[str, Asked]:
    """Return how asking went in the hours that meet ``[since_s, until_s]``.

    Parameters
    ----------
    kind : str
        ``"meter"`` or ``"gateway"``.
    """
    return _asked(tx, kind, since_s - since_s % HOUR_S, until_s)


def _asked(tx: Transaction, kind: str, since_s: int, until_s: int) -> dict[str, Asked]:
    rows = tx.execute(
        select(read_statistics)
        .where(
            read_statistics.c.kind == kind,
            read_statistics.c.hour_s >= since_s,
            read_statistics.c.hour_s <= until_s,
        )
        .order_by(read_statistics.c.hour_s)
    )
    found: dict[str, Asked] = {}
    for row in rows.mappings():
        subject = str(row["subject"])
        total = found[subject].statistics if subject in found else Statistics()
        total.add(_statistics(row))
        before_s = found[subject].answered_s if subject in found else None
        found[subject] = Asked(total, row["answered_s"] or before_s)
    return found


def _statistics(row: RowMapping) -> Statistics:
    total = Statistics()
    for name in COUNTS:
        setattr(total, name, int(row[name]))
    # Hours of an earlier version may have had fewer classes.
    for place, count in enumerate(np.frombuffer(row["latency_count"], "<i8").tolist()):
        total.latency_count[place] = int(count)
    return total


@dataclass(frozen=True, slots=True)
class ClockRow:
    """What a meter's clock showed, and whether it was set.

    Attributes
    ----------
    meter : str
    at_s : int
    offset_s : int
        How far it was ahead, negative behind.
    shift_s : int or None
        How far it was set forward, negative back, 0 where that failed; None: not tried.
    """

    meter: str
    at_s: int
    offset_s: int
    shift_s: int | None = None


def put_clocks(tx: Transaction, rows: Iterable[ClockRow]) -> None:
    """Keep what clocks showed, replacing what they showed at the same instant."""
    put(
        tx,
        meter_clock,
        [
            {
                "meter": row.meter,
                "at_s": row.at_s,
                "offset_s": row.offset_s,
                "shift_s": row.shift_s,
            }
            for row in rows
        ],
    )


def last_clocks(tx: Transaction, until_s: int) -> dict[str, ClockRow]:
    """Return what each meter's clock showed last, up to an instant."""
    newest = (
        select(meter_clock.c.meter, func.max(meter_clock.c.at_s).label("at_s"))
        .where(meter_clock.c.at_s <= until_s)
        .group_by(meter_clock.c.meter)
        .subquery()
    )
    same = (meter_clock.c.meter == newest.c.meter) & (meter_clock.c.at_s == newest.c.at_s)
    rows = tx.execute(select(meter_clock).join(newest, same))
    return {str(row["meter"]): ClockRow(**row) for row in rows.mappings()}


def clocks_set(tx: Transaction, since_s: int, until_s: int) -> list[ClockRow]:
    """Return when clocks were set within ``[since_s, until_s]``, or that was tried."""
    rows = tx.execute(
        select(meter_clock)
        .where(
            meter_clock.c.at_s >= since_s,
            meter_clock.c.at_s <= until_s,
            meter_clock.c.shift_s.is_not(None),
        )
        .order_by(meter_clock.c.at_s, meter_clock.c.meter)
    )
    return [ClockRow(**row) for row in rows.mappings()]
