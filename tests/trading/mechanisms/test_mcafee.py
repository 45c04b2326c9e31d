"""McAfee's auction: its examples, that no lie about a limit pays, and what that costs."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from tests import peers
from tests.trading.mechanisms.books import book, gain, of, random_rows
from trading.mechanisms import mcafee, uniform_price

TEXTBOOK = "buy 1@17 1@14 1@13 1@9 1@6 sell 1@1 1@4 1@5 1@8 1@11"


def scaled(text, by):
    one = book(text)
    return of(zip(one.buy.tolist(), (by * one.price).tolist(), one.energy_wh.tolist(), strict=True))


def test_the_example_trades_four_at_the_middle_of_the_first_excluded():
    result = mcafee.clear(scaled(TEXTBOOK, 10))
    assert (result.price, result.volume_wh, result.surplus_nano) == (85, 4, 0)
    assert result.fills.tolist() == [1, 1, 1, 1, 0, 1, 1, 1, 1, 0]


def test_a_middle_of_a_half_is_tested_before_it_is_rounded():
    """At 8.5 the fourth ask of 8 and bid of 9 are on the right sides; the price is then 8."""
    result = mcafee.clear(book(TEXTBOOK))
    assert (result.price, result.volume_wh) == (8, 4)
    # A middle of 8.5 is more than the marginal bid of 8: floored it would have passed.
    reduced = mcafee.clear(book("buy 1@17 1@8 1@6 sell 1@1 1@8 1@11"))
    assert (reduced.price, reduced.volume_wh) == (None, 1)
    assert reduced.trades.tolist() == [[0, 3, 1, 8, 8]]


def test_otherwise_the_marginal_orders_set_the_prices_and_stay_out():
    result = mcafee.clear(book("buy 1@10 1@9 1@2 sell 1@1 1@3 1@30"))
    assert result.trades.tolist() == [[0, 3, 1, 9, 3]]
    assert (result.price_low, result.price_high, result.surplus_nano) == (3, 9, 6)


def test_of_the_longer_side_all_are_cut_in_proportion():
    result = mcafee.clear(book("buy 6@10 3@9 5@8 sell 6@1 7@2"))
    assert result.fills.tolist() == [4, 2, 0, 6, 0]
    assert (result.trades[:, 3:] == [8, 2]).all()


def utility(rows, place, worth):
    """Return what `place` gains when its Wh are worth `worth`."""
    one = of(rows)
    result = mcafee.clear(one)
    buy = one.buy[place]
    money = sum(
        wh * (paid if buy else received)
        for bid, ask, wh, paid, received in result.trades.tolist()
        if place in (bid, ask)
    )
    value = worth * int(result.fills[place])
    return value - money if buy else money - value


def lies(rows, prices):
    """Return the lies about a limit that pay, the honest book and the other gain beside each."""
    found = []
    for place, (buy, worth, energy_wh) in enumerate(rows):
        honest = utility(rows, place, worth)
        assert honest >= 0
        for told in prices:
            other = [*rows[:place], (buy, told, energy_wh), *rows[place + 1 :]]
            if utility(other, place, worth) > honest:
                found.append((rows, place, told))
    return found


def test_no_lie_pays_in_any_book_of_two_bids_and_two_asks_of_one_unit():
    for prices in itertools.product(range(4), repeat=4):
        rows = [(place < 2, price, 1) for place, price in enumerate(prices)]
        assert lies(rows, range(-1, 5)) == []


@pytest.mark.parametrize("seed", range(4))
def test_no_lie_pays_in_random_books_of_orders_of_many_wh(seed):
    draw = np.random.default_rng(seed)
    for _ in range(150):
        count = int(draw.integers(3, 8))
        rows = random_rows(draw, count, high=6, most=(1, 2, 3, 9)[seed])
        assert lies(rows, range(-1, 7)) == []


def test_the_search_for_lies_finds_them_where_they_are(monkeypatch):
    """The same search on the auction at one price, and on a cut by rank, is not empty."""
    draw = np.random.default_rng(1)
    books = [random_rows(draw, 5, high=6, most=3) for _ in range(40)]
    monkeypatch.setattr(mcafee, "clear", uniform_price.clear)
    assert any(lies(rows, range(-1, 7)) for rows in books)


def test_truth_costs_the_gain_of_the_marginal_orders_and_no_more_than_is_cut():
    draw = np.random.default_rng(5)
    lost = best = 0
    for _ in range(300):
        one = of(random_rows(draw, 40, high=100, most=20))
        most = gain(one, uniform_price.clear(one).fills)
        found = gain(one, mcafee.clear(one).fills)
        assert 0 <= found <= most
        lost, best = lost + most - found, best + most
    assert 0 < lost * 100 < 12 * best


def test_the_marginal_orders_and_the_volume_are_those_that_pymarket_finds():
    """Huang's auction of pymarket always reduces; its prices and its volume are the same then."""
    draw = np.random.default_rng(6)
    asked, ours = [], []
    while len(asked) < 12:
        prices = draw.permutation(900)[:50].tolist()
        rows = [
            (bool(draw.integers(2)), price, int(draw.integers(1, 99)), place)
            for place, price in enumerate(prices)
        ]
        result = mcafee.clear(of(rows))
        if result.volume_wh and result.price is None:
            asked.append([[wh, price, place, buy] for buy, price, wh, place in rows])
            ours.append([result.price_low, result.price_high, result.volume_wh])
    script = Path(__file__).with_name("pymarket_huang.py")
    assert peers.run("pymarket", script, asked) == ours
