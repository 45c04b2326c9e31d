"""Clearing on a feeder, against a flow improved one cycle at a time and against no limits."""

from dataclasses import replace

import numpy as np
import pytest

from grid.errors import BadInputError
from tests.trading.mechanisms.books import book, gain, of, random_rows, tree, whole
from trading.mechanisms import REGISTRY, line_limits, uniform_price
from trading.mechanisms.feeder import Feeder, along, feeder
from trading.mechanisms.terms import Margin, Terms

MECHANISM = REGISTRY[line_limits.NAME]
WIDE = 10**6


def line(*limits, fees=None, bus_fees=None) -> Feeder:
    """Return a chain of buses from the head, each line with its limit both ways."""
    count = len(limits) + 1
    limit = whole([0, *limits])
    none = np.zeros(count, np.int64)
    fee = none if fees is None else whole([0, *fees])
    return Feeder(np.arange(count) - 1, limit, limit, fee, none if bus_fees is None else bus_fees)


def clear(text, network, *bus, **more):
    one = book(text)
    terms = Terms(feeder=network, bus=whole(bus), **more)
    result = MECHANISM.clear(one, terms)
    assert MECHANISM.certify(one, result, terms) == []
    return result


def reference(one, terms) -> list[int]:
    """Return the fills of the cheapest circulation: cycles that gain are filled until none is left.

    A node for each bus and one for the world, from which asks come and to which
    bids go. A cost is the money, then the volume, then the place in time.
    """
    network, count = terms.feeder, len(one.price)
    world, scale = len(network.parent), 4 * count + 4
    arcs = []
    for place, (buy, price, energy_wh) in enumerate(
        zip(one.buy.tolist(), one.price.tolist(), one.energy_wh.tolist(), strict=True)
    ):
        at = int(terms.bus[place])
        if buy:
            worth = (price - int(network.bus_fee[at])) * scale + 3 * count + 1 - place
            arcs.append((at, world, energy_wh, -worth))
        else:
            arcs.append((world, at, energy_wh, price * scale + place))
    for bus, above in enumerate(network.parent.tolist()):
        if above >= 0:
            fee = int(network.line_fee[bus]) * scale
            arcs.append((bus, above, int(network.export_wh[bus]), fee))
            arcs.append((above, bus, int(network.import_wh[bus]), fee))
    flow = [0] * len(arcs)
    while cycle := negative_cycle(arcs, flow, world + 1):
        room = min(arcs[arc][2] - flow[arc] if way > 0 else flow[arc] for arc, way in cycle)
        for arc, way in cycle:
            flow[arc] += way * room
    return flow[:count]


def negative_cycle(arcs, flow, nodes):
    """Return arcs and ways of a cycle of the residual network that costs less than nothing."""
    distance, before = [0] * nodes, [None] * nodes
    last = None
    for _ in range(nodes):
        last = None
        for arc, (start, end, most, cost) in enumerate(arcs):
            for source, target, way in ((start, end, 1), (end, start, -1)):
                room = most - flow[arc] if way > 0 else flow[arc]
                if room and distance[source] + way * cost < distance[target]:
                    distance[target] = distance[source] + way * cost
                    before[target], last = (source, arc, way), target
    if last is None:
        return []
    for _ in range(nodes):
        last = before[last][0]
    cycle, at = [], last
    while not cycle or at != last:
        at, arc, way = before[at]
        cycle.append((arc, way))
    return cycle


@pytest.mark.parametrize("seed", range(4))
def test_the_fills_are_those_of_the_reference_down_to_ties(seed):
    draw = np.random.default_rng(seed)
    for _ in range(250):
        buses = int(draw.integers(1, 6))
        one = of(random_rows(draw, int(draw.integers(1, 11)), high=5, most=6))
        network = tree(draw, buses, limit=(3, 8, 8, 30)[seed], fee=(0, 0, 2, 2)[seed])
        terms = Terms(feeder=network, bus=draw.integers(0, buses, len(one.price)))
        assert MECHANISM.clear(one, terms).fills.tolist() == reference(one, terms)


def test_without_limits_it_is_the_auction_at_one_price_with_priority_of_time():
    draw = np.random.default_rng(3)
    for _ in range(300):
        one = of(random_rows(draw, int(draw.integers(1, 20)), high=12))
        network = tree(draw, 6, limit=0, fee=0)
        network = replace(network, export_wh=np.full(6, WIDE), import_wh=np.full(6, WIDE))
        terms = Terms(feeder=network, bus=draw.integers(0, 6, len(one.price)), tick=2)
        ours = MECHANISM.clear(one, terms)
        plain = uniform_price.clear(one, Terms(tick=2, margin=Margin.TIME))
        assert ours.volume_wh == plain.volume_wh
        assert gain(one, ours.fills) == gain(one, plain.fills)
        assert (ours.price, ours.fills.tolist()) == (plain.price, plain.fills.tolist())
        assert ours.surplus_nano == 0


def test_a_full_line_parts_the_prices_and_leaves_its_rent():
    result = clear("buy 9@10 4@7 sell 9@2 9@6", line(5), 1, 1, 0, 1)
    # 5 Wh come over the line from the cheap ask, the rest from the ask beside the bids.
    assert result.fills.tolist() == [9, 4, 5, 8]
    assert result.bus_price.tolist() == [2, 6]
    assert (result.price, result.price_low, result.price_high) == (None, 2, 6)
    assert result.surplus_nano == 5 * (6 - 2)


def test_a_line_may_have_another_limit_each_way():
    network = replace(line(9), export_wh=whole([0, 2]))
    assert clear("buy 5@9 sell 5@1", network, 0, 1).volume_wh == 2
    assert clear("buy 5@9 sell 5@1", network, 1, 0).volume_wh == 5


def test_the_fee_of_a_line_lies_between_its_prices_and_keeps_out_what_it_is_not_worth():
    result = clear("buy 4@10 4@5 sell 9@4", line(99, fees=[2]), 1, 1, 0)
    assert result.fills.tolist() == [4, 0, 4]
    assert (result.bus_price[1] - result.bus_price[0], result.surplus_nano) == (2, 8)


def test_a_border_costs_the_fees_of_both_its_zones_and_whoever_crosses_it_pays_them():
    """By hand: four buses in a chain, 0 and 1 in zone 7, 2 in zone 8, 3 in none.

    Line 1 loses 1. Line 2 crosses from 7 (fee 5) to 8 (fee 3) and loses 1: 9. Line 3 leaves
    zone 8: 3.
    """
    parent, wide = whole([-1, 0, 1, 2]), np.full(4, WIDE)
    zoned = feeder(
        parent, wide, wide, loss_fee=whole([0, 1, 1, 0]), zone=whole([7, 7, 8, -1]),
        border_fee={7: 5, 8: 3},
    )  # fmt: skip
    assert (zoned.line_fee.tolist(), zoned.bus_fee.tolist()) == ([0, 1, 9, 3], [0] * 4)
    assert [along(parent, zoned.line_fee, 3, one) for one in range(4)] == [13, 12, 3, 0]
    assert along(parent, zoned.line_fee, 0, 3) == 13
    # From the head to the end there are 13 of fees, the other way too.
    for buyer, seller in ((3, 0), (0, 3)):
        assert clear("buy 1@14 sell 1@2", zoned, buyer, seller).volume_wh == 0
        result = clear("buy 1@15 sell 1@2", zoned, buyer, seller)
        assert result.trades.tolist() == [[0, 1, 1, 15, 2]]
        assert result.surplus_nano == 13
    # Within a zone there is only what is lost.
    assert clear("buy 1@3 sell 1@2", zoned, 1, 0).volume_wh == 1


def test_two_branches_meet_where_their_ways_do():
    parent, fee = whole([-1, 0, 1, 1, 0]), whole([0, 1, 2, 4, 8])
    assert along(parent, fee, 2, 3) == along(parent, fee, 3, 2) == 6
    assert along(parent, fee, 2, 4) == 1 + 2 + 8


def test_of_equal_orders_at_two_ends_the_earlier_is_served():
    for first, second in ((1, 2), (2, 1)):
        network = Feeder(whole([-1, 0, 0]), *(np.full(3, 9),) * 2, *(whole([0] * 3),) * 2)
        assert clear("buy 3@5 3@5 sell 4@5", network, first, second, 0).fills.tolist() == [3, 1, 4]


def test_numbering_the_buses_otherwise_changes_nothing():
    draw = np.random.default_rng(9)
    for _ in range(150):
        buses = int(draw.integers(2, 7))
        one = of([(*row, int(draw.integers(0, 4))) for row in random_rows(draw, 12)])
        network = tree(draw, buses, limit=9, fee=1)
        terms = Terms(feeder=network, bus=draw.integers(0, buses, 12))
        new = draw.permutation(buses)
        old = np.argsort(new)
        above = network.parent[old]
        turned = Feeder(
            np.where(above < 0, -1, new[above]), network.export_wh[old], network.import_wh[old],
            network.line_fee[old], network.bus_fee[old],
        )  # fmt: skip
        first = MECHANISM.clear(one, terms)
        second = MECHANISM.clear(one, replace(terms, feeder=turned, bus=new[terms.bus]))
        assert first.fills.tolist() == second.fills.tolist()
        assert first.bus_price.tolist() == second.bus_price[new].tolist()
        rows = [sorted(map(tuple, result.trades.tolist())) for result in (first, second)]
        assert rows[0] == rows[1]


def test_energy_is_paired_with_its_neighbours_first():
    result = clear("buy 5@9 5@9 sell 5@1 5@1", line(9, 9), 2, 1, 1, 2)
    assert sorted(map(tuple, result.trades[:, :3].tolist())) == [(0, 3, 5), (1, 2, 5)]


def test_a_party_that_buys_at_one_end_and_sells_at_the_other_is_not_paired_with_itself():
    """Its ask of 6 is worth it behind a full line, its bid of 5 before the line."""
    rows = [(True, 10, 9, 0), (False, 1, 9, 1), (False, 6, 4, 2), (True, 5, 4, 2)]
    one, terms = of(rows), Terms(feeder=line(5), bus=whole([1, 0, 1, 0]))
    result = MECHANISM.clear(one, terms)
    assert result.fills.tolist() == [9, 9, 4, 4]
    assert sorted(map(tuple, result.trades[:, :3].tolist())) == [(0, 1, 5), (0, 2, 4), (3, 1, 4)]


@pytest.mark.parametrize(
    ("network", "bus", "words"),
    [
        (None, [0, 0], "needs a feeder"),
        (line(5), [0], "1 buses are given for 2 orders"),
        (line(5), [0, 2], "orders are at buses 0 to 2 of 0 to 1"),
    ],
)
def test_terms_that_do_not_fit_are_refused_in_words(network, bus, words):
    with pytest.raises(BadInputError, match=words):
        MECHANISM.clear(book("buy 1@2 sell 1@1"), Terms(feeder=network, bus=whole(bus)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"parent": whole([-1, -1])}, "has 2 heads"),
        ({"parent": whole([1, 0])}, "has 0 heads"),
        ({"parent": whole([-1, 4])}, "bus 1 hangs on 4"),
        ({"parent": whole([-1, 1])}, "do not hang on its head"),
        ({"export_wh": whole([0, -1])}, "bus 1 export_wh is -1"),
        ({"line_fee": whole([0])}, "line_fee has 1 buses, must have 2"),
    ],
)
def test_a_feeder_that_is_no_tree_or_out_of_range_is_refused_in_words(change, words):
    with pytest.raises(BadInputError, match=words):
        replace(line(5), **change)


def test_limits_too_high_to_be_ranked_are_refused_and_not_overflown():
    one = of([(True, 1 << 60, 1), (False, 0, 1)])
    with pytest.raises(BadInputError, match="order 0 price"):
        MECHANISM.clear(one, Terms(feeder=line(5), bus=whole([0, 1])))
