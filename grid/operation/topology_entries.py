"""The network as the market sees it, told to the ledger before it is cleared by."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

from grid.operation import record
from grid.operation.record import Personal
from grid.operation.room import Room
from grid.store import Transaction, control
from trading.ledger.entry import Kind
from trading.regulation import Regulation
from trading.topology import ACTION, LOSSES, Place, Topology

TOLD = "topology"
"""Setting: the network as it was last told."""


def told(tx: Transaction) -> Topology:
    """Return the network as it was last told; an empty one where the market heeds none."""
    kept = control.get_meta(tx, TOLD)
    if kept is None:
        return Topology()
    raw = json.loads(kept)
    place = {name: Place(**one) for name, one in raw.pop("place").items()}
    return Topology(place, **{name: tuple(values) for name, values in raw.items()})


def tell(room: Room, tx: Transaction, at_s: int, start_s: int, law: Regulation) -> None:
    """Tell what changed of the network since it was last told; call once for an interval."""
    from grid.operation.market_feeder import is_heeded, topology

    last = told(tx)
    now = topology(room, tx, start_s, law) if is_heeded(room) else Topology()
    if now == last:
        return
    community = record.community(room.site)
    if replace(now, loss_fee=()) != replace(last, loss_fee=()):
        places = [
            Personal(community, "place", name, {"bus": one.bus, "zone": one.zone})
            for name, one in sorted(now.place.items())
        ]
        body = {"action": ACTION, "topology": now.lines()}
        record.append(tx, Kind.ACTION, start_s, at_s, body, places)
        last = replace(now, loss_fee=())
    if now.loss_fee != last.loss_fee:
        fees = Personal(community, "losses", "lines", {"loss_fee": list(now.loss_fee)})
        record.append(tx, Kind.ACTION, start_s, at_s, {"action": LOSSES}, [fees])
    control.put_meta(tx, TOLD, json.dumps(asdict(now), sort_keys=True))
