"""Orders at their meters: read back, never done twice, whatever meter or process does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from grid import interval
from grid.operation import (
    commission,
    cycle,
    metering,
)
from grid.operation.demo_site import DEFAULT_DAY, TIME_ZONE, demo_site
from grid.store import control, field
from grid.store.meter_orders import OrderKind, OrderState
from meters.dlms import writing, xdlms
from meters.simulator.dlms import DlmsConnection

START_S, _ = interval.day_bounds(DEFAULT_DAY, TIME_ZONE)
ANNA, BORIS = "anna@example.org", "boris@example.org"
TEXT = demo_site(day=DEFAULT_DAY, seed=1).replace('auth = "lls"', 'auth = "hls-gmac"', 1)
OFF, ON, KEY = OrderKind.DISCONNECT, OrderKind.RECONNECT, OrderKind.KEY_REPLACEMENT
Street, Streets = Any, Callable[..., Any]


class Stuck(DlmsConnection):
    """Says that it did what it was told, and does nothing."""

    def _answer(self, request: object) -> bytes:
        if isinstance(request, writing.ActionRequest) and request.method.class_id == 70:
            return self._connection.acted(request.invoke_id, 0)
        return super()._answer(request)


class Refusing(DlmsConnection):
    """Refuses every order."""

    def _answer(self, request: object) -> bytes:
        if isinstance(request, writing.ActionRequest) and request.method.class_id == 70:
            return self._connection.acted(request.invoke_id, xdlms.DENIED)
        return super()._answer(request)


class Leaving(DlmsConnection):
    """Switches, and hangs up before it says so."""

    def _answer(self, request: object) -> bytes:
        answer = super()._answer(request)
        if isinstance(request, writing.ActionRequest) and request.method.class_id == 70:
            assert self._transport is not None
            self._transport.abort()
            return b""
        return answer


@pytest.mark.parametrize("acted", [False, True])
def test_a_crash_after_the_commit_never_acts_again(
    acted: bool, streets: Streets, tmp_path: Path, store_url: str
) -> None:
    with streets(tmp_path / "site", store_url) as street:
        (meter,) = street.plain()
        number = street.ordered(meter)
        street.die(acted=acted)
        assert street.order(number).state is OrderState.EXECUTING
        assert street.points[meter].connected is not acted
        street.cycle()
        ended = street.order(number)
        if acted:
            assert (ended.state, ended.outcome) == (
                OrderState.DONE,
                "found: output off, disconnected",
            )
        else:
            assert ended.state is OrderState.FAILED
            assert "was interrupted, and the meter says output on" in ended.outcome
            assert street.alarms() == [("order.failed", meter)]
        assert street.switched(meter) == acted


def test_a_meter_that_does_not_do_what_it_says_is_failed_and_told(
    streets: Streets, tmp_path: Path
) -> None:
    stuck, denying = "M-002", "M-006"
    kinds = {stuck: Stuck, denying: Refusing}
    with streets(tmp_path / "site", connections=kinds) as street:
        numbers = [street.ordered(stuck), street.ordered(denying)]
        street.cycle()
        orders = [street.order(number) for number in numbers]
        assert {order.state for order in orders} == {OrderState.FAILED}
        assert orders[0].outcome == "read back output on, connected, not as ordered"
        assert "the meter refused" in orders[1].outcome
        assert set(street.alarms()) == {("order.failed", stuck), ("order.failed", denying)}


def test_a_meter_that_hangs_up_after_it_acted_is_asked_and_not_told_again(
    streets: Streets, tmp_path: Path
) -> None:
    with streets(tmp_path / "site", connections={"M-002": Leaving}) as street:
        number = street.ordered("M-002")
        street.cycle()
        assert street.order(number).state is OrderState.EXECUTING
        assert "not known yet" in street.order(number).outcome
        street.cycle(1)
        assert street.order(number).state is OrderState.DONE
        assert street.switched("M-002") == 1


def test_a_silent_meter_is_tried_again_until_it_answers(street: Street) -> None:
    (meter,) = street.plain()
    street.room.site = replace(
        street.room.site, operation=replace(street.room.site.operation, read_timeout_s=0.1)
    )
    number = street.ordered(meter)
    street.points[meter].silent = True
    street.cycle()
    assert street.order(number).state is OrderState.APPROVED
    assert "not carried out yet" in street.order(number).outcome
    street.points[meter].silent = False
    street.cycle(1)
    assert street.order(number).state is OrderState.DONE


def test_the_cycle_carries_orders_out_and_a_field_that_starts_again_stands_by_them(
    field_of: Streets,
    tmp_path: Path,
) -> None:
    assert list(cycle.STAGES).index("orders") == list(cycle.STAGES).index("send") + 1
    folder = tmp_path / "site"
    site = commission.commission(folder, TEXT, at_s=START_S, seed=1)
    ciphered = next(str(one.id) for one in site.meter if one.auth == "hls-gmac")
    meter = "M-002"
    with field_of(folder, site) as street:
        room = street.room
        before = street.key(ciphered)
        numbers = [street.ordered(meter), street.ordered(ciphered, KEY)]
        for at_s in (START_S, START_S + 900):
            room.link.advance(at_s)
            metering.read(room, at_s)
            cycle.STAGES["orders"](room, at_s)
        assert [street.order(n).state for n in numbers] == [OrderState.DONE] * 2
        assert street.key(ciphered) != before
        with room.store.read() as tx:
            rows = [field.raw_reads(tx, one, START_S, at_s) for one in (meter, ciphered)]
            codes = {row["code"] for row in control.findings(tx, limit=10**6)}
    off, read = ([row["import_wh"] for row in each] for each in rows)
    assert off[0] == off[1], "nothing is taken behind a meter that is off"
    assert read[0] < read[1]
    assert not {code for code in codes if code.startswith(("order.", "meter."))}
    with field_of(folder, site) as street:
        room = street.room
        numbers = [street.ordered(meter, ON), street.ordered(ciphered, ON)]
        cycle.STAGES["orders"](room, START_S + 1800)
        assert [street.order(n).outcome for n in numbers] == [
            "read back: output on, connected",
            "was so already: output on, connected",
        ]
