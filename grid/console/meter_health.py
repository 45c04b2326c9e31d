"""How each meter and gateway of a site is: age of its last read, answers, latencies, clock."""

from __future__ import annotations

from dataclasses import dataclass, field

from grid.site import Meter, Site
from grid.store import Transaction, reading, views
from grid.store import field as reads_of
from meters.statistics import Statistics

DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class MeterHealth:
    """How one meter is.

    Attributes
    ----------
    meter : Meter
    at_s : int or None
        Its newest register row, seconds UTC.
    age_s : int or None
    late : bool
        Older than two intervals, or never read.
    read_percent : float or None
        Of the cycles of these hours, those in which it answered.
    asked : Statistics
        Requests and latencies of these hours.
    clock_offset_s : int or None
        How far its clock was ahead when it was last kept.
    failures : int
    message : str
        The newest failure.
    """

    meter: Meter
    at_s: int | None
    age_s: int | None
    late: bool
    read_percent: float | None
    asked: Statistics = field(default_factory=Statistics)
    clock_offset_s: int | None = None
    failures: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True)
class GatewayHealth:
    """How one gateway, or the line to one meter, is.

    Attributes
    ----------
    name : str
        A host with its port, or a serial line.
    age_s : int or None
        Since the cycle of its last right answer.
    asked : Statistics
    """

    name: str
    age_s: int | None
    asked: Statistics


def meters_of(
    tx: Transaction, site: Site, now_s: int | None, hours_s: int = DAY_S
) -> list[MeterHealth]:
    """Return how the meters are over the last hours; the late ones first."""
    until_s = now_s or 0
    since_s = until_s - hours_s
    last = reads_of.last_reads(tx, until_s)
    failed = views.failures(tx, "meter.", since_s)
    cycles, answered = reads_of.read_share(tx, since_s, until_s)
    asked = reading.statistics(tx, "meter", since_s, until_s)
    clocks = reading.last_clocks(tx, until_s)
    found = []
    for meter in site.meter:
        at_s = last.get(meter.id)
        age_s = None if at_s is None or now_s is None else max(now_s - at_s, 0)
        count, message = failed.get(meter.id, (0, ""))
        found.append(
            MeterHealth(
                meter=meter,
                at_s=at_s,
                age_s=age_s,
                late=age_s is None or age_s > 2 * site.interval_s,
                read_percent=min(100 * answered.get(meter.id, 0) / cycles, 100) if cycles else None,
                asked=asked[meter.id].statistics if meter.id in asked else Statistics(),
                clock_offset_s=clocks[meter.id].offset_s if meter.id in clocks else None,
                failures=count,
                message=message,
            )
        )
    return sorted(found, key=lambda one: (not one.late, -one.failures, one.meter.id))


def gateways_of(tx: Transaction, now_s: int | None, hours_s: int = DAY_S) -> list[GatewayHealth]:
    """Return how the gateways are over the last hours; those that answer least first."""
    until_s = now_s or 0
    asked = reading.statistics(tx, "gateway", until_s - hours_s, until_s)
    found = [
        GatewayHealth(
            name,
            None if one.answered_s is None else max(until_s - one.answered_s, 0),
            one.statistics,
        )
        for name, one in asked.items()
    ]
    return sorted(found, key=lambda one: (one.asked.success_percent or 0.0, one.name))
