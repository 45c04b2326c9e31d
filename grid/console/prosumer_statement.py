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
from grid.operation import billing
from grid.site import Site
from grid.store import Transaction, agreements, invoices, series
from grid.store.invoices import Dispute, Invoice
from trading.agreements import Agreement
from trading.statements import exact_money


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
    invoice : Invoice or None
        None while the month runs or is not final.
    held : Decimal
        What need not be paid until disputes are decided.
    disputes : dict
        By line of the invoice.
    until_s : int
        Until when its lines can be disputed.
    """

    document: dict[str, Any]
    items: list[Item]
    rounding: str
    gain: Decimal
    alone: Decimal
    estimated: int
    invoice: Invoice | None
    held: Decimal
    disputes: dict[int, Dispute]
    until_s: int


def make(tx: Transaction, site: Site, party: PartyId, month: str) -> Made:
    """Return the statement of a party for a month (``YYYY-MM``)."""
    at_s = interval.day_bounds(interval.parse_date(f"{month}-01"), site.time_zone)[0]
    bounds = interval.month_bounds(at_s, site.time_zone)
    mine = [one for one in agreements.listed(tx) if one.party == party and one.overlaps(*bounds)]
    billed = next(iter(invoices.invoices(tx, month=month, party=party)), None)
    document: dict[str, Any] = (
        dict(billing.draft(tx, site, party, month).document) if billed is None else billed.document
    )
    rounding = Decimal(document["rounding"])
    alone = Decimal(document["without_trading"]).quantize(Decimal("0.01"), ROUND_HALF_UP)
    items = _items(document["lines"])
    # Amounts are exact: given the places of the longest, they stand below each other.
    amounts = [rounding, *(amount for _, amount in items.values())]
    places = max(-int(amount.as_tuple().exponent) for amount in amounts)
    asked = [] if billed is None else invoices.disputes(tx, [billed.number])
    return Made(
        document=document,
        items=[Item(kind, wh, f"{amount:.{places}f}") for kind, (wh, amount) in items.items()],
        rounding=f"{rounding:.{places}f}",
        gain=alone - Decimal(document["total"]),
        alone=alone,
        estimated=_estimated(tx, site, mine, bounds),
        invoice=billed,
        held=Decimal(exact_money(billing.held_nano(asked))),
        disputes={one.line: one for one in asked},
        until_s=0 if billed is None else billing.dispute_until_s(site, billed),
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
