"""Market mechanisms by name: each is a pure function from a book to a clearing.

A mechanism takes ``(book, terms)`` and keeps what the contract suite in
``tests/trading/mechanisms`` asks of all: bought equals sold, no fill above its
order, money that sums to zero with the surplus, nobody who trades with
themselves, the same outcome for the same book, and a list of violations from
``certify`` that is empty exactly for its own outcomes.

Those of orders clear a sealed book before its interval; those of metered energy
share out afterwards what usage points fed in and took, with the price of each
order as its worth outside the community (:mod:`trading.mechanisms.metered`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from grid.errors import BadInputError
from trading.book import Book, Clearing
from trading.mechanisms import (
    bilateral,
    dynamic_key,
    line_limits,
    line_limits_check,
    mcafee,
    mid_market_rate,
    order_book,
    order_book_check,
    own_orders,
    pay_as_bid,
    static_key,
    supply_demand_ratio,
    uniform_price,
)
from trading.mechanisms.terms import Terms

Clear = Callable[[Book, Terms], Clearing]
Certify = Callable[[Book, Clearing, Terms], list[str]]


@dataclass(frozen=True, slots=True)
class Mechanism:
    """How a book is cleared and how a clearing is checked.

    Attributes
    ----------
    clear, certify : Callable
    needs, reads : tuple of str
        Fields of :class:`Terms` that it cannot do without, and that it heeds.
    metered : bool
        Whether it shares out metered energy, after the interval.
    """

    clear: Clear
    certify: Certify
    needs: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    metered: bool = False


def _offered(
    clear: Clear, certify: Certify, *, needs: tuple[str, ...] = (), reads: tuple[str, ...] = ()
) -> Mechanism:
    """Return a mechanism that sees what is left of a party's orders among themselves."""

    def netted(book: Book, terms: Terms) -> Clearing:
        if book.party is None:
            return clear(book, terms)
        gone = own_orders.net(book)
        return replace(clear(book.less(gone), terms), netted=gone)

    def checked(book: Book, clearing: Clearing, terms: Terms) -> list[str]:
        if wrong := own_orders.certify(book, clearing.netted):
            return wrong
        return certify(book.less(clearing.netted), clearing, terms)

    return Mechanism(netted, checked, needs, reads)


def _shared(
    clear: Clear, certify: Certify, *, needs: tuple[str, ...] = (), reads: tuple[str, ...] = ()
) -> Mechanism:
    """Return a mechanism of metered energy."""
    outside = ("retail", "feed_in")
    return replace(_offered(clear, certify, needs=(*outside, *needs), reads=reads), metered=True)


REGISTRY: dict[str, Mechanism] = {
    uniform_price.NAME: _offered(uniform_price.clear, uniform_price.certify, reads=("margin",)),
    pay_as_bid.NAME: _offered(pay_as_bid.clear, pay_as_bid.certify),
    mcafee.NAME: _offered(mcafee.clear, mcafee.certify),
    # Orders come and go, so that a party's own meet as they arrive.
    order_book.NAME: Mechanism(order_book.clear, order_book_check.certify, reads=("events",)),
    bilateral.NAME: _offered(
        bilateral.clear, bilateral.certify, needs=("contracts",), reads=("margin", "start_s")
    ),
    line_limits.NAME: _offered(
        line_limits.clear, line_limits_check.certify, needs=("feeder", "bus")
    ),
    mid_market_rate.NAME: _shared(mid_market_rate.clear, mid_market_rate.certify),
    supply_demand_ratio.NAME: _shared(supply_demand_ratio.clear, supply_demand_ratio.certify),
    static_key.NAME: _shared(
        static_key.clear,
        static_key.certify,
        needs=("price", "key_percent"),
        reads=("redistribute",),
    ),
    dynamic_key.NAME: _shared(dynamic_key.clear, dynamic_key.certify, needs=("price",)),
}


def mechanism(name: str) -> Mechanism:
    """Return the mechanism of `name`.

    Raises
    ------
    BadInputError
        When there is none of that name.
    """
    if name not in REGISTRY:
        raise BadInputError(f"mechanism {name!r} is not known; known: {', '.join(REGISTRY)}")
    return REGISTRY[name]
