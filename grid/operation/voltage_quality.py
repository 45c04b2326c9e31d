"""Weeks of the voltages that a site's meters showed, after EN 50160.

What is stored is one phase voltage of each meter, read at the end of each interval: a reading of
a moment. What is said of it is indicative, never a verdict after the standard.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import xarray as xr

from grid import interval
from grid.operation.validation_facts import PHASE_VOLTAGE_V, phase_voltages
from grid.site import Site
from grid.store import Transaction
from networks.quality.voltage import Report, weekly


@dataclass(frozen=True, eq=False)
class Week:
    """A week of a site.

    Attributes
    ----------
    monday : date
    voltage_v : xarray.DataArray, dims (interval, usage_point)
        Read at the end of each interval; NaN where not read.
    flagged : xarray.DataArray of bool
        Where the public network was announced to be away then.
    report : Report
    """

    monday: date
    voltage_v: xr.DataArray
    flagged: xr.DataArray
    report: Report


def last_week(site: Site, at_s: int) -> date:
    """Return the Monday of the newest week that is over."""
    return interval.week_of(interval.local_day(at_s, site.time_zone)) - timedelta(days=7)


def week(site: Site, tx: Transaction, monday: date) -> Week:
    """Return a week of the usage points of a site.

    The voltage of a usage point is that of its first meter.
    """
    first = {
        str(meter.usage_point): str(meter.id)
        for meter in reversed(site.meter)
        if meter.usage_point is not None
    }
    points = [str(point.id) for point in site.usage_point]
    start_s, end_s = interval.week_bounds(monday, site.time_zone)
    step_s = site.interval_s
    count = (end_s - start_s) // step_s
    meters = [first.get(point, "") for point in points]
    values = phase_voltages(site, tx, meters, start_s, count).T
    ends_s = start_s + step_s * np.arange(1, count + 1)
    away = np.zeros(count, dtype=np.bool_)
    for outage in site.outage:
        away |= (ends_s >= outage.start_s) & (ends_s < outage.end_s)
    shape = {"interval": interval.starts(start_s, count, step_s), "usage_point": points}
    dims = ("interval", "usage_point")
    voltage = xr.DataArray(values, shape, dims, attrs={"units": "V"})
    flagged = xr.DataArray(np.repeat(away[:, None], len(points), axis=1), shape, dims)
    report = weekly(
        voltage,
        interval_s=step_s,
        time_zone=site.time_zone,
        nominal_v=PHASE_VOLTAGE_V,
        flagged=flagged,
        spot=True,
    )
    return Week(monday, voltage, flagged, report)
