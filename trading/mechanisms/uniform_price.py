"""Call auction at one price: the most energy that can trade, at the middle price.

Bids are taken from the dearest and asks from the cheapest as long as the bid
is not below the ask; that is the largest volume any price clears and a largest
gain from trade. The prices at which it clears form an interval::

    low  = max(last ask that trades, first bid that does not)
    high = min(last bid that trades, first ask that does not)

The price is ``(low + high) // 2`` floored to the tick, never below `low`.
Orders better than the price are filled; those at the price share what is left
in proportion to their energy, and the Wh that do not divide go to the largest
remainders, the earlier order first; or, by the other margin rule, the earlier
order is filled first.

Truthful limits are not every trader's best reply here: with few traders a
buyer may lower the price by bidding less.
"""

from __future__ import annotations

import numpy as np

from trading.book import Book, Clearing, Int64Array, in_order_of_time, priced
from trading.mechanisms import checks
from trading.mechanisms.curve import Crossing, crossing
from trading.mechanisms.shares import in_order, in_proportion
from trading.mechanisms.terms import PLAIN, Margin, Terms

NAME = "uniform_price"


def clear(book: Book, terms: Terms = PLAIN) -> Clearing:
    """Return the clearing of a sealed book in order of time."""
    met = crossing(book)
    bids, asks, volume = met.bids, met.asks, met.volume_wh
    if volume == 0:
        return Clearing.nothing(NAME, len(book.price))
    next_bid, next_ask = bids.first_beyond(volume), asks.first_beyond(volume)
    low, high = asks.last_within(volume), -bids.last_within(volume)
    low = low if next_bid is None else max(low, -next_bid)
    high = high if next_ask is None else min(high, next_ask)
    price = max((low + high) // 2 // terms.tick * terms.tick, low)
    fills = _fills(book, met, price, terms.margin)

    def trades() -> Int64Array:
        return priced(in_order_of_time(book, fills), price, price)

    return Clearing(NAME, price, low, high, volume, fills, trades, np.zeros(len(fills), np.int64))


def _fills(book: Book, met: Crossing, price: int, margin: Margin) -> Int64Array:
    """Return all of what is better than the price, and at it a share of what is left."""
    at = book.price == price
    fills: Int64Array = book.energy_wh * ((book.buy == (book.price > price)) & ~at)
    marginal = np.flatnonzero(at)
    buy = book.buy[marginal]
    share = in_proportion if margin is Margin.PRO_RATA else in_order
    better = met.bids.energy_at(-price - 1), met.asks.energy_at(price - 1)
    for places, before in zip((marginal[buy], marginal[~buy]), better, strict=True):
        fills[places] = share(book.energy_wh[places], met.volume_wh - before)
    return fills


def certify(book: Book, clearing: Clearing, terms: Terms = PLAIN) -> list[str]:
    """Return why `clearing` is not the outcome of `book`: empty when it is.

    Needs no sorting and shares no code with :func:`clear`. That orders better
    than the price are full, worse ones empty, and at the price one side is
    exhausted, proves by complementary slackness that no other clearing trades
    more energy or gains more.
    """
    if wrong := checks.of_shape(book, clearing):
        return wrong
    price, energy, fills = book.price, book.energy_wh, clearing.fills
    buy, sell = book.buy, ~book.buy
    if clearing.price is None:
        bids, asks = price[buy & (energy > 0)], price[sell & (energy > 0)]
        empty = clearing.volume_wh == 0 and not fills.any() and not len(clearing.trades)
        apart = not len(bids) or not len(asks) or int(bids.max()) < int(asks.min())
        bare = clearing.price_low is None and clearing.price_high is None
        return [] if empty and apart and bare else ["nothing trades although a bid reaches an ask"]

    bought, sold = int(fills[buy].sum()), int(fills[sell].sum())
    if not bought == sold == clearing.volume_wh > 0:
        return [f"bought {bought} Wh, sold {sold} Wh, volume {clearing.volume_wh} Wh"]
    wrong = checks.traded(book, clearing)
    if wrong:
        return wrong
    edge = clearing.price
    better = np.where(buy, price > edge, price < edge)
    at = price == edge
    partial = fills < energy
    if (better & partial).any():
        wrong.append(f"an order better than the price {edge} is not full")
    if (~better & ~at & (fills > 0)).any():
        wrong.append(f"an order trades against its limit at the price {edge}")
    if (at & buy & partial).any() and (at & sell & partial).any():
        wrong.append(f"bids and asks at the price {edge} could still trade")
    shared = checks.proportional if terms.margin is Margin.PRO_RATA else checks.in_time
    for side in (buy, sell):
        wrong += shared(energy[at & side], fills[at & side])
    wrong += checks.one_price(clearing, edge, edge) + checks.in_line(clearing)
    return wrong or _price(book, clearing, terms.tick)


def _price(book: Book, clearing: Clearing, tick: int) -> list[str]:
    """Check the interval of prices no filled order refuses and no unfilled one would take."""
    partial = clearing.fills < book.energy_wh
    filled = clearing.fills > 0
    low = int(book.price[np.where(book.buy, partial, filled)].max())
    high = int(book.price[np.where(book.buy, filled, partial)].min())
    wrong = []
    if (clearing.price_low, clearing.price_high) != (low, high):
        wrong.append(f"price interval {clearing.price_low}..{clearing.price_high} is {low}..{high}")
    if clearing.price != max((low + high) // 2 // tick * tick, low):
        wrong.append(f"price {clearing.price} is not the middle of {low}..{high} at tick {tick}")
    return wrong
