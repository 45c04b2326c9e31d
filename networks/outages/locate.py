"""Where the supply is broken, from last gasps and silence.

The most probable explanation of what is known of the meters is sought among all
sets of open elements of the feeder tree. It is the one of least cost, a cost
being the negative logarithm of a probability:

- an element opens in an interval with probability :data:`OPEN`;
- a meter with supply is silent with :data:`SILENT_THOUGH_FED`: communication
  fails far more often than supply, so one silent meter is no outage, and two
  silent neighbours are a suspicion;
- a meter with supply sends a last gasp with :data:`GASP_THOUGH_FED`;
- a meter that answers has supply, and clears every element above it.

Meters are independent of each other but for those behind one gateway that says
nothing at all: their silence counts once when confidence is judged. On a tree
the cheapest set is found exactly, in one pass from the leaves to the head (the
maximum a posteriori estimate by dynamic programming). Of explanations that are
alike the most upstream one is taken, and the elements that cannot be told from
it are named with it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from grid.errors import BadInputError
from networks.model import NetworkModel
from networks.outages.feeder_tree import HEAD, SERVICE, Element, FeederTree, feeder_tree

OPEN: Final = 1e-3
SILENT_THOUGH_FED: Final = 0.02
GASP_THOUGH_FED: Final = 1e-5
LOCATED_ODDS: Final = 20.0
"""Odds against mere failures of communication from which an outage is located, not suspected."""

_FAULT: Final = -math.log(OPEN)


class Sight(StrEnum):
    """What is known of a meter in an interval."""

    POWERED = "powered"
    GASPED = "gasped"
    SILENT = "silent"
    UNKNOWN = "unknown"


_COST_FED: Final = {
    Sight.POWERED: 0.0,
    Sight.GASPED: -math.log(GASP_THOUGH_FED),
    Sight.SILENT: -math.log(SILENT_THOUGH_FED),
    Sight.UNKNOWN: 0.0,
}


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one meter tells of its bus.

    Attributes
    ----------
    usage_point : str
    bus : int
        Index in the source network.
    sight : Sight
    gasped_s : int or None
        When it said that it lost its supply, seconds UTC.
    via : str
        Gateway that it is asked through, ``""`` where it has none.
    is_customer : bool
        False for a meter of the network itself, as that of the feeder head.
    """

    usage_point: str
    bus: int
    sight: Sight
    gasped_s: int | None = None
    via: str = ""
    is_customer: bool = True


@dataclass(frozen=True, slots=True)
class Outage:
    """One element without supply.

    Attributes
    ----------
    element : Element
        The most upstream one that explains what is known.
    section : tuple of Element
        It and those that explain it as well, from the head outwards.
    usage_points : tuple of str
        Customers behind every element of the section.
    uncertain : tuple of str
        Customers of whom nothing is known, behind some elements of the section.
    buses : frozenset of int
        Buses of the source network behind the whole section.
    is_located : bool
        Else it is suspected.
    gasped, silent, unknown : int
        Customers without supply by what is known of their meters.
    first_gasp_s : int or None
    """

    element: Element
    section: tuple[Element, ...]
    usage_points: tuple[str, ...]
    uncertain: tuple[str, ...]
    buses: frozenset[int]
    is_located: bool
    gasped: int
    silent: int
    unknown: int
    first_gasp_s: int | None

    @property
    def label(self) -> str:
        """The section in words."""
        return " or ".join(one.label for one in self.section)


@dataclass(frozen=True, slots=True)
class Found:
    """What explains the sightings.

    Attributes
    ----------
    outages : tuple of Outage
        From the head outwards.
    not_answering : tuple of str
        Silent meters with supply, as far as anybody knows.
    """

    outages: tuple[Outage, ...]
    not_answering: tuple[str, ...]


def locate(
    model: NetworkModel,
    sightings: Sequence[Sighting],
    *,
    devices: Collection[tuple[str, int]] | None = None,
    source_bus: int | None = None,
) -> Found:
    """Return the smallest set of open elements that explains what is known of the meters.

    Parameters
    ----------
    model : NetworkModel
    sightings : sequence of Sighting
        One for each usage point.
    devices : collection of (str, int), optional
        Kind and index of the branches with a protective device, where they are known; any
        branch is a candidate without it.
    source_bus : int, optional
        As :func:`networks.outages.feeder_tree.feeder_tree` takes it.

    Raises
    ------
    BadInputError
        When the network has no such bus, or a usage point is given twice.
    """
    names = [one.usage_point for one in sightings]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise BadInputError(f"{twice}: given twice, must be once")
    search = _Search(model, sightings, devices, source_bus)
    outages = search.outages()
    dead = {point for one in outages for point in (*one.usage_points, *one.uncertain)}
    silent = [one.usage_point for one in sightings if one.sight is Sight.SILENT]
    return Found(outages, tuple(name for name in silent if name not in dead))


class _Search:
    """Costs of the two states of each node, fed and dead, from the leaves to the head."""

    def __init__(
        self,
        model: NetworkModel,
        sightings: Sequence[Sighting],
        devices: Collection[tuple[str, int]] | None,
        source_bus: int | None,
    ) -> None:
        self._source_bus = int(model.slack_bus) if source_bus is None else source_bus
        self._tree: FeederTree = feeder_tree(model, source_bus)
        self._devices = devices
        self._at: list[list[Sighting]] = [[] for _ in model.node_kv]
        for one in sightings:
            node = int(model.node[model.position(one.bus)])
            if node >= 0:
                self._at[node].append(one)
        self._buses: list[list[int]] = [[] for _ in model.node_kv]
        for bus, node in zip(model.bus.tolist(), model.node.tolist(), strict=True):
            if node >= 0:
                self._buses[node].append(bus)
        count = len(self._at)
        self._is_cleared = [False] * count
        """Whether a meter answers at the node or behind it."""
        self._evidence = [0] * count
        """Meters at the node and behind it that speak for an outage."""
        self._fed = [0.0] * count
        self._is_open = [False] * count
        """Whether the branch above the node is open, as long as the node above it is fed."""
        for node in reversed(self._tree.order):
            self._weigh(node)
        speaking = {True: set[str](), False: set[str]()}
        for one in sightings:
            speaking[one.sight is Sight.POWERED].add(one.via)
        self._quiet = speaking[False] - speaking[True] - {""}

    def _weigh(self, node: int) -> None:
        here, children = self._at[node], self._tree.children[node]
        self._is_cleared[node] = any(one.sight is Sight.POWERED for one in here) or any(
            self._is_cleared[child] for child in children
        )
        self._evidence[node] = sum(map(_speaks, here)) + sum(self._evidence[c] for c in children)
        cost = sum(min(_COST_FED[one.sight], _service(one)) for one in here)
        for child in children:
            self._is_open[child] = self._may_open(child) and self._fed[child] >= _FAULT
            cost += _FAULT if self._is_open[child] else self._fed[child]
        self._fed[node] = cost

    def _may_open(self, node: int) -> bool:
        element = self._tree.above[node]
        assert element is not None
        known = self._devices is None or (element.kind, element.index) in self._devices
        return known and self._tree.is_bridge[node] and not self._is_cleared[node]

    def outages(self) -> tuple[Outage, ...]:
        """Return the outages of the cheapest explanation, from the head outwards."""
        root = self._tree.root
        if not self._is_cleared[root] and self._fed[root] >= _FAULT:
            head = Element(HEAD, self._source_bus, "")
            return (self._outage(head, root),)
        found: list[Outage] = []
        fed = [root]
        for node in fed:
            found += [
                _service_outage(one)
                for one in self._at[node]
                if one.is_customer and _service(one) < _COST_FED[one.sight]
            ]
            for child in self._tree.children[node]:
                if not self._is_open[child]:
                    fed.append(child)
                    continue
                element = self._tree.above[child]
                assert element is not None
                found.append(self._outage(element, child))
        return tuple(found)

    def _outage(self, element: Element, top: int) -> Outage:
        section, bottom = self._section(element, top)
        below = self._tree.below(bottom)
        dead = [one for node in below for one in self._at[node]]
        between = set(self._tree.below(top)) - set(below)
        uncertain = [one for node in sorted(between) for one in self._at[node] if one.is_customer]
        customers = [one for one in dead if one.is_customer]
        if len(customers) == 1 == len(dead) and self._evidence[bottom]:
            section.append(_element_of(customers[0]))
        gasps = [one.gasped_s for one in dead if one.gasped_s is not None]
        counted = [one.sight for one in customers]
        odds = self._against_silence(dead) - _FAULT
        sure = element.kind != HEAD or bool(gasps)
        return Outage(
            element=element,
            section=tuple(section),
            usage_points=tuple(one.usage_point for one in customers),
            uncertain=tuple(one.usage_point for one in uncertain),
            buses=frozenset(bus for node in below for bus in self._buses[node]),
            is_located=sure and odds >= math.log(LOCATED_ODDS),
            gasped=counted.count(Sight.GASPED),
            silent=counted.count(Sight.SILENT),
            unknown=counted.count(Sight.UNKNOWN),
            first_gasp_s=min(gasps, default=None),
        )

    def _section(self, element: Element, top: int) -> tuple[list[Element], int]:
        """Return the elements that cannot be told from `element`, and the node behind them."""
        section, bottom, node = [element], top, top
        while not any(_speaks(one) for one in self._at[node]):
            telling = [c for c in self._tree.children[node] if self._evidence[c]]
            if len(telling) != 1:
                break
            node = telling[0]
            if self._may_open(node):
                above = self._tree.above[node]
                assert above is not None
                section.append(above)
                bottom = node
        return section, bottom

    def _against_silence(self, dead: Sequence[Sighting]) -> float:
        """Return the cost of the dead meters' evidence if all of them had supply."""
        total = 0.0
        quiet: set[str] = set()
        for one in dead:
            if one.sight is Sight.SILENT and one.via in self._quiet:
                quiet.add(one.via)
            else:
                total += _COST_FED[one.sight]
        return total + len(quiet) * _COST_FED[Sight.SILENT]


def _speaks(one: Sighting) -> bool:
    return one.sight in (Sight.GASPED, Sight.SILENT)


def _service(one: Sighting) -> float:
    """Return what it costs that a customer's own service is broken."""
    return _FAULT if one.is_customer and one.sight is not Sight.POWERED else math.inf


def _element_of(one: Sighting) -> Element:
    return Element(SERVICE, one.bus, one.usage_point)


def _service_outage(one: Sighting) -> Outage:
    element = _element_of(one)
    return Outage(
        element=element,
        section=(element,),
        usage_points=(one.usage_point,),
        uncertain=(),
        buses=frozenset(),
        is_located=True,
        gasped=1,
        silent=0,
        unknown=0,
        first_gasp_s=one.gasped_s,
    )
