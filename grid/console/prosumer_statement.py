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
from grid.site import Site
from grid.store import Transaction, agreements, market, series
from trading.accounts import party_account
from trading.agreements import Agreement
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
    lines = [line for _, _, line in market.postings(tx, account=party_account(party), month=month)]
    at_s = interval.day_bounds(interval.parse_date(f"{month}-01"), site.time_zone)[0]
    bounds = interval.month_bounds(at_s, site.time_zone)
    mine = [one for one in agreements.listed(tx) if one.party == party and one.overlaps(*bounds)]
    energies = _energies(tx, site, mine, bounds)
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
        estimated=_estimated(tx, site, mine, bounds),
    )


def _items(lines: Iterable[Mapping[str, Any]]) -> dict[str, tuple[int, Decimal]]:
    """Return Wh and amount of the lines by kind, exactly."""
    items: dict[str, tuple[int, Decimal]] = {}
    for line in lines:
        wh, amount = items.get(line["kind"], (0, Decimal(0)))
        items[line["kind"]] = (wh + line["energy_wh"], amount + Decimal(line["amount"]))
    return items


def _estimated(
    tx: Transaction, site: Site, mine: Sequence[Agreement], bounds: tuple[int, int]
) -> int:
    count = 0
    for one in mine:
        low_s, high_s = max(bounds[0], one.from_s), min(bounds[1], one.until_s or bounds[1])
        names = [str(one.usage_point)]
        quality = series.get_quality(tx, names, low_s, high_s, time_zone=site.time_zone)
        count += int(np.isin(quality, sorted(ESTIMATED)).sum())
    return count


def _energies(
    tx: Transaction, site: Site, mine: Sequence[Agreement], bounds: tuple[int, int]
) -> dict[Any, MonthEnergy]:
    """Return the metered month of each own usage point, as far as it is known."""
    zone, start_s = site.time_zone, bounds[0]
    tariffs = {tariff.id: tariff for tariff in site.tariff}
    before = market.month_totals(tx, interval.month_label(start_s - 1, zone))
    totals = market.month_totals(tx, interval.month_label(start_s, zone))
    baseline = _baselines(tx, {(str(one.party), str(one.usage_point)) for one in mine}, bounds)
    return {
        one.usage_point: MonthEnergy(
            tariffs[one.terms_at(max(start_s, one.from_s)).tariff],
            *baseline.get(one.usage_point, (0, 0)),
            bank_wh=before.get(one.usage_point, (0, 0, False))[1],
            fixed_fee_due=totals.get(one.usage_point, (0, 0, True))[2],
        )
        for one in mine
    }


def _baselines(
    tx: Transaction, mine: set[tuple[str, str]], bounds: tuple[int, int]
) -> dict[str, tuple[int, int]]:
    """Return import and export without instructions, from the settlements of a month."""
    sums: dict[str, tuple[int, int]] = {}
    settled = {row["start_s"] for row in market.settlements(tx, *bounds)}
    for at_s in sorted(settled):
        newest = market.newest_settlement(tx, at_s)
        content = newest[2] if newest else None
        points = content.get("usage_points", []) if isinstance(content, dict) else []
        for point in points:
            whose = (point.get("party"), point.get("usage_point"))
            if whose in mine and "baseline_import_wh" in point:
                old = sums.get(point["usage_point"], (0, 0))
                sums[point["usage_point"]] = (
                    old[0] + int(point["baseline_import_wh"]),
                    old[1] + int(point["baseline_export_wh"]),
                )
    return sums
