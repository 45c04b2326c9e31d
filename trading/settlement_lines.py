"""The lines of a settlement: who pays whom, Wh at a price, and what for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from grid.ids import AccountId
from trading.accounts import (
    BATTERY_USE,
    CLEARING_SURPLUS,
    COMMUNITY,
    GRID_OPERATOR,
    IMBALANCE,
    LOSSES,
    MARKET,
    SUPPLIER,
    Posting,
    PostingKind,
    balances,
    energy_line,
    money_line,
    party_account,
)
from trading.book import Side
from trading.settlement_facts import (
    Leg,
    SettlementInput,
    UsagePointInput,
    UsagePointResult,
    traded_wh,
)

LOCAL, REGIONAL = "local", "regional"
"""Localities of what is traded: within one zone, or within none, and between two."""

_Entry = tuple[AccountId, AccountId, int, int, PostingKind]


def point_lines(
    given: SettlementInput, point: UsagePointInput, result: UsagePointResult
) -> list[Posting]:
    """Return the lines of one usage point, none for zero energy."""
    market, where = given.market, point.usage_point
    party = party_account(point.party)
    bought = traded_wh(point.legs, Side.BUY)
    sold = max(traded_wh(point.legs, Side.SELL) - bought, 0)
    fed_in = 0 if given.is_netted else max(result.baseline_export_wh - sold, 0)
    withheld = min(point.curtailed_wh, fed_in)
    shed = min(result.surplus_wh, point.shed_wh)
    both = (*point.legs, *point.battery_legs)
    entries: list[_Entry] = [*_traded(party, both)]
    entries += _fees(given, party, both)
    entries += _given_back(party, point.legs, shed)
    entries += [
        (IMBALANCE, party, result.surplus_wh - shed, market.surplus, PostingKind.SURPLUS),
        (party, IMBALANCE, result.shortfall_wh, market.shortfall, PostingKind.SHORTFALL),
        (SUPPLIER, party, fed_in - withheld, market.feed_in, PostingKind.FEED_IN),
        (COMMUNITY, party, withheld, market.feed_in, PostingKind.CURTAILMENT),
        (BATTERY_USE, party, point.discharge_wh, market.battery_use_fee, PostingKind.BATTERY_USE),
        (SUPPLIER, party, result.bank_change_wh, 0, PostingKind.BANK),
    ]
    supplied: Counter[int] = Counter()
    for line in result.charge:
        supplied[line.price] += line.energy_wh
    entries += [
        (party, SUPPLIER, energy_wh, price, PostingKind.SUPPLY)
        for price, energy_wh in sorted(supplied.items())
    ]
    lines = [energy_line(*entry, usage_point=where) for entry in entries if entry[2]]
    if result.fee_nano:
        lines.append(
            money_line(party, SUPPLIER, result.fee_nano, PostingKind.FIXED_FEE, usage_point=where)
        )
    return lines


def _fees(given: SettlementInput, party: AccountId, legs: Iterable[Leg]) -> Iterator[_Entry]:
    """Yield what a buyer pays for the network: by locality, for borders, for losses."""
    total: Counter[tuple[PostingKind, int]] = Counter()
    for leg in legs:
        if leg.side is Side.BUY:
            locality = REGIONAL if leg.regional else LOCAL
            fee = given.regulation.grid_fee(given.market.grid_fee, locality)
            total[PostingKind.GRID_FEE, fee] += leg.energy_wh
            for kind, part in (
                (PostingKind.ZONE_FEE, leg.zone_fee),
                (PostingKind.LOSS_FEE, leg.loss_fee),
            ):
                total[kind, part] += leg.energy_wh if part else 0
    for (kind, price), energy_wh in sorted(total.items()):
        paid = LOSSES if kind is PostingKind.LOSS_FEE else GRID_OPERATOR
        yield party, paid, energy_wh, price, kind


def _traded(party: AccountId, legs: Iterable[Leg]) -> Iterator[_Entry]:
    """Yield what was traded, by side and price; fees within a price are lines of their own."""
    total: Counter[tuple[Side, int]] = Counter()
    for leg in legs:
        total[leg.side, leg.price - leg.zone_fee - leg.loss_fee] += leg.energy_wh
    for (side, price), energy_wh in sorted(total.items()):
        if side is Side.BUY:
            yield party, MARKET, energy_wh, price, PostingKind.PURCHASE
        else:
            yield MARKET, party, energy_wh, price, PostingKind.SALE


def _given_back(party: AccountId, legs: Iterable[Leg], shed_wh: int) -> Iterator[_Entry]:
    """Yield what was bought and then shed on instruction, the dearest purchases first."""
    bought = sorted((leg for leg in legs if leg.side is Side.BUY), key=lambda leg: -leg.price)
    for leg in bought:
        part = min(shed_wh, leg.energy_wh)
        shed_wh -= part
        yield COMMUNITY, party, part, leg.price, PostingKind.SHEDDING


def surplus_lines(lines: Iterable[Posting]) -> list[Posting]:
    """Return what empties the market account, where buyers paid more than sellers get."""
    left = balances(lines).get(MARKET, 0)
    if not left:
        return []
    return [money_line(MARKET, CLEARING_SURPLUS, left, PostingKind.CLEARING_SURPLUS)]


def resale_lines(lines: Iterable[Posting]) -> list[Posting]:
    """Return what the community provides to the supplier's members, by price."""
    provided: Counter[int] = Counter()
    for line in lines:
        if line.kind in (PostingKind.SUPPLY, PostingKind.FEED_IN, PostingKind.BANK):
            taken = line.energy_wh if line.credit == SUPPLIER else -line.energy_wh
            provided[line.price] += taken
    return [
        energy_line(SUPPLIER, COMMUNITY, energy_wh, price, PostingKind.RESALE)
        for price, energy_wh in sorted(provided.items())
        if energy_wh
    ]


def community_lines(given: SettlementInput) -> list[Posting]:
    """Return the lines at the feeder head and of the losses."""
    importing = given.head_import_wh >= given.head_export_wh
    loss_price = given.buy_price if importing else given.sell_price
    entries: list[_Entry] = [
        (COMMUNITY, SUPPLIER, given.head_import_wh, given.buy_price, PostingKind.HEAD_IMPORT),
        (SUPPLIER, COMMUNITY, given.head_export_wh, given.sell_price, PostingKind.HEAD_EXPORT),
        (LOSSES, COMMUNITY, given.loss_wh, loss_price, PostingKind.LOSSES),
    ]
    return [energy_line(*entry) for entry in entries if entry[2]]
