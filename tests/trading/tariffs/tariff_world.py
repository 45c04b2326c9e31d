"""Tariffs that the tests share, and hypothesis strategies over them."""

from __future__ import annotations

from datetime import date

from hypothesis import strategies as st

from grid.site import FeeBy, Tariff, TariffBlock, TariffRate, TariffVersion
from trading.tariffs.clock import Segment


def blocks(*steps):
    return tuple(TariffBlock(up_to, price) for up_to, price in steps)


AZ_BLOCKS = blocks((200, 84_000), (300, 100_000), (0, 150_000))
DAY = ("weekday 06:00-22:00", "weekend 08:00-22:00")
SPOT = TariffRate("spot", series="day_ahead", adder=20_000, floor=50_000, cap=300_000)
CHANGING = Tariff(
    "changing", "Blocks", 1_000_000_000, AZ_BLOCKS,
    version=(
        TariffVersion(date(2026, 5, 10), "Other blocks", 2_000_000_000,
                      blocks((150, 90_000), (300, 110_000), (0, 160_000))),
        TariffVersion(date(2026, 5, 20), "One price", 3_000_000_001, blocks((0, 95_000)),
                      fixed_fee_by=FeeBy.DAY),
    ),
)  # fmt: skip
TIMED = Tariff(
    "timed", "Blocks, then two rates, then the price of the hour", 1_000_000_000, AZ_BLOCKS,
    version=(
        TariffVersion(date(2026, 5, 10), "Two rates", 0, rate=(
            TariffRate("day", blocks((100, 120_000), (0, 240_000)), hours=DAY),
            TariffRate("total", blocks((50, 60_000), (0, 70_000))),
        )),
        TariffVersion(date(2026, 5, 20), "Price of the hour", 0, rate=(
            TariffRate("day", blocks((0, 130_000)), hours=DAY), SPOT,
        )),
    ),
)  # fmt: skip
"""Its register ``total`` goes on from the first version into the second."""

CHANGING_SEGMENTS = tuple(Segment(version, "total") for version in range(3))
TIMED_SEGMENTS = (
    Segment(0, "total"), Segment(1, "day"), Segment(1, "total"), Segment(2, "day"),
    *(Segment(2, "spot", price) for price in (50_000, 70_001, 300_000)),
)  # fmt: skip


def parts(segments, low, high):
    """Return a strategy of energies by segment, in any order."""
    return st.lists(st.tuples(st.sampled_from(segments), st.integers(low, high)), max_size=12)
