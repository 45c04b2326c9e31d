"""Monthly statements and public figures, from settled lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from grid.ids import AccountId, PartyId, UsagePointId
from grid.quantities import format_money, format_price
from grid.site import Market, Tariff
from trading.accounts import (
    GUARANTEE,
    NETWORK_FEE_KINDS,
    ROUNDING,
    SERVICE_KINDS,
    Posting,
    PostingKind,
    balances,
    money_line,
    party_account,
)
from trading.bills import APART_KINDS, counterfactual, to_cent
from trading.book import Clearing, Order, Side
from trading.mechanisms import bilateral
from trading.origin import origin
from trading.regulation import Regulation
from trading.settlement_facts import MonthAccount
from trading.tariffs.month import charges


@dataclass(frozen=True, slots=True)
class MonthOf:
    """A usage point's month under one agreement and tariff.

    `month` is the calendar month, 1 to 12.
    """

    usage_point: UsagePointId
    tariff: Tariff
    account: MonthAccount
    month: int


@dataclass(frozen=True, slots=True)
class Statement:
    """A party's month.

    Attributes
    ----------
    document : dict
        Ready for JSON, and for the ledger to commit to. Amounts are decimal texts, positive
        where the party pays; energy is Wh, positive where it receives. ``total`` has two
        decimals, the lines have all digits.
    closing : tuple of Posting
        The guarantee and the residue of the rounding, to be posted when it becomes an invoice.
    total_nano : int
        To be paid, in whole cents.
    """

    document: dict[str, object]
    closing: tuple[Posting, ...]
    total_nano: int


def exact_money(nano: int) -> str:
    """Return an amount with all its digits, at least two decimals."""
    whole, _, decimals = format_money(nano, 9).partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}"


def statement(
    party: PartyId,
    month: str,
    currency: str,
    postings: Iterable[tuple[bool, Posting]],
    months: Sequence[MonthOf],
    market: Market,
    regulation: Regulation,
    co2_mg_per_kwh: int = 0,
) -> Statement:
    """Return a party's statement of a month.

    Parameters
    ----------
    postings : iterable of (bool, Posting)
        All that stands on the month's statement, of all versions, each with whether it brings
        what an earlier month had come too late for; others' lines are passed over.
    months : sequence of MonthOf
        The metered month of each usage point of the party, for the comparison.
    co2_mg_per_kwh : int
        Of the public network's energy; 0 where it is not known, and then nothing is said of it.
    """
    account = party_account(party)
    own = [(late, line) for late, line in postings if account in (line.debit, line.credit)]
    exact = -balances(line for _, line in own).get(account, 0)
    # What is paid with or without trading, and what earlier months owed, is in both.
    apart = [line for late, line in own if late or line.kind in APART_KINDS]
    otherwise = sum(
        counterfactual(one.tariff, one.account, one.month, market.feed_in, regulation)
        for one in months
    )
    otherwise -= balances(apart).get(account, 0)
    # What a battery bought this month it may sell in the next: such a loss is none yet.
    battery_wh = sum(one.account.battery_wh for one in months)
    made_whole = max(exact - otherwise, 0) if market.guaranteed and not battery_wh else 0
    due = to_cent(exact - made_whole)
    rounding = due - (exact - made_whole)
    document: dict[str, object] = {
        "party": party,
        "month": month,
        "currency": currency,
        "lines": _grouped(own, account),
        "exact": exact_money(exact),
        "guarantee": exact_money(-made_whole),
        "rounding": exact_money(rounding),
        "total": format_money(due),
        "vat": exact_money(_vat(own, account, months, regulation)),
        "without_trading": exact_money(otherwise),
        "gain": exact_money(otherwise - exact),
        "origin": _origin(months, co2_mg_per_kwh),
    }
    if battery_wh:
        document["battery_wh"] = battery_wh
    sides = (account, GUARANTEE, ROUNDING)
    return Statement(document, _closing(sides, made_whole, rounding), due)


def _origin(months: Iterable[MonthOf], co2_mg_per_kwh: int) -> dict[str, int]:
    accounts = [one.account for one in months]
    import_wh, local_wh = (
        sum(getattr(one, name) for one in accounts) for name in ("import_wh", "local_wh")
    )
    return origin(import_wh, local_wh, co2_mg_per_kwh).facts()


def _closing(
    sides: tuple[AccountId, AccountId, AccountId], made_whole: int, rounding: int
) -> tuple[Posting, ...]:
    """Return the postings that bring an account to the total of its statement."""
    account, guarantee, residue = sides
    lines = []
    if made_whole:
        lines.append(money_line(guarantee, account, made_whole, PostingKind.GUARANTEE))
    if rounding:
        lines.append(money_line(account, residue, rounding, PostingKind.ROUNDING))
    return tuple(lines)


def _vat(
    own: Iterable[tuple[bool, Posting]],
    account: AccountId,
    months: Iterable[MonthOf],
    regulation: Regulation,
) -> int:
    """Return the value-added tax contained in the lines, rounded once to the cent.

    A price that contains `p` percent has ``p / (100 + p)`` of it in tax. What came too late is
    taken at the percentage of purchases from the supplier as they are now.
    """
    contained = Fraction(0)
    percent = 0
    for one in months:
        versions, energy = one.tariff.versions, one.account.supplied.energy
        percent = versions[energy[0][0].version if energy else 0].vat_percent
        contained += Fraction(one.account.fee_nano * percent, 100 + percent)
        for charge in charges(one.tariff, one.account.supplied, one.account.bank_wh):
            percent = versions[charge.version].vat_percent
            contained += Fraction(charge.amount_nano * percent, 100 + percent)
    of_kind = dict.fromkeys(NETWORK_FEE_KINDS, regulation.fee_vat_percent)
    of_kind[PostingKind.PURCHASE] = regulation.trade_vat_percent
    for late, line in own:
        part = percent if late and line.kind is PostingKind.SUPPLY else of_kind.get(line.kind, 0)
        amount = line.amount_nano if line.debit == account else -line.amount_nano
        contained += Fraction(amount * part, 100 + part)
    return to_cent(contained)


def _grouped(own: Iterable[tuple[bool, Posting]], account: str) -> list[dict[str, object]]:
    order = {kind: place for place, kind in enumerate(PostingKind)}
    totals: dict[tuple[str, bool, int, int], list[int]] = {}
    for late, line in own:
        sign = 1 if line.debit == account else -1
        key = (line.usage_point or "", late, order[line.kind], line.price)
        total = totals.setdefault(key, [0, 0])
        total[0] += sign * line.energy_wh
        total[1] += sign * line.amount_nano
    kinds = list(PostingKind)
    return [
        {
            "usage_point": point,
            "kind": kinds[place].value,
            "energy_wh": abs(energy_wh) if kinds[place] in SERVICE_KINDS else energy_wh,
            "price_per_kwh": format_price(price),
            "amount": exact_money(amount),
            "late": late,
        }
        for (point, late, place, price), (energy_wh, amount) in sorted(totals.items())
        if energy_wh or amount
    ]


def market_summary(
    orders: Sequence[Order], clearing: Clearing, minimum_group: int
) -> dict[str, object]:
    """Return the public figures of a cleared book.

    Nothing is given when fewer than `minimum_group` parties bought or sold: a
    price is the limit of one of them, and a volume no more than the smaller of
    what was bid and what was asked. How much was bid or asked by fewer is not
    given either, nor the auction's price where most traded by contract.
    """
    traded: dict[Side, set[PartyId]] = {side: set() for side in Side}
    placed: dict[Side, set[PartyId]] = {side: set() for side in Side}
    energy = dict.fromkeys(Side, 0)
    for order, fill in zip(orders, clearing.fills.astype(np.int64).tolist(), strict=True):
        if order.energy_wh:
            placed[order.side].add(order.party)
        energy[order.side] += order.energy_wh
        if fill:
            traded[order.side].add(order.party)
    enough = all(len(parties) >= minimum_group for parties in traded.values())

    known = enough and all(
        len(parties) >= minimum_group for parties in _at_price(orders, clearing, traded).values()
    )

    def asked(side: Side) -> int | None:
        return energy[side] if enough and len(placed[side]) >= minimum_group else None

    return {
        "mechanism": clearing.mechanism,
        "price": format_price(clearing.price) if known and clearing.price is not None else None,
        "volume_wh": clearing.volume_wh if enough else None,
        "bid_wh": asked(Side.BUY),
        "asked_wh": asked(Side.SELL),
    }


def _at_price(
    orders: Sequence[Order], clearing: Clearing, traded: dict[Side, set[PartyId]]
) -> dict[Side, set[PartyId]]:
    """Return who traded at the price of a clearing: contracts have prices of their own."""
    if clearing.mechanism != bilateral.NAME:
        return traded
    at = [row for row in clearing.trades.tolist() if row[3] == clearing.price]
    return {
        Side.BUY: {orders[buy].party for buy, *_ in at},
        Side.SELL: {orders[sell].party for _, sell, *_ in at},
    }
