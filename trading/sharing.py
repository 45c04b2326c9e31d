"""Energy sharing: what members fed in and took in an interval is shared out when it is over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from grid.errors import VerificationError
from grid.interval import label
from grid.quantities import format_price
from trading.book import Clearing, Side
from trading.mechanisms import mechanism
from trading.mechanisms.metered import metered_book
from trading.mechanisms.terms import Terms
from trading.settlement_facts import Leg, SettlementInput, UsagePointInput


@dataclass(frozen=True, slots=True)
class Shared:
    """What was shared in an interval: the settlement's input with its legs, and the clearing.

    `points` are the usage points of the clearing's orders.
    """

    given: SettlementInput
    clearing: Clearing
    points: tuple[UsagePointInput, ...]


def share(given: SettlementInput) -> Shared:
    """Return an interval with what its usage points shared.

    Each takes part with its share of what it would have counted without instructions, in whole
    Wh rounded down; the retail, feed-in and agreed prices are those of the market.

    Raises
    ------
    BadInputError
        When the keys of members are more than 100 percent together.
    VerificationError
        When the outcome does not certify: a bug of ours.
    """
    rules = mechanism(given.market.mechanism)
    points = tuple(sorted(given.usage_points, key=lambda point: point.usage_point))
    net = np.array([_shared_wh(point) for point in points], np.int64)
    parties = {point.party: number for number, point in enumerate(points)}
    terms = Terms(
        retail=given.market.reference_price,
        feed_in=given.market.feed_in,
        price=given.market.shared_price,
        key_percent=np.array([point.key_percent for point in points], np.int64),
    )
    book = metered_book(
        np.maximum(net, 0),
        np.maximum(-net, 0),
        terms,
        np.array([parties[point.party] for point in points], np.int64),
    )
    clearing = rules.clear(book, terms)
    if broken := rules.certify(book, clearing, terms):
        raise VerificationError(f"{label(given.start_s)} sharing: {broken[0]}")
    legs: dict[str, list[Leg]] = {}
    for buy, sell, energy_wh, paid, got in clearing.trades.tolist():
        regional = points[buy].zone != points[sell].zone
        bought = Leg(Side.BUY, paid, energy_wh, regional=regional)
        legs.setdefault(points[buy].usage_point, []).append(bought)
        legs.setdefault(points[sell].usage_point, []).append(Leg(Side.SELL, got, energy_wh))
    shared = tuple(replace(one, legs=joined(legs.get(one.usage_point, ()))) for one in points)
    return Shared(replace(given, usage_points=shared), clearing, shared)


def summary(shared: Shared, minimum_group: int) -> dict[str, object]:
    """Return the public figures of what was shared; nothing when too few took part."""
    parties: dict[bool, set[str]] = {True: set(), False: set()}
    for point in shared.points:
        for leg in point.legs:
            parties[leg.side is Side.BUY].add(point.party)
    enough = all(len(names) >= minimum_group for names in parties.values())
    price = shared.clearing.price if enough else None
    return {
        "mechanism": shared.clearing.mechanism,
        "price": None if price is None else format_price(price),
        "volume_wh": shared.clearing.volume_wh if enough else None,
    }


def joined(legs: Iterable[Leg]) -> tuple[Leg, ...]:
    """Return legs that differ in their energy alone as one, sorted."""
    total: Counter[Leg] = Counter()
    for leg in legs:
        total[replace(leg, energy_wh=0)] += leg.energy_wh
    return tuple(sorted(replace(leg, energy_wh=wh) for leg, wh in total.items()))


def _shared_wh(point: UsagePointInput) -> int:
    """Return the part of a usage point's energy that is shared; an export is negative."""
    part = abs(point.net_wh) * point.share_percent // 100
    return part if point.net_wh > 0 else -part
