"""The continuous book: what its rules say, against a book that is sorted again at each event."""

from dataclasses import replace

import numpy as np
import pytest

from grid.errors import BadInputError
from tests.trading.mechanisms.books import book, events, of, random_rows
from trading.mechanisms import REGISTRY, order_book
from trading.mechanisms.terms import Act, Event, Terms

MECHANISM = REGISTRY[order_book.NAME]
PLACE, CANCEL, AMEND = Act.PLACE, Act.CANCEL, Act.AMEND


def trades(text, *happened):
    """Return the trades of a book whose orders are placed as told, at most until the last."""
    one = book(text) if isinstance(text, str) else of(text)
    terms = Terms(events=happened)
    result = MECHANISM.clear(one, terms)
    assert MECHANISM.certify(one, result, terms) == []
    return [tuple(row[:4]) for row in result.trades.tolist()]


def placed(*orders):
    return [Event(PLACE, order) for order in orders]


def test_an_arriving_order_takes_the_best_and_at_one_limit_the_earliest_at_the_resting_limit():
    assert trades("sell 2@5 2@4 2@4 buy 5@9") == [(3, 1, 2, 4), (3, 2, 2, 4), (3, 0, 1, 5)]


def test_what_is_left_rests_and_is_met_by_who_comes_later():
    assert trades("buy 5@9 sell 2@3 2@4 2@9 2@9") == [(0, 1, 2, 9), (0, 2, 2, 9), (0, 3, 1, 9)]


def test_a_cancelled_order_is_not_met():
    text = "sell 2@4 2@5 buy 3@9"
    assert trades(text, *placed(0, 1), Event(CANCEL, 0), *placed(2)) == [(2, 1, 2, 5)]


def test_less_energy_keeps_the_place_and_everything_else_loses_it():
    text = "sell 4@5 4@5 buy 2@9"
    for change, first in (
        (Event(AMEND, 0, None, 3), 0),
        (Event(AMEND, 0, 5, 3), 0),
        (Event(AMEND, 0), 0),
        (Event(AMEND, 0, None, 5), 1),
        (Event(AMEND, 0, 6), 1),
    ):
        assert trades(text, *placed(0, 1), change, *placed(2)) == [(2, first, 2, 5)], change


def test_a_price_and_back_again_is_two_moves_and_loses_the_place():
    happened = (*placed(0, 1), Event(AMEND, 0, 6), Event(AMEND, 0, 5), *placed(2))
    assert trades("sell 4@5 4@5 buy 2@9", *happened) == [(2, 1, 2, 5)]


def test_an_amendment_may_trade_at_once():
    assert trades("sell 4@5 buy 3@4", *placed(0, 1), Event(AMEND, 1, 7)) == [(1, 0, 3, 5)]


def test_an_amendment_to_nothing_leaves_and_what_comes_too_late_changes_nothing():
    text = "sell 4@5 buy 4@9 buy 1@9"
    assert trades(text, *placed(0), Event(AMEND, 0, None, 0), *placed(1)) == []
    late = (*placed(0, 1), Event(CANCEL, 0), Event(AMEND, 1, 3, 8), *placed(2))
    assert trades(text, *late) == [(1, 0, 4, 5)]


def test_what_an_order_has_traded_is_part_of_the_energy_it_is_amended_to():
    text = "sell 4@5 buy 3@9 buy 9@9"
    assert trades(text, *placed(0, 1), Event(AMEND, 0, None, 6), *placed(2)) == [
        (1, 0, 3, 5),
        (2, 0, 3, 5),
    ]
    assert trades(text, *placed(0, 1), Event(AMEND, 0, None, 2), *placed(2)) == [(1, 0, 3, 5)]


def test_an_order_meets_its_own_party_first_and_that_is_no_trade():
    rows = [(False, 5, 2, 0), (False, 4, 2, 1), (True, 9, 3, 0)]
    assert trades(rows) == [(2, 1, 1, 4)]
    result = MECHANISM.clear(of(rows), Terms())
    assert result.netted.tolist() == [2, 0, 2]


@pytest.mark.parametrize(
    ("happened", "words"),
    [
        (
            [Event(PLACE, 0), Event(PLACE, 0)],
            r"event 1 \(place\) of order 0: an order is placed once",
        ),
        ([Event(CANCEL, 1)], r"event 0 \(cancel\) of order 1: an order is placed once"),
        ([Event(PLACE, 2)], "the book has orders 0 to 1"),
        ([Event(PLACE, 0), Event(AMEND, 0, None, -1)], "energy_wh is -1"),
    ],
)
def test_events_that_cannot_be_are_refused_in_words(happened, words):
    with pytest.raises(BadInputError, match=words):
        MECHANISM.clear(book("buy 1@2 sell 1@1"), Terms(events=tuple(happened)))


class Slow:
    """The rules with nothing clever: all resting orders are sorted for each Wh."""

    def __init__(self, rows):
        self.rows = [list(row) for row in rows]
        self.resting: list[list[int]] = []
        self.trades: list[tuple[int, int, int]] = []

    def arrive(self, order, energy_wh, stamp):
        buy, price, _, party = self.rows[order]
        for _ in range(energy_wh):
            crossing = [
                (self.rows[one][3] != party, self.rows[one][1] * (1 if buy else -1), at, one)
                for one, left, at in self.resting
                if left and self.rows[one][0] != buy
                and (price >= self.rows[one][1] if buy else price <= self.rows[one][1])
            ]  # fmt: skip
            if not crossing:
                break
            other, _, _, met = min(crossing)
            energy_wh -= 1
            next(line for line in self.resting if line[0] == met)[1] -= 1
            if other:
                pair = (order, met) if buy else (met, order)
                self.trades.append((*pair, self.rows[met][1]))
        self.resting = [line for line in self.resting if line[0] != order and line[1]]
        if energy_wh:
            self.resting.append([order, energy_wh, stamp])

    def take(self, event, stamp):
        if event.act is PLACE:
            self.arrive(event.order, self.rows[event.order][2], stamp)
            return
        line = next((line for line in self.resting if line[0] == event.order), None)
        if line is None:
            return
        if event.act is CANCEL:
            self.resting.remove(line)
            return
        price = self.rows[event.order][1] if event.price is None else event.price
        wanted = line[1]
        if event.energy_wh is not None:
            wanted = max(event.energy_wh - (self.rows[event.order][2] - wanted), 0)
            self.rows[event.order][2] = event.energy_wh
        if price == self.rows[event.order][1] and wanted <= line[1]:
            line[1] = wanted
            self.resting = [line for line in self.resting if line[1]]
            return
        self.resting.remove(line)
        self.rows[event.order][1] = price
        self.arrive(event.order, wanted, stamp)


@pytest.mark.parametrize("seed", range(3))
def test_random_events_trade_as_in_the_book_that_is_sorted_again(seed):
    draw = np.random.default_rng(seed)
    for _ in range(200):
        count = int(draw.integers(2, 14))
        rows = [(*row, int(draw.integers(0, 5))) for row in random_rows(draw, count, high=6)]
        happened = events(draw, count)
        slow = Slow(rows)
        for stamp, event in enumerate(happened):
            slow.take(event, stamp)
        one, terms = of(rows), Terms(events=happened)
        result = MECHANISM.clear(one, terms)
        units = [
            (buy, sell, price)
            for buy, sell, energy_wh, price, _ in result.trades.tolist()
            for _ in range(energy_wh)
        ]
        assert units == slow.trades


def test_the_certificate_refuses_the_trades_of_other_events():
    draw = np.random.default_rng(8)
    refused = 0
    for _ in range(100):
        rows = [(*row, int(draw.integers(0, 5))) for row in random_rows(draw, 10, high=6)]
        one, happened = of(rows), events(draw, 10)
        result = MECHANISM.clear(one, Terms(events=happened))
        for left_out in (place for place, event in enumerate(happened) if event.act is not PLACE):
            other = Terms(events=happened[:left_out] + happened[left_out + 1 :])
            same = MECHANISM.clear(one, other)
            alike = same.trades.tolist() == result.trades.tolist()
            alike = alike and same.netted.tolist() == result.netted.tolist()
            assert (MECHANISM.certify(one, result, other) == []) == alike
            refused += not alike
    assert refused > 20


def test_a_trade_that_passes_over_a_better_order_is_named():
    one = book("sell 1@4 1@5 buy 1@9")
    result = MECHANISM.clear(one, Terms())
    lie = replace(
        result,
        fills=np.array([0, 1, 1]),
        pairing=lambda: np.array([[2, 1, 1, 5, 5]]),
        price_low=5,
        price_high=5,
    )
    assert MECHANISM.certify(one, lie, Terms()) == ["order 0 was passed over for a worse one"]
