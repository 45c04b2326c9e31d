"""Nobody trades with themselves: a party's own crossing orders meet before the market.

The party's best bid meets its best ask while the bid is not below the ask, the
earlier order first at one price; what the two have in common is not offered,
and the rest of either stays. Afterwards all bids of a party are below all its
asks, so at no one price is it on both sides.
"""

from __future__ import annotations

import numpy as np

from trading.book import Book, Int64Array, pair

_NONE_LOW, _NONE_HIGH = np.iinfo(np.int64).min, np.iinfo(np.int64).max


def net(book: Book) -> Int64Array:
    """Return the Wh of each order that meets an order of its own party."""
    netted = np.zeros(len(book.price), np.int64)
    if book.party is None or not len(netted):
        return netted
    count = int(book.party.max()) + 1
    best_bid, best_ask = np.full(count, _NONE_LOW), np.full(count, _NONE_HIGH)
    np.maximum.at(best_bid, book.party[book.buy], book.price[book.buy])
    np.minimum.at(best_ask, book.party[~book.buy], book.price[~book.buy])
    crossing = (best_bid >= best_ask)[book.party]
    if not crossing.any():
        return netted
    wanted, offered = np.zeros(count, np.int64), np.zeros(count, np.int64)
    bids, asks = np.flatnonzero(crossing & book.buy), np.flatnonzero(crossing & ~book.buy)
    np.add.at(wanted, book.party[bids], book.energy_wh[bids])
    np.add.at(offered, book.party[asks], book.energy_wh[asks])
    both = np.minimum(wanted, offered)
    # Each party's two lines have the same length, so that one pairing does for all parties.
    pairs = pair(
        *_line(book, book.party, bids, -book.price, both),
        *_line(book, book.party, asks, book.price, both),
    )
    pairs = pairs[book.price[pairs[:, 0]] >= book.price[pairs[:, 1]]]
    for column in (0, 1):
        np.add.at(netted, pairs[:, column], pairs[:, 2])
    return netted


def _line(
    book: Book, party: Int64Array, places: Int64Array, cost: Int64Array, length_wh: Int64Array
) -> tuple[Int64Array, Int64Array]:
    """Return orders by party and the best first, each party's cut to its length, and their Wh."""
    ranked = places[np.lexsort((cost[places], party[places]))]
    whose, energy_wh = party[ranked], book.energy_wh[ranked]
    before = np.cumsum(energy_wh) - energy_wh
    first = np.searchsorted(whose, whose)
    left = length_wh[whose] - (before - before[first])
    kept_wh = np.clip(left, 0, energy_wh)
    return ranked[kept_wh > 0], kept_wh[kept_wh > 0]


def certify(book: Book, netted: Int64Array) -> list[str]:
    """Return why `netted` is not what the parties' own orders have in common.

    In linear time: what is netted of a party is its best orders on both sides,
    no more than meet and no less.
    """
    if netted.shape != book.price.shape or netted.dtype != np.int64:
        return ["there is not one int64 of netted energy for each order"]
    if (netted < 0).any() or (netted > book.energy_wh).any():
        return ["netted energy is outside its order"]
    if book.party is None or not len(netted):
        return ["an order of a party without another is netted"] if netted.any() else []
    count = int(book.party.max()) + 1
    worst: dict[bool, Int64Array] = {}
    best_left: dict[bool, Int64Array] = {}
    wrong = []
    balance = np.zeros(count, np.int64)
    np.add.at(balance, book.party, np.where(book.buy, netted, -netted))
    if balance.any():
        wrong.append("a party's own bids and asks are not netted alike")
    for buy in (True, False):
        side = book.buy == buy
        party, energy, gone = book.party[side], book.energy_wh[side], netted[side]
        cost = -book.price[side] if buy else book.price[side]
        worst[buy] = np.full(count, _NONE_LOW)
        best_left[buy] = np.full(count, _NONE_HIGH)
        np.maximum.at(worst[buy], party[gone > 0], cost[gone > 0])
        np.minimum.at(best_left[buy], party[gone < energy], cost[gone < energy])
        if (worst[buy] > best_left[buy]).any():
            wrong.append("a party's better order is not netted before a worse one")
        edge = worst[buy][party] == cost
        first_left = np.full(count, _NONE_HIGH)
        last_gone = np.full(count, _NONE_LOW)
        place = np.arange(len(cost))
        np.minimum.at(first_left, party[edge & (gone < energy)], place[edge & (gone < energy)])
        np.maximum.at(last_gone, party[edge & (gone > 0)], place[edge & (gone > 0)])
        if (last_gone > first_left).any():
            wrong.append("a party's earlier order is not netted before a later one")
    met = (worst[True] != _NONE_LOW) & (worst[False] != _NONE_LOW)
    if (worst[False][met] > -worst[True][met]).any():
        wrong.append("a party's bid is netted with a dearer ask")
    both = (best_left[True] != _NONE_HIGH) & (best_left[False] != _NONE_HIGH)
    if (best_left[False][both] <= -best_left[True][both]).any():
        wrong.append("a party's own bid and ask could still meet")
    return wrong
