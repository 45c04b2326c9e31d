"""Of many who settle one interval, or sell one kWh, at the same moment one does."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from grid import interval
from grid.errors import BadInputError
from grid.operation import settling
from grid.store import Store, Transaction, books, market
from grid.store.order_placing import place_order
from tests.faults import settled_village
from tests.store.rivals import race
from trading.book import Order, Side

START_S = interval.parse("2026-05-27T15:00+04:00")


def _settle(folder: Path, url: str, store: Store, number: int) -> str:
    room = settled_village.room(folder, url)
    with closing(room.store):
        settling.settle_intervals(room, settled_village.AT_S)
    return "settled"


def test_of_fifty_settlements_of_one_interval_one_is_made(store_url: str, tmp_path: Path) -> None:
    settled_village.make(tmp_path, store_url)
    came = race(store_url, partial(_settle, tmp_path, store_url))
    assert len(came) == 50
    assert came.count("settled") == 1
    assert all(one == "settled" or one.startswith("StoreError") for one in came), set(came)
    with closing(Store(store_url)) as store:
        settled, entries, lines, total = settled_village.state(store)
    assert settled == [(settled_village.FIRST_S, 1), (settled_village.FIRST_S + 900, 1)]
    assert (len(entries), lines, total) == (5, 38, 0)


def _put_unseen(store: Store, number: int) -> str:
    """Store a settlement without a look at what is there, as a fault of ours would."""
    with store.write() as tx:
        market.put_settlement(
            tx,
            start_s=START_S,
            version=1,
            cycle_s=number,
            state="provisional",
            residual_wh=0,
            content={},
            postings=[],
            month="2026-05",
        )
    return "settled"


def test_the_store_itself_refuses_a_second_settlement_of_one_version(store_url: str) -> None:
    Store(store_url, create=True).close()
    came = race(store_url, _put_unseen)
    assert came.count("settled") == 1
    refused = {one.split("(")[0] for one in came} - {"settled"}
    assert all("UNIQUE" in one or "unique" in one for one in refused), refused


def _order(name: str, energy_wh: int = 1_000, **changes: object) -> Order:
    base = Order(name, "P-2", "UP-2", START_S, Side.SELL, 50_000, energy_wh, 0)
    return Order(**{**{field: getattr(base, field) for field in Order.__slots__}, **changes})


def _place(tx: Transaction, order: Order, most_wh: int = 1_000) -> Order:
    return place_order(tx, order, most_wh=most_wh, received_s=START_S - 900)


def _sell(store: Store, number: int) -> str:
    with store.write() as tx:
        _place(tx, _order(f"S-{number}"))
    return "sold"


def test_of_fifty_sales_of_one_kilowatt_hour_one_is_taken(store_url: str) -> None:
    Store(store_url, create=True).close()
    came = race(store_url, _sell)
    assert came.count("sold") == 1
    told = "UP-2 has placed 1000 Wh to sell, 1000 Wh more is above its 1000 Wh"
    assert all(one == "sold" or told in one for one in came), set(came)
    with closing(Store(store_url)) as store, store.read() as tx:
        (one,) = books.orders(tx, START_S)
    assert one.energy_wh == 1_000


def _sell_half(store: Store, number: int) -> str:
    with store.write() as tx:
        placed = _place(tx, _order(f"S-{number % 7}", 400))
    return f"sold as {placed.sequence}"


def test_an_order_asked_for_again_is_the_same_order(store_url: str) -> None:
    Store(store_url, create=True).close()
    came = race(store_url, _sell_half)
    with closing(Store(store_url)) as store, store.read() as tx:
        stored = books.orders(tx, START_S)
    # Seven orders of 400 Wh are asked for, some seven times each; two of them fit.
    assert [order.sequence for order in stored] == [0, 1]
    for order in stored:
        asked = len([number for number in range(50) if f"S-{number % 7}" == order.id])
        assert came.count(f"sold as {order.sequence}") == asked


def test_orders_are_weighed_by_side_interval_and_usage_point(store: Store) -> None:
    with store.write() as tx:
        _place(tx, _order("S-1"))
        _place(tx, _order("S-2", start_s=START_S + 900))
        _place(tx, _order("S-3", usage_point="UP-3"))
        _place(tx, _order("B-1", side=Side.BUY))
        assert [order.id for order in books.orders(tx, START_S)] == ["S-1", "S-3", "B-1"]
        with pytest.raises(BadInputError, match="UP-2 has placed 1000 Wh to buy, 1 Wh more"):
            _place(tx, _order("B-2", 1, side=Side.BUY))
        with pytest.raises(BadInputError, match="another order was placed under this id"):
            _place(tx, _order("S-1", price=49_000))
