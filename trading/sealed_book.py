"""A sealed book with what was amended and cancelled in it, as a mechanism is told of it.

Orders, amendments and cancellations are numbered together, in the order in which they arrived.
An auction sees each order that stands as it was amended last; an amendment that only lowers the
energy keeps the order's place in time, any other takes the place of the amendment. A continuous
book sees all that happened: what an order traded before it was amended or cancelled stays traded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from grid.errors import BadInputError
from grid.ids import OrderId
from trading.book import Clearing, Order
from trading.mechanisms.terms import Act, Event
from trading.orders import in_time

AMENDMENTS_MOST = 20
"""Of one order: who changes their mind more often cancels it and places another."""


@dataclass(frozen=True, slots=True)
class Amendment:
    """Another limit or energy of an order that stands.

    Attributes
    ----------
    id, order : OrderId
        Its own, and that of the order.
    price : int
        The limit from then on, nano-currency per Wh.
    energy_wh : int
        The energy from then on; what the order has traded is part of it.
    sequence : int
        Its place in time among all orders, amendments and cancellations.
    """

    id: OrderId
    order: OrderId
    price: int
    energy_wh: int
    sequence: int


@dataclass(frozen=True, slots=True)
class Placed:
    """An order as it was placed, its amendments in time, and when it was cancelled, if it was."""

    order: Order
    amendments: tuple[Amendment, ...] = ()
    cancelled: int | None = None

    @property
    def now(self) -> Order:
        """The order as it was amended last."""
        order = self.order
        for one in self.amendments:
            keeps = one.price == order.price and one.energy_wh <= order.energy_wh
            order = replace(
                order,
                price=one.price,
                energy_wh=one.energy_wh,
                sequence=order.sequence if keeps else one.sequence,
            )
        return order

    @property
    def most_wh(self) -> int:
        """The most energy that it ever stood for."""
        return max(self.order.energy_wh, *(one.energy_wh for one in self.amendments), 0)


@dataclass(frozen=True, slots=True)
class SealedBook:
    """What a mechanism is told.

    Attributes
    ----------
    orders : tuple of Order
        In order of time.
    events : tuple of Event
        Of a continuous book.
    last_wh : tuple of int
        What each order stood for in the end, 0 when it was cancelled.
    """

    orders: tuple[Order, ...]
    events: tuple[Event, ...]
    last_wh: tuple[int, ...]

    def in_all(self, outcome: Clearing) -> tuple[Order, ...]:
        """Return the orders with what was offered of each in all, for the public figures."""
        energy = zip(self.last_wh, outcome.fills.tolist(), strict=True)
        most = (max(pair) for pair in energy)
        return tuple(
            replace(order, energy_wh=wh) for order, wh in zip(self.orders, most, strict=True)
        )


def sealed_book(placed: Iterable[Placed], *, by_events: bool) -> SealedBook:
    """Return what a mechanism is told of the orders of an interval.

    Parameters
    ----------
    by_events : bool
        It is a continuous book.

    Raises
    ------
    BadInputError
        When a place in time is taken twice, or an order is changed before it was placed or after
        it was cancelled.
    """
    placed = list(placed)
    for one in placed:
        _check(one)
    events = _events(placed)
    if not by_events:
        standing = in_time(one.now for one in placed if one.cancelled is None)
        return SealedBook(standing, (), tuple(order.energy_wh for order in standing))
    orders = in_time(one.order for one in placed)
    place = {order.id: number for number, order in enumerate(orders)}
    last = {one.order.id: one.now.energy_wh if one.cancelled is None else 0 for one in placed}
    return SealedBook(
        orders,
        tuple(
            replace(event, order=place[order])
            for _, order, event in sorted(events, key=lambda row: row[0])
        ),
        tuple(last[order.id] for order in orders),
    )


def _check(one: Placed) -> None:
    numbers = [one.order.sequence, *(each.sequence for each in one.amendments)]
    numbers += [] if one.cancelled is None else [one.cancelled]
    if numbers != sorted(set(numbers)):
        told = ", ".join(map(str, numbers))
        raise BadInputError(
            f"order {one.order.id}: the places in time of what happened to it, {told}, must rise"
        )


def _events(placed: Iterable[Placed]) -> list[tuple[int, OrderId, Event]]:
    """Return all that happened with its place in time and the order that it happened to."""
    found: list[tuple[int, OrderId, Event]] = []
    for one in placed:
        order = one.order
        found.append((order.sequence, order.id, Event(Act.PLACE, 0)))
        found += [
            (each.sequence, order.id, Event(Act.AMEND, 0, each.price, each.energy_wh))
            for each in one.amendments
        ]
        if one.cancelled is not None:
            found.append((one.cancelled, order.id, Event(Act.CANCEL, 0)))
    count = Counter(number for number, _, _ in found)
    if twice := [number for number, times in count.items() if times > 1]:
        raise BadInputError(f"sequence {min(twice)} is there twice")
    return found


def amendment_payload(one: Amendment) -> dict[str, str | int]:
    """Return what the ledger commits to of an amendment; the price as text of nano per Wh."""
    return {
        "amendment": str(one.id),
        "energy_wh": one.energy_wh,
        "order": str(one.order),
        "price": str(one.price),
        "sequence": one.sequence,
    }
