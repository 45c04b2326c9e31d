"""An order, and the sealed book of one interval as columns of int64."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np
import numpy.typing as npt

from grid.ids import OrderId, PartyId, UsagePointId

Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


class Side(StrEnum):
    """Which way an order trades."""

    BUY = "buy"
    SELL = "sell"


@dataclass(frozen=True, slots=True)
class Order:
    """An accepted limit order for one usage point and market interval.

    Attributes
    ----------
    id : OrderId
    party : PartyId
    usage_point : UsagePointId
    start_s : int
        Start of the market interval.
    side : Side
    price : int
        Limit in nano-currency per Wh: the most a buyer pays, before the grid
        fee; the least a seller takes.
    energy_wh : int
    sequence : int
        The place in time among all orders of the site.
    agent : bool
        Placed by the community's default agent, not by the prosumer.
    battery : str
        Whose stored energy it trades, empty for none.
    """

    id: OrderId
    party: PartyId
    usage_point: UsagePointId
    start_s: int
    side: Side
    price: int
    energy_wh: int
    sequence: int
    agent: bool = False
    battery: str = ""


def party_numbers(orders: Iterable[Order]) -> dict[PartyId, int]:
    """Return the number of each party in a book of `orders`: from 0, as they come."""
    parties = dict.fromkeys(order.party for order in orders)
    return {party: number for number, party in enumerate(parties)}


@dataclass(frozen=True, slots=True, eq=False)
class Book:
    """The orders of one interval as arrays of one length, in order of time.

    Attributes
    ----------
    buy : NDArray[bool], shape (order,)
    price : NDArray[int64], shape (order,)
        Nano-currency per Wh.
    energy_wh : NDArray[int64], shape (order,)
    party : NDArray[int64], shape (order,), or None
        Numbers from 0; None when each order is of a party of its own.
    """

    buy: BoolArray
    price: Int64Array
    energy_wh: Int64Array
    party: Int64Array | None = None

    @classmethod
    def of(cls, orders: Sequence[Order]) -> Book:
        """Return the columns of a sealed sequence of orders."""
        count = len(orders)
        number = party_numbers(orders)
        return cls(
            buy=np.fromiter((order.side is Side.BUY for order in orders), np.bool_, count),
            price=np.fromiter((order.price for order in orders), np.int64, count),
            energy_wh=np.fromiter((order.energy_wh for order in orders), np.int64, count),
            party=np.fromiter((number[order.party] for order in orders), np.int64, count),
        )

    @property
    def parties(self) -> Int64Array:
        """The party of each order, by number."""
        return np.arange(len(self.price)) if self.party is None else self.party

    def less(self, taken_wh: Int64Array) -> Book:
        """Return the book with `taken_wh` off each order; an order may be left with none."""
        return Book(self.buy, self.price, self.energy_wh - taken_wh, self.party)


@dataclass(frozen=True, eq=False)
class Clearing:
    """The outcome of a book under a mechanism.

    Attributes
    ----------
    mechanism : str
    price : int or None
        Nano-currency per Wh; none when nothing trades or not all at one price.
    price_low, price_high : int or None
        The range of prices the mechanism speaks of: those at which the same
        volume clears, or the lowest and the highest of the trades.
    volume_wh : int
    fills : NDArray[int64], shape (order,)
        Wh traded by each order of the book.
    pairing : Callable
        Gives :attr:`trades`, when they are first asked for.
    netted : NDArray[int64], shape (order,)
        Wh of each order that met an order of its own party and so were not
        offered (:mod:`trading.mechanisms.own_orders`).
    bus_price : NDArray[int64], shape (bus,), or None
        Nano-currency per Wh at each bus, where the network has limits.
    """

    mechanism: str
    price: int | None
    price_low: int | None
    price_high: int | None
    volume_wh: int
    fills: Int64Array
    pairing: Callable[[], Int64Array]
    netted: Int64Array
    bus_price: Int64Array | None = None

    @classmethod
    def nothing(
        cls, mechanism: str, count: int, low: int | None = None, high: int | None = None
    ) -> Clearing:
        """Return the outcome of `count` orders of which none trades."""
        none = np.zeros(count, np.int64)
        return cls(mechanism, None, low, high, 0, none, lambda: np.zeros((0, 5), np.int64), none)

    @cached_property
    def trades(self) -> Int64Array:
        """Who trades with whom, of shape (trade, 5).

        Position of the buy order, of the sell order, Wh, what the buyer pays and
        what the seller gets, nano-currency per Wh. The clearing fixes them, so
        that they can be derived again.
        """
        return self.pairing()

    @property
    def surplus_nano(self) -> int:
        """What buyers pay beyond what sellers get, in nano-currency."""
        return sum(wh * (paid - got) for _, _, wh, paid, got in self.trades.tolist() if paid != got)


def pair(
    buyers: Int64Array, bought_wh: Int64Array, sellers: Int64Array, sold_wh: Int64Array
) -> Int64Array:
    """Return who trades with whom when both sides stand in line as given.

    Parameters
    ----------
    buyers, sellers : NDArray[int64]
        Positions of orders.
    bought_wh, sold_wh : NDArray[int64]
        Wh of each, at least 1; where one side has more in all, its end stays
        unpaired.

    Returns
    -------
    NDArray[int64], shape (trade, 3)
        Position of the buy order, of the sell order, and Wh.
    """
    # Where each order ends on a line of Wh, its side in the lowest bit: of two that end
    # together the seller's comes second, with nothing left to trade.
    marks = np.empty(len(buyers) + len(sellers), np.int64)
    np.cumsum(bought_wh, out=marks[: len(buyers)])
    np.cumsum(sold_wh, out=marks[len(buyers) :])
    marks <<= 1
    marks[len(buyers) :] |= 1
    marks.sort(kind="stable")
    seller = marks & 1
    place_sell = np.cumsum(seller) - seller
    place_buy = np.arange(len(marks)) - place_sell
    marks >>= 1
    energy_wh = np.diff(marks, prepend=0)
    kept = (energy_wh > 0) & (place_buy < len(buyers)) & (place_sell < len(sellers))
    rows = np.flatnonzero(kept)
    columns = buyers[place_buy[rows]], sellers[place_sell[rows]], energy_wh[rows]
    return np.stack(columns).T


def in_order_of_time(book: Book, fills: Int64Array) -> Int64Array:
    """Return who trades with whom, buyers and sellers paired in order of time; as :func:`pair`."""
    filled = fills > 0
    buyers, sellers = np.flatnonzero(book.buy & filled), np.flatnonzero(~book.buy & filled)
    return pair(buyers, fills[buyers], sellers, fills[sellers])


def priced(pairs: Int64Array, paid: int | Int64Array, received: int | Int64Array) -> Int64Array:
    """Return the trades of `pairs` with the price the buyer pays and the one the seller gets."""
    table = np.empty((5, len(pairs)), np.int64)
    table[:3], table[3], table[4] = pairs.T, paid, received
    return table.T
