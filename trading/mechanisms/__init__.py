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
from trading.mechanisms import own_orders, uniform_price
from trading.mechanisms.terms import Terms

Clear = Callable[[Book, Terms], Clearing]
Certify = Callable[[Book, Clearing, Terms], list[str]]


@dataclass(frozen=True, slots=True)
class Mechanism:
    """How a book is cleared and how a clearing is checked.

    Attributes
    ----------
    clear, certify : Callable
    metered : bool
        Whether it shares out metered energy, after the interval.
    """

    clear: Clear
    certify: Certify
    metered: bool = False


def _offered(clear: Clear, certify: Certify) -> Mechanism:
    """Return a mechanism that sees what is left of a party's orders among themselves."""

    def netted(book: Book, terms: Terms) -> Clearing:
        gone = own_orders.net(book)
        offered = book.less(gone) if gone.any() else book
        return replace(clear(offered, terms), netted=gone)

    def checked(book: Book, clearing: Clearing, terms: Terms) -> list[str]:
        if wrong := own_orders.certify(book, clearing.netted):
            return wrong
        return certify(book.less(clearing.netted), clearing, terms)

    return Mechanism(netted, checked)


REGISTRY: dict[str, Mechanism] = {
    uniform_price.NAME: _offered(uniform_price.clear, uniform_price.certify),
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
