"""In which order customers are fed again: isolate, feed from elsewhere, repair, close.

What is behind a faulted element and healthy can be fed through an open tie, or by a
battery that forms an island. Each source is given as much as it can carry: from where it
joins, the feeder is taken node by node, medical customers' first, then those with most
customers for each kW. That is a greedy choice, not the best of all; the branches where it
ends are opened first. Whether voltages and lines hold is asked of the caller, who has the
power flow.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from grid.errors import BadInputError
from networks.model import NetworkModel
from networks.outages.feeder_tree import Element, FeederTree, feeder_tree

SWITCHING_MINUTES: Final = 30.0
REPAIR_MINUTES: Final = 180.0


@dataclass(frozen=True, slots=True)
class Customer:
    """Who waits for supply: where, with how much load, and whether somebody's health needs it."""

    usage_point: str
    bus: int
    load_kw: float
    is_medical: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """What can feed a part of the feeder from elsewhere.

    Attributes
    ----------
    name : str
        Of the tie, or of the battery that forms an island.
    bus : int
        Where it joins what is without supply.
    from_bus : int or None
        Where a tie comes from; None for a battery.
    power_kw : float
        What it can carry.
    energy_kwh : float or None
        What a battery holds; None for a tie.
    """

    name: str
    bus: int
    from_bus: int | None
    power_kw: float
    energy_kwh: float | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do.

    Attributes
    ----------
    action : str
        ``"isolate"``, ``"back-feed"``, ``"island"``, ``"repair"`` or ``"close"``.
    what : str
        The element or the source.
    open_first : tuple of Element
        Branches that part what is fed from what is not.
    usage_points : tuple of str
        Customers that have supply after it.
    at_minutes : float
        When it is done, counted from the beginning.
    avoided_minutes : float
        Customer minutes less than by waiting for the repair.
    """

    action: str
    what: str
    open_first: tuple[Element, ...]
    usage_points: tuple[str, ...]
    at_minutes: float
    avoided_minutes: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """An incident that waits for a crew."""

    name: str
    customers: int
    medical: int
    repair_minutes: float = REPAIR_MINUTES


def repair_order(waiting: Sequence[Waiting]) -> list[Waiting]:
    """Return incidents in the order in which one crew repairs them.

    Those with medical customers first; among alike, most customers for each minute of work
    first, which minimises customer minutes (Smith 1956, doi:10.1002/nav.3800030106).
    """
    for one in waiting:
        if one.repair_minutes <= 0:
            raise BadInputError(f"{one.name}: repair of {one.repair_minutes} minutes, must be > 0")
    return sorted(
        waiting,
        key=lambda one: (one.medical == 0, -one.customers / one.repair_minutes, one.name),
    )


Verdict = Callable[[Source, frozenset[int]], str]
"""Given a source and the buses it is to feed: which limit breaks, ``""`` where all hold."""


def restoration(
    model: NetworkModel,
    faulted: tuple[str, int],
    customers: Sequence[Customer],
    sources: Sequence[Source],
    *,
    verdict: Verdict = lambda source, buses: "",
    switching_minutes: float = SWITCHING_MINUTES,
    repair_minutes: float = REPAIR_MINUTES,
) -> list[Step]:
    """Return the steps that feed the customers behind a faulted branch again, in their order.

    Parameters
    ----------
    model : NetworkModel
    faulted : (str, int)
        Kind and index of the branch.
    customers : sequence of Customer
        Of the whole feeder, or at least those behind the branch.
    sources : sequence of Source
        Open ties and batteries; those that do not join what is behind the branch, or come
        from there, are left out.
    verdict : callable, optional
        Whether limits hold.
    switching_minutes, repair_minutes : float
        For one operation in the field, and for the repair.

    Raises
    ------
    BadInputError
        When no customers can be behind the branch: it is not there, or in a loop.
    """
    tree = feeder_tree(model)
    top = _node_behind(tree, model, faulted)
    zone = set(tree.below(top))
    there: dict[int, list[Customer]] = {}
    for one in customers:
        node = int(model.node[model.position(one.bus)])
        if node in zone:
            there.setdefault(node, []).append(one)
    element = tree.above[top]
    assert element is not None
    at = switching_minutes
    steps = [Step("isolate", element.label, (element,), (), at, 0.0)]
    left = set(zone)
    for source, fed in _fed(model, tree, zone, there, sources, verdict):
        nodes = fed & left
        points = [one for node in sorted(nodes) for one in there.get(node, ())]
        if not points:
            continue
        cuts = _border(tree, nodes, zone)
        at += switching_minutes * (1 + len(cuts))
        lasts = _lasts_minutes(source, points)
        # Without it they wait until the repaired branch is closed again.
        saved = max(min(repair_minutes + switching_minutes - at, lasts), 0.0) * len(points)
        action = "island" if source.from_bus is None else "back-feed"
        names = tuple(one.usage_point for one in points)
        steps.append(Step(action, source.name, cuts, names, at, saved))
        left -= nodes
    rest = tuple(one.usage_point for node in sorted(left) for one in there.get(node, ()))
    done = max(repair_minutes, at)
    steps.append(Step("repair", element.label, (), (), done, 0.0))
    steps.append(Step("close", element.label, (), rest, done + switching_minutes, 0.0))
    return steps


def _node_behind(tree: FeederTree, model: NetworkModel, faulted: tuple[str, int]) -> int:
    for node in tree.order[1:]:
        above = tree.above[node]
        if above is not None and (above.kind, above.index) == faulted:
            if not tree.is_bridge[node]:
                break
            return node
    kind, index = faulted
    raise BadInputError(
        f"{kind} {index} of {model.source} feeds nobody alone: it must be a branch of the tree"
    )


def _fed(
    model: NetworkModel,
    tree: FeederTree,
    zone: set[int],
    there: Mapping[int, list[Customer]],
    sources: Sequence[Source],
    verdict: Verdict,
) -> list[tuple[Source, set[int]]]:
    """Return which nodes each source feeds: most medical customers first, then most customers."""
    left = set(zone)
    waiting = [one for one in sources if _joins(model, zone, one)]
    found: list[tuple[Source, set[int]]] = []
    while waiting:
        reach = {one.name: _grown(model, tree, left, there, one) for one in waiting}
        best = max(waiting, key=lambda one: (_worth(reach[one.name], there), one.name))
        waiting.remove(best)
        nodes = reach[best.name]
        buses = frozenset(
            int(bus) for bus, node in zip(model.bus, model.node, strict=True) if int(node) in nodes
        )
        if nodes and not verdict(best, buses):
            found.append((best, nodes))
            left -= nodes
    return found


def _joins(model: NetworkModel, zone: set[int], source: Source) -> bool:
    inner = int(model.node[model.position(source.bus)])
    if source.from_bus is None:
        return inner in zone
    return inner in zone and int(model.node[model.position(source.from_bus)]) not in zone


def _worth(nodes: Collection[int], there: Mapping[int, list[Customer]]) -> tuple[int, int]:
    fed = [one for node in nodes for one in there.get(node, ())]
    return sum(one.is_medical for one in fed), len(fed)


def _grown(
    model: NetworkModel,
    tree: FeederTree,
    left: set[int],
    there: Mapping[int, list[Customer]],
    source: Source,
) -> set[int]:
    """Return the nodes that a source carries, from where it joins outwards."""
    start = int(model.node[model.position(source.bus)])
    if start not in left:
        return set()
    room_kw = source.power_kw
    fed: set[int] = set()
    edge = {start}
    while edge:
        fitting = [node for node in edge if _load_kw(node, there) <= room_kw]
        if not fitting:
            break
        node = max(fitting, key=lambda one: (_promise(tree, one, fed, left, there), -one))
        edge.remove(node)
        fed.add(node)
        room_kw -= _load_kw(node, there)
        near = [*tree.children[node], tree.parent[node]]
        edge |= {one for one in near if one in left and one not in fed}
    return fed


def _promise(
    tree: FeederTree,
    node: int,
    fed: set[int],
    left: set[int],
    there: Mapping[int, list[Customer]],
) -> tuple[bool, float]:
    """Return whether medical customers are at a node or beyond, and customers for each kW."""
    beyond, seen = [node], {node} | fed
    for one in beyond:
        near = [n for n in (*tree.children[one], tree.parent[one]) if n in left and n not in seen]
        seen.update(near)
        beyond += near
    is_medical = any(one.is_medical for n in beyond for one in there.get(n, ()))
    count = len(there.get(node, ()))
    return is_medical, count / max(_load_kw(node, there), 1e-9) if count else 0.0


def _load_kw(node: int, there: Mapping[int, list[Customer]]) -> float:
    return sum(one.load_kw for one in there.get(node, ()))


def _border(tree: FeederTree, nodes: set[int], zone: set[int]) -> tuple[Element, ...]:
    """Return the branches between what is fed and the rest of what is without supply."""
    cuts = []
    for node in sorted(zone):
        above = tree.above[node]
        parent = tree.parent[node]
        if above is not None and parent in zone and (node in nodes) != (parent in nodes):
            cuts.append(above)
    return tuple(cuts)


def _lasts_minutes(source: Source, points: Sequence[Customer]) -> float:
    load_kw = sum(one.load_kw for one in points)
    if source.energy_kwh is None or load_kw <= 0.0:
        return float("inf")
    return 60.0 * source.energy_kwh / load_kw
