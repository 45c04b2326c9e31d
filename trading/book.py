"""An order, and the sealed book of one interval as columns of int64."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

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


@dataclass(frozen=True, slots=True, eq=False)
class Book:
    """The orders of one interval as arrays of one length, in order of time.

    Attributes
    ----------
    buy : NDArray[bool], shape (order,)
    price : NDArray[int64], shape (order,)
        Nano-currency per Wh.
    energy_wh : NDArray[int64], shape (order,)
    """

    buy: BoolArray
    price: Int64Array
    energy_wh: Int64Array

    @classmethod
    def of(cls, orders: Sequence[Order]) -> Book:
        """Return the columns of a sealed sequence of orders."""
        count = len(orders)
        return cls(
            buy=np.fromiter((order.side is Side.BUY for order in orders), np.bool_, count),
            price=np.fromiter((order.price for order in orders), np.int64, count),
            energy_wh=np.fromiter((order.energy_wh for order in orders), np.int64, count),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Clearing:
    """The outcome of a book under a mechanism.

    Attributes
    ----------
    mechanism : str
    price : int or None
        Nano-currency per Wh; none when nothing trades.
    price_low, price_high : int or None
        The interval of prices at which the same volume clears.
    volume_wh : int
    fills : NDArray[int64], shape (order,)
        Wh traded by each order of the book.
    """

    mechanism: str
    price: int | None
    price_low: int | None
    price_high: int | None
    volume_wh: int
    fills: Int64Array


def trades(book: Book, clearing: Clearing) -> Int64Array:
    """Return who trades with whom: buyers and sellers paired in order of time.

    Returns
    -------
    NDArray[int64], shape (trade, 3)
        Position of the buy order, of the sell order, and Wh. At one price the
        pairing moves no money; it is fixed so that it can be derived again.
    """
    buyers = np.flatnonzero(book.buy & (clearing.fills > 0))
    sellers = np.flatnonzero(~book.buy & (clearing.fills > 0))
    bought = np.cumsum(clearing.fills[buyers])
    sold = np.cumsum(clearing.fills[sellers])
    ends = np.union1d(bought, sold)
    table = np.empty((len(ends), 3), np.int64)
    table[:, 0] = buyers[np.searchsorted(bought, ends, side="left")]
    table[:, 1] = sellers[np.searchsorted(sold, ends, side="left")]
    table[:, 2] = np.diff(ends, prepend=0)
    return table
