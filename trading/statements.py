"""Monthly statements and public figures, from settled lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from grid.ids import PartyId, UsagePointId
from grid.quantities import NANO, format_money, format_price
from grid.site import Market, RegulationProfile, Tariff
from trading.accounts import (
    ROUNDING,
    SERVICE_KINDS,
    Posting,
    PostingKind,
    balances,
    party_account,
)
from trading.book import Clearing, Order, Side
from trading.tariffs.blocks import month_charge

_CENT = NANO // 100
_APART_FROM_TRADE = (PostingKind.BATTERY_USE,)


@dataclass(frozen=True, slots=True)
class MonthEnergy:
    """A usage point's month as metered, without instructions, in Wh.

    The sums of ``baseline_import_wh`` and ``baseline_export_wh`` over the newest
    settlement of each interval; `bank_wh` is the energy bank at its start.
    """

    tariff: Tariff
    import_wh: int
    export_wh: int
    bank_wh: int = 0
    fixed_fee_due: bool = True


def exact_money(nano: int) -> str:
    """Return an amount with all its digits, at least two decimals."""
    whole, _, decimals = format_money(nano, 9).partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}"


def counterfactual(energy: MonthEnergy, market: Market) -> int:
    """Return nano-currency the month would have cost without any trade.

    The same metering at the block tariff, the feed-in price and the fixed fee;
    in the lawful profile imports net of exports and the bank.
    """
    fixed = energy.tariff.fixed_fee if energy.fixed_fee_due else 0
    if market.profile is RegulationProfile.LAWFUL:
        net_wh = energy.import_wh - energy.export_wh - energy.bank_wh
        return month_charge(energy.tariff, max(net_wh, 0)) + fixed
    imported = month_charge(energy.tariff, energy.import_wh)
    return imported - energy.export_wh * market.feed_in + fixed


def statement(
    party: PartyId,
    month: str,
    currency: str,
    postings: Iterable[Posting],
    energies: Mapping[UsagePointId, MonthEnergy],
    market: Market,
) -> tuple[dict[str, object], tuple[Posting, ...]]:
    """Return a party's statement of a month, and the posting of its rounding.

    Parameters
    ----------
    postings : Iterable of Posting
        All postings of the month, of all versions; others' are passed over.
    energies : Mapping
        The metered month of each usage point of the party, for the comparison.

    Returns
    -------
    dict
        Ready for JSON. Amounts are decimal texts, positive where the party
        pays; energy is Wh, positive where it receives. ``total`` has two
        decimals, the lines have all digits.
    tuple of Posting
        The residue of the rounding; empty when there is none.
    """
    account = party_account(party)
    own = [line for line in postings if account in (line.debit, line.credit)]
    lines = _grouped(own, account)
    exact = -balances(own).get(account, 0)
    due = (abs(exact) + _CENT // 2) // _CENT * _CENT * (-1 if exact < 0 else 1)
    apart = [line for line in own if line.kind in _APART_FROM_TRADE]
    otherwise = sum(counterfactual(energy, market) for energy in energies.values())
    otherwise -= balances(apart).get(account, 0)
    document: dict[str, object] = {
        "party": party,
        "month": month,
        "currency": currency,
        "lines": lines,
        "exact": exact_money(exact),
        "rounding": exact_money(due - exact),
        "total": format_money(due),
        "without_trading": exact_money(otherwise),
        "gain": exact_money(otherwise - exact),
    }
    return document, _rounding(party, due - exact)


def _grouped(own: Iterable[Posting], account: str) -> list[dict[str, object]]:
    order = {kind: place for place, kind in enumerate(PostingKind)}
    totals: dict[tuple[str, int, int], list[int]] = {}
    for line in own:
        sign = 1 if line.debit == account else -1
        key = (line.usage_point or "", order[line.kind], line.price)
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
        }
        for (point, place, price), (energy_wh, amount) in sorted(totals.items())
        if energy_wh or amount
    ]


def _rounding(party: PartyId, more_nano: int) -> tuple[Posting, ...]:
    if more_nano == 0:
        return ()
    sides = (party_account(party), ROUNDING)
    debit, credit = sides if more_nano > 0 else sides[::-1]
    return (Posting(debit, credit, abs(more_nano), 0, PostingKind.ROUNDING),)


def market_summary(
    orders: Sequence[Order], clearing: Clearing, minimum_group: int
) -> dict[str, object]:
    """Return the public figures of a cleared book.

    Nothing is given when fewer than `minimum_group` parties bought or sold: a
    price is the limit of one of them, and a volume no more than the smaller of
    what was bid and what was asked. How much was bid or asked by fewer is not
    given either.
    """
    traded: dict[Side, set[PartyId]] = {side: set() for side in Side}
    placed: dict[Side, set[PartyId]] = {side: set() for side in Side}
    energy = dict.fromkeys(Side, 0)
    for order, fill in zip(orders, clearing.fills.astype(np.int64).tolist(), strict=True):
        placed[order.side].add(order.party)
        energy[order.side] += order.energy_wh
        if fill:
            traded[order.side].add(order.party)
    enough = all(len(parties) >= minimum_group for parties in traded.values())

    def asked(side: Side) -> int | None:
        return energy[side] if enough and len(placed[side]) >= minimum_group else None

    return {
        "mechanism": clearing.mechanism,
        "price": format_price(clearing.price) if enough and clearing.price is not None else None,
        "volume_wh": clearing.volume_wh if enough else None,
        "bid_wh": asked(Side.BUY),
        "asked_wh": asked(Side.SELL),
    }
