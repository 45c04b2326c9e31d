"""Where the buses of a feeder stand: a tree from its source, one row for each branch."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

WIDTH, LEFT, RIGHT = 1200.0, 120.0, 24.0
_TRAFO_PX, _BUSBAR_PX, _STEP_PX_MAX = 120.0, 92.0, 64.0

Edge = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Tree:
    """Every bus once, below the bus that feeds it; children by depth, deepest first."""

    root: int
    order: list[int]
    parent: dict[int, int]
    children: dict[int, list[int]]

    def is_busbar(self, bus: int) -> bool:
        return len(self.children[bus]) > 2


def tree_of(count: int, lines: list[Edge], trafos: list[Edge]) -> Tree:
    """Return the tree from the bus upstream of every transformer."""
    near: dict[int, list[int]] = {bus: [] for bus in range(count)}
    for a, b in trafos + lines:
        near[a].append(b)
        near[b].append(a)
    fed = {b for _, b in trafos}
    root = next((a for a, _ in trafos if a not in fed), 0)
    parent: dict[int, int] = {}
    children: dict[int, list[int]] = {bus: [] for bus in range(count)}
    order: list[int] = []
    for first in (root, *range(count)):
        if first in parent:
            continue
        parent[first] = first
        queue = deque([first])
        while queue:
            bus = queue.popleft()
            order.append(bus)
            for other in near[bus]:
                if other not in parent:
                    parent[other] = bus
                    children[bus].append(other)
                    queue.append(other)
    depth = dict.fromkeys(range(count), 0)
    for bus in reversed(order):
        children[bus].sort(key=lambda one: (-depth[one], one))
        if children[bus]:
            depth[bus] = 1 + depth[children[bus][0]]
    return Tree(root, order, parent, children)


def rows_of(tree: Tree) -> tuple[dict[int, float], int]:
    """Return the row of each bus and their number: the deepest branch goes straight on."""
    row: dict[int, float] = {}
    count = 0
    for first in (bus for bus in tree.order if tree.parent[bus] == bus):
        stack = [first]
        while stack:
            bus = stack.pop()
            above = tree.parent[bus]
            if bus != first and tree.children[above][0] == bus:
                row[bus] = row[above]
            else:
                row[bus], count = float(count), count + 1
            stack += reversed(tree.children[bus])
    for bus in reversed(tree.order):
        below = [row[one] for one in tree.children[bus]]
        if below:
            row[bus] = (below[0] + below[-1]) / 2 if tree.is_busbar(bus) else below[0]
    return row, count


def columns_of(tree: Tree, trafos: Iterable[Edge]) -> tuple[dict[int, float], float]:
    """Return the x of each bus and the distance of two buses on a line."""
    wide = {frozenset(edge) for edge in trafos}
    fixed: dict[int, float] = {}
    steps: dict[int, int] = {}
    for bus in tree.order:
        above = tree.parent[bus]
        if above == bus:
            fixed[bus], steps[bus] = LEFT, 0
        elif {bus, above} in wide:
            fixed[bus], steps[bus] = fixed[above] + _TRAFO_PX, steps[above]
        elif tree.is_busbar(above):
            fixed[bus], steps[bus] = fixed[above] + _BUSBAR_PX, steps[above]
        else:
            fixed[bus], steps[bus] = fixed[above], steps[above] + 1
    room = [(WIDTH - RIGHT - fixed[bus]) / steps[bus] for bus in steps if steps[bus]]
    step = min([_STEP_PX_MAX, *room])
    return {bus: round(fixed[bus] + steps[bus] * step, 1) for bus in fixed}, step
