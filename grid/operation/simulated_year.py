"""A simulated site's year as history for a backtest: loads, sun, wind and prices by the hour."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dispatch.plan import PlanInput, per_kwh
from grid import interval
from grid.errors import BadInputError
from grid.operation.field.year import Year
from grid.site import Site
from networks.sources.demo import load_year

Floats = npt.NDArray[np.float64]

_LOSSES = 0.03
"""Share of the load that the feeder loses, as the demo's does."""


def simulated(site: Site, start_s: int, days: int, step_s: int) -> PlanInput:
    """Return a stretch of what a simulated field gives, as the input of one long plan.

    Parameters
    ----------
    start_s : int
        Seconds UTC.
    step_s : int
        Length of a step, a multiple of the site's interval.

    Raises
    ------
    BadInputError
        When the site's field is not simulated.
    """
    if site.field.kind != "simulated":
        raise BadInputError(
            f"site {site.id}: field is {site.field.kind!r}, a backtest plays a simulated one"
        )
    each = step_s // site.interval_s
    n = days * 86_400 // step_s
    starts = start_s + site.interval_s * np.arange(n * each, dtype=np.int64)
    weather = Year(site, load_year(site.network.source)).at(starts)

    def mean(values: Floats) -> Floats:
        by_step: Floats = values.reshape(n, each, -1).mean(axis=1).T
        return by_step

    load = mean(weather.load_kw)
    row = {point.id: number for number, point in enumerate(site.usage_point)}
    first = start_s + step_s * np.arange(n)
    clocks = [interval.local_time(int(at_s), site.time_zone) for at_s in first]
    prices = [[p for p in site.grid.price if p.from_time <= clock][-1] for clock in clocks]
    lost = [(outage.start_s, outage.end_s) for outage in site.outage]
    there = [not any(a < at + step_s and at < b for a, b in lost) for at in first.tolist()]
    demand = load.sum(axis=0) * (1.0 + _LOSSES)
    shed = [load[[row[p] for p in one.usage_points]].sum(axis=0) for one in site.shedding]
    return PlanInput(
        start_s=start_s,
        interval_s=step_s,
        battery=site.battery,
        solar=site.solar,
        wind=site.wind,
        genset=site.genset,
        shedding=site.shedding,
        grid=site.grid,
        demand_kw=demand,
        solar_available_kw=np.minimum(
            mean(weather.solar_kw), np.array([[p.power_kw] for p in site.solar]).reshape(-1, 1)
        ),
        wind_available_kw=np.minimum(
            mean(weather.wind_kw), np.array([[p.power_kw] for p in site.wind]).reshape(-1, 1)
        ),
        sheddable_kw=np.array(shed).reshape(-1, n),
        buy_price=np.array([per_kwh(p.buy) for p in prices]),
        sell_price=np.array([per_kwh(p.sell) for p in prices]),
        end_value_per_kwh=min(per_kwh(p.buy) for p in site.grid.price),
        grid_available=np.array(there, dtype=np.bool_),
        battery_energy_kwh=np.array(
            [min(max(b.initial_energy_kwh, b.min_energy_kwh), b.energy_kwh) for b in site.battery]
        ),
        genset_on=np.zeros(len(site.genset), dtype=np.bool_),
        genset_intervals_in_state=np.full(len(site.genset), 96, dtype=np.int64),
        reserve_kw=demand * site.operation.critical_reserve_percent / 100.0,
    )
