"""The certificate of a clearing with line limits, in linear time and without sorting.

The fills are the best that the lines can carry exactly when there is a price at
each bus such that better orders are full, worse ones empty, a free line has the
fee between its ends, and a full one at least that (complementary slackness).
On a tree such prices are there when the interval that a subtree admits is
nowhere empty. Here it is taken over ranks, a limit with its place in time
beside it, so that only the one outcome passes that ties leave.
"""

from __future__ import annotations

import numpy as np

from trading.book import Book, Clearing, Int64Array
from trading.mechanisms import checks
from trading.mechanisms.feeder import Feeder
from trading.mechanisms.terms import Terms

_FAR = 1 << 200
_OPEN = 1 << 120
"""Beyond any price and below :data:`_FAR`, whatever fees were added to it."""


def certify(book: Book, clearing: Clearing, terms: Terms) -> list[str]:
    """Return why `clearing` is not the outcome of `book`: empty when it is."""
    feeder, bus, price = terms.feeder, terms.bus, clearing.bus_price
    if feeder is None or bus is None or price is None or price.shape != feeder.parent.shape:
        return ["there is not one price for each bus"]
    if wrong := checks.of_shape(book, clearing) or checks.traded(book, clearing):
        return wrong
    wrong = checks.within_limits(book, clearing)
    export = _exports(book, clearing.fills, feeder, bus)
    over = (export > feeder.export_wh) | (export < -feeder.import_wh)
    over[feeder.parent < 0] = export[feeder.parent < 0] != 0
    if over.any():
        wrong.append(f"the line of bus {int(np.flatnonzero(over)[0])} carries more than its limit")
        return wrong
    buy, sell = clearing.trades[:, 0], clearing.trades[:, 1]
    paid = price[bus[buy]] + feeder.bus_fee[bus[buy]]
    if (clearing.trades[:, 3] != paid).any() or (clearing.trades[:, 4] != price[bus[sell]]).any():
        wrong.append("a trade is not at the prices of its buses")
    wrong += _summary(clearing, price[bus[clearing.fills > 0]])
    wrong += _nearest(book, clearing, feeder, bus)
    return wrong + _slack(book, clearing, feeder, bus, export, terms.tick)


def _exports(book: Book, fills: Int64Array, feeder: Feeder, bus: Int64Array) -> Int64Array:
    """Return what each subtree sends towards the head, in Wh."""
    export = np.zeros(len(feeder.parent), np.int64)
    np.add.at(export, bus[~book.buy], fills[~book.buy])
    np.subtract.at(export, bus[book.buy], fills[book.buy])
    for at in feeder.downward()[:0:-1]:
        export[feeder.parent[at]] += export[at]
    return export


def _summary(clearing: Clearing, traded: Int64Array) -> list[str]:
    low, high = (int(traded.min()), int(traded.max())) if len(traded) else (None, None)
    stated = (clearing.price, clearing.price_low, clearing.price_high)
    one = low if low == high else None
    return [] if stated == (one, low, high) else [f"prices {stated} are {(one, low, high)}"]


def _nearest(book: Book, clearing: Clearing, feeder: Feeder, bus: Int64Array) -> list[str]:
    """Check that energy is paired where it meets, the earlier order first.

    From the ends to the head, the trades of a bus are the next of the table, as
    much as both sides have there; the later orders of the longer side go on.
    """
    trades, left = clearing.trades, clearing.fills.copy()
    ends, row = np.cumsum(trades[:, 2]), 0
    here = np.full(len(left), -1)
    waiting: dict[int, list[int]] = {at: [] for at in [-1, *feeder.downward()]}
    for place, at in enumerate(bus.tolist()):
        waiting[at].append(place)
    for at in feeder.downward()[::-1]:
        pool = np.array(waiting[at], np.int64)
        here[pool] = at
        bought = int(left[pool[book.buy[pool]]].sum())
        both = min(bought, int(left[pool].sum()) - bought)
        met = (int(ends[row - 1]) if row else 0) + both
        rows = trades[row : int(np.searchsorted(ends, met, side="right"))]
        row += len(rows)
        back = (np.diff(rows[:, :2], axis=0) < 0).any()
        again = (np.diff(rows[:, :2], axis=0) == 0).all(axis=1).any()
        if int(rows[:, 2].sum()) != both or back or again or (here[rows[:, :2]] != at).any():
            return [f"at bus {at} energy is not paired in order of time"]
        np.subtract.at(left, rows[:, 0], rows[:, 2])
        np.subtract.at(left, rows[:, 1], rows[:, 2])
        onward = pool[left[pool] > 0]
        if len(onward) and len(rows):
            longer = rows[:, 0 if book.buy[onward[0]] else 1]
            if int(longer.max()) > int(onward.min()):
                return [f"at bus {at} an earlier order goes on before a later one"]
        waiting[int(feeder.parent[at])] += onward.tolist()
    return []


def _slack(
    book: Book, clearing: Clearing, feeder: Feeder, bus: Int64Array, export: Int64Array, tick: int
) -> list[str]:
    """Check that each subtree admits a rank, and the price that the rule picks."""
    scale = 4 * len(book.price) + 4
    low, high = _own(book, clearing.fills, feeder, bus, scale)
    ways: dict[int, tuple[int, int]] = {}
    down = feeder.downward()
    for at in down[::-1]:
        if low[at] > high[at]:
            return [f"below bus {at} another outcome has more gain, energy or earlier orders"]
        above, fee, sent = int(feeder.parent[at]), int(feeder.line_fee[at]), int(export[at])
        if above < 0:
            continue
        # The most and the least by which the price above may exceed the one below.
        most = (fee if sent >= 0 else -fee) if sent < feeder.export_wh[at] else _FAR
        least = (fee if sent > 0 else -fee) if sent > -feeder.import_wh[at] else -_FAR
        ways[at] = (least, most)
        low[above] = max(low[above], low[at] + least * scale)
        high[above] = min(high[above], high[at] + most * scale)
    stated: list[int] = [] if clearing.bus_price is None else clearing.bus_price.tolist()
    for at in down:
        above = int(feeder.parent[at])
        near = stated[above] if above >= 0 else 0
        wanted = _rule(low[at] // scale, high[at] // scale, tick, near)
        if at in ways:
            least, most = ways[at]
            wanted = max(min(wanted, near - least), near - most)
        if stated[at] != wanted:
            return [f"price {stated[at]} at bus {at} is not {wanted}"]
    return []


def _own(
    book: Book, fills: Int64Array, feeder: Feeder, bus: Int64Array, scale: int
) -> tuple[list[int], list[int]]:
    """Return the least and the highest rank at each bus that its own orders admit."""
    low, high = [-_FAR] * len(feeder.parent), [_FAR] * len(feeder.parent)
    fee = feeder.bus_fee[bus].tolist()
    for place, (buy, price, wh, filled, at) in enumerate(
        zip(
            book.buy.tolist(),
            book.price.tolist(),
            book.energy_wh.tolist(),
            fills.tolist(),
            bus.tolist(),
            strict=True,
        )
    ):
        rank = (price - fee[place]) * scale + scale - 1 - place if buy else price * scale + place
        if (filled < wh) if buy else filled:
            low[at] = max(low[at], rank)
        if filled if buy else (filled < wh):
            high[at] = min(high[at], rank)
    return low, high


def _rule(low: int, high: int, tick: int, near: int) -> int:
    """Return the middle on the tick; where one end is open the other, where both are `near`."""
    if low < -_OPEN:
        return near if high > _OPEN else high
    if high > _OPEN:
        return low
    return max((low + high) // 2 // tick * tick, low)
