"""Orders of meters: two people, an end, a limit, what is never ordered, and never twice."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from grid import interval
from grid.errors import BadInputError, StoreError
from grid.operation import (
    medical_loads,
    meter_orders,
)
from grid.operation.demo_site import DEFAULT_DAY, TIME_ZONE, demo_site
from grid.operation.meter_orders import Asked
from grid.site import Orders
from grid.store import Store, control
from grid.store import meter_orders as stored
from grid.store.meter_orders import OrderKind, OrderState

START_S, _ = interval.day_bounds(DEFAULT_DAY, TIME_ZONE)
ANNA, BORIS = "anna@example.org", "boris@example.org"
TEXT = demo_site(day=DEFAULT_DAY, seed=1).replace('auth = "lls"', 'auth = "hls-gmac"', 1)
OFF, ON, KEY = OrderKind.DISCONNECT, OrderKind.RECONNECT, OrderKind.KEY_REPLACEMENT
Street, Streets = Any, Callable[..., Any]


def test_two_people_switch_a_meter_off_and_on_again_and_all_is_on_the_ledger(
    streets: Streets, tmp_path: Path, store_url: str
) -> None:
    with streets(tmp_path / "site", store_url) as street:
        (meter,) = street.plain()
        order = street.ask(meter)
        assert order.state is OrderState.ASKED
        street.cycle()
        assert street.points[meter].connected, "nobody approved it"
        with pytest.raises(BadInputError, match=r"anna@example\.org asked for it"):
            street.approve(order.id, " Anna@Example.org")
        assert street.approve(order.id).state is OrderState.APPROVED
        street.cycle()
        assert not street.points[meter].connected
        done = street.order(order.id)
        assert (done.state, done.outcome) == (
            OrderState.DONE,
            "read back: output off, disconnected",
        )
        number = street.ordered(meter, ON)
        street.cycle(1)
        assert street.points[meter].connected
        assert street.order(number).outcome == "read back: output on, connected"
        assert street.switched(meter) == 2
        with street.room.store.read() as tx:
            told = control.actions(tx)
        kinds = [row["kind"] for row in reversed(told)]
        assert kinds == 2 * ["meter_order.ask", "meter_order.approve", "meter_order.end"]
        assert [row["user"] for row in told[3:]] == ["control room", BORIS, ANNA]
        assert all(row["sequence"] > 0 and row["subject"] == meter for row in told)
        assert json.loads(told[-1]["detail"])["reason"] == "unpaid for a year"
        assert street.alarms() == []


def test_of_two_who_approve_at_once_one_comes_too_late(
    streets: Streets, tmp_path: Path, store_url: str
) -> None:
    with streets(tmp_path / "site", store_url) as street:
        number = street.ask(street.plain()[0]).id
        told: list[str] = []

        def agree(who: str) -> None:
            try:
                told.append(str(street.approve(number, who).state))
            except (BadInputError, StoreError) as error:
                told.append(str(error))

        people = [threading.Thread(target=agree, args=(f"p{n}@example.org",)) for n in range(4)]
        for one in people:
            one.start()
        for one in people:
            one.join()
        assert sorted(told)[0] == "approved"
        assert len([text for text in told if "it is approved" in text]) == 3


def test_what_is_not_carried_out_in_time_never_is(street: Street) -> None:
    first, second = street.plain(2)
    asked, approved = street.ask(first).id, street.ordered(second)
    with street.room.store.write() as tx:
        control.put_meta(tx, "clock_s", str(START_S + 24 * 3600))
    assert street.approve(asked).state is OrderState.EXPIRED
    street.cycle(96)
    assert street.order(approved).state is OrderState.EXPIRED
    assert street.points[second].connected
    assert {code for code, _ in street.alarms()} == {"order.expired"}
    # One tick before its end it is carried out.
    number = street.ordered(second)
    street.cycle(96 + 95)
    assert street.order(number).state is OrderState.DONE


def test_no_more_are_disconnected_within_an_hour_than_the_limit_and_all_may_come_back(
    street: Street,
) -> None:
    street.room.site = replace(street.room.site, orders=Orders(per_hour=2))
    meters = street.plain(5)
    for meter in meters:
        street.ordered(meter)

    def off() -> int:
        return sum(not street.points[meter].connected for meter in meters)

    counts = []
    for number in range(9):
        street.cycle(number)
        counts.append(off())
    assert counts == [2, 2, 2, 2, 4, 4, 4, 4, 5]
    assert ("order.limit", "orders") in street.alarms()
    for meter in meters:
        street.ordered(meter, ON)
    street.cycle(9)
    assert off() == 0


def test_medical_load_is_never_disconnected_when_asked_approved_or_carried_out(
    street: Street,
) -> None:
    at_asking, at_approval, at_the_end = street.plain(3)
    street.stands_at(at_asking, medical=True)
    refused = street.ask(at_asking)
    assert refused.state is OrderState.REFUSED
    point = next(m.usage_point for m in street.room.site.meter if m.id == at_asking)
    assert f"{point} has medical loads" in refused.outcome
    second, third = street.ask(at_approval).id, street.ordered(at_the_end)
    street.stands_at(at_approval, medical=True)
    street.stands_at(at_the_end, medical=True)
    assert street.approve(second).state is OrderState.REFUSED
    street.cycle()
    assert street.order(third).state is OrderState.REFUSED
    assert all(point.connected for point in street.points.values())
    assert street.order(third).executing_s is None
    alarms = {("order.refused", meter) for meter in (at_asking, at_approval, at_the_end)}
    assert set(street.alarms()) == alarms
    with street.room.store.read() as tx:
        log = json.dumps([dict(row) for row in control.actions(tx)])
    assert "medical" not in log
    street.stands_at(at_asking, medical=False)
    street.points[at_asking].connected = False
    street.stands_at(at_asking, medical=True)
    back = street.ordered(at_asking, ON)
    street.cycle(1)
    assert street.order(back).state is OrderState.DONE


def test_medical_load_told_since_the_site_was_made_holds_as_that_of_its_file(
    street: Street,
) -> None:
    meter, other = street.plain(2)
    point = next(str(m.usage_point) for m in street.room.site.meter if m.id == meter)
    number = street.ordered(meter)

    def mark(*, is_medical: bool) -> None:
        with street.room.store.write() as tx:
            medical_loads.mark(tx, street.room.site, point, is_medical=is_medical, by=ANNA)

    mark(is_medical=True)
    with pytest.raises(BadInputError, match="has medical loads already"):
        mark(is_medical=True)
    street.ordered(other)
    street.cycle()
    assert street.order(number).state is OrderState.REFUSED
    assert (street.points[meter].connected, street.points[other].connected) == (True, False)
    assert street.ask(meter).state is OrderState.REFUSED
    with street.room.store.read() as tx:
        assert "medical" not in json.dumps([dict(row) for row in control.actions(tx)])
    mark(is_medical=False)
    assert street.ask(meter).state is OrderState.ASKED
    street.stands_at(meter, medical=True)
    with pytest.raises(BadInputError, match="the site file says medical"):
        mark(is_medical=False)


def test_the_feeder_head_never_and_what_feeds_the_island_only_when_it_was_said(
    street: Street,
) -> None:
    assert street.ask(street.room.head).state is OrderState.REFUSED
    meter = next(m.id for m in street.dlms() if m.usage_point == "UP-GEN")
    with pytest.raises(BadInputError, match="GEN-1 behind it feeds the island"):
        street.ask(meter)
    assert street.ask(meter, island_source=True).state is OrderState.ASKED


@pytest.mark.parametrize(
    ("kind", "meter", "told"),
    [
        (OFF, "M-999", "no such meter"),
        (OFF, "M-001", "takes no orders over modbus"),
        (KEY, "M-002", "has auth 'none' and no key to replace"),
    ],
)
def test_what_a_meter_cannot_do_is_not_asked(
    street: Street, kind: OrderKind, meter: str, told: str
) -> None:
    with pytest.raises(BadInputError, match=told):
        street.ask(meter, kind)
    with pytest.raises(BadInputError, match="needs a reason"):
        Asked(OFF, "M-002", "  ", ANNA)


def test_one_order_at_a_time_and_it_is_taken_back_before_it_goes_out(street: Street) -> None:
    (meter,) = street.plain()
    number = street.ordered(meter)
    with pytest.raises(BadInputError, match=f"order {number} to disconnect it is approved"):
        street.ask(meter, ON)
    with street.room.store.write() as tx:
        assert meter_orders.cancel(tx, street.room.site, number, ANNA).state == "cancelled"
    street.cycle()
    assert street.points[meter].connected
    with (
        street.room.store.write() as tx,
        pytest.raises(BadInputError, match="cannot be taken back"),
    ):
        meter_orders.cancel(tx, street.room.site, number, ANNA)


def test_the_store_lets_no_order_change_twice(store: Store) -> None:
    with store.write() as tx:
        number = stored.put_order(
            tx, kind=OFF, meter="M-1", reason="r", island_source=False, asked_by=ANNA,
            asked_s=1, expires_s=2,
        )  # fmt: skip
        stored.move(tx, number, OrderState.ASKED, OrderState.APPROVED)
        with pytest.raises(StoreError, match="is not asked any more"):
            stored.move(tx, number, OrderState.ASKED, OrderState.APPROVED)
        with pytest.raises(StoreError, match="does not exist"):
            stored.get_order(tx, number + 1)
