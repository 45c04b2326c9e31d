"""Placing and amending one order at a time, whoever else does at the same moment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sqlalchemy import insert, select

from grid import interval
from grid.errors import BadInputError
from grid.store import books
from grid.store.books import Kept
from grid.store.engine import Transaction
from grid.store.schema import market_order, order_amendment
from trading.book import Order, Side
from trading.sealed_book import AMENDMENTS_MOST, Amendment


def place_order(
    tx: Transaction, order: Order, *, most_wh: int, received_s: int, continuous: bool = False
) -> Order:
    """Store an order unless its usage point would sell, or buy, more than it has to.

    An order that was placed before under the same id is found again, so that who heard no
    answer may ask once more.

    Parameters
    ----------
    tx : Transaction
        A write transaction: no other order is placed between the sum and the insertion.
    order : Order
        Its sequence is given by the store.
    most_wh : int
        The most that the usage point may sell (or buy) in the interval in all; what was filled
        is still part of it.
    received_s : int
        Instant of receipt, seconds UTC.
    continuous : bool
        The book is a continuous one: what was cancelled or lowered may have traded before.

    Returns
    -------
    Order
        As it is stored.

    Raises
    ------
    BadInputError
        When it is too much, or another order has this id.
    """
    before = tx.execute(select(market_order).where(market_order.c.id == order.id)).one_or_none()
    if before is not None:
        stored = books.order_of(before)
        if stored != replace(order, sequence=stored.sequence):
            raise BadInputError(f"order {order.id}: another order was placed under this id")
        return stored
    before_it = books.received(tx, order.start_s, order.usage_point)
    standing_wh = _placed_wh(before_it, order.side, continuous)
    _require_room(order, standing_wh, order.energy_wh, most_wh)
    placed = replace(order, sequence=books.next_sequence(tx))
    books.put_orders(tx, [placed], received_s=received_s)
    return placed


def amend_order(
    tx: Transaction,
    kept: Kept,
    amendment: Amendment,
    *,
    most_wh: int,
    received_s: int,
    continuous: bool,
) -> Amendment:
    """Store an amendment of an order that stands; parameters as :func:`place_order`.

    Raises
    ------
    BadInputError
        When it is too much, changes nothing, or the order was amended too often.
    """
    order = kept.order
    if (amendment.price, amendment.energy_wh) == (kept.now.price, kept.now.energy_wh):
        raise BadInputError(f"order {order.id}: these are its limit and its energy already")
    if len(kept.amended) >= AMENDMENTS_MOST:
        raise BadInputError(
            f"order {order.id}: was amended {AMENDMENTS_MOST} times, which is the most; "
            "cancel it and place another"
        )
    others = books.received(tx, order.start_s, order.usage_point)
    others = [one for one in others if one.order.id != order.id]
    wanted_wh = max(amendment.energy_wh, kept.placed.most_wh if continuous else 0)
    _require_room(order, _placed_wh(others, order.side, continuous), wanted_wh, most_wh)
    made = replace(amendment, sequence=books.next_sequence(tx))
    tx.execute(
        insert(order_amendment).values(
            id=made.id,
            order=made.order,
            party=order.party,
            start_s=order.start_s,
            price=made.price,
            energy_wh=made.energy_wh,
            sequence=made.sequence,
            received_s=received_s,
        )
    )
    return made


def amended_order(tx: Transaction, amendment_id: str) -> tuple[str, str] | None:
    """Return party and order of an amendment, if there is one of this id."""
    query = select(order_amendment.c.party, order_amendment.c.order)
    row = tx.execute(query.where(order_amendment.c.id == amendment_id)).one_or_none()
    return None if row is None else (str(row.party), str(row.order))


def _placed_wh(kept: Iterable[Kept], side: Side, continuous: bool) -> int:
    """Return what orders of one usage point have placed on a side."""
    # A battery stands beside what its usage point takes and gives.
    same = [one for one in kept if one.order.side is side and not one.order.battery]
    if continuous:
        return sum(one.placed.most_wh for one in same if one.in_book)
    return sum(one.now.energy_wh for one in same if one.cancelled_s is None)


def _require_room(order: Order, standing_wh: int, energy_wh: int, most_wh: int) -> None:
    if standing_wh + energy_wh > most_wh:
        raise BadInputError(
            f"order {order.id} {interval.label(order.start_s)}: {order.usage_point} has placed "
            f"{standing_wh} Wh to {order.side}, {energy_wh} Wh more is above its "
            f"{most_wh} Wh"
        )
