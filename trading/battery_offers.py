"""What the community's agents offer of members' batteries: by what the plan says a kWh is worth.

They buy what is left over cheaper than that, and sell where somebody pays more.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from grid.ids import OrderId
from grid.site import Market
from trading.batteries import PPM, TradedBattery
from trading.book import Order, Side
from trading.orders import AgentNeed, OrderRules


@dataclass(frozen=True, slots=True)
class BatteryOffer:
    """What an agent goes by when it offers a battery in an interval.

    Attributes
    ----------
    need : AgentNeed
        Of the battery's usage point: whose it is, and the prosumer's own limits.
    stored_wh, free_wh : int
        On the battery's account, less what open orders could sell, or fill.
    worth : int
        Of a stored Wh after the interval by the plan, nano-currency.
    """

    need: AgentNeed
    battery: TradedBattery
    stored_wh: int
    free_wh: int
    worth: int


def battery_limits(battery: TradedBattery, worth: int, grid_fee: int, tick: int) -> tuple[int, int]:
    """Return the most to buy and the least to sell at, nano-currency per Wh, on the tick.

    Storing a bought Wh gains the worth of what is left of it, less the grid fee; a sold one costs
    the worth of what it draws, and the wear. Both are rounded away from trading.
    """
    buy = (battery.charge_ppm * worth - grid_fee * PPM) // (PPM * tick) * tick
    costs = worth * PPM + battery.wear * battery.discharge_ppm
    return buy, -(-costs // (battery.discharge_ppm * tick)) * tick


def battery_orders(
    offers: Iterable[BatteryOffer],
    *,
    start_s: int,
    market: Market,
    first_sequence: int,
    rules: OrderRules,
    secret: bytes,
) -> tuple[Order, ...]:
    """Return the agents' orders for batteries in one interval.

    Nothing is bought dearer than from the supplier, sold cheaper than fed in, or traded beyond
    the prosumer's own limits.
    """
    orders: list[Order] = []
    for one in sorted(offers, key=lambda one: one.battery.id):
        digest = hmac.digest(secret, f"{start_s} battery {one.battery.id}".encode(), "sha256")
        buy, sell = _limits(one, market, rules.tick)
        for side, price, energy_wh in (
            (Side.BUY, buy, one.battery.most_bought(one.free_wh)),
            (Side.SELL, sell, one.battery.most_sold(one.stored_wh)),
        ):
            if energy_wh <= 0 or not 0 <= price <= rules.price_max:
                continue
            orders.append(
                Order(
                    id=OrderId(f"agent-battery-{side}-{digest.hex()[:32]}"),
                    party=one.need.party,
                    usage_point=one.need.usage_point,
                    start_s=start_s,
                    side=side,
                    price=price,
                    energy_wh=energy_wh,
                    sequence=first_sequence + len(orders),
                    agent=True,
                    battery=one.battery.id,
                )
            )
    return tuple(orders)


def _limits(one: BatteryOffer, market: Market, tick: int) -> tuple[int, int]:
    """Return the limits of a battery held to the supplier's prices and to the prosumer's own."""
    buy, sell = battery_limits(one.battery, one.worth, market.grid_fee, tick)
    need = one.need
    buy = min(buy, (need.retail_price - market.grid_fee) // tick * tick)
    sell = max(sell, -(-market.feed_in // tick) * tick)
    if need.buy_limit is not None:
        buy = min(buy, need.buy_limit // tick * tick)
    if need.sell_limit is not None:
        sell = max(sell, -(-need.sell_limit // tick) * tick)
    return buy, sell
