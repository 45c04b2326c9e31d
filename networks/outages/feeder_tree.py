"""The feeder as a tree: what hangs behind each line and transformer.

Branches of a loop have no side that dies when one of them opens, so they are
no candidates for an outage by themselves; all others are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from grid.errors import BadInputError
from networks.model import Branches, NetworkModel

HEAD: Final = "head"
SERVICE: Final = "service"


@dataclass(frozen=True, slots=True, order=True)
class Element:
    """What can lose its supply: a branch, the feeder head, or the service of one customer.

    Attributes
    ----------
    kind : str
        ``"line"``, ``"trafo"``, :data:`HEAD` or :data:`SERVICE`.
    index : int
        Index in the source network; the bus of a head or a service.
    name : str
        As the source network names it; the usage point of a service.
    """

    kind: str
    index: int
    name: str

    @property
    def label(self) -> str:
        """How it is named in messages: ``line 37 'LV2.101 Line 18'``."""
        if self.kind == SERVICE:
            return f"service of {self.name}"
        if self.kind == HEAD:
            return f"feeder head at bus {self.index}"
        return (
            f"{self.kind} {self.index} {self.name!r}" if self.name else f"{self.kind} {self.index}"
        )


@dataclass(frozen=True, eq=False, slots=True)
class FeederTree:
    """The nodes of a feeder from its head outwards.

    Attributes
    ----------
    root : int
    order : list of int
        Nodes that are fed, parents before children.
    parent : list of int (node,)
        -1 at the root and where a node is not fed.
    above : list of Element or None (node,)
        The branch from the parent.
    is_bridge : list of bool (node,)
        Whether the node is cut off when the branch from its parent opens.
    children : list of list of int (node,)
    """

    root: int
    order: list[int]
    parent: list[int]
    above: list[Element | None]
    is_bridge: list[bool]
    children: list[list[int]]

    def below(self, node: int) -> list[int]:
        """Return `node` and every node behind it, parents before children."""
        found = [node]
        for one in found:
            found += self.children[one]
        return found


def branch(model: NetworkModel, kind: str, row: int) -> Element:
    """Return the element of a row of ``model.line`` or ``model.trafo``."""
    table = model.line if kind == "line" else model.trafo
    return Element(kind, int(table.index[row]), table.name[row])


def feeder_tree(model: NetworkModel, source_bus: int | None = None) -> FeederTree:
    """Return the tree of a feeder, breadth first from its source, lines before transformers.

    Parameters
    ----------
    source_bus : int, optional
        The bus that feeds the others where it is not the feeder head: that of an island's
        forming battery.

    Raises
    ------
    BadInputError
        When the network has no such bus, or the model has cut it off.
    """
    count = len(model.node_kv)
    near: list[list[tuple[int, Element]]] = [[] for _ in range(count)]
    for kind, table in (("line", model.line), ("trafo", model.trafo)):
        for row in _carrying(table):
            one, other = int(table.from_node[row]), int(table.to_node[row])
            element = branch(model, kind, row)
            near[one].append((other, element))
            near[other].append((one, element))
    root = int(model.held_node[0])
    if source_bus is not None:
        root = int(model.node[model.position(source_bus)])
        if root < 0:
            raise BadInputError(f"bus {source_bus} of {model.source} is cut off, must be a source")
    parent, depth = [-1] * count, [-1] * count
    above: list[Element | None] = [None] * count
    children: list[list[int]] = [[] for _ in range(count)]
    depth[root] = 0
    order = [root]
    closing: list[tuple[int, int]] = []
    for node in order:
        for other, element in near[node]:
            if depth[other] < 0:
                parent[other], above[other], depth[other] = node, element, depth[node] + 1
                children[node].append(other)
                order.append(other)
            elif element != above[node] and element != above[other]:
                closing.append((node, other))
    is_bridge = [at >= 0 for at in parent]
    for one, other in closing:
        while one != other:
            if depth[one] < depth[other]:
                one, other = other, one
            is_bridge[one] = False
            one = parent[one]
    return FeederTree(root, order, parent, above, is_bridge, children)


def _carrying(table: Branches) -> list[int]:
    fed = (table.from_node >= 0) & (table.to_node >= 0) & (table.from_node != table.to_node)
    return [int(row) for row in np.flatnonzero(fed)]
