"""A drawing of a network that comes without coordinates: a tree for each island."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

from networks.model import Float, Int


def tree_layout(count: int, edges: Sequence[tuple[int, int]], root: int) -> tuple[Float, Float]:
    """Return x and y in [0, 1] of `count` points, no two at one place.

    Each island is a tree of shortest ways from its root down, leaves side by side; a
    ring is cut where the ways meet. The island of `root` is on the left, the others
    follow, and points that no edge reaches stand in a row below.

    Parameters
    ----------
    count : int
    edges : sequence of (int, int)
        Positions that a branch or a closed switch joins.
    root : int
        The other islands' roots are their first points.
    """
    neighbours: list[list[int]] = [[] for _ in range(count)]
    for a, b in edges:
        if a != b:
            neighbours[a].append(b)
            neighbours[b].append(a)
    x, depth = np.zeros(count), np.full(count, -1, dtype=np.int64)
    leaves = 0
    for start in (root, *range(count)):
        if depth[start] < 0 and (start == root or neighbours[start]):
            leaves = _draw(start, neighbours, x, depth, leaves)
    lost = np.flatnonzero(depth < 0)
    y = depth.astype(np.float64)
    y[lost] = y.max() + 1
    x[lost] = np.arange(len(lost))
    return x / max(float(x.max()), 1.0), y / max(float(y.max()), 1.0)


def _draw(start: int, neighbours: list[list[int]], x: Float, depth: Int, leaves: int) -> int:
    """Place the island of `start` right of `leaves` columns; return the columns then taken."""
    children: dict[int, list[int]] = {start: []}
    depth[start] = 0
    queue = deque([start])
    while queue:
        point = queue.popleft()
        for other in sorted(neighbours[point], reverse=True):
            if depth[other] < 0:
                depth[other] = depth[point] + 1
                children[point].append(other)
                children[other] = []
                queue.append(other)
    order, stack = [], [start]
    while stack:
        point = stack.pop()
        order.append(point)
        stack.extend(children[point])
    for point in reversed(order):
        if children[point]:
            x[point] = float(np.mean(x[children[point]]))
        else:
            x[point] = leaves
            leaves += 1
    return leaves
