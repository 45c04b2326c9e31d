"""A prosumer's month: its statement, line by line, and what in it is still an estimate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import numpy as np

from grid import interval
from grid.console.web_quality import ESTIMATED
from grid.ids import PartyId
from grid.site import Site, UsagePoint
from grid.store import Transaction, market, series
from trading.accounts import party_account
from trading.statements import MonthEnergy, statement


@dataclass(frozen=True, slots=True)
class Item:
    """The lines of one kind: Wh, and their exact sum with as many places as its neighbours."""

    kind: str
    energy_wh: int
    amount: str


@dataclass(frozen=True, slots=True)
class Made:
    """A statement as the page shows it.

    Attributes
    ----------
    document : dict
        As :func:`trading.statements.statement` returns it.
    gain, alone : Decimal
        What trading brought, and what the bill of the same energy would be without it: both
        in whole cents, so that a reader who subtracts the two bills finds the gain.
    estimated : int
        Quarter-hours of the month that are estimates.
    """

    document: dict[str, Any]
    items: list[Item]
    rounding: str
    gain: Decimal
    alone: Decimal
    estimated: int


def make(tx: Transaction, site: Site, party: PartyId, month: str) -> Made:
    """Return the statement of a party for a month (``YYYY-MM``)."""
    points = [point for point in site.usage_point if point.party == party]
    lines = [line for _, _, line in market.postings(tx, account=party_account(party), month=month)]
    at_s = interval.day_bounds(interval.parse_date(f"{month}-01"), site.time_zone)[0]
    energies = _energies(tx, site, points, at_s)
    found, _ = statement(party, month, site.currency, lines, energies, site.market)
    document: dict[str, Any] = dict(found)
    rounding = Decimal(document["rounding"])
    alone = Decimal(document["without_trading"]).quantize(Decimal("0.01"), ROUND_HALF_UP)
    items = _items(document["lines"])
    # Amounts are exact: given the places of the longest, they stand below each other.
    amounts = [rounding, *(amount for _, amount in items.values())]
    places = max(-int(amount.as_tuple().exponent) for amount in amounts)
    return Made(
        document=document,
        items=[Item(kind, wh, f"{amount:.{places}f}") for kind, (wh, amount) in items.items()],
        rounding=f"{rounding:.{places}f}",
        gain=alone - Decimal(document["total"]),
        alone=alone,
        estimated=_estimated(tx, site, points, at_s),
    )


def _items(lines: Iterable[Mapping[str, Any]]) -> dict[str, tuple[int, Decimal]]:
    """Return Wh and amount of the lines by kind, exactly."""
    items: dict[str, tuple[int, Decimal]] = {}
    for line in lines:
        wh, amount = items.get(line["kind"], (0, Decimal(0)))
        items[line["kind"]] = (wh + line["energy_wh"], amount + Decimal(line["amount"]))
    return items


def _estimated(tx: Transaction, site: Site, points: Sequence[UsagePoint], at_s: int) -> int:
    bounds = interval.month_bounds(at_s, site.time_zone)
    names = [str(point.id) for point in points]
    quality = series.get_quality(tx, names, *bounds, time_zone=site.time_zone)
    return int(np.isin(quality, sorted(ESTIMATED)).sum())


def _energies(
    tx: Transaction, site: Site, points: Sequence[UsagePoint], at_s: int
) -> dict[Any, MonthEnergy]:
    """Return the metered month of each usage point, as far as it is known."""
    zone = site.time_zone
    start_s, end_s = interval.month_bounds(at_s, zone)
    tariffs = {tariff.id: tariff for tariff in site.tariff}
    before = market.month_totals(tx, interval.month_label(start_s - 1, zone))
    totals = market.month_totals(tx, interval.month_label(at_s, zone))
    baseline = _baselines(tx, {point.id for point in points}, start_s, end_s)
    return {
        point.id: MonthEnergy(
            tariffs[point.tariff],
            *baseline.get(point.id, (0, 0)),
            bank_wh=before.get(point.id, (0, 0, False))[1],
            fixed_fee_due=totals.get(point.id, (0, 0, True))[2],
        )
        for point in points
    }


def _baselines(
    tx: Transaction, names: set[Any], start_s: int, end_s: int
) -> dict[str, tuple[int, int]]:
    """Return import and export without instructions, from the settlements of a month."""
    sums: dict[str, tuple[int, int]] = {}
    settled = {row["start_s"] for row in market.settlements(tx, start_s, end_s)}
    for at_s in sorted(settled):
        newest = market.newest_settlement(tx, at_s)
        content = newest[2] if newest else None
        points = content.get("usage_points", []) if isinstance(content, dict) else []
        for point in points:
            if point.get("usage_point") in names and "baseline_import_wh" in point:
                old = sums.get(point["usage_point"], (0, 0))
                sums[point["usage_point"]] = (
                    old[0] + int(point["baseline_import_wh"]),
                    old[1] + int(point["baseline_export_wh"]),
                )
    return sums
