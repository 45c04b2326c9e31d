"""A new key for a meter: proven by a read, never lost, and what is known when it is given up."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from grid import interval
from grid.errors import BadInputError
from grid.operation import (
    given_up_orders,
    meter_keys,
    meter_order_execution,
    meter_orders,
)
from grid.operation.demo_site import DEFAULT_DAY, TIME_ZONE
from grid.store import control, field
from grid.store.meter_orders import OrderKind, OrderState

START_S, _ = interval.day_bounds(DEFAULT_DAY, TIME_ZONE)
ANNA, BORIS = "anna@example.org", "boris@example.org"
OFF, ON, KEY = OrderKind.DISCONNECT, OrderKind.RECONNECT, OrderKind.KEY_REPLACEMENT
Street, Streets = Any, Callable[..., Any]


def test_a_new_key_is_proven_by_a_read_and_its_counter_begins_anew(street: Street) -> None:
    meter = street.ciphered()
    before = street.key(meter)
    counters = street.room.directory / "counters"
    street.ordered(meter, ON)
    street.cycle()
    known = set(counters.glob("*"))
    number = street.ordered(meter, KEY)
    street.cycle(1)
    assert street.order(number).outcome == "read under the new key"
    served = street.servers.meters[meter].setup.ciphering
    assert served is not None
    assert served.encryption_key == street.key(meter) != before
    assert len(set(counters.glob("*")) - known) == 2
    with street.room.store.read() as tx:
        assert meter_keys.pending(tx, meter) is None
        log = json.dumps([dict(row) for row in control.actions(tx)], default=str)
    assert street.key(meter).hex() not in log
    street.points[meter].connected = False
    number = street.ordered(meter, ON)
    street.cycle(2)
    assert street.order(number).state is OrderState.DONE
    assert street.alarms() == []


@pytest.mark.parametrize("sent", [False, True])
def test_a_crash_around_a_new_key_locks_nobody_out(sent: bool, street: Street) -> None:
    meter = street.ciphered()
    before = street.key(meter)
    number = street.ordered(meter, KEY)
    street.die(acted=sent)
    with street.room.store.read() as tx:
        assert meter_keys.pending(tx, meter) is not None
    assert street.key(meter) == before
    street.cycle()
    served = street.servers.meters[meter].setup.ciphering
    assert served is not None
    assert served.encryption_key == street.key(meter)
    assert (street.key(meter) != before) is sent
    assert street.order(number).state is (OrderState.DONE if sent else OrderState.FAILED)


def test_a_wrong_master_key_changes_nothing_and_is_told(street: Street) -> None:
    meter = street.ciphered()
    before = street.key(meter)
    with street.room.store.write() as tx:
        name = f"{meter_keys.MASTER_SECRET}{meter}"
        control.replace_secret(tx, name, (b"x" * 16).hex().encode())
    number = street.ordered(meter, KEY)
    street.cycle()
    failed = street.order(number)
    assert failed.state is OrderState.FAILED
    assert "the meter refused" in failed.outcome
    assert "was read under the old key" in failed.outcome
    assert street.key(meter) == before
    assert street.alarms() == [("order.failed", meter)]
    with street.room.store.read() as tx:
        assert meter_keys.pending(tx, meter) is None


def test_a_meter_that_answers_under_no_key_keeps_both(street: Street) -> None:
    meter = street.ciphered()
    number = street.ordered(meter, KEY)
    served = street.servers.meters[meter]
    street.die(acted=True)
    own = served.setup
    street.servers.meters[meter].setup = replace(
        own, ciphering=replace(own.ciphering, encryption_key=b"?" * 16)
    )
    for at in (1, 2, 100):
        street.cycle(at)
    assert street.order(number).state is OrderState.EXECUTING
    assert [code for code, _ in street.alarms()] == ["order.unknown"]
    served.setup = own
    street.cycle(101)
    assert street.order(number).state is OrderState.DONE


def _stuck(street: Street, *, acted: bool) -> tuple[str, int]:
    """Let a meter fall silent with its new key, or with its old one, and the order wait."""
    meter = street.ciphered()
    number = street.ordered(meter, KEY)
    street.die(acted=acted)
    street.points[meter].silent = True
    operation = replace(street.room.site.operation, read_timeout_s=0.2)
    street.room.site = replace(street.room.site, operation=operation)
    street.cycle(1)
    return meter, number


def _give_up(street: Street, number: int, by: str = BORIS, reason: str = "unit is dead") -> None:
    with street.room.store.write() as tx:
        given_up_orders.give_up(tx, street.room.site, number, by, reason)


@pytest.mark.parametrize("acted", [False, True])
def test_a_given_up_order_frees_its_meter_and_a_later_reading_keeps_the_key_that_answers(
    acted: bool, street: Street
) -> None:
    meter, number = _stuck(street, acted=acted)
    before = street.key(meter)
    with pytest.raises(BadInputError, match=f"order {number} to key-replacement it is executing"):
        street.ask(meter, ON)
    street.cycle(4)
    _give_up(street, number)
    given_up = street.order(number)
    assert given_up.state is OrderState.GIVEN_UP
    assert given_up.outcome == f"given up by {BORIS}: unit is dead"
    with street.room.store.read() as tx:
        (finding,) = control.findings(tx)
        action = control.actions(tx)[0]
    assert (finding["code"], finding["acknowledged_by"]) == ("order.unknown", BORIS)
    assert (action["kind"], action["user"]) == ("meter_order.give_up", BORIS)
    assert action["sequence"] > 0
    with pytest.raises(BadInputError, match="may have the key of an order that was given up"):
        street.ask(meter, KEY)
    # Another order that is taken back takes no key with it.
    other = street.ordered(meter, ON)
    with street.room.store.write() as tx:
        meter_orders.cancel(tx, street.room.site, other, ANNA)
    street.read(meter, 5)
    assert [code for code, _ in street.alarms()] == ["meter.silent", "order.unknown"]
    street.points[meter].silent = False
    street.read(meter, 6)
    served = street.servers.meters[meter].setup.ciphering
    assert served.encryption_key == street.key(meter)
    assert (street.key(meter) != before) is acted
    with street.room.store.read() as tx:
        told = {row["code"]: row["message"] for row in control.findings(tx, open_only=True)}
        assert field.last_reads(tx)[meter] == START_S + 6 * 900
        assert meter_keys.candidates(tx) == {}
    assert told.keys() == {"meter.silent", "order.key"}
    assert ("answers under the new key" if acted else "answers under its old key") in (
        told["order.key"]
    )
    again = street.ordered(meter, KEY)
    street.cycle(7)
    assert street.order(again).state is OrderState.DONE


def test_an_order_is_given_up_after_an_hour_by_a_second_person_with_a_reason(
    street: Street,
) -> None:
    meter, number = _stuck(street, acted=True)
    street.cycle(3)
    with pytest.raises(BadInputError, match=r"its meter is asked until .*T21:00Z, now .*T20:45Z"):
        _give_up(street, number)
    street.cycle(4)
    with pytest.raises(BadInputError, match=r"anna@example\.org asked for it"):
        _give_up(street, number, ANNA)
    with pytest.raises(BadInputError, match=f"order {number}: needs a reason"):
        _give_up(street, number, reason=" ")
    _give_up(street, number)
    with pytest.raises(BadInputError, match="it is given-up, only what went to its meter"):
        _give_up(street, number)
    waiting = street.ask(meter, ON).id
    with pytest.raises(BadInputError, match="it is asked"):
        _give_up(street, waiting)


def test_an_order_that_is_given_up_while_its_meter_is_asked_stays_so(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    meter, number = _stuck(street, acted=True)
    street.points[meter].silent = False
    real = meter_order_execution.visit

    async def visit(*arguments: Any) -> Any:
        _give_up(street, number)
        return await real(*arguments)

    monkeypatch.setattr(meter_order_execution, "visit", visit)
    street.cycle(4)
    assert street.order(number).state is OrderState.GIVEN_UP
    before = street.key(meter)
    street.read(meter, 5)
    assert street.key(meter) != before
