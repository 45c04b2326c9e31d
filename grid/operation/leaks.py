"""Looks for leaks in the volumes that a site has stored."""

from __future__ import annotations

from collections.abc import Mapping

from grid import interval
from grid.errors import Finding
from grid.site import Site, UsageKind
from grid.store import Transaction, series
from meters.leaks import HOUSEHOLD, LeakLimits, find_leaks

WATER = ("water_l", "hot_water_l")
LIMITS: Mapping[str, LeakLimits] = {
    UsageKind.HOUSEHOLD: HOUSEHOLD,
    # Cooling, cleaning and kitchens run through the night; a week without a pause is none of it.
    UsageKind.BUSINESS: LeakLimits(continuous_h=168, slow_h=336, nights=0, burst_l=2_500),
    UsageKind.COMMUNITY: LeakLimits(burst_l=2_500),
}
"""What counts as a leak, by who stands behind a usage point."""


def find(
    tx: Transaction,
    site: Site,
    at_s: int,
    *,
    days: int = 14,
    limits: Mapping[str, LeakLimits] = LIMITS,
) -> list[Finding]:
    """Return the leaks of the `days` before the civil day of `at_s`.

    Each of the registers `WATER` is looked at for itself, at the usage points of the
    site that have it.
    """
    zone = site.time_zone
    end_s, _ = interval.day_bounds(interval.local_day(at_s, zone), zone)
    first = interval.local_day(end_s - days * interval.DAY_S, zone)
    start_s, _ = interval.day_bounds(first, zone)
    kind = {str(point.id): str(point.kind) for point in site.usage_point}
    findings: list[Finding] = []
    for register in WATER:
        points = [one for one in series.metered(tx, register, start_s, end_s) if one in kind]
        if not points:
            continue
        stored = series.get_intervals(
            tx, points, start_s, end_s, time_zone=zone, registers=(register,)
        )
        groups = [kind[point] for point in points]
        findings += find_leaks(stored[register], limits, groups, time_zone=zone)
    return sorted(findings)
