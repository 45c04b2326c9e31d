"""Call auction at one price: the most energy that can trade, at the middle price.

Bids are taken from the dearest and asks from the cheapest as long as the bid
is not below the ask; that is the largest volume any price clears and a largest
gain from trade. The prices at which it clears form an interval::

    low  = max(last ask that trades, first bid that does not)
    high = min(last bid that trades, first ask that does not)

The price is ``(low + high) // 2`` floored to the tick, never below `low`.
Orders better than the price are filled; those at the price share what is left
in proportion to their energy, and the Wh that do not divide go to the largest
remainders, the earlier order first.

Truthful limits are not every trader's best reply here: with few traders a
buyer may lower the price by bidding less.
"""

from __future__ import annotations

import numpy as np

from grid.quantities import INT64_MAX
from trading.book import Book, BoolArray, Clearing, Int64Array

NAME = "uniform_price"


class _Curve:
    """One side of the book, best order first, with its running energy.

    `cost` is the price of an ask and the negative price of a bid, so that on
    both sides the best order has the least.
    """

    def __init__(self, cost: Int64Array, energy_wh: Int64Array) -> None:
        count = len(cost)
        bits = count.bit_length()
        low = int(cost.min()) if count else 0
        high = int(cost.max()) if count else 0
        if (high - low) >> (62 - bits):
            order = np.argsort(cost, kind="stable")
            self.cost = cost[order]
        else:
            # Cost and position packed into one int64 sort far faster than an argsort.
            packed = ((cost - low) << bits) | np.arange(count, dtype=np.int64)
            packed.sort()
            order = packed & ((1 << bits) - 1)
            self.cost = (packed >> bits) + low
        self.running_wh = np.cumsum(energy_wh[order])

    def energy_at(self, cost: int) -> int:
        """Return the energy of all orders with at most `cost`, in Wh."""
        count = int(np.searchsorted(self.cost, cost, side="right"))
        return int(self.running_wh[count - 1]) if count else 0

    def last_within(self, volume_wh: int) -> int:
        """Return the cost of the last order needed for `volume_wh`."""
        return int(self.cost[np.searchsorted(self.running_wh, volume_wh, side="left")])

    def first_beyond(self, volume_wh: int) -> int | None:
        """Return the cost of the first order not filled by `volume_wh`."""
        place = int(np.searchsorted(self.running_wh, volume_wh, side="right"))
        return int(self.cost[place]) if place < len(self.cost) else None


def _volume(bids: _Curve, asks: _Curve) -> int:
    """Return the most Wh that trade at any price, by bisection over the bids.

    A bid trades while the asks at its price exceed what better bids take; that
    holds for a first run of the bids and for none after it.
    """
    low, high = 0, len(bids.cost)
    while low < high:
        middle = (low + high) // 2
        taken = int(bids.running_wh[middle - 1]) if middle else 0
        if asks.energy_at(-int(bids.cost[middle])) > taken:
            low = middle + 1
        else:
            high = middle
    if low == 0:
        return 0
    last = low - 1
    return min(int(bids.running_wh[last]), asks.energy_at(-int(bids.cost[last])))


def _middle(low: int, high: int, tick: int) -> int:
    return max((low + high) // 2 // tick * tick, low)


def _share(energy_wh: Int64Array, left_wh: int) -> Int64Array:
    """Return `left_wh` divided in proportion to `energy_wh` by largest remainder."""
    total = int(energy_wh.sum())
    if left_wh == total:
        return energy_wh
    if int(energy_wh.max()) * left_wh > INT64_MAX:
        wide = energy_wh.astype(object) * left_wh
        shares, rest = (wide // total).astype(np.int64), (wide % total).astype(np.int64)
    else:
        shares, rest = np.divmod(energy_wh * left_wh, total)
    missing = left_wh - int(shares.sum())
    shares[np.argsort(-rest, kind="stable")[:missing]] += 1
    return shares


def _fill(better: BoolArray, at_price: BoolArray, energy_wh: Int64Array, volume: int) -> Int64Array:
    """Return the fills of one side: all that is better, then a share at the price."""
    fills = np.where(better, energy_wh, 0)
    marginal = np.flatnonzero(at_price)
    if len(marginal):
        fills[marginal] = _share(energy_wh[marginal], volume - int(fills.sum()))
    return fills


def clear(book: Book, tick: int = 1) -> Clearing:
    """Return the clearing of a sealed book.

    Parameters
    ----------
    book : Book
        In order of time, every energy at least 1 Wh.
    tick : int
        Step of the clearing price, nano-currency per Wh.
    """
    sell = ~book.buy
    bids = _Curve(-book.price[book.buy], book.energy_wh[book.buy])
    asks = _Curve(book.price[sell], book.energy_wh[sell])
    volume = _volume(bids, asks)
    if volume == 0:
        return Clearing(NAME, None, None, None, 0, np.zeros(len(book.price), np.int64))
    next_bid, next_ask = bids.first_beyond(volume), asks.first_beyond(volume)
    low, high = asks.last_within(volume), -bids.last_within(volume)
    low = low if next_bid is None else max(low, -next_bid)
    high = high if next_ask is None else min(high, next_ask)
    price = _middle(low, high, tick)
    above, at = book.price > price, book.price == price
    fills = _fill(book.buy & above, book.buy & at, book.energy_wh, volume)
    fills += _fill(sell & ~(above | at), sell & at, book.energy_wh, volume)
    return Clearing(NAME, price, low, high, volume, fills)


def certify(book: Book, clearing: Clearing, tick: int = 1) -> list[str]:
    """Return why `clearing` is not the outcome of `book`: empty when it is.

    Needs no sorting and shares no code with :func:`clear`. That orders better
    than the price are full, worse ones empty, and at the price one side is
    exhausted, proves by complementary slackness that no other clearing trades
    more energy or gains more.
    """
    if clearing.fills.shape != book.price.shape or clearing.fills.dtype != np.int64:
        return ["there is not one int64 fill for each order"]
    price, energy, fills = book.price, book.energy_wh, clearing.fills
    buy, sell = book.buy, ~book.buy
    bids, asks = price[buy], price[sell]
    if clearing.price is None:
        empty = clearing.volume_wh == 0 and not fills.any()
        apart = not len(bids) or not len(asks) or int(bids.max()) < int(asks.min())
        return [] if empty and apart else ["nothing trades although a bid reaches an ask"]

    wrong = []
    bought, sold = int(fills[buy].sum()), int(fills[sell].sum())
    if not bought == sold == clearing.volume_wh > 0:
        wrong.append(f"bought {bought} Wh, sold {sold} Wh, volume {clearing.volume_wh} Wh")
    if (fills < 0).any() or (fills > energy).any():
        wrong.append("a fill is outside its order")
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
    for side in (buy, sell):
        wrong += _unfair(energy[at & side], fills[at & side])
    if wrong:
        return wrong
    low, high = _interval(book, fills)
    if (clearing.price_low, clearing.price_high) != (low, high):
        wrong.append(f"price interval {clearing.price_low}..{clearing.price_high} is {low}..{high}")
    if edge != max((low + high) // 2 // tick * tick, low):
        wrong.append(f"price {edge} is not the middle of {low}..{high} at tick {tick}")
    return wrong


def _interval(book: Book, fills: Int64Array) -> tuple[int, int]:
    """Return the prices no filled order refuses and no unfilled one would take."""
    partial = fills < book.energy_wh
    floor = book.price[np.where(book.buy, partial, fills > 0)]
    ceiling = book.price[np.where(book.buy, fills > 0, partial)]
    return int(floor.max()), int(ceiling.min())


def _unfair(energy_wh: Int64Array, fills: Int64Array) -> list[str]:
    """Return a violation when marginal fills are a Wh or more from their share."""
    if not len(fills):
        return []
    total, left = int(energy_wh.sum()), int(fills.sum())
    if int(energy_wh.max()) * total > INT64_MAX:
        energy_wh, fills = energy_wh.astype(object), fills.astype(object)
    if (np.abs(energy_wh * left - fills * total) >= total).any():
        return ["the orders at the price do not share in proportion"]
    return []
