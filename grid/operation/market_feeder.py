"""The feeder as a market with line limits sees it: a tree of nodes and what each branch carries.

Only what is traded counts against a limit, as apparent energy at nominal voltage; voltages and
what flows besides are checked in AC by the plan, which holds the cleared positions.
"""

from __future__ import annotations

import math

import numpy as np

from grid.errors import BadInputError
from grid.operation.room import Room
from networks.model import NetworkModel
from trading.mechanisms.feeder import Feeder, feeder

_VA_PER_KV_KA = 1e6
_Ratings = dict[int, dict[int, float]]


def market_feeder(room: Room) -> tuple[Feeder, dict[str, int]]:
    """Return the feeder of a site, and the place in it of each usage point.

    Raises
    ------
    BadInputError
        When the network as it is switched is no tree, or a usage point is dead.
    """
    model, site = room.model, room.site
    share = site.network.loading_max_percent / 100
    hours = site.interval_s / 3600
    parent, limit = _tree(model, site.network.source)
    limit_wh = np.floor(limit * share * hours).astype(np.int64)
    places = {}
    for point, position in zip(site.usage_point, room.position, strict=True):
        place = int(model.node[position])
        if place < 0:
            raise BadInputError(f"usage point {point.id}: no source reaches bus {point.bus}")
        places[str(point.id)] = place
    return feeder(parent, limit_wh, limit_wh), places


def _tree(model: NetworkModel, source: str) -> tuple[np.ndarray, np.ndarray]:
    """Return above each node the next towards the head, and what the branch there carries, VA."""
    beside = _ratings(model)
    count = len(model.node_kv)
    parent, limit = np.full(count, -1, np.int64), np.zeros(count)
    head = int(model.held_node[0])
    seen, order = {head}, [head]
    for node in order:
        for other, rating in sorted(beside.get(node, {}).items()):
            if other == parent[node]:
                continue
            if other in seen:
                raise BadInputError(
                    f"network {source} is meshed at node {other}: a market with line limits "
                    "needs a tree; open a switch or choose another mechanism"
                )
            seen.add(other)
            order.append(other)
            parent[other], limit[other] = node, rating
    if len(seen) != count:
        raise BadInputError(f"network {source}: {count - len(seen)} nodes hang on no branch")
    return parent, limit


def _ratings(model: NetworkModel) -> _Ratings:
    """Return by node what the branches to each other node carry together, VA."""
    beside: _Ratings = {}
    for branches in (model.line, model.trafo):
        for one, other, ka in zip(
            branches.from_node.tolist(),
            branches.to_node.tolist(),
            branches.rated_to_ka.tolist(),
            strict=True,
        ):
            if one < 0 or other < 0 or one == other:
                continue
            va = math.sqrt(3) * float(model.node_kv[other]) * ka * _VA_PER_KV_KA
            for low, high in ((one, other), (other, one)):
                near = beside.setdefault(low, {})
                near[high] = near.get(high, 0.0) + va
    return beside
