"""What certificates of several mechanisms check, in linear time and without sorting.

They share no code with what clears. Each returns the violations, none when it
holds.
"""

from __future__ import annotations

import numpy as np

from grid.quantities import INT64_MAX
from trading.book import Book, BoolArray, Clearing, Int64Array


def of_shape(book: Book, clearing: Clearing) -> list[str]:
    """Check that there is one fill for each order, within it, and a table of trades."""
    fills, trades = clearing.fills, clearing.trades
    if fills.shape != book.price.shape or fills.dtype != np.int64:
        return ["there is not one int64 fill for each order"]
    if (fills < 0).any() or (fills > book.energy_wh).any():
        return ["a fill is outside its order"]
    if trades.ndim != 2 or trades.shape[1] != 5 or trades.dtype != np.int64:
        return ["the trades are not int64 in five columns"]
    return []


def traded(book: Book, clearing: Clearing) -> list[str]:
    """Check that the trades add up to the fills and that nobody trades with themselves."""
    fills, trades, count = clearing.fills, clearing.trades, len(book.price)
    buy, sell, energy_wh = trades[:, 0], trades[:, 1], trades[:, 2]
    if ((buy < 0) | (buy >= count) | (sell < 0) | (sell >= count)).any():
        return ["a trade is of an order that is not in the book"]
    wrong = []
    if not book.buy[buy].all() or book.buy[sell].any():
        wrong.append("a trade is not of a bid with an ask")
    if (energy_wh <= 0).any():
        wrong.append("a trade is of no energy")
    added = np.zeros(count, np.int64)
    np.add.at(added, buy, energy_wh)
    np.add.at(added, sell, energy_wh)
    if (added != fills).any():
        wrong.append("the trades do not add up to the fills")
    if int(energy_wh.sum()) != clearing.volume_wh:
        wrong.append(f"the trades have {int(energy_wh.sum())} Wh, volume {clearing.volume_wh} Wh")
    if book.party is not None and (book.party[buy] == book.party[sell]).any():
        wrong.append("a party trades with itself")
    return wrong


def within_limits(book: Book, clearing: Clearing) -> list[str]:
    """Check that no trade is beyond the limit of its orders."""
    buy, sell, _, paid, received = clearing.trades.T
    wrong = []
    if (paid > book.price[buy]).any() or (received < book.price[sell]).any():
        wrong.append("an order trades against its limit")
    if (paid < received).any():
        wrong.append("a seller gets more than the buyer pays")
    return wrong


def one_price(clearing: Clearing, paid: int, received: int) -> list[str]:
    """Check that each trade is at these prices."""
    held = (clearing.trades[:, 3] == paid).all() and (clearing.trades[:, 4] == received).all()
    return [] if held else [f"a trade is not at {paid} and {received}"]


def in_line(clearing: Clearing, cost: Int64Array | None = None) -> list[str]:
    """Check that both sides are paired in order of time, or of cost and then of time.

    With the fills given, only one table of trades does that: it goes down both
    lines, never back, and no pair is there twice.
    """
    for column in (0, 1):
        place = clearing.trades[:, column]
        step = np.diff(place)
        if cost is None:
            back = step < 0
        else:
            dearer = np.diff(cost[place])
            back = (dearer < 0) | ((dearer == 0) & (step < 0))
        if back.any():
            return ["buyers and sellers are not paired in line"]
    if (np.diff(clearing.trades[:, :2], axis=0) == 0).all(axis=1).any():
        return ["a pair is in two trades"]
    return []


def best_first(cost: Int64Array, fills: Int64Array, energy_wh: Int64Array) -> list[str]:
    """Check that of one side the orders of least cost are filled, at one cost the earlier."""
    filled, partial = fills > 0, fills < energy_wh
    if not filled.any() or not partial.any():
        return []
    worst, best = int(cost[filled].max()), int(cost[partial].min())
    if worst > best:
        return ["a better order is left while a worse one trades"]
    edge = cost == worst
    last = np.flatnonzero(edge & filled)[-1]
    first = np.flatnonzero(edge & partial)
    return ["a later order trades before an earlier one"] if len(first) and last > first[0] else []


def proportional(weight: Int64Array, fills: Int64Array) -> list[str]:
    """Check shares in proportion to `weight`, the rest by largest remainder, then by time."""
    total, left = int(weight.sum()), int(fills.sum())
    if left == total or not len(weight):
        return [] if (fills == weight).all() else ["what is left whole is not given whole"]
    if int(weight.max()) * total > INT64_MAX:
        weight, fills = weight.astype(object), fills.astype(object)
    share, rest = weight * left // total, weight * left % total
    more: BoolArray = fills - share == 1
    if not (more | (fills == share)).all():
        return ["a share is a Wh or more from its proportion"]
    if not more.any():
        return []
    least = rest[more].min()
    others = ~more & (rest >= least)
    if least == 0 or (rest[others] > least).any():
        return ["the Wh that do not divide are not with the largest remainders"]
    last = np.flatnonzero(more & (rest == least))[-1]
    return ["at one remainder a later order comes first"] if others[:last].any() else []


def in_time(energy_wh: Int64Array, fills: Int64Array) -> list[str]:
    """Check that of equal orders the earlier are filled before the later."""
    partial = np.flatnonzero(fills < energy_wh)
    if len(partial) and fills[partial[0] + 1 :].any():
        return ["a later order trades before an earlier one"]
    return []
