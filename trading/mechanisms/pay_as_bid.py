"""Call auction in which each buyer pays its own bid.

The dearest bid meets the cheapest ask, the earlier order first at one price,
as long as the bid is not below the ask: the energy of the auction at one price
and as large a gain. Buyer and seller settle at the bid, so that all of the
gain goes to the sellers; the lowest and the highest price of the trades are
given. A buyer does better by bidding what it expects the last bid to be: this
auction pays no one to be truthful.
"""

from __future__ import annotations

import numpy as np

from trading.book import Book, Clearing, Int64Array, pair, priced
from trading.mechanisms import checks
from trading.mechanisms.curve import Crossing
from trading.mechanisms.shares import in_order
from trading.mechanisms.terms import PLAIN, Terms

NAME = "pay_as_bid"


def clear(book: Book, terms: Terms = PLAIN) -> Clearing:
    """Return the clearing of a sealed book in order of time."""
    crossing = Crossing.of(book)
    volume = crossing.volume_wh
    if volume == 0:
        return Clearing.nothing(NAME, len(book.price))
    fills = np.zeros(len(book.price), np.int64)
    lines = []
    for side, curve in ((book.buy, crossing.bids), (~book.buy, crossing.asks)):
        ranked = np.flatnonzero(side)[curve.order]
        fills[ranked] = in_order(book.energy_wh[ranked], volume)
        line = ranked[fills[ranked] > 0]
        lines += [line, fills[line]]
    last, first = book.price[lines[0][[-1, 0]]].tolist()

    def trades() -> Int64Array:
        pairs = pair(*lines)
        paid = book.price[pairs[:, 0]]
        return priced(pairs, paid, paid)

    return Clearing(NAME, None, last, first, volume, fills, trades, np.zeros_like(fills))


def certify(book: Book, clearing: Clearing, terms: Terms = PLAIN) -> list[str]:
    """Return why `clearing` is not the outcome of `book`: empty when it is."""
    if wrong := checks.of_shape(book, clearing) or checks.traded(book, clearing):
        return wrong
    fills, partial = clearing.fills, clearing.fills < book.energy_wh
    filled = fills > 0
    cost = np.where(book.buy, -book.price, book.price)
    wrong = []
    for side in (book.buy, ~book.buy):
        wrong += checks.best_first(cost[side], fills[side], book.energy_wh[side])
    if clearing.price is not None:
        wrong.append("there is no one price")
    bids, asks = book.price[book.buy & partial], book.price[~book.buy & partial]
    if len(bids) and len(asks) and int(bids.max()) >= int(asks.min()):
        wrong.append("a bid and an ask could still trade")
    paid = book.price[clearing.trades[:, 0]]
    if (clearing.trades[:, 3] != paid).any() or (clearing.trades[:, 4] != paid).any():
        wrong.append("a trade is not at the price of its bid")
    wrong += checks.within_limits(book, clearing) + checks.in_line(clearing, cost)
    traded = book.price[book.buy & filled]
    low, high = (int(traded.min()), int(traded.max())) if len(traded) else (None, None)
    if (clearing.price_low, clearing.price_high) != (low, high):
        wrong.append(f"prices {clearing.price_low}..{clearing.price_high} are {low}..{high}")
    return wrong
