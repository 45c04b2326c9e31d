"""Loops of a network: which lines and transformers lie on one.

A branch is on a loop when it is no bridge, a branch whose loss would part its component
(Tarjan, Inf. Process. Lett. 2(6), 1974, doi:10.1016/0020-0190(74)90003-9).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from networks.model import Bool, Int, NetworkModel


@dataclass(frozen=True, slots=True)
class Meshes:
    """The loops of a network.

    Attributes
    ----------
    count : int
        Independent loops: branches that could be opened with everything still fed.
    line, trafo : tuple of int
        Branches on a loop, by index.
    """

    count: int
    line: tuple[int, ...]
    trafo: tuple[int, ...]


def meshes(model: NetworkModel) -> Meshes:
    """Return the loops of a network; what several sources close outside it is not counted."""
    rows = []
    ends = []
    for table in (model.line, model.trafo):
        # A branch that is open at one end transfers nothing.
        on = np.flatnonzero((table.from_node >= 0) & (table.yft != 0))
        rows.append(on)
        ends.append(np.stack([table.from_node[on], table.to_node[on]], axis=1))
    pairs = np.concatenate(ends)
    looped, parts = _looped(len(model.node_kv), pairs)
    split = len(rows[0])
    return Meshes(
        count=len(pairs) - len(model.node_kv) + parts,
        line=tuple(model.line.index[rows[0][looped[:split]]].tolist()),
        trafo=tuple(model.trafo.index[rows[1][looped[split:]]].tolist()),
    )


def _looped(nodes: int, pairs: Int) -> tuple[Bool, int]:
    """Return which edges are no bridges, and how many components there are."""
    beside: list[list[tuple[int, int]]] = [[] for _ in range(nodes)]
    for edge, (a, b) in enumerate(pairs.tolist()):
        beside[a].append((b, edge))
        beside[b].append((a, edge))
    seen, lowest = [-1] * nodes, [0] * nodes
    looped = np.ones(len(pairs), dtype=np.bool_)
    clock = parts = 0
    for root in range(nodes):
        if seen[root] >= 0:
            continue
        parts += 1
        seen[root] = lowest[root] = clock
        clock += 1
        stack = [(root, -1, iter(beside[root]))]
        while stack:
            node, came_by, further = stack[-1]
            for other, edge in further:
                if edge == came_by:
                    continue
                if seen[other] >= 0:
                    lowest[node] = min(lowest[node], seen[other])
                    continue
                seen[other] = lowest[other] = clock
                clock += 1
                stack.append((other, edge, iter(beside[other])))
                break
            else:
                stack.pop()
                if stack:
                    above = stack[-1][0]
                    lowest[above] = min(lowest[above], lowest[node])
                    if lowest[node] > seen[above]:
                        looped[came_by] = False
    return looped, parts


def source_groups(model: NetworkModel) -> list[tuple[int, ...]]:
    """Return the buses of sources that the network joins, each group sorted."""
    import scipy.sparse as sp
    from scipy.sparse.csgraph import connected_components

    size = len(model.node_kv)
    pattern = sp.csr_array(
        (np.ones(model.ybus.nnz), model.ybus.indices, model.ybus.indptr), shape=(size, size)
    )
    _, part = connected_components(pattern, directed=False)
    groups: dict[int, list[int]] = {}
    for bus, node in zip(model.held_bus.tolist(), model.held_node.tolist(), strict=True):
        groups.setdefault(int(part[node]), []).append(bus)
    return sorted(tuple(sorted(group)) for group in groups.values())
