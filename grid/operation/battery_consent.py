"""What a party lets be traded of its batteries, and from when on.

Agents offer some intervals ahead: what they have offered by then is not taken back. Where losses
by trading are made good, a battery begins to trade with a month, for such a month is not.
"""

from __future__ import annotations

from datetime import date, timedelta

from grid import interval
from grid.errors import BadInputError
from grid.quantities import WH_PER_KWH
from grid.site import Site
from grid.store import Transaction, control
from trading.agreements import Agreement
from trading.batteries import PPM, TradedBattery

OFFERED_AHEAD = 2
"""Intervals before its own in which the agents' orders for an interval are placed."""


def soonest(tx: Transaction, site: Site, *, begins: bool = False) -> date:
    """Return the first day from which on a battery can cease, or begin, to trade."""
    offered_s = control.clock_s(tx) + OFFERED_AHEAD * site.interval_s
    day = interval.local_day(offered_s, site.time_zone) + timedelta(days=1)
    if begins and site.market.guaranteed and day.day > 1:
        day = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    return day


def next_day(tx: Transaction, site: Site, agreement: Agreement, *, battery: bool) -> date:
    """Return the first day from which on the batteries of an agreement can trade, or cease to.

    It is not before terms that are to come: what they say is taken back where they begin.
    """
    coming = interval.local_day(agreement.terms[-1].from_s, site.time_zone)
    return max(soonest(tx, site, begins=battery), coming)


def require_not_offered(tx: Transaction, site: Site, where: str, from_s: int) -> None:
    """Refuse a change for batteries that agents may have offered already."""
    if interval.local_day(from_s, site.time_zone) < soonest(tx, site):
        raise BadInputError(
            f"{where}: what batteries trade then is offered already; from the day after on"
        )


def traded_batteries(
    site: Site, usage_point: str, where: str, *, battery: bool, trades: bool
) -> tuple[TradedBattery, ...]:
    """Return what a party consents to have traded of the batteries of its usage point."""
    if not battery:
        return ()
    if not trades:
        raise BadInputError(f"{where}: a battery is traded only for a party that trades")
    found = tuple(
        TradedBattery(
            id=one.id,
            room_wh=round((one.energy_kwh - one.min_energy_kwh) * WH_PER_KWH),
            interval_wh=round(one.power_kw * site.interval_s / 3.6),
            charge_ppm=round(one.charge_efficiency * PPM),
            discharge_ppm=round(one.discharge_efficiency * PPM),
            wear=one.wear,
        )
        for one in site.battery
        if one.usage_point == usage_point
    )
    if not found:
        raise BadInputError(f"{where}: there is no battery that could be traded")
    return found
