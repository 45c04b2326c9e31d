"""Pay as bid, and contracts that come before the auction."""

import numpy as np
import pytest

from grid.errors import BadInputError
from tests.trading.mechanisms.books import book, gain, of, random_rows
from trading.mechanisms import REGISTRY, bilateral, pay_as_bid, uniform_price
from trading.mechanisms.terms import Contract, Terms

DAY = 86_400
ROWS = [(True, 9, 10, 0), (False, 2, 8, 1), (False, 4, 20, 2), (True, 5, 10, 3)]


def clear(*contracts, start_s=0, rows=ROWS):
    terms = Terms(contracts=contracts, start_s=start_s)
    one, mechanism = of(rows), REGISTRY[bilateral.NAME]
    result = mechanism.clear(one, terms)
    assert mechanism.certify(one, result, terms) == []
    return [tuple(row[:4]) for row in result.trades.tolist()]


def test_in_pay_as_bid_the_dearest_bid_meets_the_cheapest_ask_at_its_own_price():
    result = pay_as_bid.clear(book("buy 3@7 4@9 5@1 sell 6@3 2@2"))
    assert result.trades.tolist() == [[1, 4, 2, 9, 9], [1, 3, 2, 9, 9], [0, 3, 3, 7, 7]]
    assert (result.price, result.price_low, result.price_high) == (None, 7, 9)
    assert result.surplus_nano == 0


def test_pay_as_bid_trades_the_energy_and_the_gain_of_the_auction_at_one_price():
    draw = np.random.default_rng(2)
    for _ in range(300):
        one = of(random_rows(draw, 14))
        ours, plain = pay_as_bid.clear(one), uniform_price.clear(one)
        assert (ours.volume_wh, gain(one, ours.fills)) == (
            plain.volume_wh,
            gain(one, plain.fills),
        )


def test_without_a_contract_all_goes_to_auction():
    assert clear() == [(0, 1, 8, 4), (0, 2, 2, 4), (3, 2, 10, 4)]


def test_a_contract_takes_its_energy_at_its_price_before_the_auction():
    contract = Contract(3, 1, 11, 0, DAY, energy_wh=5)
    # Beyond the limit of its buyer: what was agreed is agreed.
    assert clear(contract) == [(3, 1, 5, 11), (0, 1, 3, 4), (0, 2, 7, 4), (3, 2, 5, 4)]


def test_a_share_is_of_what_the_seller_offers_and_no_more_than_both_have():
    half = Contract(0, 2, 6, 0, DAY, share_percent=50)
    assert clear(half)[0] == (0, 2, 10, 6)
    assert clear(Contract(0, 2, 6, 0, DAY, share_percent=33))[0] == (0, 2, 6, 6)
    assert clear(Contract(0, 1, 6, 0, DAY, energy_wh=99))[0] == (0, 1, 8, 6)


def test_contracts_are_served_in_their_order():
    first, second = Contract(0, 1, 6, 0, DAY, energy_wh=6), Contract(3, 1, 7, 0, DAY, energy_wh=6)
    assert clear(first, second)[:2] == [(0, 1, 6, 6), (3, 1, 2, 7)]
    assert clear(second, first)[:2] == [(3, 1, 6, 7), (0, 1, 2, 6)]


@pytest.mark.parametrize(("start_s", "holds"), [(-1, False), (0, True), (899, True), (900, False)])
def test_a_contract_holds_within_its_dates(start_s, holds):
    contract = Contract(3, 1, 11, 0, 900, energy_wh=5)
    assert ((3, 1, 5, 11) in clear(contract, start_s=start_s)) == holds


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ((1, 1, 5, 0, DAY, 5, None), "nobody contracts with themselves"),
        ((1, 2, 5, 0, DAY, 5, 5), "either energy_wh or share_percent"),
        ((1, 2, 5, 0, DAY, None, None), "either energy_wh or share_percent"),
        ((1, 2, 5, 0, DAY, -1, None), "energy_wh is -1"),
        ((1, 2, 5, 0, DAY, None, 101), "share is 101 %"),
    ],
)
def test_a_contract_that_cannot_be_is_refused_in_words(given, words):
    with pytest.raises(BadInputError, match=words):
        Contract(*given)
