"""Books of orders: placed, amended, cancelled, and sealed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from grid.errors import StoreError
from grid.ids import OrderId, PartyId, UsagePointId
from grid.interval import label
from grid.store.engine import Transaction
from grid.store.schema import market_order, order_amendment, sealed_book
from trading.book import Order, Side
from trading.sealed_book import Amendment, Placed


def next_sequence(tx: Transaction) -> int:
    """Return the number of what happens next to an order of the site: all are in one line."""
    columns = (market_order.c.sequence, market_order.c.cancel_sequence, order_amendment.c.sequence)
    last = (tx.execute(select(func.max(column))).scalar_one() for column in columns)
    return max((int(number) for number in last if number is not None), default=-1) + 1


def put_orders(tx: Transaction, orders: Iterable[Order], *, received_s: int) -> None:
    """Store orders with the instant of their receipt."""
    rows = [
        {
            "id": order.id,
            "start_s": order.start_s,
            "party": order.party,
            "usage_point": order.usage_point,
            "side": str(order.side),
            "price": order.price,
            "energy_wh": order.energy_wh,
            "sequence": order.sequence,
            "agent": order.agent,
            "received_s": received_s,
            "battery": order.battery,
        }
        for order in orders
    ]
    if rows:
        tx.execute(insert(market_order), rows)


@dataclass(frozen=True, slots=True)
class Kept:
    """An order as it was received; `cancelled_s` is none while it stands.

    `amended` are its amendments in time, each with the instant of its receipt. A cancellation
    without a number is from before they had one: the order is in no book.
    """

    order: Order
    received_s: int
    cancelled_s: int | None
    cancel_sequence: int | None = None
    amended: tuple[tuple[Amendment, int], ...] = ()

    @property
    def placed(self) -> Placed:
        """The order with its amendments and its cancellation, as a book has it."""
        return Placed(self.order, tuple(one for one, _ in self.amended), self.cancel_sequence)

    @property
    def now(self) -> Order:
        """The order as it was amended last."""
        return self.placed.now

    @property
    def in_book(self) -> bool:
        """Whether the book of its interval has it."""
        return self.cancelled_s is None or self.cancel_sequence is not None


def _kept(tx: Transaction, where: ColumnElement[bool], changed: ColumnElement[bool]) -> list[Kept]:
    """Return orders by interval and sequence, with their amendments."""
    amended: dict[str, list[tuple[Amendment, int]]] = {}
    query = select(order_amendment).where(changed).order_by(order_amendment.c.sequence)
    for row in tx.execute(query):
        one = Amendment(OrderId(row.id), OrderId(row.order), row.price, row.energy_wh, row.sequence)
        amended.setdefault(row.order, []).append((one, int(row.received_s)))
    rows = tx.execute(
        select(market_order).where(where).order_by(market_order.c.start_s, market_order.c.sequence)
    )
    return [
        Kept(
            order_of(row),
            int(row.received_s),
            row.cancelled_s,
            row.cancel_sequence,
            tuple(amended.get(row.id, ())),
        )
        for row in rows
    ]


def order_of(row: Any) -> Order:
    """Return the order of a row as it was placed."""
    return Order(
        id=OrderId(row.id),
        party=PartyId(row.party),
        usage_point=UsagePointId(row.usage_point),
        start_s=row.start_s,
        side=Side(row.side),
        price=row.price,
        energy_wh=row.energy_wh,
        sequence=row.sequence,
        agent=row.agent,
        battery=row.battery,
    )


def orders(tx: Transaction, start_s: int) -> list[Order]:
    """Return the orders of a market interval that stand, as amended last, by sequence."""
    standing = [one.now for one in received(tx, start_s) if one.cancelled_s is None]
    return sorted(standing, key=lambda order: order.sequence)


def received(tx: Transaction, start_s: int, usage_point: str | None = None) -> list[Kept]:
    """Return every order ever received for a market interval, of one usage point when given."""
    where = market_order.c.start_s == start_s
    if usage_point is not None:
        where &= market_order.c.usage_point == usage_point
    return _kept(tx, where, order_amendment.c.start_s == start_s)


def cancel_order(tx: Transaction, order_id: str, at_s: int) -> bool:
    """Let an order not stand any more; return whether it stood."""
    stands = (market_order.c.id == order_id) & market_order.c.cancelled_s.is_(None)
    values = {"cancelled_s": at_s, "cancel_sequence": next_sequence(tx)}
    return tx.execute(update(market_order).where(stands).values(values)).rowcount > 0


def put_sealed(tx: Transaction, start_s: int, *, sequence: int, orders: int) -> None:
    """Keep that a book is sealed, with the ledger entry that commits to it.

    Raises
    ------
    StoreError
        When it is sealed already: nothing is added to a sealed book.
    """
    try:
        tx.execute(insert(sealed_book).values(start_s=start_s, sequence=sequence, orders=orders))
    except IntegrityError as error:
        raise StoreError(f"the book of {label(start_s)} is sealed already") from error


def sealed(tx: Transaction, start_s: int) -> int | None:
    """Return the ledger entry that seals the book of an interval, ``None`` while it is open."""
    query = select(sealed_book.c.sequence).where(sealed_book.c.start_s == start_s)
    found = tx.execute(query).scalar_one_or_none()
    return None if found is None else int(found)


def party_orders(tx: Transaction, party: str, start_s: int, end_s: int) -> list[Kept]:
    """Return a party's orders for ``[start_s, end_s)``, the cancelled ones too."""

    def own(table: Table) -> ColumnElement[bool]:
        return and_(table.c.party == party, table.c.start_s >= start_s, table.c.start_s < end_s)

    return _kept(tx, own(market_order), own(order_amendment))


def party_order(tx: Transaction, party: str, order_id: str) -> Kept | None:
    """Return one order, if it is of this party."""
    where = and_(market_order.c.id == order_id, market_order.c.party == party)
    found = _kept(tx, where, order_amendment.c.order == order_id)
    return found[0] if found else None
