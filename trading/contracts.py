"""Bilateral contracts: what one party sells to another in each interval, outside the auction.

A contract holds from the start of a civil day until its end, or until one of both has nothing any
more that trades: it ends with their agreement, and moving in again does not bring it back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from grid.errors import BadInputError
from grid.ids import PartyId
from grid.interval import label
from grid.site import GridPrice, Market, Tariff
from trading.agreements import Agreement
from trading.book import Order, party_numbers
from trading.mechanisms.terms import Contract

NEVER_S = 2**62
"""The end of what has none."""


@dataclass(frozen=True, slots=True)
class BilateralContract:
    """A contract between two parties, for intervals that start within ``[from_s, until_s)``.

    Attributes
    ----------
    price : int
        Nano-currency per Wh, before the grid fee.
    until_s : int or None
        None where it has no end yet.
    energy_wh : int or None
        Wh of each interval.
    share_percent : int or None
        Or the part of what the seller offers in the interval, 1 to 100.

    Raises
    ------
    BadInputError
        When it is with oneself, or has not one of energy and share.
    """

    id: int
    buyer: PartyId
    seller: PartyId
    price: int
    from_s: int
    until_s: int | None
    energy_wh: int | None = None
    share_percent: int | None = None

    def __post_init__(self) -> None:
        if self.buyer == self.seller:
            raise BadInputError(f"contract {self.id}: {self.buyer} cannot contract with itself")
        if (self.energy_wh is None) == (self.share_percent is None):
            raise BadInputError(f"contract {self.id} must have either energy_wh or share_percent")
        if self.share_percent is not None and not 1 <= self.share_percent <= 100:
            raise BadInputError(
                f"contract {self.id} share_percent is {self.share_percent}, must be within 1 to 100"
            )

    def payload(self) -> dict[str, object]:
        """Return what the ledger commits to; the price as text of nano per Wh."""
        told: dict[str, object] = {
            "buyer": str(self.buyer),
            "contract": self.id,
            "from": label(self.from_s),
            "price": str(self.price),
            "seller": str(self.seller),
            "until": "" if self.until_s is None else label(self.until_s),
        }
        if self.energy_wh is not None:
            return {**told, "energy_wh": self.energy_wh}
        return {**told, "share_percent": self.share_percent}


def end_s(contract: BilateralContract, agreements: Iterable[Agreement]) -> int | None:
    """Return when a contract ends, none while nothing says so.

    Parameters
    ----------
    agreements : iterable of Agreement
        All of the site, as far as they are known.
    """
    agreements = list(agreements)
    ends = [_trades_until(party, contract.from_s, agreements) for party in _parties(contract)]
    known = [one for one in (contract.until_s, *ends) if one is not None]
    return min(known, default=None)


def of_book(
    contracts: Iterable[BilateralContract],
    agreements: Iterable[Agreement],
    orders: Sequence[Order],
    start_s: int,
) -> tuple[Contract, ...]:
    """Return the contracts that hold in an interval, with parties by number in its book.

    Parameters
    ----------
    contracts : iterable of BilateralContract
        In the order of their acceptance, in which they are served.
    orders : sequence of Order
        The book; a party without an order has nothing that a contract could take.
    """
    number, held = party_numbers(orders), list(agreements)
    found = []
    for one in contracts:
        if one.from_s > start_s or not all(party in number for party in _parties(one)):
            continue
        end = end_s(one, held)
        until_s = NEVER_S if end is None else end
        if start_s < until_s:
            buyer, seller = number[one.buyer], number[one.seller]
            terms = (one.price, one.from_s, until_s, one.energy_wh, one.share_percent)
            found.append(Contract(buyer, seller, *terms))
    return tuple(found)


def trades_at(party: str, agreements: Iterable[Agreement], at_s: int) -> bool:
    """Whether a party stands for anything at an instant that trades."""
    own = (one for one in agreements if one.party == party and one.holds(at_s))
    return any(one.terms_at(at_s).trades for one in own)


def guaranteed_range(
    market: Market, tariffs: Iterable[Tariff], day: date, head_price: Iterable[GridPrice]
) -> tuple[int, int]:
    """Return the prices at which nobody loses by a contract from a day on, nano per Wh.

    Where losers are topped up two parties could agree on any price and share what the others
    pay; so a contract there costs no more than any supply, and pays no less than feeding in.

    Parameters
    ----------
    head_price : iterable of GridPrice
        The prices that dynamic rates follow.
    """
    lowest = min((price for step in head_price for price in (step.buy, step.sell)), default=0)
    prices: list[int] = []
    for tariff in tariffs:
        begun = sum(version.valid_from <= day for version in tariff.versions)
        later = tariff.versions[max(begun - 1, 0) :]
        for rate in (rate for version in later for rate in version.rates):
            prices += [block.price for block in rate.block]
            if rate.series:
                prices.append(rate.dynamic_price(lowest))
    return market.feed_in, min(prices, default=0) - market.grid_fee


def _parties(contract: BilateralContract) -> tuple[PartyId, PartyId]:
    return contract.buyer, contract.seller


def _trades_until(party: str, at_s: int, agreements: Iterable[Agreement]) -> int | None:
    """Return the first instant from `at_s` on at which a party has nothing that trades."""
    spans = [span for one in agreements if one.party == party for span in _trading(one)]
    reached: int = at_s
    while True:
        ends = [until_s for from_s, until_s in spans if from_s <= reached < until_s]
        if not ends:
            return reached
        reached = max(ends)
        if reached == NEVER_S:
            return None


def _trading(one: Agreement) -> list[tuple[int, int]]:
    """Return when an agreement consents to trade, as spans."""
    last_s = NEVER_S if one.until_s is None else one.until_s
    ends = [*(terms.from_s for terms in one.terms[1:]), last_s]
    return [
        (terms.from_s, min(until_s, last_s))
        for terms, until_s in zip(one.terms, ends, strict=True)
        if terms.trades
    ]
