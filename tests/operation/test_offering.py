"""The default agents offer what nobody has offered yet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from grid.operation.offering import offer
from grid.store import books, control, datasets
from tests.operation.month_site import STEP_S, Month, begin
from tests.operation.test_month import BAKU

START_S = 1_780_257_600
NET_KW = {"UP-1": -0.8, "UP-2": 0.4}
"""UP-1 spares 200 Wh a quarter-hour, UP-2 needs 100."""


@pytest.fixture
def street(tmp_path: Path):
    """A street whose forecast is known."""
    made = begin(tmp_path / "street", BAKU, START_S, 8, seed=1)
    names = [f"load:{point.id}" for point in made.site.usage_point]
    kw = [[NET_KW.get(name.removeprefix("load:"), 0.0)] * 4 for name in names]
    forecast = xr.Dataset({"mean_kw": (("series", "interval"), np.array(kw))}, {"series": names})
    with made.room.store.write() as tx:
        control.put_secrets(tx, {"draw": b"0" * 32})
        datasets.put_dataset(tx, "forecast", START_S, forecast)
    yield made
    made.room.signer.close()
    made.room.store.close()


def _agents(street: Month) -> dict[tuple[str, str], int]:
    offer(street.room, START_S)
    with street.room.store.read() as tx:
        orders = books.orders(tx, START_S + 2 * STEP_S)
    return {(str(one.usage_point), str(one.side)): one.energy_wh for one in orders if one.agent}


def test_an_agent_orders_the_whole_need_and_surplus(street: Month) -> None:
    assert _agents(street) == {("UP-1", "sell"): 200, ("UP-2", "buy"): 100}


@pytest.mark.parametrize(("placed", "left"), [(150, 50), (200, None), (500, None)])
def test_an_agent_does_not_offer_again_what_its_party_offers_by_hand(
    street: Month, placed: int, left: int | None
) -> None:
    street.order("P-1", START_S, START_S + 2 * STEP_S, "sell", "0.0600", placed)
    assert _agents(street).get(("UP-1", "sell")) == left


def test_what_was_cancelled_by_hand_is_offered_by_the_agent(street: Month) -> None:
    start_s = START_S + 2 * STEP_S
    street.order("P-2", START_S, start_s, "buy", "0.0700", 80)
    with street.room.store.write() as tx:
        books.cancel_order(tx, f"P-2-{start_s}", START_S)
    assert _agents(street)["UP-2", "buy"] == 100
