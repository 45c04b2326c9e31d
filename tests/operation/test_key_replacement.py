"""A new key for a meter: proven by a read, never lost, and what is known when it is given up."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from grid import interval
from grid.operation import (
    meter_keys,
)
from grid.operation.demo_site import DEFAULT_DAY, TIME_ZONE
from grid.store import control
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
