"""Increasing blocks: what a month's energy in one register costs.

With the residential tariff of Azerbaijan the first 200 kWh of a month cost
8.4 qəpik each, the next 100 kWh 10 qəpik, and the rest 15 qəpik.
"""

from __future__ import annotations

from typing import Protocol

from grid.quantities import WH_PER_KWH
from grid.site import TariffBlock


class Stepped(Protocol):
    """What has increasing blocks: a rate, or a tariff or version of a single one."""

    @property
    def block(self) -> tuple[TariffBlock, ...]:
        """The blocks, the last without end."""


def month_blocks(rate: Stepped, month_wh: int) -> tuple[int, ...]:
    """Return how `month_wh` falls into the blocks of `rate`, in Wh.

    Parameters
    ----------
    month_wh : int
        Energy of a month; negative counts as zero.

    Returns
    -------
    tuple of int
        One number for each block; their sum is `month_wh`.
    """
    blocks = []
    start = 0
    for step in rate.block:
        end = step.up_to_kwh * WH_PER_KWH if step.up_to_kwh else max(month_wh, start)
        blocks.append(max(min(month_wh, end) - start, 0))
        start = end
    return tuple(blocks)


def month_charge(rate: Stepped, month_wh: int) -> int:
    """Return F: nano-currency for the energy of a month, without the fixed fee."""
    return sum(
        energy_wh * step.price
        for energy_wh, step in zip(month_blocks(rate, month_wh), rate.block, strict=True)
    )


def charge_blocks(rate: Stepped, before_wh: int, after_wh: int) -> tuple[int, ...]:
    """Return the Wh each block gains between two totals of a month; a fall is negative.

    What is below zero fills no block.
    """
    before, after = month_blocks(rate, before_wh), month_blocks(rate, after_wh)
    return tuple(new - old for old, new in zip(before, after, strict=True))
