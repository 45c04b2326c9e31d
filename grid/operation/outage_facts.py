"""What incidents mean for others: findings that they explain, dark intervals, indices."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

import numpy as np
import numpy.typing as npt

from grid import interval
from grid.errors import Finding
from grid.operation.outage_returns import GASP
from grid.site import Shedding, Site
from grid.store import Transaction, incidents
from grid.store.incidents import LOCATED
from networks.outages.reliability import Indices, Interruption, indices

_EXPLAINED: Final = ("meter.silent", "device.silent", "vee.estimated")


def unexplained(tx: Transaction, site: Site, findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings but for what follows from the incidents that last: silence of what
    has no supply, and its estimates. The incident is told of once."""
    if not any(one.code in _EXPLAINED for one in findings):
        return list(findings)
    interrupted = set(incidents.lasting(tx))
    explained = {str(m.id) for m in site.meter if m.usage_point in interrupted}
    explained |= {
        str(asset.id)
        for asset in site.assets
        if not isinstance(asset, Shedding) and asset.usage_point in interrupted
    }
    return [one for one in findings if one.code not in _EXPLAINED or one.subject not in explained]


def dark(tx: Transaction, site: Site, start_s: int, count: int) -> npt.NDArray[np.bool_] | None:
    """Return in which intervals each meter had no supply throughout; None where none had.

    (meter, interval), meters in the order of the site. Without a last gasp an outage may have
    begun at any time of the first interval that is missing: that one is not dark.
    """
    step_s = site.interval_s
    rows = incidents.between(tx, start_s, start_s + count * step_s)
    if not rows:
        return None
    evidence = incidents.evidence(tx, {row.incident for row in rows})
    mask = np.zeros((len(site.meter), count), np.bool_)
    place: dict[str, list[int]] = {}
    for number, meter in enumerate(site.meter):
        place.setdefault(str(meter.usage_point), []).append(number)
    for row in rows:
        from_s = row.start_s + (0 if evidence[row.incident] == GASP else step_s)
        first = max(-(-(from_s - start_s) // step_s), 0)
        last = count if row.end_s is None else max((row.end_s - start_s) // step_s, 0)
        mask[place.get(row.usage_point, []), first:last] = True
    return mask


def periods(site: Site, day: date) -> dict[str, tuple[int, int]]:
    """Return the bounds of the civil month and year of a day by their labels, seconds UTC."""
    zone = site.time_zone
    at_s, _ = interval.day_bounds(day, zone)
    first, _ = interval.day_bounds(date(day.year, 1, 1), zone)
    end, _ = interval.day_bounds(date(day.year + 1, 1, 1), zone)
    return {
        interval.month_label(at_s, zone): interval.month_bounds(at_s, zone),
        str(day.year): (first, end),
    }


def reliability(
    tx: Transaction,
    site: Site,
    start_s: int,
    end_s: int,
    *,
    now_s: int,
    with_planned: bool = True,
) -> Indices:
    """Return the indices of a period; every usage point of the site is a customer.

    Incidents that are only suspected do not count.

    Raises
    ------
    BadInputError
        When the period is empty.
    """
    rows = incidents.between(tx, start_s, end_s)
    return indices(
        [
            Interruption(row.usage_point, row.start_s, row.end_s, row.planned)
            for row in rows
            if row.state == LOCATED
        ],
        start_s,
        end_s,
        customers_served=len(site.usage_point),
        now_s=now_s,
        with_planned=with_planned,
    )
