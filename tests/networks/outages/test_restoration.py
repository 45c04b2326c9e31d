"""Restoration: who can be fed from elsewhere is, the neediest first, and the rest is repaired."""

from __future__ import annotations

import pytest

from grid.errors import BadInputError
from networks.outages.feeder_tree import feeder_tree
from networks.outages.restoration import (
    Customer,
    Source,
    Waiting,
    repair_order,
    restoration,
)


@pytest.fixture(scope="module")
def chain(rural):
    """Return the longest way out: the branch that fails, and the nodes behind it, near to far."""
    tree = feeder_tree(rural)

    def path(node):
        way = []
        while node != tree.root:
            way.append(node)
            node = tree.parent[node]
        return way[::-1]

    way = path(max(tree.order, key=lambda node: len(path(node))))
    top = next(node for node in way if tree.above[node].kind == "line")
    return tree, top, [node for node in way if node in tree.below(top)]


def _bus(model, node):
    return next(int(b) for b, n in zip(model.bus, model.node, strict=True) if n == node)


def _customers(model, tree, top, medical=(), load_kw=2.0):
    return [
        Customer(f"UP-{node}", _bus(model, node), load_kw, node in medical)
        for node in tree.below(top)
    ]


def test_a_tie_that_carries_all_feeds_all_and_the_saving_is_a_hand_calculation(rural, chain):
    tree, top, way = chain
    customers = _customers(rural, tree, top)
    tie = Source("tie 1", _bus(rural, way[-1]), rural.lv_bus, 100.0)
    faulted = tree.above[top]
    steps = restoration(
        rural,
        (faulted.kind, faulted.index),
        customers,
        [tie],
        switching_minutes=20,
        repair_minutes=200,
    )
    assert [one.action for one in steps] == ["isolate", "back-feed", "repair", "close"]
    assert set(steps[1].usage_points) == {one.usage_point for one in customers}
    assert steps[1].open_first == ()
    # Isolated after 20 minutes, fed after 40, 160 minutes before the repair is done.
    assert steps[1].avoided_minutes == 180 * len(customers)
    assert steps[-1].usage_points == ()


def test_a_weak_tie_feeds_the_way_to_medical_customers_first(rural, chain):
    tree, top, way = chain
    assert len(way) >= 4
    far = way[-3]
    customers = _customers(rural, tree, top, medical={far})
    tie = Source("tie 1", _bus(rural, way[-1]), rural.lv_bus, 6.5)
    above = tree.above[top]
    steps = restoration(rural, (above.kind, above.index), customers, [tie])
    fed = steps[1]
    assert set(fed.usage_points) == {f"UP-{node}" for node in way[-3:]}, "three of 2 kW each"
    assert tree.above[far] in fed.open_first
    assert set(steps[-1].usage_points) == {one.usage_point for one in customers} - set(
        fed.usage_points
    )


def test_limits_that_break_leave_customers_to_the_repair(rural, chain):
    tree, top, way = chain
    tie = Source("tie 1", _bus(rural, way[-1]), rural.lv_bus, 100.0)
    asked = []

    def verdict(source, buses):
        asked.append((source.name, buses))
        return "vm_pu below 0.9"

    above = tree.above[top]
    customers = _customers(rural, tree, top)
    steps = restoration(rural, (above.kind, above.index), customers, [tie], verdict=verdict)
    assert [one.action for one in steps] == ["isolate", "repair", "close"]
    assert asked == [("tie 1", frozenset(_bus(rural, node) for node in tree.below(top)))]
    assert set(steps[-1].usage_points) == {one.usage_point for one in customers}


def test_a_battery_forms_an_island_for_as_long_as_it_lasts(rural, chain):
    tree, top, way = chain
    customers = _customers(rural, tree, top, load_kw=1.0)
    count = len(customers)
    battery = Source("BAT-1", _bus(rural, way[-1]), None, 100.0, energy_kwh=count * 0.5)
    elsewhere = Source("tie 9", rural.lv_bus, _bus(rural, way[-1]), 100.0)
    above = tree.above[top]
    steps = restoration(rural, (above.kind, above.index), customers, [elsewhere, battery])
    assert [one.action for one in steps] == ["isolate", "island", "repair", "close"]
    # 0.5 kWh for each customer of 1 kW: half an hour.
    assert steps[1].avoided_minutes == pytest.approx(30 * count)


def test_one_crew_goes_to_medical_customers_and_then_where_most_minutes_are_saved():
    waiting = [
        Waiting("quick", 10, 0, 30),
        Waiting("large", 40, 0, 240),
        Waiting("needy", 2, 1, 300),
    ]
    assert [one.name for one in repair_order(waiting)] == ["needy", "quick", "large"]
    with pytest.raises(BadInputError, match="repair of 0 minutes"):
        repair_order([Waiting("x", 1, 0, 0)])


def test_a_branch_that_is_not_there_is_refused(rural):
    with pytest.raises(BadInputError, match=r"line 999 of .* feeds nobody alone"):
        restoration(rural, ("line", 999), [], [])
