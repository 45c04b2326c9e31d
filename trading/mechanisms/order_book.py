"""Continuous order book with price-time priority, replayed from its events.

An order that arrives trades at once with the best resting orders of the other
side, at one limit with the earliest, at the limit of the one that rests; what
is left of it rests. A cancelled order leaves. An amendment that only lowers the
energy keeps the place in the line; any other is a new arrival. An event of an
order that has nothing left comes too late and changes nothing.

Nobody trades with themselves: an arriving order first meets its own party's
crossing orders, best first, and what the two have in common leaves both.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable

import numpy as np

from grid.errors import BadInputError
from trading.book import Book, Clearing
from trading.mechanisms.terms import PLAIN, Act, Event, Terms

NAME = "order_book"


def events_of(book: Book, terms: Terms) -> tuple[Event, ...]:
    """Return the events of the terms; without any, each order is placed in its order.

    Raises
    ------
    BadInputError
        When one is of no order of the book, places an order twice, comes before
        its order, or amends to a negative energy.
    """
    events = terms.events or tuple(Event(Act.PLACE, place) for place in range(len(book.price)))
    placed: set[int] = set()
    for number, event in enumerate(events):
        subject = f"event {number} ({event.act}) of order {event.order}"
        if not 0 <= event.order < len(book.price):
            raise BadInputError(f"{subject}: the book has orders 0 to {len(book.price) - 1}")
        if (event.order in placed) == (event.act is Act.PLACE):
            raise BadInputError(f"{subject}: an order is placed once, before all else")
        if event.energy_wh is not None and event.energy_wh < 0:
            raise BadInputError(f"{subject} energy_wh is {event.energy_wh}, must be at least 0")
        placed.add(event.order)
    return events


class _Floor:
    """The resting orders of both sides, and what has happened so far."""

    def __init__(self, book: Book) -> None:
        count = len(book.price)
        self.buy = book.buy.tolist()
        self.party = book.parties.tolist()
        self.price = book.price.tolist()
        self.left = [0] * count
        self.stamp = [-1] * count
        self.fills, self.netted = [0] * count, [0] * count
        self.trades: list[tuple[int, int, int, int, int]] = []
        # By side, and by party and side: (cost, stamp, order), the best first. An entry whose
        # order has left or has moved is dropped when it comes up.
        self.lines: dict[Hashable, list[tuple[int, int, int]]] = {}

    def cost(self, order: int) -> int:
        return -int(self.price[order]) if self.buy[order] else int(self.price[order])

    def best(self, line: Hashable) -> int | None:
        """Return the first live order of a line."""
        heap = self.lines.get(line, [])
        while heap:
            _, stamp, order = heap[0]
            if self.left[order] and self.stamp[order] == stamp:
                return order
            heapq.heappop(heap)
        return None

    def arrive(self, order: int, stamp: int) -> None:
        """Let an order meet its own party's, then all others', and rest."""
        self.stamp[order] = stamp
        other = not self.buy[order]
        for line in ((self.party[order], other), other):
            while self.left[order]:
                met = self.best(line)
                if met is None or self.cost(order) + self.cost(met) > 0:
                    break
                self.meet(order, met, own=line is not other)
        if self.left[order]:
            entry = (self.cost(order), stamp, order)
            for line in ((self.party[order], not other), not other):
                heapq.heappush(self.lines.setdefault(line, []), entry)

    def meet(self, order: int, resting: int, *, own: bool) -> None:
        both = min(self.left[order], self.left[resting])
        for one in (order, resting):
            self.left[one] -= both
            (self.netted if own else self.fills)[one] += both
        if not own:
            buy, sell = (order, resting) if self.buy[order] else (resting, order)
            price = self.price[resting]
            self.trades.append((buy, sell, both, price, price))

    def amend(self, event: Event, stamp: int) -> None:
        """Change a live order; only less energy keeps its place."""
        order = event.order
        if not self.left[order]:
            return
        price = self.price[order] if event.price is None else event.price
        energy_wh = self.left[order]
        if event.energy_wh is not None:
            energy_wh = max(event.energy_wh - self.fills[order] - self.netted[order], 0)
        keeps = price == self.price[order] and energy_wh <= self.left[order]
        self.price[order], self.left[order] = price, energy_wh
        if not keeps:
            self.arrive(order, stamp)


def clear(book: Book, terms: Terms = PLAIN) -> Clearing:
    """Return what the events of the terms have traded.

    Raises
    ------
    BadInputError
        As :func:`events_of`.
    """
    floor = _Floor(book)
    for stamp, event in enumerate(events_of(book, terms)):
        if event.act is Act.PLACE:
            floor.left[event.order] = int(book.energy_wh[event.order])
            floor.arrive(event.order, stamp)
        elif event.act is Act.CANCEL:
            floor.left[event.order] = 0
        else:
            floor.amend(event, stamp)
    trades = np.array(floor.trades, np.int64).reshape(-1, 5)
    volume = int(trades[:, 2].sum())
    low, high = (int(trades[:, 3].min()), int(trades[:, 3].max())) if volume else (None, None)
    fills, netted = np.array(floor.fills, np.int64), np.array(floor.netted, np.int64)
    return Clearing(NAME, None, low, high, volume, fills, lambda: trades, netted)
