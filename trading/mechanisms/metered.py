"""What mechanisms of metered energy have in common: the book of an interval that is over.

A usage point that took energy is a bid for it at the retail price, one that fed
energy in an ask at the feed-in price: what either would have without the
community. A price between the two leaves nobody worse off. What a party fed in
at one place and took at another meets first and has no price here, as with
orders of its own.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from grid.errors import BadInputError
from trading.book import Book, Clearing, Int64Array, in_order_of_time, priced
from trading.mechanisms import checks
from trading.mechanisms.shares import in_proportion
from trading.mechanisms.terms import Terms


def metered_book(
    import_wh: Int64Array, export_wh: Int64Array, terms: Terms, party: Int64Array | None = None
) -> Book:
    """Return the book of an interval as metered, one order for each usage point.

    Parameters
    ----------
    import_wh, export_wh : NDArray[int64], shape (usage_point,)
        What each took from the network and fed into it; the difference counts.

    Raises
    ------
    BadInputError
        When the retail price is below the feed-in price.
    """
    if not 0 <= terms.feed_in <= terms.retail:
        raise BadInputError(
            f"feed-in price {terms.feed_in} must be within 0 and the retail price {terms.retail}"
        )
    need_wh = import_wh - export_wh
    buy = need_wh > 0
    return Book(buy, np.where(buy, terms.retail, terms.feed_in), np.abs(need_wh), party)


def need_and_surplus(book: Book) -> tuple[int, int]:
    """Return what was taken and what was fed in, in Wh."""
    need = int(book.energy_wh @ book.buy)
    return need, int(book.energy_wh.sum()) - need


def shared_alike(name: str, book: Book, price: int) -> Clearing:
    """Return the clearing at `price` in which each side shares what there is in proportion."""
    bids = np.flatnonzero(book.buy)
    volume = min(need_and_surplus(book))
    return at_price(name, book, price, in_proportion(book.energy_wh[bids], volume))


def at_price(name: str, book: Book, price: int, bought_wh: Int64Array) -> Clearing:
    """Return the clearing at `price` in which the needs get `bought_wh`, in their order.

    The surplus goes in proportion: nobody feeds in rather than another.
    """
    volume = int(bought_wh.sum())
    if volume == 0:
        return Clearing.nothing(name, len(book.price))
    fills = np.zeros(len(book.price), np.int64)
    asks = np.flatnonzero(~book.buy)
    fills[book.buy] = bought_wh
    fills[asks] = in_proportion(book.energy_wh[asks], volume)

    def trades() -> Int64Array:
        return priced(in_order_of_time(book, fills), price, price)

    return Clearing(name, price, price, price, volume, fills, trades, np.zeros_like(fills))


def average_prices(book: Book, clearing: Clearing, terms: Terms) -> tuple[Fraction, Fraction]:
    """Return what a Wh costs the needs and brings the surplus, with the world outside.

    Nano-currency per Wh; retail and feed-in where nobody took or fed in. What a
    party had itself counts for neither.
    """
    need, surplus = need_and_surplus(book.less(clearing.netted))
    volume, price = clearing.volume_wh, clearing.price or 0
    bought = volume * price + (need - volume) * terms.retail
    sold = volume * price + (surplus - volume) * terms.feed_in
    return (
        Fraction(bought, need) if need else Fraction(terms.retail),
        Fraction(sold, surplus) if surplus else Fraction(terms.feed_in),
    )


def certify(book: Book, clearing: Clearing, price: int) -> list[str]:
    """Check all but how the needs share: the price, the trades and the shares of the surplus."""
    if wrong := checks.of_shape(book, clearing) or checks.traded(book, clearing):
        return wrong
    one = price if clearing.volume_wh else None
    stated = (clearing.price, clearing.price_low, clearing.price_high)
    wrong = [] if stated == (one, one, one) else [f"prices {stated} are not {one}"]
    asks = ~book.buy
    wrong += checks.proportional(book.energy_wh[asks], clearing.fills[asks])
    return wrong + checks.one_price(clearing, price, price) + checks.in_line(clearing)


def certify_alike(book: Book, clearing: Clearing, price: int) -> list[str]:
    """Check a clearing of :func:`shared_alike`."""
    if wrong := certify(book, clearing, price):
        return wrong
    bids = book.energy_wh[book.buy]
    most = min(int(bids.sum()), int(book.energy_wh[~book.buy].sum()))
    if clearing.volume_wh != most:
        return [f"volume {clearing.volume_wh} Wh, {most} Wh could be shared"]
    return checks.proportional(bids, clearing.fills[book.buy])
