"""What agents offer of a battery: what its account holds, at the plan's prices, once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dispatch.plan import LAST_GOOD_PLAN
from grid.errors import BadInputError
from grid.operation import agreements, offering, ordering
from grid.store import agreements as held
from grid.store import batteries, books, control, datasets
from tests.operation.battery_street import (
    AHEAD,
    LAST_DAY,
    START_S,
    begun,
    consent,
)
from tests.operation.month_site import STEP_S
from trading.batteries import Moved
from trading.battery_accounts import BatteryMove
from trading.book import Side


@pytest.mark.parametrize(("stored_wh", "side"), [(300, Side.SELL), (1_500, Side.BUY)])
def test_open_orders_hold_what_they_could_sell_and_fill(
    tmp_path: Path, stored_wh: int, side: Side
) -> None:
    """Three cycles offer without a book being cleared: together no more than 300 Wh stored."""
    street = begun(tmp_path / "site", 120)
    consent(street, "UP-1", LAST_DAY, battery=True)
    with street.room.store.write() as tx:
        one = next(kept for kept in held.listed(tx) if kept.party == "P-1")
        known = one.terms_at(START_S).batteries[0]
        move = BatteryMove(one.id, known.id, one.usage_point, Moved(bought_wh=1), stored_wh)
        batteries.put_moves(tx, START_S - STEP_S, [move])
    for number in range(3):
        at_s = START_S + number * STEP_S
        with street.room.store.write() as tx:
            control.put_meta(tx, "clock_s", str(at_s))
        street.plan(at_s)
        offering.offer(street.room, at_s)
    with street.room.store.read() as tx:
        opened = [
            one for one in batteries.open_orders(tx, START_S) if one.side is side and one.energy_wh
        ]
    of = known.drawn_for if side is Side.SELL else known.stored_of
    assert len(opened) == 2
    assert 298 <= sum(of(one.energy_wh) for one in opened) <= 300
    street.room.signer.close()
    street.room.store.close()


def test_an_older_plan_offers_nothing_and_its_last_steps_break_nothing(tmp_path: Path) -> None:
    street = begun(tmp_path / "site", 120)
    consent(street, "UP-1", LAST_DAY, battery=True)
    for at_s, steps in ((START_S, AHEAD), (START_S + STEP_S, 2), (START_S + 2 * STEP_S, 1)):
        with street.room.store.write() as tx:
            control.put_meta(tx, "clock_s", str(at_s))
        street.plan(at_s, source=LAST_GOOD_PLAN)
        with street.room.store.write() as tx:
            plan = datasets.require_dataset(tx, "plan", at_s)
            datasets.put_dataset(tx, "plan", at_s, plan.isel(interval=slice(0, steps)))
        offering.offer(street.room, at_s)
    with street.room.store.read() as tx:
        assert not batteries.open_orders(tx, START_S)
    street.room.signer.close()
    street.room.store.close()


def test_a_party_of_two_usage_points_has_no_battery_that_would_take_the_place_of_its_orders(
    tmp_path: Path,
) -> None:
    street = begun(tmp_path / "site", 120)
    consent(street, "UP-1", LAST_DAY, battery=True)
    with street.room.store.write() as tx:
        agreements.move_in(
            tx, street.site, usage_point="UP-2", party="P-1", day=LAST_DAY, by="m", trades=True
        )
        control.put_meta(tx, "clock_s", str(START_S))
    street.plan(START_S)
    offering.offer(street.room, START_S)
    with street.room.store.read() as tx:
        assert not batteries.open_orders(tx, START_S)
        assert books.orders(tx, START_S + 2 * STEP_S)
    street.room.signer.close()
    street.room.store.close()


def test_nothing_is_offered_where_the_plan_has_no_prices(tmp_path: Path) -> None:
    street = begun(tmp_path / "site", 120)
    consent(street, "UP-1", LAST_DAY, battery=True)
    with street.room.store.write() as tx:
        control.put_meta(tx, "clock_s", str(START_S))
    street.plan(START_S)
    with street.room.store.write() as tx:
        plan = datasets.require_dataset(tx, "plan", START_S)
        plan["energy_price"].values[:] = np.nan
        datasets.put_dataset(tx, "plan", START_S, plan)
    offering.offer(street.room, START_S)
    with street.room.store.read() as tx:
        assert not batteries.open_orders(tx, START_S)
        placed = books.orders(tx, START_S + 2 * STEP_S)
    assert placed
    assert not [one for one in placed if one.battery]
    street.room.signer.close()
    street.room.store.close()


def test_an_order_by_hand_and_that_of_the_own_battery_do_not_meet(tmp_path: Path) -> None:
    """Neither would be offered; and an order without a surplus would fill the account."""
    street = begun(tmp_path / "site", 120)
    consent(street, "UP-1", LAST_DAY, battery=True)
    start_s = START_S + 2 * STEP_S
    with street.room.store.write() as tx:
        control.put_meta(tx, "clock_s", str(START_S))
    street.plan(START_S)
    offering.offer(street.room, START_S)
    with street.room.store.read() as tx:
        bid = next(one for one in batteries.open_orders(tx, START_S) if one.side is Side.BUY)
    price = f"{bid.price / 1e6:.4f}"
    with pytest.raises(BadInputError, match=f"your battery buys at up to {price} then"):
        street.order("P-1", START_S, start_s, "sell", price, 100)
    street.order("P-1", START_S, start_s, "sell", f"{(bid.price + 100) / 1e6:.4f}", 100)
    with (
        street.room.store.write() as tx,
        pytest.raises(BadInputError, match="your battery buys at up to"),
    ):
        ordering.amend(
            tx, street.site, f"P-1-{start_s}", {"price": price}, party="P-1", at_s=START_S
        )
    # What was ordered by hand before the agent offers leaves the battery nothing on that side.
    street.order("P-1", START_S, start_s + STEP_S, "sell", "0.0100", 100)
    with street.room.store.write() as tx:
        control.put_meta(tx, "clock_s", str(START_S + STEP_S))
    street.plan(START_S + STEP_S)
    offering.offer(street.room, START_S + STEP_S)
    with street.room.store.read() as tx:
        later = [one for one in batteries.open_orders(tx, START_S) if one.start_s > start_s]
    assert {one.side: one.energy_wh for one in later}[Side.BUY] == 0
    street.room.signer.close()
    street.room.store.close()
