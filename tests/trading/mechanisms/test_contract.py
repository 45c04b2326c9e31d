"""What every mechanism keeps, on books with parties that have several orders."""

import subprocess
import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from grid.errors import BadInputError
from tests.trading.mechanisms import outcomes
from tests.trading.mechanisms.books import OWNED, book, case, of, random_rows, signed, terms
from trading.book import Book, Clearing, Order, Side
from trading.mechanisms import REGISTRY, mechanism
from trading.orders import in_time

SEED = st.integers(0, 2**32 - 1)
NAMES = list(REGISTRY)
AHEAD = [name for name in NAMES if not REGISTRY[name].metered]
BOOKS = 25
each = pytest.mark.parametrize("name", NAMES)


def settings(examples):
    return hypothesis_settings(max_examples=examples, derandomize=True, database=None)


def cleared(name, rows, seed):
    one, given_terms = case(name, rows, seed)
    return one, given_terms, REGISTRY[name].clear(one, given_terms)


@each
@given(rows=OWNED, seed=SEED)
@settings(80)
def test_bought_is_sold_money_sums_to_zero_with_the_surplus_and_the_certificate_holds(
    name, rows, seed
):
    one, given_terms, result = cleared(name, rows, seed)
    fills, trades = result.fills, result.trades
    assert fills.dtype == trades.dtype == np.int64
    assert (fills >= 0).all()
    assert int((fills * signed(one)).sum()) == 0
    assert int(fills[one.buy].sum()) == int(trades[:, 2].sum()) == result.volume_wh
    balance = np.zeros(len(rows) + 1, np.int64)
    for buy, sell, energy_wh, paid, received in trades.tolist():
        balance[buy] -= energy_wh * paid
        balance[sell] += energy_wh * received
    balance[-1] = result.surplus_nano
    assert int(balance.sum()) == 0
    assert result.surplus_nano >= 0
    assert REGISTRY[name].certify(one, result, given_terms) == []


@each
@given(rows=OWNED, seed=SEED)
@settings(50)
def test_trades_pair_every_fill_of_two_parties_once(name, rows, seed):
    one, _, result = cleared(name, rows, seed)
    back = np.zeros_like(one.price)
    np.add.at(back, result.trades[:, 0], result.trades[:, 2])
    np.add.at(back, result.trades[:, 1], result.trades[:, 2])
    assert back.tolist() == result.fills.tolist()
    assert (result.trades[:, 2] > 0).all()
    buyers, sellers = result.trades[:, 0], result.trades[:, 1]
    assert one.buy[buyers].all()
    assert not one.buy[sellers].any()
    assert (one.parties[buyers] != one.parties[sellers]).all()


@pytest.mark.parametrize("name", AHEAD)
@given(rows=OWNED, seed=SEED)
@settings(50)
def test_nobody_trades_beyond_their_limit_or_more_than_they_offered(name, rows, seed):
    one, given_terms = case(name, rows, seed)
    # A contract has its own price, and an amended order another limit than the book's.
    given_terms = replace(given_terms, contracts=(), events=())
    result = REGISTRY[name].clear(one, given_terms)
    buyers, sellers, _, paid, received = result.trades.T
    assert (paid <= one.price[buyers]).all()
    assert (received >= one.price[sellers]).all()
    assert (paid >= received).all()
    assert (result.fills + result.netted <= one.energy_wh).all()


def traded(name):
    """Return a book that trades under `name`, its terms and its outcome, for each of many seeds."""
    found = []
    for seed in range(10 * BOOKS):
        draw = np.random.default_rng(seed)
        count = int(draw.integers(4, 16))
        rows = [(*row, int(draw.integers(0, 4))) for row in random_rows(draw, count)]
        one, given_terms, result = cleared(name, rows, seed)
        if result.volume_wh:
            found.append((one, given_terms, result))
    assert len(found) >= BOOKS
    return found[:BOOKS]


def refused(name, one, given_terms, lie):
    assert REGISTRY[name].certify(one, lie, given_terms), lie


@each
def test_the_certificate_refuses_every_other_fill(name):
    for one, given_terms, result in traded(name):
        for place in range(len(one.price)):
            for step in (-1, 1):
                fills = result.fills.copy()
                fills[place] += step
                refused(name, one, given_terms, replace(result, fills=fills))


@each
def test_the_certificate_refuses_every_other_table_of_trades(name):
    for one, given_terms, result in traded(name):
        for cell in np.ndindex(result.trades.shape):
            for step in (-1, 1):
                table = result.trades.copy()
                table[cell] += step
                refused(name, one, given_terms, replace(result, pairing=lambda table=table: table))


def moved(one, result, row, place):
    """Return the outcome in which `place` has a Wh of another order of its side, as trade `row`."""
    side = 0 if one.buy[place] else 1
    table, fills = result.trades.copy(), result.fills.copy()
    more = table[row].copy()
    more[[side, 2]] = place, 1
    table[row, 2] -= 1
    table = np.vstack([table[: row + 1], more, table[row + 1 :]])
    table = table[table[:, 2] > 0]
    fills[result.trades[row, side]] -= 1
    fills[place] += 1
    return replace(result, fills=fills, pairing=lambda: table)


@each
def test_the_certificate_refuses_a_wh_given_to_another_order_of_the_same_side(name):
    """The lie that leaves all sums as they are: only who gets the energy is another."""
    told = 0
    for one, given_terms, result in traded(name):
        spare = one.energy_wh - result.fills - result.netted
        for row, place in np.ndindex(len(result.trades), len(one.price)):
            if spare[place] > 0 and place not in result.trades[row, :2]:
                refused(name, one, given_terms, moved(one, result, row, place))
                told += 1
    assert told > BOOKS


@each
def test_the_certificate_refuses_trades_whose_partners_are_exchanged(name):
    """The lie that leaves every order its energy: only who trades with whom is another."""
    told = 0
    for one, given_terms, result in traded(name):
        for first, second in combinations(range(len(result.trades)), 2):
            pair = result.trades[[first, second]]
            alike = pair[0, 3:].tolist() == pair[1, 3:].tolist()
            if not alike or (pair[0, :2] == pair[1, :2]).any():
                continue
            table = result.trades.copy()
            table[[first, second], 2] -= 1
            turned = pair[[1, 0]].copy()
            turned[:, 0], turned[:, 2] = pair[:, 0], 1
            table = np.vstack([table[:first], turned, table[first:]])
            table = table[table[:, 2] > 0]
            refused(name, one, given_terms, replace(result, pairing=lambda table=table: table))
            told += 1
    # Under pay as bid two buyers seldom pay the same.
    assert told > 3


@each
def test_the_certificate_refuses_other_prices_volumes_and_netted_energy(name):
    for one, given_terms, result in traded(name):
        for step in (-1, 1):
            lies = [replace(result, volume_wh=result.volume_wh + step)]
            for field in ("price", "price_low", "price_high"):
                value = getattr(result, field)
                lies.append(replace(result, **{field: 5 if value is None else value + step}))
            for field in ("netted",) if result.bus_price is None else ("netted", "bus_price"):
                for place in range(len(getattr(result, field))):
                    column = getattr(result, field).copy()
                    column[place] += step
                    lies.append(replace(result, **{field: column}))
            for lie in lies:
                refused(name, one, given_terms, lie)


@each
def test_that_nothing_trades_is_refused_where_something_can(name):
    for one, given_terms, result in traded(name):
        nothing = Clearing.nothing(result.mechanism, len(one.price))
        lie = replace(nothing, netted=result.netted, bus_price=result.bus_price)
        refused(name, one, given_terms, lie)


@each
def test_an_empty_and_a_one_sided_book_trade_nothing(name):
    for one in (of([]), book("buy 3@5"), book("sell 3@5")):
        given_terms = terms(one, 1)
        result = REGISTRY[name].clear(one, given_terms)
        assert (result.price, result.volume_wh, result.trades.tolist()) == (None, 0, [])
        assert REGISTRY[name].certify(one, result, given_terms) == []


@pytest.mark.parametrize("name", AHEAD)
def test_a_partys_own_crossing_orders_meet_before_the_market(name):
    """Party 0 bids 9 and asks 4: 3 Wh are its own business, the rest of the ask is offered."""
    one = of(
        [(True, 9, 3, 0), (False, 4, 5, 0), (True, 6, 9, 1), (True, 5, 9, 2), (False, 9, 1, 3)]
    )
    plain = replace(terms(one, 3), events=(), contracts=(), feeder=None)
    roomy = outcomes.roomy(plain, 5)
    result = REGISTRY[name].clear(one, roomy)
    assert result.netted.tolist() == [3, 3, 0, 0, 0]
    if name == "mcafee":
        assert result.fills.tolist() == [0, 0, 0, 0, 0], "one ask is the marginal one"
    else:
        assert result.fills.tolist() == [0, 2, 2, 0, 0]


@each
@given(rows=OWNED, seed=SEED)
@settings(30)
def test_orders_may_come_in_any_order_as_long_as_they_keep_their_sequence(name, rows, seed):
    orders = [
        Order(f"o{n}", f"p{party}", f"u{n}", 0, Side.BUY if buy else Side.SELL, price, wh, n)
        for n, (buy, price, wh, party) in enumerate(rows)
    ]
    mixed = [orders[place] for place in np.random.default_rng(seed).permutation(len(orders))]
    given_terms = terms(of(rows), seed)
    given_terms = replace(given_terms, contracts=())
    first, second = (
        REGISTRY[name].clear(Book.of(in_time(each_order)), given_terms)
        for each_order in (orders, mixed)
    )
    assert first.trades.tolist() == second.trades.tolist()
    assert (first.price, first.netted.tolist()) == (second.price, second.netted.tolist())


def test_every_outcome_is_the_same_under_every_hash_seed():
    root = Path(__file__).parents[3]
    found = {
        subprocess.run(
            [sys.executable, "-m", "tests.trading.mechanisms.outcomes"],
            cwd=root,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("0", "1", "4242")
    }
    assert found == {outcomes.digest()}


def test_an_unknown_mechanism_is_named():
    with pytest.raises(BadInputError, match="'vickrey' is not known; known: uniform_price"):
        mechanism("vickrey")
