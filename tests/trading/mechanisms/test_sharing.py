"""Sharing of metered energy: worked examples to the last Wh, and who is better off."""

from fractions import Fraction

import numpy as np
import pytest

from grid.errors import BadInputError
from tests.trading.mechanisms.books import whole
from trading.mechanisms import REGISTRY, metered
from trading.mechanisms.terms import Terms


def share(name, need, surplus, party=None, **terms):
    """Return the book, the terms and the outcome of usage points with needs, then surplus."""
    given = Terms(**{"retail": 30, "feed_in": 10, **terms})
    import_wh, export_wh = whole([*need, *[0] * len(surplus)]), whole([*[0] * len(need), *surplus])
    one = metered.metered_book(import_wh, export_wh, given, party)
    result = REGISTRY[name].clear(one, given)
    assert REGISTRY[name].certify(one, result, given) == []
    return one, given, result


def test_half_as_much_supply_as_demand_sells_at_15_and_costs_22_5_with_the_rest_at_retail():
    one, terms, result = share("supply_demand_ratio", [600, 400], [500])
    assert (result.price, result.fills.tolist()) == (15, [300, 200, 500])
    assert metered.average_prices(one, result, terms) == (Fraction(45, 2), 15)


@pytest.mark.parametrize(
    ("surplus", "price"), [(0, None), (1, 29), (999, 10), (1000, 10), (5000, 10)]
)
def test_the_price_falls_with_the_ratio_from_retail_to_feed_in_and_no_further(surplus, price):
    _, _, result = share("supply_demand_ratio", [1000], [surplus])
    assert result.price == price


def test_the_mid_market_rate_is_halfway_and_both_sides_share_what_there_is():
    one, terms, result = share("mid_market_rate", [600, 400], [500])
    assert (result.price, result.fills.tolist()) == (20, [300, 200, 500])
    assert metered.average_prices(one, result, terms) == (25, 20)
    one, terms, result = share("mid_market_rate", [400], [600, 200])
    assert result.fills.tolist() == [400, 300, 100]
    assert metered.average_prices(one, result, terms) == (20, 15)


def test_a_rate_falls_to_the_tick_but_not_below_feed_in():
    assert share("mid_market_rate", [9], [9], tick=7)[2].price == 14
    assert share("mid_market_rate", [9], [9], tick=100)[2].price == 10
    assert share("supply_demand_ratio", [1000], [500], tick=4)[2].price == 12


def test_the_dynamic_key_of_1000_wh_over_300_400_500_is_250_333_417():
    _, _, result = share("dynamic_key", [300, 400, 500], [1000], price=17)
    assert (result.price, result.fills.tolist()) == (17, [250, 333, 417, 1000])


def test_of_equal_remainders_the_earlier_order_has_the_wh():
    assert share("dynamic_key", [5, 5, 5], [10])[2].fills.tolist() == [4, 3, 3, 10]
    assert share("dynamic_key", [10], [5, 5, 5])[2].fills.tolist() == [10, 4, 3, 3]


def key(need, surplus, percent, **terms):
    given = whole([*percent, *[0] * len(surplus)])
    return share("static_key", need, surplus, key_percent=given, **terms)[2].fills.tolist()


def test_a_static_key_is_capped_at_what_was_taken_and_the_rest_is_fed_in():
    assert key([100, 900], [1000], [50, 50]) == [100, 500, 600]


def test_what_a_static_key_leaves_goes_to_those_in_need_only_where_the_terms_say_so():
    assert key([100, 900, 300], [1000], [50, 30, 20], redistribute=True) == [100, 643, 257, 1000]
    assert key([100, 900, 300], [1000], [50, 30, 20]) == [100, 300, 200, 600]
    assert key([100, 200], [1000], [50, 50], redistribute=True) == [100, 200, 300]


def test_keys_that_are_not_all_of_the_surplus_leave_the_rest():
    assert key([900, 900], [1000], [30, 20]) == [300, 200, 500]
    assert key([900, 900], [999], [33, 33]) == [330, 329, 659]
    assert key([900], [999], [0]) == [0, 0]


@pytest.mark.parametrize(
    ("percent", "words"),
    [
        ([60, 41], "the keys are 101 % together, must be at most 100"),
        ([-1, 5], "order 0 has a key of -1 %"),
        ([101, 0], "order 0 has a key of 101 %"),
    ],
)
def test_keys_beyond_what_there_is_are_refused_in_words(percent, words):
    with pytest.raises(BadInputError, match=words):
        key([1, 1], [1], percent)
    with pytest.raises(BadInputError, match="a whole percent for each of 3 orders"):
        share("static_key", [1, 1], [1])


def test_several_producers_feed_in_alike():
    assert share("dynamic_key", [100], [300, 100])[2].fills.tolist() == [100, 75, 25]


def test_a_usage_point_counts_with_what_it_took_less_what_it_fed_in():
    terms = Terms(retail=30, feed_in=10)
    one = metered.metered_book(whole([7, 2, 5]), whole([3, 6, 5]), terms)
    assert (one.buy.tolist(), one.energy_wh.tolist()) == ([True, False, False], [4, 4, 0])
    assert one.price.tolist() == [30, 10, 10]


def test_what_a_party_takes_at_one_place_and_feeds_in_at_another_is_its_own():
    _, _, result = share("dynamic_key", [300, 400], [500], whole([0, 1, 0]))
    assert result.netted.tolist() == [300, 0, 300]
    assert result.fills.tolist() == [0, 200, 200]


def test_a_retail_price_below_feed_in_is_refused_in_words():
    with pytest.raises(BadInputError, match="feed-in price 10 must be within 0 and the retail"):
        share("mid_market_rate", [1], [1], retail=9)


@pytest.mark.parametrize("name", ["mid_market_rate", "supply_demand_ratio"])
def test_nobody_is_worse_off_than_outside(name):
    draw = np.random.default_rng(4)
    for _ in range(200):
        need, surplus = draw.integers(0, 99, 3).tolist(), draw.integers(0, 99, 3).tolist()
        feed_in = int(draw.integers(0, 50))
        retail = feed_in + int(draw.integers(0, 50))
        tick = int(draw.integers(1, 9))
        one, terms, result = share(name, need, surplus, retail=retail, feed_in=feed_in, tick=tick)
        cost, brought = metered.average_prices(one, result, terms)
        assert feed_in <= brought
        assert cost <= retail
