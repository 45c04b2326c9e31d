"""Batteries that trade: what each did in an interval, and what its account holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

from sqlalchemy import select

from grid.ids import AssetId, UsagePointId
from grid.store.books import order_of
from grid.store.engine import Transaction
from grid.store.schema import battery_account, battery_move, clearing, market_order
from grid.store.upsert import put
from trading.batteries import Moved
from trading.battery_accounts import BatteryMove
from trading.book import Order


def accounts(tx: Transaction) -> dict[tuple[int, AssetId], int]:
    """Return what the accounts of batteries hold, Wh, by agreement and battery."""
    rows = tx.execute(select(battery_account))
    return {(row.agreement, AssetId(row.battery)): row.stored_wh for row in rows}


def put_moves(tx: Transaction, start_s: int, moves: Iterable[BatteryMove]) -> None:
    """Store what batteries did in an interval, and what their accounts hold from then on."""
    moves = list(moves)
    names = {"agreement", "battery", "stored_wh"}
    rows = [
        {
            "start_s": start_s,
            "agreement": one.agreement,
            "battery": one.battery,
            "usage_point": one.usage_point,
            "stored_wh": one.stored_wh,
            **asdict(one.moved),
        }
        for one in moves
    ]
    put(tx, battery_move, rows)
    put(tx, battery_account, [{name: row[name] for name in sorted(names)} for row in rows])


def moves(
    tx: Transaction, start_s: int, end_s: int, agreement: int | None = None
) -> list[tuple[int, BatteryMove]]:
    """Return what batteries did in ``[start_s, end_s)``, with the interval; of one agreement
    when given."""
    table = battery_move
    query = select(table).where(table.c.start_s >= start_s, table.c.start_s < end_s)
    if agreement is not None:
        query = query.where(table.c.agreement == agreement)
    return [
        (
            row.start_s,
            BatteryMove(
                row.agreement,
                AssetId(row.battery),
                UsagePointId(row.usage_point),
                Moved(row.bought_wh, row.sold_wh, row.kept_wh, row.used_wh),
                row.stored_wh,
            ),
        )
        for row in tx.execute(query.order_by(table.c.start_s, table.c.battery))
    ]


def held_before(tx: Transaction, agreement: int, at_s: int) -> dict[AssetId, int]:
    """Return what the accounts of an agreement held before an instant, by battery."""
    table = battery_move
    rows = tx.execute(
        select(table.c.battery, table.c.stored_wh)
        .where(table.c.agreement == agreement, table.c.start_s < at_s)
        .order_by(table.c.start_s)
    )
    return {AssetId(row.battery): row.stored_wh for row in rows}


def order_ids(tx: Transaction, start_s: int, end_s: int) -> set[str]:
    """Return the orders for batteries in ``[start_s, end_s)``."""
    table = market_order
    within = (table.c.start_s >= start_s) & (table.c.start_s < end_s)
    return set(tx.execute(select(table.c.id).where(within, table.c.battery != "")).scalars())


def open_orders(tx: Transaction, from_s: int) -> list[Order]:
    """Return the orders for batteries, from an interval on, whose books are not cleared."""
    table = market_order
    cleared = select(clearing.c.start_s).where(clearing.c.start_s >= from_s)
    query = select(table).where(
        table.c.start_s >= from_s,
        table.c.battery != "",
        table.c.cancelled_s.is_(None),
        table.c.start_s.not_in(cleared),
    )
    return [order_of(row) for row in tx.execute(query.order_by(table.c.sequence))]
