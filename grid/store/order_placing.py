"""Placing one order at a time, whoever else does at the same moment."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import func, select

from grid import interval
from grid.errors import BadInputError
from grid.store import market
from grid.store.engine import Transaction
from grid.store.schema import market_order
from trading.book import Order


def place_order(tx: Transaction, order: Order, *, most_wh: int, received_s: int) -> Order:
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
        stored = market._order(before)
        if stored != replace(order, sequence=stored.sequence):
            raise BadInputError(f"order {order.id}: another order was placed under this id")
        return stored
    query = select(func.coalesce(func.sum(market_order.c.energy_wh), 0)).where(
        market_order.c.start_s == order.start_s,
        market_order.c.usage_point == order.usage_point,
        market_order.c.side == str(order.side),
        market_order.c.cancelled_s.is_(None),
    )
    standing_wh = int(tx.execute(query).scalar_one())
    if standing_wh + order.energy_wh > most_wh:
        raise BadInputError(
            f"order {order.id} {interval.label(order.start_s)}: {order.usage_point} has placed "
            f"{standing_wh} Wh to {order.side}, {order.energy_wh} Wh more is above its "
            f"{most_wh} Wh"
        )
    placed = replace(order, sequence=market.next_sequence(tx))
    market.put_orders(tx, [placed], received_s=received_s)
    return placed
