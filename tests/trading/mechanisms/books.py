"""Books, terms and feeders for tests, written short, drawn by hypothesis or at random."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from trading.book import Book
from trading.mechanisms import REGISTRY, metered
from trading.mechanisms.feeder import Feeder
from trading.mechanisms.terms import Act, Contract, Event, Margin, Terms

RETAIL, FEED_IN = 8, 3


def book(text: str) -> Book:
    """Return the book written as ``buy 1@3 2@4 sell 4@2``: energy at price."""
    side, rows = True, []
    for word in text.split():
        if word in ("buy", "sell"):
            side = word == "buy"
        else:
            energy, price = word.split("@")
            rows.append((side, int(price), int(energy)))
    return of(rows)


def of(rows, party=None) -> Book:
    """Return the book of rows of side, price and energy, and the party where there is a fourth."""
    columns = list(zip(*rows, strict=True)) or [()] * 3
    if len(columns) > 3:
        party = columns[3]
    return Book(
        np.array(columns[0], bool),
        np.array(columns[1], np.int64),
        np.array(columns[2], np.int64),
        None if party is None else np.array(party, np.int64),
    )


def signed(one: Book):
    return np.where(one.buy, 1, -1)


def gain(one: Book, fills) -> int:
    """Return what the fills are worth to buyers less to sellers."""
    return int((fills * one.price * signed(one)).sum())


def whole(values) -> np.ndarray:
    return np.array(values, np.int64)


ROWS = st.lists(st.tuples(st.booleans(), st.integers(0, 8), st.integers(1, 9)), max_size=9)
OWNED = st.lists(
    st.tuples(st.booleans(), st.integers(0, 8), st.integers(1, 9), st.integers(0, 3)), max_size=9
)


def tree(draw: np.random.Generator, buses: int, *, limit: int, fee: int) -> Feeder:
    parent = [-1] + [int(draw.integers(0, bus)) for bus in range(1, buses)]
    return Feeder(
        whole(parent),
        draw.integers(0, limit + 1, buses),
        draw.integers(0, limit + 1, buses),
        draw.integers(0, fee + 1, buses),
        draw.integers(0, fee + 1, buses),
    )


def events(draw: np.random.Generator, count: int) -> tuple[Event, ...]:
    """Return the placing of all orders, with cancellations and amendments between."""
    found = []
    for order in range(count):
        found.append(Event(Act.PLACE, order))
        while draw.integers(0, 3) == 0:
            one = int(draw.integers(0, order + 1))
            price = int(draw.integers(0, 9)) if draw.integers(0, 2) else None
            energy_wh = int(draw.integers(0, 9)) if draw.integers(0, 2) else None
            amend = Event(Act.AMEND, one, price, energy_wh)
            found.append(amend if draw.integers(0, 3) else Event(Act.CANCEL, one))
    return tuple(found)


def contracts(draw: np.random.Generator) -> tuple[Contract, ...]:
    found = []
    for _ in range(int(draw.integers(0, 3))):
        buyer = int(draw.integers(0, 4))
        seller = (buyer + int(draw.integers(1, 4))) % 4
        wanted = (int(draw.integers(0, 9)), None)
        share = (None, int(draw.integers(0, 101)))
        until_s = int(draw.integers(0, 2))
        price = int(draw.integers(0, 9))
        found.append(
            Contract(buyer, seller, price, 0, until_s, *(wanted if draw.integers(0, 2) else share))
        )
    return tuple(found)


def terms(one: Book, seed: int) -> Terms:
    """Return terms at random that fit a book and every mechanism."""
    draw = np.random.default_rng(seed)
    count, buses = len(one.price), int(draw.integers(1, 5))
    return Terms(
        tick=int(draw.integers(1, 4)),
        margin=list(Margin)[int(draw.integers(0, 2))],
        retail=RETAIL,
        feed_in=FEED_IN,
        price=int(draw.integers(FEED_IN, RETAIL + 1)),
        key_percent=draw.integers(0, 100 // max(count, 1) + 1, count),
        redistribute=bool(draw.integers(0, 2)),
        events=events(draw, count),
        contracts=contracts(draw),
        feeder=tree(draw, buses, limit=12, fee=int(draw.integers(0, 3))),
        bus=draw.integers(0, buses, count),
    )


def case(name: str, rows, seed: int) -> tuple[Book, Terms]:
    """Return a book as the mechanism of `name` takes it, with terms that fit."""
    one = of(rows)
    given = terms(one, seed)
    if REGISTRY[name].metered:
        need = np.where(one.buy, one.energy_wh, 0)
        one = metered.metered_book(need, one.energy_wh - need, given, one.party)
    return one, given


def random_rows(draw: np.random.Generator, count: int, *, high: int = 9, most: int = 9):
    sides = (draw.integers(0, 2, count) == 1).tolist()
    prices, energies = draw.integers(0, high, count), draw.integers(1, most + 1, count)
    return list(zip(sides, prices.tolist(), energies.tolist(), strict=True))
