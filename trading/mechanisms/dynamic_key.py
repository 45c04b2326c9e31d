"""Energy sharing by dynamic key: the surplus goes to each need in proportion to it.

Nobody gets more than they took. What does not divide goes to the largest
remainders, the earlier order first. The price is what the members agreed.
"""

from __future__ import annotations

from trading.book import Book, Clearing
from trading.mechanisms import metered
from trading.mechanisms.terms import Terms

NAME = "dynamic_key"


def clear(book: Book, terms: Terms) -> Clearing:
    """Return the clearing of a metered book."""
    return metered.shared_alike(NAME, book, terms.price)


def certify(book: Book, clearing: Clearing, terms: Terms) -> list[str]:
    """Return why `clearing` is not the outcome of `book`: empty when it is."""
    return metered.certify_alike(book, clearing, terms.price)
