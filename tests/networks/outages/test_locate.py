"""Outages are located as pandapower's own topology says, and never from one silent meter."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandapower.topology as topology
import pytest

from grid.errors import BadInputError
from networks.outages.feeder_tree import HEAD, SERVICE, feeder_tree
from networks.outages.locate import (
    GASP_THOUGH_FED,
    OPEN,
    SILENT_THOUGH_FED,
    Sight,
    Sighting,
    locate,
)


@pytest.fixture(scope="module")
def dead_behind(rural, rural_net):
    """Return a function (kind, index) -> buses without supply, by pandapower's topology."""
    net = rural_net()

    def dead(kind, index):
        table = net[kind]
        table.loc[index, "in_service"] = False
        try:
            return {int(bus) for bus in topology.unsupplied_buses(net)}
        finally:
            table.loc[index, "in_service"] = True

    return dead


def _sightings(model, dead, sight=Sight.SILENT, skip=()):
    return [
        Sighting(f"UP-{bus}", bus, sight if bus in dead else Sight.POWERED)
        for bus in model.bus.tolist()
        if bus != model.slack_bus and bus not in skip
    ] + [Sighting("M-HEAD", model.slack_bus, Sight.POWERED, is_customer=False)]


def _branches(model):
    return [
        (kind, int(index))
        for kind, table in (("line", model.line), ("trafo", model.trafo))
        for index in table.index
    ]


def test_each_opened_branch_is_named_with_all_its_customers_and_no_others(rural, dead_behind):
    for kind, index in _branches(rural):
        dead = dead_behind(kind, index)
        assert dead
        found = locate(rural, _sightings(rural, dead, Sight.GASPED))
        assert [(one.element.kind, one.element.index) for one in found.outages] == [(kind, index)]
        outage = found.outages[0]
        assert set(outage.usage_points) == {f"UP-{bus}" for bus in dead}
        assert outage.buses == dead
        assert outage.is_located
        assert outage.gasped == len(dead)


def test_silence_alone_is_suspected_of_two_neighbours_and_located_of_three(rural, dead_behind):
    told = {}
    for kind, index in _branches(rural):
        dead = dead_behind(kind, index)
        found = locate(rural, _sightings(rural, dead))
        told.setdefault(min(len(dead), 3), []).append((found, dead))
    for found, dead in told[1]:
        assert found.outages == ()
        assert found.not_answering == (f"UP-{min(dead)}",)
    assert told[2], "the feeder has no branch with two customers behind it"
    assert {one.outages[0].is_located for one, _ in told[2]} == {False}
    assert {one.outages[0].is_located for one, _ in told[3]} == {True}


def test_a_meter_that_answers_clears_the_element_above_it(rural, dead_behind):
    kind, index, dead = max(
        ((*branch, dead_behind(*branch)) for branch in _branches(rural) if branch[0] == "line"),
        key=lambda one: len(one[2]),
    )
    alive = min(dead)
    sightings = [
        one if one.bus != alive else Sighting(one.usage_point, alive, Sight.POWERED)
        for one in _sightings(rural, dead, Sight.GASPED)
    ]
    found = locate(rural, sightings)
    assert (kind, index) not in {(one.element.kind, one.element.index) for one in found.outages}
    assert f"UP-{alive}" not in {point for one in found.outages for point in one.usage_points}


def test_one_gasp_among_neighbours_that_answer_is_this_line_or_this_service(rural):
    tree = feeder_tree(rural)
    leaf = next(node for node in reversed(tree.order) if not tree.children[node])
    bus = int(rural.bus[np.flatnonzero(rural.node == leaf)[0]])
    sightings = _sightings(rural, {bus}, Sight.GASPED)
    outage = locate(rural, sightings).outages[0]
    assert [one.kind for one in outage.section] == ["line", SERVICE]
    two = [*sightings, Sighting("UP-NEXT-DOOR", bus, Sight.POWERED)]
    outage = locate(rural, two).outages[0]
    assert (outage.element.kind, outage.usage_points) == (SERVICE, (f"UP-{bus}",))


def test_lines_without_customers_between_are_one_section(rural, dead_behind):
    tree = feeder_tree(rural)
    deep = max(tree.order, key=lambda node: len(_path(tree, node)))
    path = _path(tree, deep)
    upper, middle = path[-3], path[-2]
    buses = {int(rural.bus[np.flatnonzero(rural.node == node)[0]]) for node in (upper, middle)}
    dead = dead_behind("line", tree.above[upper].index)
    found = locate(rural, _sightings(rural, dead, Sight.GASPED, skip=buses))
    outage = found.outages[0]
    assert [one.index for one in outage.section if one.kind == "line"] == [
        tree.above[node].index for node in path[-3:]
    ]
    unknown = [
        one if one.bus not in buses else Sighting(one.usage_point, one.bus, Sight.UNKNOWN)
        for one in _sightings(rural, dead, Sight.GASPED)
    ]
    outage = locate(rural, unknown).outages[0]
    assert set(outage.uncertain) == {f"UP-{bus}" for bus in buses}
    assert not set(outage.usage_points) & set(outage.uncertain)
    device = {("line", tree.above[middle].index)}
    outage = locate(rural, unknown, devices=device).outages[0]
    assert {("line", outage.element.index)} == device


def _path(tree, node):
    path = []
    while node != tree.root:
        path.append(node)
        node = tree.parent[node]
    return path[::-1]


def test_a_feeder_of_which_nothing_answers_may_be_our_own_deafness(rural):
    buses = [bus for bus in rural.bus.tolist() if bus != rural.slack_bus]
    silent = [Sighting(f"UP-{bus}", bus, Sight.SILENT) for bus in buses]
    outage = locate(rural, silent).outages[0]
    assert outage.element.kind == HEAD
    assert not outage.is_located
    gasp = Sighting(f"UP-{buses[0]}", buses[0], Sight.GASPED, gasped_s=1000)
    outage = locate(rural, [gasp, *silent[1:]]).outages[0]
    assert outage.is_located
    assert outage.first_gasp_s == 1000


def test_a_gateway_that_says_nothing_counts_once(rural, dead_behind):
    kind, index = next(b for b in _branches(rural) if len(dead_behind(*b)) in (3, 4, 5))
    dead = dead_behind(kind, index)
    behind = [
        one
        if one.sight is Sight.POWERED
        else Sighting(one.usage_point, one.bus, one.sight, via="gateway")
        for one in _sightings(rural, dead)
    ]
    assert not locate(rural, behind).outages[0].is_located
    spare = Sighting("UP-ELSEWHERE", int(rural.lv_bus), Sight.POWERED, via="gateway")
    assert locate(rural, [*behind, spare]).outages[0].is_located


def test_no_set_of_elements_explains_more_cheaply(rural):
    """Every set of up to two branches is weighed against what was found."""
    tree = feeder_tree(rural)
    behind = {
        (tree.above[node].kind, tree.above[node].index): set(tree.below(node))
        for node in tree.order[1:]
    }
    sets = [c for size in range(3) for c in itertools.combinations(behind.values(), size)]
    draw = np.random.default_rng(3)
    buses = [bus for bus in rural.bus.tolist() if bus != rural.slack_bus]
    chances = (Sight.POWERED, Sight.POWERED, Sight.SILENT, Sight.GASPED, Sight.UNKNOWN)
    compared = 0
    for _ in range(40):
        top = list(behind.values())[draw.integers(len(behind))]
        sightings = [
            Sighting(
                f"UP-{bus}",
                bus,
                Sight(draw.choice([Sight.SILENT, Sight.GASPED, Sight.UNKNOWN]))
                if rural.node[rural.position(bus)] in top
                else Sight(draw.choice(chances, p=(0.45, 0.45, 0.06, 0.01, 0.03))),
            )
            for bus in buses
        ]
        node_of = {one: int(rural.node[rural.position(one.bus)]) for one in sightings}
        found = locate(rural, sightings)
        chosen = [
            behind[one.element.kind, one.element.index]
            for one in found.outages
            if one.element.kind not in (HEAD, SERVICE)
        ]
        if len(chosen) > 2 or any(one.element.kind == HEAD for one in found.outages):
            continue
        ours = _cost(chosen, sightings, node_of)
        assert ours <= min(_cost(one, sightings, node_of) for one in sets) + 1e-9
        compared += 1
    assert compared >= 20


def _cost(opened, sightings, node_of):
    fault = -math.log(OPEN)
    dead = set().union(*opened)
    cost = fault * len(opened)
    fed = {
        Sight.POWERED: 0.0,
        Sight.UNKNOWN: 0.0,
        Sight.SILENT: -math.log(SILENT_THOUGH_FED),
        Sight.GASPED: min(fault, -math.log(GASP_THOUGH_FED)),
    }
    for one in sightings:
        if node_of[one] not in dead:
            cost += fed[one.sight]
        elif one.sight is Sight.POWERED:
            return math.inf
    return cost


def test_wrong_sightings_are_refused(rural):
    with pytest.raises(BadInputError, match="bus 4711 is not in the network"):
        locate(rural, [Sighting("UP-1", 4711, Sight.SILENT)])
    twice = [Sighting("UP-1", int(rural.lv_bus), Sight.SILENT)] * 2
    with pytest.raises(BadInputError, match="UP-1: given twice"):
        locate(rural, twice)
