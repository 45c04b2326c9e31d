"""Increasing-block tariffs: what a month's energy costs, exactly.

With the residential tariff of Azerbaijan the first 200 kWh of a month cost
8.4 qəpik each, the next 100 kWh 10 qəpik, and the rest 15 qəpik. An interval
is charged the difference it makes to the month, ``F(after) - F(before)``, so
that the charges of a month add up to ``F`` of its energy whatever their order
and however often they were corrected.
"""

from __future__ import annotations

from grid.quantities import WH_PER_KWH
from grid.site import Tariff, TariffBlock


def month_blocks(tariff: Tariff, month_wh: int) -> tuple[int, ...]:
    """Return how `month_wh` falls into the blocks of `tariff`, in Wh.

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
    for step in tariff.block:
        end = step.up_to_kwh * WH_PER_KWH if step.up_to_kwh else max(month_wh, start)
        blocks.append(max(min(month_wh, end) - start, 0))
        start = end
    return tuple(blocks)


def month_charge(tariff: Tariff, month_wh: int) -> int:
    """Return F: nano-currency for the energy of a month, without the fixed fee."""
    return sum(
        energy_wh * step.price
        for energy_wh, step in zip(month_blocks(tariff, month_wh), tariff.block, strict=True)
    )


def charge_blocks(tariff: Tariff, before_wh: int, after_wh: int) -> tuple[int, ...]:
    """Return the Wh each block gains between two totals of a month; a fall is negative."""
    before, after = month_blocks(tariff, before_wh), month_blocks(tariff, after_wh)
    return tuple(new - old for old, new in zip(before, after, strict=True))


def charge(tariff: Tariff, before_wh: int, after_wh: int) -> int:
    """Return ``F(after_wh) - F(before_wh)`` in nano-currency; a fall is negative."""
    return month_charge(tariff, after_wh) - month_charge(tariff, before_wh)


def marginal_block(tariff: Tariff, month_wh: int) -> TariffBlock:
    """Return the block that the next Wh after `month_wh` falls into."""
    for step in tariff.block:
        if step.up_to_kwh == 0 or month_wh < step.up_to_kwh * WH_PER_KWH:
            return step
    raise AssertionError("the last block has no end")
