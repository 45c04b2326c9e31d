"""How switches part a network into sections, and which of them cut a bus off from the sources."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from networks.equipment import SWITCH_KINDS
from networks.model import Int, NetworkModel
from networks.operating.terminals import end_joined

_CANNOT_OPEN = 1_000_000


@dataclass(frozen=True, slots=True)
class Joint:
    """What joins two buses: a closed switch between them, or a branch that is connected.

    Attributes
    ----------
    a, b : int
        Positions of the buses.
    at_a, at_b : tuple of int
        Switches on it, by index, at either end; a switch between two buses is at `a`.
    """

    a: int
    b: int
    at_a: tuple[int, ...]
    at_b: tuple[int, ...]

    @property
    def switches(self) -> tuple[int, ...]:
        """All switches on it."""
        return self.at_a + self.at_b


def joints(model: NetworkModel) -> list[Joint]:
    """Return what joins buses of which both are alive."""
    switch, closed = model.equipment.switch, model.switching.closed
    alive = model.node >= 0
    found = []
    for row in np.flatnonzero((switch.kind == 0) & closed):
        a, b = model.position(int(switch.bus[row])), model.position(int(switch.element[row]))
        if alive[a] and alive[b]:
            found.append(Joint(a, b, (int(switch.index[row]),), ()))
    for table in ("line", "trafo"):
        branches = getattr(model, table)
        whole = getattr(model.equipment, table)
        kind = SWITCH_KINDS.index(table[0])
        for branch in np.flatnonzero(branches.from_node >= 0):
            ends = (whole.from_bus, whole.to_bus)
            if not all(end_joined(model, table, int(branch), end) for end in ends):
                continue
            here = (switch.kind == kind) & (switch.element == branches.index[branch])
            at = [switch.index[here & (switch.bus == end[branch])].tolist() for end in ends]
            a, b = (model.position(int(end[branch])) for end in ends)
            found.append(Joint(a, b, tuple(at[0]), tuple(at[1])))
    return found


def path(joined: list[Joint], start: int, ends: set[int]) -> list[Joint]:
    """Return the shortest path from a bus position to any of `ends`; empty without one."""
    beside = _beside(joined)
    came: dict[int, Joint | None] = {start: None}
    queue = deque([start])
    while queue:
        here = queue.popleft()
        if here in ends:
            made = []
            step = came[here]
            while step is not None:
                made.append(step)
                here = step.a if step.b == here else step.b
                step = came[here]
            return made[::-1]
        for joint in beside.get(here, ()):
            other = joint.b if joint.a == here else joint.a
            if other not in came:
                came[other] = joint
                queue.append(other)
    return []


def _beside(joined: Iterable[Joint]) -> dict[int, list[Joint]]:
    beside: dict[int, list[Joint]] = {}
    for joint in joined:
        beside.setdefault(joint.a, []).append(joint)
        beside.setdefault(joint.b, []).append(joint)
    return beside


def single_cuts(model: NetworkModel, bus: int) -> list[int]:
    """Return switches of which each alone cuts a bus off from every source, nearest first."""
    ends = {model.position(int(held)) for held in model.held_bus}
    here = model.position(bus)
    on_path = [index for joint in path(joints(model), here, ends) for index in joint.switches]
    return [index for index in on_path if model.switched(opened=[index]).node[here] < 0]


def smallest_cut(model: NetworkModel, bus: int) -> list[int] | None:
    """Return the fewest switches that cut a bus off, as near to the sources as can be.

    None when no switches do. By Ford and Fulkerson's theorem the fewest are a saturated cut of
    the largest flow (Canad. J. Math. 8, 1956, doi:10.4153/CJM-1956-045-5).
    """
    import scipy.sparse as sp
    from scipy.sparse.csgraph import breadth_first_order, maximum_flow

    joined = joints(model)
    sink, count = model.position(bus), len(model.bus)
    edges = [(j.a, j.b, 1 if j.switches else _CANNOT_OPEN) for j in joined]
    edges += [(count, model.position(int(held)), _CANNOT_OPEN) for held in model.held_bus]
    a, b, room = (np.array(column, dtype=np.int32) for column in zip(*edges, strict=True))
    graph = sp.csr_array(
        sp.coo_array(
            (np.concatenate([room, room]), (np.concatenate([a, b]), np.concatenate([b, a]))),
            shape=(count + 1, count + 1),
        )
    ).astype(np.int32)
    done = maximum_flow(graph, count, sink)
    if done.flow_value >= _CANNOT_OPEN or done.flow_value == 0:
        return None
    left = sp.csr_array(graph - done.flow)
    left.data[left.data < 0] = 0
    left.eliminate_zeros()
    reached = set(breadth_first_order(left, count, return_predecessors=False).tolist())
    return sorted(
        # The switch at the sources' side, if there is one.
        ((j.at_a if j.a in reached else j.at_b) or j.switches)[0]
        for j in joined
        if (j.a in reached) != (j.b in reached)
    )


@dataclass(frozen=True, eq=False)
class Sections:
    """A network parted by open switches, as a tree from the section that is fed first.

    Attributes
    ----------
    of : int64 (bus,)
        Section of each bus position, -1 where it is in none.
    parent : dict of int to int
        The section that each but the first is energised from.
    by : dict of int to tuple of int
        Switches that do so.
    order : tuple of int
        The first section, then the nearest.
    """

    of: Int
    parent: dict[int, int]
    by: dict[int, tuple[int, ...]]
    order: tuple[int, ...]

    def way(self, section: int) -> list[int]:
        """Return the sections to energise to reach one, the first left out, in order."""
        made = []
        while section in self.parent:
            made.append(section)
            section = self.parent[section]
        return made[::-1]


def sections(model: NetworkModel, opened: Iterable[int], bus: int) -> Sections:
    """Return the sections that `opened` part a network into, as seen from a bus."""
    import scipy.sparse as sp
    from scipy.sparse.csgraph import connected_components

    apart, joined = set(opened), joints(model)
    count = len(model.bus)
    kept = [(j.a, j.b) for j in joined if not apart & set(j.switches)]
    a, b = np.array(kept, dtype=np.int64).reshape(-1, 2).T
    graph = sp.coo_array((np.ones(len(a)), (a, b)), shape=(count, count))
    part = connected_components(graph, directed=False)[1].astype(np.int64)
    part[model.node < 0] = -1
    between: dict[int, list[tuple[int, tuple[int, ...]]]] = {}
    for joint in joined:
        ends = int(part[joint.a]), int(part[joint.b])
        closes = tuple(index for index in joint.switches if index in apart)
        if ends[0] != ends[1] and closes:
            between.setdefault(ends[0], []).append((ends[1], closes))
            between.setdefault(ends[1], []).append((ends[0], closes))
    first = int(part[model.position(bus)])
    parent: dict[int, int] = {}
    by: dict[int, tuple[int, ...]] = {}
    order = [first]
    for section in order:
        for other, closes in sorted(between.get(section, ())):
            if other != first and other not in parent:
                parent[other], by[other] = section, closes
                order.append(other)
    return Sections(part, parent, by, tuple(order))


def sectioning(model: NetworkModel, bus: int) -> tuple[int, ...]:
    """Return one switch on each branch and coupler that has any, the one nearer to `bus`."""
    joined = joints(model)
    beside = _beside(joined)
    reached = {model.position(bus): 0}
    queue = deque(reached)
    while queue:
        here = queue.popleft()
        for joint in beside.get(here, ()):
            other = joint.b if joint.a == here else joint.a
            if other not in reached:
                reached[other] = reached[here] + 1
                queue.append(other)
    chosen = {
        ((j.at_a if reached[j.a] <= reached[j.b] else j.at_b) or j.switches)[0]
        for j in joined
        if j.switches and j.a in reached
    }
    return tuple(sorted(chosen))
