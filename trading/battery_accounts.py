"""What batteries did in a clearing, on their accounts and at their usage points."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from grid.errors import BadInputError
from grid.ids import AssetId, UsagePointId
from trading.agreements import Agreement
from trading.batteries import Moved
from trading.book import Clearing, Order, Side
from trading.settlement_facts import Leg, Traded
from trading.sharing import joined


@dataclass(frozen=True, slots=True)
class BatteryMove:
    """What a battery did in an interval; `stored_wh` is on its account afterwards."""

    agreement: int
    battery: AssetId
    usage_point: UsagePointId
    moved: Moved
    stored_wh: int


def battery_moves(
    orders: Sequence[Order],
    outcome: Clearing,
    standing: Mapping[UsagePointId, Agreement],
    stored_wh: Mapping[tuple[int, AssetId], int],
) -> list[BatteryMove]:
    """Return what each battery with an order did in a clearing of `orders`.

    Parameters
    ----------
    standing : Mapping
        The agreement of each usage point in the interval, with what it consents to.
    stored_wh : Mapping
        What accounts held before, by agreement and battery; one that is not there held nothing.

    Raises
    ------
    BadInputError
        When a battery is traded without consent, or beyond what it holds or can move.
    """
    found = []
    for (name, point), one in _moved(orders, outcome).items():
        if one == Moved():
            continue
        agreement = standing.get(point)
        known = agreement.terms_at(orders[0].start_s).batteries if agreement else ()
        battery = next((each for each in known if each.id == name), None)
        if agreement is None or battery is None:
            raise BadInputError(f"battery {name} of {point} is traded without consent")
        after = one.after(battery, stored_wh.get((agreement.id, name), 0))
        found.append(BatteryMove(agreement.id, name, point, one, after))
    return found


def _moved(orders: Sequence[Order], outcome: Clearing) -> dict[tuple[AssetId, UsagePointId], Moved]:
    """Return what each battery did, by battery and usage point."""
    netted = outcome.netted.tolist()
    own: Counter[tuple[UsagePointId, Side]] = Counter()
    for order, wh in zip(orders, netted, strict=True):
        # An order by hand says what somebody wants, not what there is.
        if order.agent and not order.battery:
            own[order.usage_point, order.side] += wh
    total: defaultdict[tuple[AssetId, UsagePointId], Counter[str]] = defaultdict(Counter)
    for order, filled, met in zip(orders, outcome.fills.tolist(), netted, strict=True):
        if not order.battery:
            continue
        is_buy = order.side is Side.BUY
        # What met at its own usage point goes behind the meter; elsewhere it is not offered.
        other = order.usage_point, Side.SELL if is_buy else Side.BUY
        inside = min(met, own[other])
        own[other] -= inside
        one = total[AssetId(order.battery), order.usage_point]
        one["bought_wh" if is_buy else "sold_wh"] += filled
        one["kept_wh" if is_buy else "used_wh"] += inside
    return {key: Moved(**one) for key, one in total.items()}


def traded(
    sides: Iterable[tuple[str, bool, Leg]], moves: Iterable[BatteryMove]
) -> dict[str, Traded]:
    """Return what each usage point traded in an interval.

    Parameters
    ----------
    sides : iterable of (str, bool, Leg)
        Both sides of each trade: the usage point, whether it is for a battery, and the leg.
    """
    legs: defaultdict[tuple[str, bool], list[Leg]] = defaultdict(list)
    for point, is_battery, leg in sides:
        legs[point, is_battery].append(leg)
    inside: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for one in moves:
        inside[str(one.usage_point)].update(kept_wh=one.moved.kept_wh, used_wh=one.moved.used_wh)
    points = {point for point, _ in legs} | set(inside)
    return {
        point: Traded(
            joined(legs.get((point, False), ())),
            joined(legs.get((point, True), ())),
            inside[point]["kept_wh"],
            inside[point]["used_wh"],
        )
        for point in sorted(points)
    }
