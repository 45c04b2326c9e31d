"""Sharing at a price that falls with the ratio of supply to demand.

With the ratio ``r`` of surplus to need below 1 the price is::

    retail * feed_in / ((retail - feed_in) * r + feed_in)

so that it falls from the retail price, where there is no surplus, to the
feed-in price, where there is enough; beyond, it stays there (N. Liu et al.,
Energy-sharing model with price-based demand response for microgrids of
peer-to-peer prosumers, 2017). Needs share the surplus in proportion and take the
rest at the retail price.
"""

from __future__ import annotations

from trading.book import Book, Clearing
from trading.mechanisms import metered
from trading.mechanisms.terms import Terms

NAME = "supply_demand_ratio"


def clear(book: Book, terms: Terms) -> Clearing:
    """Return the clearing of a metered book; the price is floored to the tick."""
    need, surplus = metered.need_and_surplus(book)
    spread = (terms.retail - terms.feed_in) * min(surplus, need) + terms.feed_in * need
    exact = terms.retail * terms.feed_in * need // spread if spread else terms.feed_in
    return metered.shared_alike(NAME, book, max(exact // terms.tick * terms.tick, terms.feed_in))


def certify(book: Book, clearing: Clearing, terms: Terms) -> list[str]:
    """Return why `clearing` is not the outcome of `book`: empty when it is.

    The price is the highest on the tick at which the surplus brings no more
    than its formula says, tested without a division.
    """
    need = int(book.energy_wh[book.buy].sum())
    surplus = int(book.energy_wh[~book.buy].sum())
    if clearing.price is None:
        return metered.certify_alike(book, clearing, terms.feed_in)

    def within(price: int) -> bool:
        worth = (terms.retail - terms.feed_in) * min(surplus, need) + terms.feed_in * need
        return price * worth <= terms.retail * terms.feed_in * need

    price, tick = clearing.price, terms.tick
    on_tick = price % tick == 0 and within(price) and not within(price + tick)
    floor = price == terms.feed_in and not within((price // tick + 1) * tick)
    if not (on_tick or floor) or price < terms.feed_in:
        return [f"price {price} does not follow the ratio {surplus}:{need}"]
    return metered.certify_alike(book, clearing, price)
