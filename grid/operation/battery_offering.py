"""What can be offered of members' batteries: what their accounts hold, at what the plan says."""

from __future__ import annotations

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
    """

    start_s: int
    stored_wh: dict[tuple[int, AssetId], int]
    opened: list[Order]
    worth: dict[AssetId, int]
    contracted: frozenset[PartyId]

    def offers(self, agreement: Agreement, need: AgentNeed) -> list[BatteryOffer]:
        """Return what may be offered of the batteries that an agreement lets trade."""
        if agreement.party in self.contracted:
            return []
        found = []
        for one in agreement.terms_at(self.start_s).batteries:
            if one.id not in self.worth:
                continue
            held = self.stored_wh.get((agreement.id, one.id), 0)
            sold, bought = (self._opened_wh(one.id, side) for side in (Side.SELL, Side.BUY))
            stored = held - one.drawn_for(sold)
            free = one.room_wh - held - one.stored_of(bought)
            found.append(BatteryOffer(need, one, stored, free, self.worth[one.id]))
        return found

    def _opened_wh(self, battery: AssetId, side: Side) -> int:
        of = (order for order in self.opened if (order.battery, order.side) == (battery, side))
        return sum(order.energy_wh for order in of)


def at_hand(tx: Transaction, at_s: int, start_s: int) -> BatteriesAtHand:
    """Return what batteries could trade in an interval, by the plan of the cycle `at_s`."""
    agreed = contracts.accepted(tx, start_s)
    return BatteriesAtHand(
        start_s,
        batteries.accounts(tx),
        batteries.open_orders(tx, at_s),
        _worth(tx, at_s, start_s),
        frozenset(party for one in agreed for party in (one.buyer, one.seller)),
    )


def _worth(tx: Transaction, at_s: int, start_s: int) -> dict[AssetId, int]:
    plan = datasets.get_dataset(tx, "plan", at_s)
    if plan is None or "energy_price" not in plan:
        return {}
    (step,) = np.flatnonzero(plan["interval"].values == np.datetime64(start_s, "s"))
    prices = plan["energy_price"].values[:, step]
    return {
        AssetId(str(name)): round(float(price) * NANO / WH_PER_KWH)
        for name, price in zip(plan["asset"].values, prices, strict=True)
        if np.isfinite(price)
    }
