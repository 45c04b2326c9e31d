"""The certificate of a continuous order book: each trade was the best there was.

The events are walked once with the trades as they are told, without a ranking
of what rests. For each side it is kept how far down the other side each arrival
went: to its last trade, or to its limit when it came to rest. No order that
stood all that time may be better than that; this is asked once, when it leaves.
The depths that can still matter fall with time, so that a question takes a
bisection.
"""

from __future__ import annotations

from bisect import bisect_left

import numpy as np

from trading.book import Book, Clearing
from trading.mechanisms import checks
from trading.mechanisms.order_book import events_of
from trading.mechanisms.terms import PLAIN, Act, Event, Terms

_Key = tuple[int, int]
"""Cost and stamp: the less, the better."""


class _Depths:
    """How far down one side the arrivals of the other went."""

    def __init__(self) -> None:
        self.stamps: list[int] = []
        self.keys: list[_Key] = []

    def add(self, stamp: int, key: _Key) -> None:
        while self.keys and self.keys[-1] <= key:
            self.keys.pop()
            self.stamps.pop()
        self.stamps.append(stamp)
        self.keys.append(key)

    def passed(self, key: _Key) -> bool:
        """Return whether an arrival since the stamp of `key` went deeper than it."""
        place = bisect_left(self.stamps, key[1])
        return place < len(self.keys) and self.keys[place] > key


class _Walk:
    def __init__(self, book: Book, clearing: Clearing) -> None:
        self.buy, self.party = book.buy.tolist(), book.parties.tolist()
        self.price, self.offered = book.price.tolist(), book.energy_wh.tolist()
        self.rows: list[list[int]] = clearing.trades.tolist()
        self.row = 0
        self.left = [0] * len(self.buy)
        self.stamp = [-1] * len(self.buy)
        self.netted = [0] * len(self.buy)
        self.own: dict[tuple[int, bool], list[int]] = {}
        self.depths = {True: _Depths(), False: _Depths()}
        self.wrong: list[str] = []

    def key(self, order: int) -> _Key:
        price = self.price[order]
        return (-price if self.buy[order] else price, self.stamp[order])

    def leave(self, order: int) -> None:
        """Ask, as `order` leaves or loses its place, whether it was passed over."""
        if self.depths[self.buy[order]].passed(self.key(order)):
            self.wrong.append(f"order {order} was passed over for a worse one")

    def crosses(self, order: int, other: int) -> bool:
        bid, ask = (order, other) if self.buy[order] else (other, order)
        return bool(self.price[bid] >= self.price[ask])

    def arrive(self, order: int, stamp: int) -> None:
        self.stamp[order] = stamp
        self.meet_own(order)
        deepest: _Key | None = None
        while self.left[order] and self.row < len(self.rows):
            buy, sell, energy_wh, paid, received = self.rows[self.row]
            met = sell if self.buy[order] else buy
            if order not in (buy, sell) or not self.left[met] or not self.crosses(order, met):
                break
            self.row += 1
            key = self.key(met)
            if deepest is not None and key <= deepest:
                self.wrong.append(f"order {met} trades after a worse one")
            deepest = key
            if energy_wh != min(self.left[order], self.left[met]):
                self.wrong.append(f"orders {buy} and {sell} do not trade what both have left")
                return
            if not paid == received == self.price[met]:
                self.wrong.append(f"orders {buy} and {sell} do not trade at the resting limit")
            self.left[order] -= energy_wh
            self.left[met] -= energy_wh
            if not self.left[met]:
                self.leave(met)
        if self.left[order]:
            # At its limit every order of the other side, whatever its stamp, had to trade first.
            deepest = (-self.key(order)[0], stamp)
        if deepest is not None:
            self.depths[not self.buy[order]].add(stamp, deepest)

    def meet_own(self, order: int) -> None:
        own = self.own.setdefault((self.party[order], not self.buy[order]), [])
        while self.left[order]:
            own[:] = [one for one in own if self.left[one]]
            met = min((one for one in own if self.crosses(order, one)), key=self.key, default=None)
            if met is None:
                break
            both = min(self.left[order], self.left[met])
            for one in (order, met):
                self.left[one] -= both
                self.netted[one] += both
            if not self.left[met]:
                self.leave(met)

    def amend(self, event: Event, stamp: int) -> None:
        order = event.order
        if not self.left[order]:
            return
        moved = event.price is not None and event.price != self.price[order]
        wanted = self.left[order]
        if event.energy_wh is not None:
            wanted = max(event.energy_wh - (self.offered[order] - wanted), 0)
        self.offered[order] += wanted - self.left[order]
        if wanted == 0 or moved or wanted > self.left[order]:
            self.leave(order)
        grown, self.left[order] = wanted > self.left[order], wanted
        if moved or grown:
            self.price[order] = self.price[order] if event.price is None else event.price
            self.arrive(order, stamp)

    def take(self, event: Event, stamp: int) -> None:
        order = event.order
        if event.act is Act.PLACE:
            self.left[order] = self.offered[order]
            self.own.setdefault((self.party[order], self.buy[order]), []).append(order)
            self.arrive(order, stamp)
        elif event.act is Act.AMEND:
            self.amend(event, stamp)
        elif self.left[order]:
            self.leave(order)
            self.left[order] = 0


def certify(book: Book, clearing: Clearing, terms: Terms = PLAIN) -> list[str]:
    """Return why `clearing` is not what the events have traded: empty when it is."""
    if clearing.fills.shape != book.price.shape or clearing.fills.dtype != np.int64:
        return ["there is not one int64 fill for each order"]
    if wrong := checks.traded(book, clearing):
        return wrong
    walk = _Walk(book, clearing)
    for stamp, event in enumerate(events_of(book, terms)):
        walk.take(event, stamp)
    for order, left in enumerate(walk.left):
        if left:
            walk.leave(order)
    wrong = walk.wrong
    if walk.row < len(walk.rows):
        wrong.append(f"trade {walk.row} does not follow from the events")
    if clearing.netted.tolist() != walk.netted:
        wrong.append("what parties' own orders have in common is not what was netted")
    prices = clearing.trades[:, 3].tolist()
    low, high = min(prices, default=None), max(prices, default=None)
    if (clearing.price, clearing.price_low, clearing.price_high) != (None, low, high):
        wrong.append(f"prices {clearing.price_low}..{clearing.price_high} are {low}..{high}")
    return wrong
