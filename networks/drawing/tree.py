"""Where the buses of a network stand in a one-line diagram.

Fed from the left: a forest from the sources over what is usually closed, then over what is
usually open to what nothing else reaches; one row for each end. The other branches are chords.
Where a bus stands does not depend on how the network is switched today.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from networks.drawing.scheme import Branch, Scheme

_RANK = {"switch": 0, "trafo": 1, "line": 2}


@dataclass(slots=True)
class Tree:
    """Every bus once, below the bus that feeds it.

    Attributes
    ----------
    order : list of int
        Each bus after the one above it.
    parent, up : list of int
        The bus above and the branch to it; itself and -1 at a root.
    children : list of list of int
        Sections of the same busbar last.
    parallel : dict of int to list of int
        Branches beside the one to the bus above.
    section : set of int
        Buses that a coupler joins to a busbar above them: they stand in its column.
    chords : list of int
        Branches that are neither in the tree nor parallel to one that is.
    """

    roots: list[int]
    parent: list[int]
    up: list[int]
    children: list[list[int]]
    parallel: dict[int, list[int]]
    section: set[int]
    chords: list[int]
    order: list[int] = field(default_factory=list)
    depth: list[int] = field(default_factory=list)

    def is_bar(self, bus: int, branches: Sequence[Branch]) -> bool:
        """Return whether a bus is drawn as a busbar."""
        below = self.children[bus]
        up = self.up[bus]
        return (
            len(below) > 2
            or bus in self.section
            or any(one in self.section or one in self.parallel for one in below)
            or bus in self.parallel
            or (up >= 0 and branches[up].kind == "trafo")
            or (up < 0 and any(branches[self.up[one]].kind != "line" for one in below))
        )


def tree_of(scheme: Scheme) -> Tree:
    """Return the forest of a network."""
    count, branches = len(scheme.bus), scheme.branches
    near: list[list[tuple[int, int]]] = [[] for _ in range(count)]
    ranked = sorted(range(len(branches)), key=lambda n: (_RANK[branches[n].kind], n))
    for n in ranked:
        if branches[n].a != branches[n].b:
            near[branches[n].a].append((n, branches[n].b))
            near[branches[n].b].append((n, branches[n].a))
    parent, up = [-1] * count, [-1] * count
    roots: list[int] = []

    def grow(firsts: Sequence[int]) -> None:
        """Reach what usually closed branches reach; a switch is no distance."""
        queue = deque(firsts)
        done: set[int] = set()
        while queue:
            bus = queue.popleft()
            if bus in done:
                continue
            done.add(bus)
            for n, other in near[bus]:
                if branches[n].usual and parent[other] < 0:
                    parent[other], up[other] = bus, n
                    if branches[n].kind == "switch":
                        queue.appendleft(other)
                    else:
                        queue.append(other)

    for bus in dict.fromkeys(scheme.head):
        parent[bus] = bus
        roots.append(bus)
    grow(roots)
    while -1 in parent:
        found = next(
            (
                (n, other)
                for n in ranked
                for bus, other in ((branches[n].a, branches[n].b), (branches[n].b, branches[n].a))
                if parent[bus] >= 0 > parent[other]
            ),
            None,
        )
        if found is None:
            first = parent.index(-1)
            parent[first] = first
            roots.append(first)
        else:
            n, first = found
            other = branches[n].a if branches[n].b == first else branches[n].b
            parent[first], up[first] = other, n
        grow([first])
    return _arranged(scheme, roots, parent, up)


def _arranged(scheme: Scheme, roots: list[int], parent: list[int], up: list[int]) -> Tree:
    branches = scheme.branches
    children: list[list[int]] = [[] for _ in parent]
    for bus, above in enumerate(parent):
        if above != bus:
            children[above].append(bus)
    parallel: dict[int, list[int]] = {}
    chords: list[int] = []
    of_tree = set(up)
    for n, one in enumerate(branches):
        if n in of_tree or one.a == one.b:
            continue
        below = one.b if parent[one.b] == one.a else one.a if parent[one.a] == one.b else None
        if below is None or up[below] < 0:
            chords.append(n)
        else:
            parallel.setdefault(below, []).append(n)
    section = {
        bus
        for bus, n in enumerate(up)
        if n >= 0
        and branches[n].kind == "switch"
        and bus not in parallel
        and any(branches[up[one]].kind != "switch" for one in children[parent[bus]])
    }
    tree = Tree(roots, parent, up, children, parallel, section, chords)
    _sort(tree, branches)
    return tree


def _sort(tree: Tree, branches: Sequence[Branch]) -> None:
    """Order children: the deepest first, then what chords tie together side by side."""
    order = _preorder(tree)
    depth = [0] * len(tree.parent)
    level = [0] * len(tree.parent)
    for bus in order:
        level[bus] = 0 if tree.up[bus] < 0 else level[tree.parent[bus]] + 1
    for bus in reversed(order):
        if tree.up[bus] >= 0:
            depth[tree.parent[bus]] = max(depth[tree.parent[bus]], depth[bus] + 1)
    ties: dict[tuple[int, int], int] = {}
    for n in tree.chords:
        a, b = branches[n].a, branches[n].b
        while a != b and tree.parent[a] != tree.parent[b]:
            if level[a] < level[b]:
                a, b = b, a
            if tree.up[a] < 0:
                break
            a = tree.parent[a]
        if a != b and tree.parent[a] == tree.parent[b]:
            ties[min(a, b), max(a, b)] = ties.get((min(a, b), max(a, b)), 0) + 1
    for bus, below in enumerate(tree.children):
        below.sort(key=lambda one: (one in tree.section, -depth[one], one))
        if len(below) > 2 and any((min(a, b), max(a, b)) in ties for a in below for b in below):
            tree.children[bus] = _beside(below, ties, tree.section)
    tree.order, tree.depth = _preorder(tree), depth


def _beside(below: list[int], ties: dict[tuple[int, int], int], last: set[int]) -> list[int]:
    rest = [one for one in below if one not in last]
    made = [rest.pop(0)] if rest else []
    while rest:
        best = max(
            range(len(rest)),
            key=lambda n: (ties.get((min(made[-1], rest[n]), max(made[-1], rest[n])), 0), -n),
        )
        made.append(rest.pop(best))
    return made + [one for one in below if one in last]


def _preorder(tree: Tree) -> list[int]:
    made: list[int] = []
    stack = list(reversed(tree.roots))
    while stack:
        bus = stack.pop()
        made.append(bus)
        stack += reversed(tree.children[bus])
    return made


def rows_of(tree: Tree, branches: Sequence[Branch]) -> tuple[list[float], dict[int, float], int]:
    """Return the row of each bus and of each parallel branch, and how many rows there are."""
    row = [0.0] * len(tree.parent)
    beside: dict[int, float] = {}
    count = 0
    for root in tree.roots:
        # (bus, whether it goes on in the row of the one above it)
        stack = [(root, False)]
        while stack:
            bus, goes_on = stack.pop()
            rows = tree.parallel.get(bus, [])
            for number, n in enumerate(rows):
                if goes_on and number == 0:
                    beside[n] = row[tree.parent[bus]]
                else:
                    beside[n], count = float(count), count + 1
            if goes_on and not rows:
                row[bus] = row[tree.parent[bus]]
            else:
                row[bus], count = float(count), count + 1
            below = tree.children[bus]
            stack += [
                (one, number == 0 and one not in tree.section)
                for number, one in reversed(list(enumerate(below)))
            ]
    for bus in reversed(tree.order):
        below = [one for one in tree.children[bus] if one not in tree.section]
        if below:
            first, last = row[below[0]], row[below[-1]]
            row[bus] = (first + last) / 2 if tree.is_bar(bus, branches) else first
    return row, beside, count
