"""Where losses by trading are made good, no contract makes one, whatever the tariff becomes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from grid import site_file
from grid.errors import BadInputError
from grid.operation import contracts, tariffs
from grid.site import Tariff
from grid.site_tariff import TariffRate
from tests.operation.contract_street import (
    NOW,
    TEXT,
    TODAY,
    agreed,
    do,
    in_days,
    propose,
)
from tests.operation.month_site import Month, begin
from trading.contracts import guaranteed_range


def test_where_losers_are_topped_up_a_contract_must_make_no_loss(tmp_path: Path) -> None:
    text = TEXT.replace("guaranteed = false", "guaranteed = true")
    street = begin(tmp_path / "site", text, NOW, 4, seed=3)
    # The cheapest supply is 0.090 from the 24th on, the grid fee 0.012; feeding in pays 0.050.
    for price in ("0.0781", "0.0499"):
        with pytest.raises(BadInputError, match=r"must be within 0\.05 to 0\.078 per kWh|0\.0500"):
            propose(street, price=price)
    for price in ("0.0780", "0.0500"):
        assert propose(street, price=price).waits


NEXT = """
[[tariff]]
id = "{id}"
name = "Next"
valid_from = {day}
fixed_fee = "1.00"
[[tariff.block]]
up_to_kwh = 0
price = "{price}"
"""


def _activate(street: Month, price: str, day: date, name: str = "home") -> None:
    new = tariffs.read(NEXT.format(id=name, day=day, price=price), "next.toml")
    with street.room.store.write() as tx:
        number = tariffs.propose(tx, street.site, new, "a@example.org").id
        tariffs.approve(tx, street.site, number, "b@example.org")


@pytest.fixture
def guaranteed(tmp_path: Path) -> Iterator[Month]:
    """A street where losses by trading are made good."""
    text = TEXT.replace("guaranteed = false", "guaranteed = true")
    made = begin(tmp_path / "guaranteed", text, NOW, 4, seed=3)
    yield made
    made.room.signer.close()


def test_a_proposal_that_a_cheaper_tariff_makes_a_loss_is_not_accepted(guaranteed: Month) -> None:
    number = propose(guaranteed, price="0.0780", first=in_days(3)).contract.id
    _activate(guaranteed, "0.070", in_days(2))
    with pytest.raises(BadInputError, match="a contract must not make any"):
        do(guaranteed, contracts.accept, number, "P-1")


def test_a_tariff_that_makes_a_standing_contract_a_loss_is_refused(guaranteed: Month) -> None:
    agreed(guaranteed, price="0.0780", first=in_days(3), last=in_days(4))
    with pytest.raises(BadInputError, match="1 contracts that hold then have prices outside"):
        _activate(guaranteed, "0.070", in_days(2))
    _activate(guaranteed, "0.070", in_days(5))


def test_a_tariff_that_is_yet_to_begin_hinders_no_contract_before(guaranteed: Month) -> None:
    _activate(guaranteed, "0.120", in_days(90), name="later")
    assert propose(guaranteed, price="0.0780").waits


def test_a_dynamic_rate_counts_with_the_least_that_it_can_cost() -> None:
    rate = TariffRate("total", series="grid.buy", adder=100_000, cap=50_000)
    tariff = Tariff("dynamic", "Dynamic", 0, rate=(rate,))
    site = site_file.parse(TEXT)
    head = site.grid.price
    _, high = guaranteed_range(site.market, [tariff], TODAY, head)
    assert high == 50_000 - site.market.grid_fee
    free = replace(tariff, rate=(replace(rate, cap=None),))
    _, high = guaranteed_range(site.market, [free], TODAY, head)
    assert high == 100_000 + min(step.sell for step in head) - site.market.grid_fee
