"""A drawing of a radial feeder for networks that come without coordinates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from networks.model import Float


def tree_layout(count: int, edges: Sequence[tuple[int, int]], root: int) -> tuple[Float, Float]:
    """Return x and y in [0, 1] of `count` points: depth from the root down, leaves side by side.

    Points that no edge reaches stand in a row below the tree.

    Parameters
    ----------
    count : int
    edges : sequence of (int, int)
        Positions that a branch or a closed switch joins.
    root : int
    """
    neighbours: list[list[int]] = [[] for _ in range(count)]
    for a, b in edges:
        neighbours[a].append(b)
        neighbours[b].append(a)
    depth = np.full(count, -1, dtype=np.int64)
    parent = np.full(count, -1, dtype=np.int64)
    children: list[list[int]] = [[] for _ in range(count)]
    depth[root] = 0
    order, stack = [], [root]
    while stack:
        point = stack.pop()
        order.append(point)
        for other in sorted(neighbours[point], reverse=True):
            if depth[other] < 0:
                depth[other] = depth[point] + 1
                parent[other] = point
                children[point].append(other)
                stack.append(other)
    x = np.zeros(count)
    leaves = 0
    for point in reversed(order):
        if children[point]:
            x[point] = float(np.mean(x[children[point]]))
        else:
            x[point] = leaves
            leaves += 1
    lost = np.flatnonzero(depth < 0)
    y = depth.astype(np.float64)
    y[lost] = y.max() + 1
    x[lost] = np.arange(len(lost))
    return x / max(float(x.max()), 1.0), y / max(float(y.max()), 1.0)
