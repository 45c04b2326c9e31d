"""One side of a book ranked: best order first, ties in order of time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trading.book import Book, Int64Array


class Curve:
    """One side of the book, best order first, with its running energy.

    `cost` is the price of an ask and the negative price of a bid, so that on
    both sides the best order has the least; `order` is the place of each in
    what was given.
    """

    def __init__(self, cost: Int64Array, energy_wh: Int64Array) -> None:
        count = len(cost)
        bits = count.bit_length()
        low = int(cost.min()) if count else 0
        high = int(cost.max()) if count else 0
        if (high - low) >> (62 - bits):
            self.order = np.argsort(cost, kind="stable")
            self.cost = cost[self.order]
        else:
            # Cost and position packed into one int64 sort far faster than an argsort.
            packed = ((cost - low) << bits) | np.arange(count, dtype=np.int64)
            packed.sort()
            self.order = packed & ((1 << bits) - 1)
            self.cost = (packed >> bits) + low
        self.running_wh = np.cumsum(energy_wh[self.order])

    def energy_at(self, cost: int) -> int:
        """Return the energy of all orders with at most `cost`, in Wh."""
        count = int(np.searchsorted(self.cost, cost, side="right"))
        return int(self.running_wh[count - 1]) if count else 0

    def place_of(self, volume_wh: int) -> int:
        """Return the rank of the last order needed for `volume_wh`."""
        return int(np.searchsorted(self.running_wh, volume_wh, side="left"))

    def last_within(self, volume_wh: int) -> int:
        """Return the cost of the last order needed for `volume_wh`."""
        return int(self.cost[self.place_of(volume_wh)])

    def first_beyond(self, volume_wh: int) -> int | None:
        """Return the cost of the first order not filled by `volume_wh`."""
        place = int(np.searchsorted(self.running_wh, volume_wh, side="right"))
        return int(self.cost[place]) if place < len(self.cost) else None


@dataclass(frozen=True, slots=True, eq=False)
class Crossing:
    """Both sides of a book ranked, and the most Wh that trade at any one price."""

    bids: Curve
    asks: Curve
    volume_wh: int

    @classmethod
    def of(cls, book: Book) -> Crossing:
        """Rank the orders of a book."""
        buyers, sellers = np.flatnonzero(book.buy), np.flatnonzero(~book.buy)
        bids = Curve(-book.price[buyers], book.energy_wh[buyers])
        asks = Curve(book.price[sellers], book.energy_wh[sellers])
        return cls(bids, asks, _volume(bids, asks))


def _volume(bids: Curve, asks: Curve) -> int:
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


_FEW = 8192
"""Up to this many orders are ranked at once; a sample of a large book has about half."""
_SPREAD = 32
"""The part of a sample that the range reaches either way: some four of its standard errors."""


def crossing(book: Book) -> Crossing:
    """Return the volume of a book, and of a large one only the orders near the margin ranked.

    The orders on the better side of a range of prices have one stand-in with
    their energy; those on the worse side are left out. Where the margin is not
    well within the range after all, the whole book is ranked.
    """
    if len(book.price) > _FEW:
        near = _near(book, *_range(book))
        if near is not None:
            return near
    return Crossing.of(book)


def _range(book: Book) -> tuple[int, int]:
    """Return a range of prices that should hold the margin, from a sample of the orders."""
    step = len(book.price) // (_FEW // 2) + 1
    some = Book(book.buy[::step], book.price[::step], book.energy_wh[::step])
    met = Crossing.of(some)
    price = np.sort(some.price)
    edge = met.asks.last_within(met.volume_wh) if met.volume_wh else int(price[0])
    place = int(np.searchsorted(price, edge))
    reach = len(price) // _SPREAD
    last = len(price) - 1
    return int(price[max(place - reach, 0)]), int(price[min(place + reach, last)])


def _near(book: Book, low: int, high: int) -> Crossing | None:
    """Return the crossing when both sides have their margin within `low` to `high`.

    The Wh at the volume and the next after it are then of the orders ranked, on
    both sides, so that they are those of the whole book.
    """
    price, buy, energy_wh = book.price, book.buy, book.energy_wh
    # Sums as products: selecting by a random mask costs several times as much.
    bid_in = int(np.einsum("i,i", energy_wh, buy & (price > high)))
    ask_in = int(np.einsum("i,i", energy_wh, ~buy & (price < low)))
    place = np.flatnonzero((price >= low) & (price <= high))
    near = Crossing.of(
        Book(
            np.append(buy[place], [True, False]),
            np.append(price[place], [high + 1, low - 1]),
            np.append(energy_wh[place], [bid_in, ask_in]),
        )
    )
    within = all(
        first < near.volume_wh < int(side.running_wh[-1])
        for side, first in ((near.bids, bid_in), (near.asks, ask_in))
    )
    return near if within else None
