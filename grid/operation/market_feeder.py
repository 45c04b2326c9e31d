"""The feeder as a market with line limits sees it: a tree of nodes and what each branch carries.

Only what is traded counts against a limit, as apparent energy at nominal voltage. Whether what
was cleared holds in AC is checked after it, and what breaks a limit is told; what then flows
besides is the plan's, which cuts plants back where a limit would break, and that is paid for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from grid import interval
from grid.errors import BadInputError, Finding, Severity, SolverError
from grid.operation import agreements
from grid.operation.room import Room
from grid.site import Market, Network, UsageKind
from grid.site_zones import zone_of
from grid.store import Transaction, datasets
from grid.store import agreements as parties
from networks.model import NetworkModel
from trading.ledger import canonical
from trading.mechanisms import mechanism
from trading.orders import TICK
from trading.regulation import Regulation
from trading.tariffs.clock import head_price
from trading.topology import Place, Topology

_VA_PER_KV_KA = 1e6
_STATE_S = interval.DAY_S
"""How old a state of the network may be that losses are charged by."""
_BYTES_MOST = 36_000
"""So that an entry has room for commitments beside them."""
_Ratings = dict[int, dict[int, float]]


def is_heeded(room: Room) -> bool:
    """Whether the market of a site goes by anything of its network."""
    market = room.site.market
    return bool(market.zone) or "feeder" in mechanism(market.mechanism).needs


def topology(room: Room, tx: Transaction, start_s: int, law: Regulation) -> Topology:
    """Return the network as the market of an interval sees it.

    Raises
    ------
    BadInputError
        When the network as it is switched is no tree, a usage point is dead, or a node is in
        two zones.
    """
    site = room.site
    zones = {str(p.id): zone_of(site.market.zone, p.bus) for p in site.usage_point}
    if "feeder" not in mechanism(site.market.mechanism).needs:
        return Topology({name: Place(zone) for name, zone in zones.items()})
    found = lines(room.model, site.network, site.market, site.interval_s)
    places = {name: Place(zones[name], node) for name, node in _nodes(room).items()}
    found = replace(found, place=places)
    households = _has_households(room, tx, start_s)
    if households and not law.zonal_fees_households:
        found = replace(found, zone=("",) * len(found.parent))
    if site.market.loss_fees and (law.loss_fees_households or not households):
        found = replace(found, loss_fee=_loss_fees(room, tx, start_s, np.array(found.parent)))
    return found


def lines(model: NetworkModel, network: Network, market: Market, interval_s: int) -> Topology:
    """Return the lines and zones of a network, without what stands at them.

    Raises
    ------
    BadInputError
        When it is no tree, a node is in two zones, or an entry of the log cannot hold them.
    """
    parent, limit = _tree(model, network.source)
    share = network.loading_max_percent / 100
    limit_wh = np.floor(limit * share * interval_s / 3600).astype(np.int64)
    zone = _node_zones(model, market, len(parent))
    found = Topology({}, tuple(parent.tolist()), tuple(limit_wh.tolist()), tuple(zone))
    if (size := len(canonical.encode(found.lines()))) > _BYTES_MOST:
        raise BadInputError(
            f"network {network.source}: its {len(parent)} nodes take {size} bytes of the log, "
            f"must be at most {_BYTES_MOST}; choose another mechanism"
        )
    return found


def _has_households(room: Room, tx: Transaction, start_s: int) -> bool:
    """Whether a household stands for a usage point, whatever the site's file said once."""
    known = parties.parties(tx)
    kinds = {known[name].kind for name in agreements.holders(tx, start_s).values()}
    return str(UsageKind.HOUSEHOLD) in kinds


def _nodes(room: Room) -> dict[str, int]:
    """Return the node of each usage point."""
    found = {}
    for point, position in zip(room.site.usage_point, room.position, strict=True):
        node = int(room.model.node[position])
        if node < 0:
            raise BadInputError(f"usage point {point.id}: no source reaches bus {point.bus}")
        found[str(point.id)] = node
    return found


def _node_zones(model: NetworkModel, market: Market, count: int) -> list[str]:
    """Return the zone of each node, which all of its buses must be in."""
    zone: dict[int, str] = {}
    for position, bus in enumerate(np.asarray(model.bus).tolist()):
        node = int(model.node[position])
        if node < 0:
            continue
        here = zone_of(market.zone, int(bus))
        if zone.setdefault(node, here) != here:
            name = model.bus_label(position)
            raise BadInputError(
                f"{name} is in zone {here!r} and joined by a switch to one of {zone[node]!r}: "
                "a border must be at a line or a transformer"
            )
    return [zone.get(node, "") for node in range(count)]


def _loss_fees(room: Room, tx: Transaction, start_s: int, parent: np.ndarray) -> tuple[int, ...]:
    """Return what another Wh over each line adds to the losses, at the price of the feeder head.

    By the last state that is known, floored to the tick. It is what the marginal losses of the
    line's two ends differ by, whichever way the Wh goes.
    """
    from networks.limits.loss_factors import loss_factors

    model, site = room.model, room.site
    known = datasets.instants(tx, "network", start_s - _STATE_S, start_s)
    state = datasets.get_dataset(tx, "network", known[-1]) if known else None
    if state is None or "vm_pu" not in state:
        return ()
    try:
        found = loss_factors(model, state.expand_dims("interval"))
    except SolverError:
        # Near voltage collapse there are no slopes.
        return ()
    factor = np.zeros(len(parent))
    alive = model.node >= 0
    factor[model.node[alive]] = np.nan_to_num(found["p_loss_factor"].values[0, alive])
    price = max(head_price(site.grid.price, start_s, site.time_zone).buy, 0)
    difference = np.abs(factor - factor[parent]) * (parent >= 0)
    return tuple((np.floor(difference * price / TICK).astype(np.int64) * TICK).tolist())


def broken_by(room: Room, start_s: int, bought_wh: Iterable[tuple[str, int]]) -> list[Finding]:
    """Return a finding when what was traded does not hold in AC, naming the limits.

    Parameters
    ----------
    bought_wh : iterable of (str, int)
        Usage points with what each bought, negative where it sold, Wh.
    """
    from networks.flow.solve import flow
    from networks.limits.cuts import broken

    net_kw = np.zeros((len(room.points), 1))
    for point, energy_wh in bought_wh:
        net_kw[room.row[point], 0] += energy_wh * 3.6 / room.site.interval_s
    nothing = room.by_bus(np.zeros_like(net_kw))
    starts = interval.starts(start_s, 1, room.site.interval_s)
    when = interval.label(start_s)
    try:
        state = flow(
            room.model,
            room.by_bus(np.maximum(net_kw, 0.0)),
            room.by_bus(np.maximum(-net_kw, 0.0)),
            nothing,
            nothing,
            starts=starts,
            grid_available=np.ones(1, np.bool_),
            forming_bus=None,
        )
        limits = ", ".join(name for name, _ in broken(room.model, state, room.site.network))
    except SolverError as error:
        limits = str(error)
    if not limits:
        return []
    message = (
        f"clearing {when}: what was traded alone breaks {limits}; the plan holds plants back "
        "where it must, which is settled as instructed"
    )
    return [Finding("market.network", "clearing", when, Severity.WARNING, message)]


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
