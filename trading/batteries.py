"""A member's battery in the market: it trades as if it stood alone, and holds whole Wh.

What it bought and has not sold is on an account of its own, which begins empty: no kWh is sold
that was not bought or kept before, and none twice. The battery itself follows the operator's
set-points meanwhile; its account never holds more than the battery could, and trades no more in an
interval than the battery could move.

Where a member's own order and that of their battery meet, nothing is traded: own surplus is kept
in the battery, or own need is served from it (:mod:`trading.mechanisms.own_orders`).
"""

from __future__ import annotations

from dataclasses import dataclass

from grid.errors import BadInputError
from grid.ids import AssetId, check
from grid.site_facts import PRICE_MOST

PPM = 1_000_000
"""Parts of an efficiency."""

FACTS = ("room_wh", "interval_wh", "charge_ppm", "discharge_ppm", "wear")
"""Whole numbers that a battery is told by, beside its name."""

_MOST_WH = 10**9


@dataclass(frozen=True, slots=True)
class TradedBattery:
    """What a party consents to have traded of a battery.

    Attributes
    ----------
    id : AssetId
    room_wh : int
        The most that its account holds.
    interval_wh : int
        The most that it buys, and that it sells, in an interval: at the connection.
    charge_ppm, discharge_ppm : int
        Millionths of what is bought that are stored, and of what is stored that can be sold.
    wear : int
        What a Wh sold costs its owner, nano-currency.
    """

    id: AssetId
    room_wh: int
    interval_wh: int
    charge_ppm: int
    discharge_ppm: int
    wear: int

    def __post_init__(self) -> None:
        check(self.id, "battery")
        for name, low, high in (
            ("room_wh", 0, _MOST_WH),
            ("interval_wh", 0, _MOST_WH),
            ("charge_ppm", 1, PPM),
            ("discharge_ppm", 1, PPM),
            ("wear", 0, PRICE_MOST),
        ):
            if not low <= getattr(self, name) <= high:
                raise BadInputError(
                    f"battery {self.id} {name} is {getattr(self, name)}, "
                    f"must be within {low} to {high}"
                )

    def stored_of(self, bought_wh: int) -> int:
        """Return what is stored of energy bought, rounded down."""
        return bought_wh * self.charge_ppm // PPM

    def drawn_for(self, sold_wh: int) -> int:
        """Return what is drawn from the store for energy sold, rounded up."""
        return -(-sold_wh * PPM // self.discharge_ppm)

    def most_bought(self, free_wh: int) -> int:
        """Return the least to buy that fills what is free, within one interval's flow."""
        return max(0, min(self.interval_wh, -(-free_wh * PPM // self.charge_ppm)))

    def most_sold(self, stored_wh: int) -> int:
        """Return the most to sell of what is stored, within one interval's flow."""
        return max(0, min(self.interval_wh, stored_wh * self.discharge_ppm // PPM))


@dataclass(frozen=True, slots=True)
class Moved:
    """What a battery's account did in an interval, Wh at the connection.

    `kept_wh` is own surplus that it stored, `used_wh` own need that it served.
    """

    bought_wh: int = 0
    sold_wh: int = 0
    kept_wh: int = 0
    used_wh: int = 0

    def after(self, battery: TradedBattery, stored_wh: int) -> int:
        """Return what the account holds afterwards.

        Raises
        ------
        BadInputError
            When it would hold less than nothing, or more than the battery can, or moved more
            than that can in an interval.
        """
        for wh in (self.bought_wh + self.kept_wh, self.sold_wh + self.used_wh):
            if wh > battery.interval_wh:
                raise BadInputError(
                    f"battery {battery.id} traded {wh} Wh, must be at most {battery.interval_wh}"
                )
        stored_wh -= battery.drawn_for(self.sold_wh + self.used_wh)
        stored_wh += battery.stored_of(self.bought_wh + self.kept_wh)
        if not 0 <= stored_wh <= battery.room_wh:
            raise BadInputError(
                f"battery {battery.id} would hold {stored_wh} Wh of what it traded, "
                f"must be within 0 to {battery.room_wh}"
            )
        return stored_wh
