"""The residential tariff of Azerbaijan, and what must hold for the blocks of any rate."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.ids import TariffId
from grid.quantities import format_money, parse_money, parse_price
from grid.site import Amount, Price, Tariff, TariffBlock
from trading.tariffs.blocks import charge_blocks, month_blocks, month_charge

AZ = Tariff(
    TariffId("residential"),
    "Residential",
    Amount(parse_money("1")),
    (
        TariffBlock(200, Price(parse_price("0.084"))),
        TariffBlock(300, Price(parse_price("0.10"))),
        TariffBlock(0, Price(parse_price("0.15"))),
    ),
)
MONTH_WH = st.integers(0, 2_000_000)


@pytest.mark.parametrize(
    ("kwh", "cost"),
    [(0, "0.00"), (200, "16.80"), (201, "16.90"), (300, "26.80"), (301, "26.95"), (1000, "131.80")],
)
def test_a_month_costs_what_the_published_tariff_says(kwh, cost):
    assert format_money(month_charge(AZ, kwh * 1000)) == cost


def test_an_interval_across_a_block_end_is_split_between_the_blocks():
    assert charge_blocks(AZ, 199_900, 200_300) == (100, 300, 0)


@given(MONTH_WH, MONTH_WH)
def test_blocks_of_a_change_sum_to_the_change_and_price_to_the_charge(before, after):
    blocks = charge_blocks(AZ, before, after)
    assert sum(blocks) == after - before
    priced = sum(wh * step.price for wh, step in zip(blocks, AZ.block, strict=True))
    assert priced == month_charge(AZ, after) - month_charge(AZ, before)


def test_below_zero_costs_nothing():
    assert month_blocks(AZ, -5) == (0, 0, 0)
