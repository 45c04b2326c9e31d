"""Orders of meters: two people, an end, a limit, what is never ordered, and never twice."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from grid import interval
from grid.errors import BadInputError, StoreError
from grid.operation import (
    commission,
    cycle,
    medical_loads,
    meter_keys,
    meter_order_execution,
    meter_orders,
    metering,
)
from grid.operation.demo_site import DEFAULT_DAY, TIME_ZONE, demo_site
from grid.operation.field import link
from grid.operation.meter_orders import Asked
from grid.operation.room import Room
from grid.site import Meter, Orders, Site
from grid.store import Store, Transaction, control, field
from grid.store import meter_orders as stored
from grid.store.meter_orders import MeterOrder, OrderKind, OrderState
from meters.dlms import writing, xdlms
from meters.simulator.dlms import DlmsConnection, DlmsServers
from meters.simulator.points import MeterPoint

START_S, _ = interval.day_bounds(DEFAULT_DAY, TIME_ZONE)
TEXT = demo_site(day=DEFAULT_DAY, seed=1).replace('auth = "lls"', 'auth = "hls-gmac"', 1)
ANNA, BORIS = "anna@example.org", "boris@example.org"
OFF, ON, KEY = OrderKind.DISCONNECT, OrderKind.RECONNECT, OrderKind.KEY_REPLACEMENT


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


@dataclass
class Street:
    """A site whose DLMS meters answer on real sockets, in a thread of their own."""

    room: Room
    points: dict[str, MeterPoint]
    servers: DlmsServers

    def ask(self, meter: str, kind: OrderKind = OFF, by: str = ANNA, **more: bool) -> MeterOrder:
        with self.room.store.write() as tx:
            return meter_orders.ask(
                tx, self.room.site, Asked(kind, meter, "unpaid for a year", by, **more)
            )

    def approve(self, number: int, by: str = BORIS) -> MeterOrder:
        with self.room.store.write() as tx:
            return meter_orders.approve(tx, self.room.site, number, by)

    def ordered(self, meter: str, kind: OrderKind = OFF) -> int:
        return self.approve(self.ask(meter, kind).id).id

    def cycle(self, number: int = 0) -> None:
        """Run the stages that visit meters, as the cycle does."""
        at_s = START_S + 900 * number
        with self.room.store.write() as tx:
            control.put_meta(tx, "clock_s", str(at_s))
            tx.exec_driver_sql("DELETE FROM stage")
        meter_order_execution.resume(self.room, at_s)
        meter_order_execution.execute(self.room, at_s)

    def order(self, number: int) -> MeterOrder:
        with self.room.store.read() as tx:
            return stored.get_order(tx, number)

    def alarms(self) -> list[tuple[str, str]]:
        with self.room.store.read() as tx:
            return [(row["code"], row["subject"]) for row in control.findings(tx)]

    def switched(self, meter: str) -> int:
        """Return how often a meter switched."""
        return len(self.servers.meters[meter].objects.events)


@contextmanager
def _street(
    folder: Path, store_url: str = "", connections: dict[str, type[DlmsConnection]] | None = None
) -> Iterator[Street]:
    site = commission.commission(folder, TEXT, at_s=START_S, seed=1, store_url=store_url)
    store = commission.open_store(folder, store_url)
    access = json.loads((folder / "field-keys.json").read_text())
    setups = meter_keys.setups({name: value.encode() for name, value in access.items()})
    points = {m.id: MeterPoint(m.id, START_S, [5000] * 4, 230.0) for m in _dlms(site)}
    servers, loop = DlmsServers(), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def run(job: object) -> dict[str, str]:
        return asyncio.run_coroutine_threadsafe(job, loop).result(30)

    urls = run(servers.start(list(points.values()), setups=setups, connections=connections))
    link = SimpleNamespace(meters=urls, devices={})
    try:
        yield Street(Room(folder, site, store, link, START_S), points, servers)
    finally:
        run(servers.stop())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
        store.close()


def _dlms(site: Site) -> list[Meter]:
    return [meter for meter in site.meter if meter.protocol == "dlms"]


@pytest.fixture
def street(tmp_path: Path) -> Iterator[Street]:
    with _street(tmp_path / "site") as found:
        yield found


def _plain(street: Street, count: int = 1) -> list[str]:
    """Return meters of households that let everybody in."""
    return [str(one.id) for one in _dlms(street.room.site) if one.auth == "none"][:count]


def _with(street: Street, meter: str, **facts: object) -> None:
    """Let the usage point of a meter be another one from now on."""
    site = street.room.site
    point = next(one.usage_point for one in site.meter if one.id == meter)
    points = tuple(replace(p, **facts) if p.id == point else p for p in site.usage_point)
    street.room.site = replace(site, usage_point=points)


def test_two_people_switch_a_meter_off_and_on_again_and_all_is_on_the_ledger(
    tmp_path: Path, store_url: str
) -> None:
    with _street(tmp_path / "site", store_url) as street:
        (meter,) = _plain(street)
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


def test_of_two_who_approve_at_once_one_comes_too_late(tmp_path: Path, store_url: str) -> None:
    with _street(tmp_path / "site", store_url) as street:
        number = street.ask(_plain(street)[0]).id
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
    first, second = _plain(street, 2)
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
    meters = _plain(street, 5)
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
    at_asking, at_approval, at_the_end = _plain(street, 3)
    _with(street, at_asking, medical=True)
    refused = street.ask(at_asking)
    assert refused.state is OrderState.REFUSED
    point = next(m.usage_point for m in street.room.site.meter if m.id == at_asking)
    assert f"{point} has medical loads" in refused.outcome
    second, third = street.ask(at_approval).id, street.ordered(at_the_end)
    _with(street, at_approval, medical=True)
    _with(street, at_the_end, medical=True)
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
    _with(street, at_asking, medical=False)
    street.points[at_asking].connected = False
    _with(street, at_asking, medical=True)
    back = street.ordered(at_asking, ON)
    street.cycle(1)
    assert street.order(back).state is OrderState.DONE


def test_medical_load_told_since_the_site_was_made_holds_as_that_of_its_file(
    street: Street,
) -> None:
    meter, other = _plain(street, 2)
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
    _with(street, meter, medical=True)
    with pytest.raises(BadInputError, match="the site file says medical"):
        mark(is_medical=False)


def test_the_feeder_head_never_and_what_feeds_the_island_only_when_it_was_said(
    street: Street,
) -> None:
    assert street.ask(street.room.head).state is OrderState.REFUSED
    meter = next(m.id for m in _dlms(street.room.site) if m.usage_point == "UP-GEN")
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
    (meter,) = _plain(street)
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


class KilledError(Exception):
    """The process ends here."""


def _killed_after(monkeypatch: pytest.MonkeyPatch, reached: Callable[[], bool]) -> None:
    """Let the control room die when its visits are over, or before any of them."""
    real = meter_order_execution.visit

    async def visit(*arguments: object) -> object:
        if reached():
            await real(*arguments)
        raise KilledError

    monkeypatch.setattr(meter_order_execution, "visit", visit)


@pytest.mark.parametrize("acted", [False, True])
def test_a_crash_after_the_commit_never_acts_again(
    acted: bool, tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _street(tmp_path / "site", store_url) as street:
        (meter,) = _plain(street)
        number = street.ordered(meter)
        with monkeypatch.context() as patch:
            _killed_after(patch, lambda: acted)
            with pytest.raises(KilledError):
                street.cycle()
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


def test_a_meter_that_does_not_do_what_it_says_is_failed_and_told(tmp_path: Path) -> None:
    stuck, denying = "M-002", "M-006"
    kinds = {stuck: Stuck, denying: Refusing}
    with _street(tmp_path / "site", connections=kinds) as street:
        numbers = [street.ordered(stuck), street.ordered(denying)]
        street.cycle()
        orders = [street.order(number) for number in numbers]
        assert {order.state for order in orders} == {OrderState.FAILED}
        assert orders[0].outcome == "read back output on, connected, not as ordered"
        assert "the meter refused" in orders[1].outcome
        assert set(street.alarms()) == {("order.failed", stuck), ("order.failed", denying)}


def test_a_meter_that_hangs_up_after_it_acted_is_asked_and_not_told_again(tmp_path: Path) -> None:
    with _street(tmp_path / "site", connections={"M-002": Leaving}) as street:
        number = street.ordered("M-002")
        street.cycle()
        assert street.order(number).state is OrderState.EXECUTING
        assert "not known yet" in street.order(number).outcome
        street.cycle(1)
        assert street.order(number).state is OrderState.DONE
        assert street.switched("M-002") == 1


def test_a_silent_meter_is_tried_again_until_it_answers(street: Street) -> None:
    (meter,) = _plain(street)
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


def _ciphered(street: Street) -> str:
    return next(str(one.id) for one in _dlms(street.room.site) if one.auth == "hls-gmac")


def _key(street: Street, meter: str) -> bytes:
    with street.room.store.read() as tx:
        keys = meter_keys.ciphering(tx, meter)
        assert keys is not None
        return keys.encryption_key


def _pending(tx: Transaction, meter: str) -> bool:
    return meter_keys.pending(tx, meter) is not None


def test_a_new_key_is_proven_by_a_read_and_its_counter_begins_anew(street: Street) -> None:
    meter = _ciphered(street)
    before = _key(street, meter)
    counters = street.room.directory / "counters"
    street.ordered(meter, ON)
    street.cycle()
    known = set(counters.glob("*"))
    number = street.ordered(meter, KEY)
    street.cycle(1)
    assert street.order(number).outcome == "read under the new key"
    served = street.servers.meters[meter].setup.ciphering
    assert served is not None
    assert served.encryption_key == _key(street, meter) != before
    assert len(set(counters.glob("*")) - known) == 2
    with street.room.store.read() as tx:
        assert not _pending(tx, meter)
        log = json.dumps([dict(row) for row in control.actions(tx)], default=str)
    assert _key(street, meter).hex() not in log
    street.points[meter].connected = False
    number = street.ordered(meter, ON)
    street.cycle(2)
    assert street.order(number).state is OrderState.DONE
    assert street.alarms() == []


@pytest.mark.parametrize("sent", [False, True])
def test_a_crash_around_a_new_key_locks_nobody_out(
    sent: bool, street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    meter = _ciphered(street)
    before = _key(street, meter)
    number = street.ordered(meter, KEY)
    with monkeypatch.context() as patch:
        _killed_after(patch, lambda: sent)
        with pytest.raises(KilledError):
            street.cycle()
    with street.room.store.read() as tx:
        assert _pending(tx, meter)
    assert _key(street, meter) == before
    street.cycle()
    served = street.servers.meters[meter].setup.ciphering
    assert served is not None
    assert served.encryption_key == _key(street, meter)
    assert (_key(street, meter) != before) is sent
    assert street.order(number).state is (OrderState.DONE if sent else OrderState.FAILED)


def test_a_wrong_master_key_changes_nothing_and_is_told(street: Street) -> None:
    meter = _ciphered(street)
    before = _key(street, meter)
    with street.room.store.write() as tx:
        name = f"{meter_keys.MASTER_SECRET}{meter}"
        control.replace_secret(tx, name, (b"x" * 16).hex().encode())
    number = street.ordered(meter, KEY)
    street.cycle()
    failed = street.order(number)
    assert failed.state is OrderState.FAILED
    assert "the meter refused" in failed.outcome
    assert "was read under the old key" in failed.outcome
    assert _key(street, meter) == before
    assert street.alarms() == [("order.failed", meter)]
    with street.room.store.read() as tx:
        assert not _pending(tx, meter)


def test_a_meter_that_answers_under_no_key_keeps_both(street: Street) -> None:
    meter = _ciphered(street)
    number = street.ordered(meter, KEY)
    served = street.servers.meters[meter]
    with pytest.MonkeyPatch.context() as patch:
        _killed_after(patch, lambda: True)
        with pytest.raises(KilledError):
            street.cycle()
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


@contextmanager
def _field_of(folder: Path, site: Site) -> Iterator[Street]:
    """The site with its simulated field, a process of its own."""
    process = link.start(folder, start_s=START_S)
    store = commission.open_store(folder)
    try:
        yield Street(Room(folder, site, store, link.FieldLink(folder), START_S), {}, DlmsServers())
    finally:
        store.close()
        process.terminate()
        process.wait(20)


def test_the_cycle_carries_orders_out_and_a_field_that_starts_again_stands_by_them(
    tmp_path: Path,
) -> None:
    assert list(cycle.STAGES).index("orders") == list(cycle.STAGES).index("send") + 1
    folder = tmp_path / "site"
    site = commission.commission(folder, TEXT, at_s=START_S, seed=1)
    ciphered = next(str(one.id) for one in _dlms(site) if one.auth == "hls-gmac")
    meter = "M-002"
    with _field_of(folder, site) as street:
        room = street.room
        before = _key(street, ciphered)
        numbers = [street.ordered(meter), street.ordered(ciphered, KEY)]
        for at_s in (START_S, START_S + 900):
            room.link.advance(at_s)
            metering.read(room, at_s)
            cycle.STAGES["orders"](room, at_s)
        assert [street.order(n).state for n in numbers] == [OrderState.DONE] * 2
        assert _key(street, ciphered) != before
        with room.store.read() as tx:
            rows = [field.raw_reads(tx, one, START_S, at_s) for one in (meter, ciphered)]
            codes = {row["code"] for row in control.findings(tx, limit=10**6)}
    off, read = ([row["import_wh"] for row in each] for each in rows)
    assert off[0] == off[1], "nothing is taken behind a meter that is off"
    assert read[0] < read[1]
    assert not {code for code in codes if code.startswith(("order.", "meter."))}
    with _field_of(folder, site) as street:
        room = street.room
        numbers = [street.ordered(meter, ON), street.ordered(ciphered, ON)]
        cycle.STAGES["orders"](room, START_S + 1800)
        assert [street.order(n).outcome for n in numbers] == [
            "read back: output on, connected",
            "was so already: output on, connected",
        ]
