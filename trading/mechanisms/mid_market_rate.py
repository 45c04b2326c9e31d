"""Sharing at the mid-market rate: halfway between the retail and the feed-in price.

Needs and surplus share what there is in proportion; what is left is supplied at
the retail price or fed in at the feed-in price (C. Long et al., Peer-to-peer
energy trading in a community microgrid, 2017).
"""

from __future__ import annotations

from trading.book import Book, Clearing
from trading.mechanisms import metered
from trading.mechanisms.terms import Terms

NAME = "mid_market_rate"


def clear(book: Book, terms: Terms) -> Clearing:
    """Return the clearing of a metered book; the rate is floored to the tick."""
    middle = (terms.retail + terms.feed_in) // 2 // terms.tick * terms.tick
    return metered.shared_alike(NAME, book, max(middle, terms.feed_in))


def certify(book: Book, clearing: Clearing, terms: Terms) -> list[str]:
    """Return why `clearing` is not the outcome of `book`: empty when it is."""
    double = terms.retail + terms.feed_in
    price = max(double // (2 * terms.tick) * terms.tick, terms.feed_in)
    return metered.certify_alike(book, clearing, price)
