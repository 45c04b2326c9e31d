"""What a mechanism is told beside the book: prices, keys, contracts and the network."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from grid.errors import BadInputError
from trading.book import Int64Array
from trading.mechanisms.feeder import Feeder


class Margin(StrEnum):
    """How orders at the clearing price share what is left for them."""

    PRO_RATA = "pro_rata"
    TIME = "time"


class Act(StrEnum):
    """What happens to an order of a continuous book."""

    PLACE = "place"
    CANCEL = "cancel"
    AMEND = "amend"


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a continuous book.

    Attributes
    ----------
    act : Act
    order : int
        Position of the order in the book; it is placed with the limit and the
        energy that the book has.
    price : int or None
        The new limit of an amended order, nano-currency per Wh; none keeps it.
    energy_wh : int or None
        What an amended order wants in all, Wh, of which it may have traded a part
        already; none keeps it.
    """

    act: Act
    order: int
    price: int | None = None
    energy_wh: int | None = None


@dataclass(frozen=True, slots=True)
class Contract:
    """Energy that one party sells to another outside the auction.

    Attributes
    ----------
    buyer, seller : int
        Parties, by their number in the book.
    price : int
        Nano-currency per Wh.
    from_s, until_s : int
        It holds for intervals that start within ``[from_s, until_s)``.
    energy_wh : int or None
        Wh of each interval.
    share_percent : int or None
        Or the part of what the seller offers in the interval, in whole percent.

    Raises
    ------
    BadInputError
        When it is with oneself, has not one of energy and share, or one out of
        range.
    """

    buyer: int
    seller: int
    price: int
    from_s: int
    until_s: int
    energy_wh: int | None = None
    share_percent: int | None = None

    def __post_init__(self) -> None:
        subject = f"contract of party {self.buyer} with {self.seller}"
        if self.buyer == self.seller:
            raise BadInputError(f"{subject}: nobody contracts with themselves")
        if (self.energy_wh is None) == (self.share_percent is None):
            raise BadInputError(f"{subject} must have either energy_wh or share_percent")
        if self.energy_wh is not None and self.energy_wh < 0:
            raise BadInputError(f"{subject} energy_wh is {self.energy_wh}, must be at least 0")
        if self.share_percent is not None and not 0 <= self.share_percent <= 100:
            raise BadInputError(f"{subject} share is {self.share_percent} %, must be 0 to 100")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The terms of a clearing; a mechanism reads those that concern it.

    Attributes
    ----------
    tick : int
        Step of a clearing price, nano-currency per Wh.
    margin : Margin
    retail, feed_in : int
        What a Wh costs from the supplier, and what it is paid when it is fed in.
    price : int
        What members agreed to pay for shared energy, nano-currency per Wh.
    key_percent : NDArray[int64], shape (order,), or None
        Of each need, its static share of the surplus.
    redistribute : bool
        What a static key leaves over goes to those still in need.
    events : tuple of Event
        Of a continuous book, in order of time; none means that each order is
        placed in the order of the book.
    contracts : tuple of Contract
        In the order in which they are served.
    start_s : int
        Start of the interval that is cleared.
    feeder : Feeder or None
    bus : NDArray[int64], shape (order,), or None
        Bus of each order.
    """

    tick: int = 1
    margin: Margin = Margin.PRO_RATA
    retail: int = 0
    feed_in: int = 0
    price: int = 0
    key_percent: Int64Array | None = None
    redistribute: bool = False
    events: tuple[Event, ...] = ()
    contracts: tuple[Contract, ...] = ()
    start_s: int = 0
    feeder: Feeder | None = None
    bus: Int64Array | None = None


PLAIN = Terms()
