"""What can be offered of members' batteries: what their accounts hold, at what the plan says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from grid.ids import AssetId, PartyId
from grid.quantities import NANO, WH_PER_KWH
from grid.store import Transaction, batteries, contracts, datasets
from trading.agreements import Agreement
from trading.battery_offers import BatteryOffer
from trading.book import Order, Side
from trading.orders import AgentNeed


@dataclass(frozen=True, slots=True)
class BatteriesAtHand:
    """What batteries could trade in an interval.

    Attributes
    ----------
    start_s : int
    stored_wh : dict
        On their accounts, by agreement and battery.
    opened : list of Order
        For batteries, in books that are not cleared yet.
    worth : dict
        Of a stored Wh after the interval, nano-currency; none where the plan is no optimum.
    contracted : frozenset of PartyId
        Parties with a contract then: it takes their orders whatever their limits.
    usage_points : Counter of PartyId
        How many each party stands for: orders of two would meet, and neither be offered.
    """

    start_s: int
    stored_wh: dict[tuple[int, AssetId], int]
    opened: list[Order]
    worth: dict[AssetId, int]
    contracted: frozenset[PartyId]
    usage_points: Counter[PartyId]

    def offers(self, agreement: Agreement, need: AgentNeed) -> list[BatteryOffer]:
        """Return what may be offered of the batteries that an agreement lets trade."""
        if agreement.party in self.contracted or self.usage_points[agreement.party] > 1:
            return []
        found = []
        for one in agreement.terms_at(self.start_s).batteries:
            if one.id not in self.worth:
                continue
            held = self.stored_wh.get((agreement.id, one.id), 0)
            # Each is rounded when it is cleared, so each by itself here.
            stored = held - sum(map(one.drawn_for, self._opened(one.id, Side.SELL)))
            free = one.room_wh - held - sum(map(one.stored_of, self._opened(one.id, Side.BUY)))
            found.append(BatteryOffer(need, one, stored, free, self.worth[one.id]))
        return found

    def _opened(self, battery: AssetId, side: Side) -> list[int]:
        of = (order for order in self.opened if (order.battery, order.side) == (battery, side))
        return [order.energy_wh for order in of]


def at_hand(
    tx: Transaction, at_s: int, start_s: int, standing: Iterable[Agreement]
) -> BatteriesAtHand:
    """Return what batteries could trade in an interval, by the plan of the cycle `at_s`."""
    agreed = contracts.accepted(tx, start_s)
    return BatteriesAtHand(
        start_s,
        batteries.accounts(tx),
        batteries.open_orders(tx, at_s),
        _worth(tx, at_s, start_s),
        frozenset(party for one in agreed for party in (one.buyer, one.seller)),
        Counter(one.party for one in standing),
    )


def _worth(tx: Transaction, at_s: int, start_s: int) -> dict[AssetId, int]:
    plan = datasets.get_dataset(tx, "plan", at_s)
    if plan is None or "energy_price" not in plan:
        return {}
    # The rest of an older plan may end before.
    steps = np.flatnonzero(plan["interval"].values == np.datetime64(start_s, "s"))
    prices = plan["energy_price"].values[:, steps].min(axis=1, initial=np.inf)
    return {
        AssetId(str(name)): round(float(price) * NANO / WH_PER_KWH)
        for name, price in zip(plan["asset"].values, prices, strict=True)
        if np.isfinite(price)
    }
