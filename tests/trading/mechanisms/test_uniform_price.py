"""What every mechanism keeps, and what the uniform price auction decides."""

from dataclasses import replace

import highspy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.errors import BadInputError
from trading.book import Book, trades
from trading.mechanisms import REGISTRY, mechanism, uniform_price


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


def of(rows) -> Book:
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    return Book(
        np.array(columns[0], bool), np.array(columns[1], np.int64), np.array(columns[2], np.int64)
    )


ROWS = st.lists(st.tuples(st.booleans(), st.integers(0, 8), st.integers(1, 9)), max_size=9)
each = pytest.mark.parametrize("name", REGISTRY)


def signed(one: Book):
    return np.where(one.buy, 1, -1)


@each
@given(rows=ROWS)
@settings(max_examples=150, deadline=None)
def test_outcome_balances_respects_orders_and_certifies(name, rows):
    one = of(rows)
    result = REGISTRY[name].clear(one, 1)
    fills = result.fills
    assert fills.dtype == np.int64
    assert (fills >= 0).all()
    assert (fills <= one.energy_wh).all()
    assert int((fills * signed(one)).sum()) == 0
    assert int(fills[one.buy].sum()) == result.volume_wh
    if result.price is not None:
        assert (one.price[one.buy & (fills > 0)] >= result.price).all()
        assert (one.price[~one.buy & (fills > 0)] <= result.price).all()
    assert REGISTRY[name].certify(one, result, 1) == []


@each
@given(rows=ROWS)
@settings(max_examples=80, deadline=None)
def test_trades_pair_every_fill_once(name, rows):
    one = of(rows)
    result = REGISTRY[name].clear(one, 1)
    table = trades(one, result)
    back = np.zeros_like(one.price)
    np.add.at(back, table[:, 0], table[:, 2])
    np.add.at(back, table[:, 1], table[:, 2])
    assert (table[:, 2] > 0).all()
    assert one.buy[table[:, 0]].all()
    assert not one.buy[table[:, 1]].any()
    assert back.tolist() == result.fills.tolist()


@each
@given(rows=ROWS.filter(bool), data=st.data())
@settings(max_examples=150, deadline=None)
def test_certificate_refuses_every_other_fill(name, rows, data):
    one = of(rows)
    result = REGISTRY[name].clear(one, 1)
    place = data.draw(st.integers(0, len(rows) - 1))
    fills = result.fills.copy()
    fills[place] += data.draw(st.sampled_from([-1, 1]))
    assert REGISTRY[name].certify(one, replace(result, fills=fills), 1)


@each
def test_an_empty_and_a_one_sided_book_trade_nothing(name):
    for one in (of([]), book("buy 3@5"), book("sell 3@5")):
        result = REGISTRY[name].clear(one, 1)
        assert (result.price, result.volume_wh, trades(one, result).tolist()) == (None, 0, [])


def brute_force(rows) -> tuple[int, int]:
    """Return the largest volume and gain over all prices, by unit matching."""
    bids = sorted((p for buy, p, q in rows for _ in range(q) if buy), reverse=True)
    asks = sorted(p for buy, p, q in rows for _ in range(q) if not buy)
    gains = [b - a for b, a in zip(bids, asks, strict=False) if b >= a]
    return len(gains), sum(gains)


@given(rows=ROWS)
@settings(max_examples=200, deadline=None)
def test_volume_and_welfare_equal_brute_force(rows):
    one = of(rows)
    result = uniform_price.clear(one)
    gain = int((result.fills * one.price * signed(one)).sum())
    assert (result.volume_wh, gain) == brute_force(rows)


def test_welfare_equals_highs_on_random_books():
    random = np.random.default_rng(7)
    for _ in range(10):
        rows = [
            (
                bool(random.integers(2)),
                int(random.integers(400, 1500)),
                int(random.integers(1, 999)),
            )
            for _ in range(60)
        ]
        one = of(rows)
        result = uniform_price.clear(one)
        solver = highspy.Highs()
        solver.silent()
        fills = [solver.addVariable(0, int(q)) for q in one.energy_wh]
        sign = signed(one).tolist()
        solver.addConstr(sum(s * x for s, x in zip(sign, fills, strict=True)) == 0)
        value = zip(sign, one.price.tolist(), fills, strict=True)
        solver.maximize(sum(s * p * x for s, p, x in value))
        gain = int((result.fills * one.price * signed(one)).sum())
        assert round(solver.getObjectiveValue()) == gain


@pytest.mark.parametrize(
    ("text", "price", "low", "high", "fills"),
    [
        ("buy 1@3 2@4 5@1 sell 4@2 1@1 5@6", 2, 2, 2, [1, 2, 0, 2, 1, 0]),
        ("buy 5@10 sell 5@5", 7, 5, 10, [5, 5]),
        ("buy 5@10 1@8 sell 5@5", 9, 8, 10, [5, 0, 5]),
        ("buy 5@10 sell 5@5 1@6", 5, 5, 6, [5, 5, 0]),
        ("buy 4@7 sell 4@7", 7, 7, 7, [4, 4]),
        ("buy 3@5 3@5 3@5 sell 7@1", 5, 5, 5, [3, 2, 2, 7]),
        ("buy 1@5 2@5 sell 1@1", 5, 5, 5, [0, 1, 1]),
        ("buy 1@5 1@5 sell 1@1", 5, 5, 5, [1, 0, 1]),
    ],
)
def test_uniform_price_decides_as_written(text, price, low, high, fills):
    result = uniform_price.clear(book(text))
    got = (result.price, result.price_low, result.price_high, result.fills.tolist())
    assert got == (price, low, high, fills)


def test_the_price_falls_to_the_tick_but_never_below_the_interval():
    assert uniform_price.clear(book("buy 1@400 sell 1@100"), 100).price == 200
    one = book("buy 1@190 sell 1@120")
    result = uniform_price.clear(one, 100)
    assert result.price == 120
    assert uniform_price.certify(one, result, 100) == []


def test_energy_and_prices_near_the_limits_do_not_overflow():
    one = of([(True, 10**15, 10**12)] * 3 + [(False, -(10**15), 2 * 10**12 + 1)])
    result = uniform_price.clear(one)
    assert result.fills.tolist()[3] == 2 * 10**12 + 1
    assert uniform_price.certify(one, result) == []


def test_a_wrong_price_or_interval_is_refused():
    one = book("buy 5@10 sell 5@5")
    result = uniform_price.clear(one)
    assert uniform_price.certify(one, replace(result, price=8))
    assert uniform_price.certify(one, replace(result, price_low=6))
    assert uniform_price.certify(one, replace(result, volume_wh=4))


def test_an_unknown_mechanism_is_named():
    with pytest.raises(BadInputError, match="'vickrey' is not known; known: uniform_price"):
        mechanism("vickrey")
