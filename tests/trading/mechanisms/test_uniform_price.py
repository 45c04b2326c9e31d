"""The auction at one price: what it decides, against unit matching and HiGHS."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings

from tests.trading.mechanisms import books
from tests.trading.mechanisms.books import ROWS, book, gain, of
from trading.mechanisms import curve, uniform_price
from trading.mechanisms.terms import Margin, Terms

BY_TIME = Terms(margin=Margin.TIME)


def brute_force(rows) -> tuple[int, int]:
    """Return the largest volume and gain over all prices, by unit matching."""
    bids = sorted((p for buy, p, q in rows for _ in range(q) if buy), reverse=True)
    asks = sorted(p for buy, p, q in rows for _ in range(q) if not buy)
    gains = [b - a for b, a in zip(bids, asks, strict=False) if b >= a]
    return len(gains), sum(gains)


@given(rows=ROWS)
@hypothesis_settings(max_examples=200, derandomize=True, database=None)
def test_volume_and_welfare_equal_brute_force(rows):
    one = of(rows)
    result = uniform_price.clear(one)
    assert (result.volume_wh, gain(one, result.fills)) == brute_force(rows)


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
    assert uniform_price.clear(book("buy 1@400 sell 1@100"), Terms(tick=100)).price == 200
    one = book("buy 1@190 sell 1@120")
    result = uniform_price.clear(one, Terms(tick=100))
    assert result.price == 120
    assert uniform_price.certify(one, result, Terms(tick=100)) == []


def test_energy_and_prices_near_the_limits_do_not_overflow():
    one = of([(True, 10**15, 10**12)] * 3 + [(False, -(10**15), 2 * 10**12 + 1)])
    result = uniform_price.clear(one)
    assert result.fills.tolist()[3] == 2 * 10**12 + 1
    assert uniform_price.certify(one, result) == []


def test_by_the_rule_of_time_the_earlier_order_at_the_price_is_filled_first():
    one = book("buy 3@5 3@5 3@5 sell 7@1")
    assert uniform_price.clear(one).fills.tolist() == [3, 2, 2, 7]
    result = uniform_price.clear(one, BY_TIME)
    assert result.fills.tolist() == [3, 3, 1, 7]
    assert uniform_price.certify(one, result, BY_TIME) == []
    assert uniform_price.certify(one, result), "the rules differ"


@pytest.mark.parametrize("seed", range(30))
def test_a_large_book_of_which_only_the_margin_is_ranked_clears_as_a_ranked_one(monkeypatch, seed):
    draw = np.random.default_rng(seed)
    shape = seed % 3
    rows = books.random_rows(draw, 400, high=(9, 100, 10**6)[shape], most=50)
    one = of(rows)
    monkeypatch.setattr(curve, "_FEW", 40)
    used = []
    monkeypatch.setattr(
        curve, "_near", lambda *a, near=curve._near: used.append(near(*a)) or used[-1]
    )
    result = uniform_price.clear(one)
    monkeypatch.setattr(curve, "_FEW", 10**9)
    slow = uniform_price.clear(one)
    assert (result.price, result.price_low, result.price_high) == (
        slow.price, slow.price_low, slow.price_high,
    )  # fmt: skip
    assert result.fills.tolist() == slow.fills.tolist()


def test_a_book_of_ten_thousand_orders_ranks_only_those_near_its_margin():
    draw = np.random.default_rng(1)
    one = of(books.random_rows(draw, 10_000, high=5_000, most=900))
    met = curve.crossing(one)
    assert len(met.bids.cost) + len(met.asks.cost) < 1_500
    assert met.volume_wh == curve.Crossing.of(one).volume_wh


def test_a_buyer_can_gain_by_bidding_less_than_it_is_worth():
    """Why no word of truthfulness is said of this auction."""
    worth = 10

    def surplus(bid):
        result = uniform_price.clear(book(f"buy 1@{bid} sell 1@2"))
        return int(result.fills[0]) * (worth - (result.price or 0))

    assert surplus(10) == 4
    assert surplus(2) == 8
