"""Amounts are exact or refused; every number is checked finite and in range."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.errors import BadInputError
from grid.quantities import format_money, format_price, parse_money, parse_price, require_finite


@given(st.integers(0, 10**15))
def test_a_price_shown_is_the_price_read(price: int) -> None:
    assert parse_price(format_price(price)) == price


@pytest.mark.parametrize("text", ["1e3", "1_000", "٣", "NaN", "inf", "", " 1", "0.1234567", "1,5"])
def test_what_is_no_plain_decimal_is_refused(text: str) -> None:
    with pytest.raises(BadInputError):
        parse_price(text)


@pytest.mark.parametrize(
    ("nano", "shown"),
    [(5_000_000, "0.01"), (4_999_999, "0.00"), (-5_000_000, "-0.01"), (-1, "0.00")],
)
def test_money_is_rounded_half_away_from_zero(nano: int, shown: str) -> None:
    assert format_money(nano) == shown


def test_money_keeps_nine_decimals() -> None:
    assert parse_money("1.000000001") == 1_000_000_001


@pytest.mark.parametrize("bad", [np.nan, np.inf, 11.0, -1.0])
def test_the_first_bad_number_is_named(bad: float) -> None:
    with pytest.raises(BadInputError, match=r"load at \[1\] is"):
        require_finite([1.0, bad], name="load", low=0.0, high=10.0)
    with pytest.raises(BadInputError, match="load is"):
        require_finite(bad, name="load", low=0.0, high=10.0)
