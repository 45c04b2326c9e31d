"""What a market knows of the network: where usage points are, lines, zones and what crossing costs.

The log holds it before the book that is cleared by it. Lines and zones stand in clear, for they
are the network's; where a usage point is, and what is lost on each line, from which the power of
whoever is at its end could be told, are commitments of the community.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np

from grid.errors import BadInputError
from grid.site import Market
from trading.book import Clearing, Order, Side
from trading.ledger import canonical
from trading.mechanisms.feeder import Feeder, along, feeder
from trading.mechanisms.terms import Terms
from trading.settlement_facts import Leg

ACTION = "topology.begin"
LOSSES = "topology.losses"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a usage point is: its zone, empty for none; its bus of the feeder, -1 for no feeder."""

    zone: str = ""
    bus: int = -1


NOWHERE = Place()


@dataclass(frozen=True, slots=True)
class Topology:
    """The network as a market sees it.

    Attributes
    ----------
    place : Mapping
        By usage point.
    parent : tuple of int
        Of each bus the one towards the head, -1 for the head; empty where the mechanism heeds
        no lines.
    limit_wh : tuple of int
        The most that its line carries in an interval, either way.
    zone : tuple of str
        Of each bus, empty for none; no bus has any where nobody may be charged for them.
    loss_fee : tuple of int
        What the losses of its line cost, nano-currency per Wh over it; empty for nothing.
    """

    place: Mapping[str, Place] = field(default_factory=dict)
    parent: tuple[int, ...] = ()
    limit_wh: tuple[int, ...] = ()
    zone: tuple[str, ...] = ()
    loss_fee: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.parent)
        for name in ("limit_wh", "zone", "loss_fee"):
            got = len(getattr(self, name))
            if got != count and (got or name != "loss_fee"):
                raise BadInputError(f"{name} has {got} buses, must have {count}")

    def lines(self) -> dict[str, Any]:
        """Return what stands in clear."""
        return {
            "limit_wh": list(self.limit_wh),
            "parent": list(self.parent),
            "zone": list(self.zone),
        }

    @property
    def sha256(self) -> str:
        """By which a clearing names what stands in clear."""
        return hashlib.sha256(canonical.encode(self.lines())).hexdigest()

    def of(self, usage_point: str) -> Place:
        """Return where a usage point is."""
        return self.place.get(usage_point, NOWHERE)

    def feeder(self, market: Market) -> Feeder:
        """Return the feeder with the fees of a market on its lines.

        Raises
        ------
        BadInputError
            When it is no tree, or a limit or fee is out of range.
        """
        limit = np.array(self.limit_wh, np.int64)
        losses = np.array(self.loss_fee, np.int64) if self.loss_fee else None
        number = {"": -1} | {zone.id: place for place, zone in enumerate(market.zone)}
        if unknown := sorted(set(self.zone) - set(number)):
            raise BadInputError(f"zone {unknown[0][:64]} is none of the market's")
        return feeder(
            np.array(self.parent, np.int64),
            limit,
            limit,
            loss_fee=losses,
            zone=np.array([number[zone] for zone in self.zone], np.int64),
            border_fee={number[zone.id]: zone.fee for zone in market.zone},
        )

    def terms(self, terms: Terms, market: Market, orders: Sequence[Order]) -> Terms:
        """Return the terms of a clearing with the feeder, and the bus of each order."""
        bus = np.array([self.of(str(order.usage_point)).bus for order in orders], np.int64)
        return replace(terms, feeder=self.feeder(market), bus=bus)


@dataclass(frozen=True, slots=True)
class Trade:
    """A trade of a clearing with what of the buyer's price is paid for the network.

    `buy` and `sell` are positions of orders; prices and fees are nano-currency per Wh.
    """

    buy: int
    sell: int
    energy_wh: int
    paid: int
    got: int
    zone_fee: int = 0
    loss_fee: int = 0
    regional: bool = False

    def legs(self) -> tuple[Leg, Leg]:
        """Return what the buyer and what the seller trades."""
        bought = Leg(
            Side.BUY, self.paid, self.energy_wh, self.zone_fee, self.loss_fee, self.regional
        )
        return bought, Leg(Side.SELL, self.got, self.energy_wh)

    def told(self) -> dict[str, object]:
        """Return what the buyer is told of the network, when there is something."""
        found: dict[str, object] = {}
        if self.zone_fee:
            found["zone_fee"] = str(self.zone_fee)
        if self.loss_fee:
            found["loss_fee"] = str(self.loss_fee)
        return found | ({"regional": True} if self.regional else {})


def trades(
    clearing: Clearing, terms: Terms, topology: Topology, orders: Sequence[Order]
) -> list[Trade]:
    """Return the trades of a clearing, each with the fees of the lines between its two buses.

    A trade follows the flow, along which the price rises by the fee of each line at least: what
    the buyer pays beyond the seller's price and the fees is the rent of full lines.
    """
    place = [topology.of(str(order.usage_point)) for order in orders]
    network, losses = terms.feeder, np.array(topology.loss_fee, np.int64)

    @cache
    def fees(one: int, other: int) -> tuple[int, int]:
        if network is None:
            return 0, 0
        lost = along(network.parent, losses, one, other) if len(losses) else 0
        return along(network.parent, network.line_fee, one, other) - lost, lost

    return [
        Trade(
            buy, sell, energy_wh, paid, got,
            *fees(place[buy].bus, place[sell].bus),
            regional=place[buy].zone != place[sell].zone,
        )
        for buy, sell, energy_wh, paid, got in clearing.trades.tolist()
    ]  # fmt: skip
