"""A member's battery trades in a running site: by consent, by the plan, and as the log tells."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from grid.errors import Finding
from grid.ids import AssetId
from grid.operation import audit
from grid.store import agreements as held
from grid.store import batteries, books
from grid.store import market as store
from grid.store.schema import market_order
from tests.operation.battery_street import (
    BEFORE,
    COUNT,
    LAST_DAY,
    START_S,
    Planned,
    begun,
    consent,
)
from tests.operation.month_site import STEP_S
from tests.operation.replay_site import altered, rewritten
from trading.book import Side
from trading.ledger.entry import Kind
from trading.replay.derivation import Derivation, Replayed, replay
from trading.replay.log import Record, records


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> tuple[Planned, Path]:
    """A street over a sunny day; the battery of UP-1 trades, that of UP-2 does not."""
    folder = tmp_path_factory.mktemp("batteries")
    street = begun(folder / "site", COUNT)
    street.truth[:, :, 1] *= 4
    street.told[:] = street.truth
    for slot in range(BEFORE + 2, COUNT - 16, 5):
        street.told[slot % 5 + 1, slot] = [123, 0]
        after = 4 if slot % 2 else 14
        at_s = street.room.first_cycle_s + (slot + after) * STEP_S
        street.later.setdefault(at_s, []).append((slot % 5 + 1, slot))
    consent(street, "UP-1", LAST_DAY, battery=True)
    for number in range(COUNT):
        street.cycle(street.room.first_cycle_s + number * STEP_S)
    street.room.signer.close()
    audit.export(street.room.store, folder / "out", openings=True)
    return street, folder / "out"


def _replayed(folder: Path) -> Replayed:
    size = int((folder / "checkpoint").read_text().split("\n")[1])
    return replay(records(folder, size))


def test_a_battery_trades_from_the_day_of_consent_and_only_that_battery(
    street: tuple[Planned, Path],
) -> None:
    lived, _ = street
    with lived.room.store.read() as tx:
        orders = [
            one.order
            for start_s in range(START_S - BEFORE * STEP_S, START_S + COUNT * STEP_S, STEP_S)
            for one in books.received(tx, start_s)
            if one.order.battery
        ]
    assert {one.battery for one in orders} == {"BAT-1"}
    assert {one.usage_point for one in orders} == {"UP-1"}
    assert {one.side for one in orders} == set(Side)
    assert min(one.start_s for one in orders) >= START_S
    assert all(one.agent and one.energy_wh <= 250 for one in orders)


def test_it_buys_keeps_sells_and_serves_and_never_more_than_it_holds(
    street: tuple[Planned, Path],
) -> None:
    lived, _ = street
    with lived.room.store.read() as tx:
        moves = batteries.moves(tx, 0, 2**40)
        accounts = batteries.accounts(tx)
    total = {
        name: sum(getattr(one.moved, name) for _, one in moves)
        for name in ("bought_wh", "sold_wh", "kept_wh", "used_wh")
    }
    assert all(total.values()), total
    assert all(0 <= one.stored_wh <= 1_800 for _, one in moves)
    ((_, stored),) = accounts.items()
    assert stored == moves[-1][1].stored_wh
    taken, given = total["bought_wh"] + total["kept_wh"], total["sold_wh"] + total["used_wh"]
    lost = taken - given - stored
    assert 0.05 * taken <= lost <= 0.10 * taken + 2 * len(moves)


def test_what_it_traded_is_on_the_trades_and_the_month_sums_to_zero(
    street: tuple[Planned, Path],
) -> None:
    lived, _ = street
    with lived.room.store.read() as tx:
        moves = batteries.moves(tx, 0, 2**40)
        ids = batteries.order_ids(tx, 0, 2**40)
        rows = store.trades(tx, 0, 2**40)
        assert store.postings_sum(tx) == 0
        account = store.month_accounts(tx, "2026-06")
        one = next(kept for kept in held.listed(tx) if kept.party == "P-1")
    bought = sum(row["energy_wh"] for row in rows if row["buy_order"] in ids)
    sold = sum(row["energy_wh"] for row in rows if row["sell_order"] in ids)
    assert bought == sum(each.moved.bought_wh for _, each in moves)
    assert sold == sum(each.moved.sold_wh for _, each in moves)
    june = sum(
        each.moved.bought_wh + each.moved.sold_wh + each.moved.kept_wh + each.moved.used_wh
        for start_s, each in moves
        if start_s < START_S + (COUNT - BEFORE - 2) * STEP_S
    )
    assert account[one.id, "home"].battery_wh == june


def test_the_log_replays_with_every_battery(street: tuple[Planned, Path]) -> None:
    _, out = street
    found = _replayed(out)
    assert found.difference is None, found.difference
    assert found.stopped is None, found.why
    assert found.derived["settlements"] > COUNT - 4


def _less_room(payload: dict[str, Any]) -> None:
    payload["terms"][-1]["batteries"][0]["room_wh"] = 40


def _consent_gone(payload: dict[str, Any]) -> None:
    payload["terms"][-1].pop("batteries")


@pytest.mark.parametrize(
    ("kind", "which", "change", "words"),
    [
        ("order", lambda told, ids: told["id"] in ids, lambda told: told.pop("battery"), "posting"),
        ("order", lambda told, ids: told["id"] in ids, lambda told: told.update(energy_wh=251),
         "_wh"),
        ("agreement", lambda told, _: told["party"] == "P-1" and len(told["terms"]) > 1, _less_room,
         "must be within 0 to 40"),
        ("agreement", lambda told, _: told["party"] == "P-1" and len(told["terms"]) > 1,
         _consent_gone, "without consent"),
    ],
)  # fmt: skip
def test_an_altered_battery_is_named(
    street: tuple[Planned, Path], tmp_path: Path, kind: str, which: Any, change: Any, words: str
) -> None:
    lived, out = street
    with lived.room.store.read() as tx:
        known = batteries.order_ids(tx, 0, 2**40)
        rows = store.trades(tx, 0, 2**40)
    filled = known & {row[side] for row in rows for side in ("buy_order", "sell_order")}
    apply, found = altered(kind, lambda one: bool(which(one.payload, filled)), change)
    rewritten(lived.site, out, tmp_path / "altered", apply)
    assert found
    difference = _replayed(tmp_path / "altered").difference
    assert difference is not None
    assert words in str(difference), difference


def test_an_order_whose_battery_is_altered_in_the_store_is_named(
    street: tuple[Planned, Path],
) -> None:
    lived, _ = street
    with lived.room.store.read() as tx:
        assert audit.compare(tx, "Asia/Baku") == []
    found: list[Finding] = []
    with pytest.raises(_UndoneError):
        _alter(lived, found)
    assert found
    assert all("battery is None, committed BAT-1" in one.message for one in found)


class _UndoneError(Exception):
    """Takes back what was tried."""


def _alter(lived: Planned, found: list[Finding]) -> None:
    of_battery = market_order.c.battery != ""
    with lived.room.store.write() as tx:
        tx.execute(update(market_order).where(of_battery).values(battery=""))
        found += audit.compare(tx, "Asia/Baku")
        raise _UndoneError


def test_the_number_of_agents_orders_does_not_tell_whether_a_battery_is_empty(
    street: tuple[Planned, Path],
) -> None:
    lived, _ = street
    with lived.room.store.read() as tx:
        orders = [
            one.order
            for start_s in range(START_S, START_S + (COUNT - BEFORE) * STEP_S, STEP_S)
            for one in books.received(tx, start_s)
            if one.order.battery
        ]
    number = Counter(one.start_s for one in orders)
    assert set(number.values()) == {2}
    assert {one.energy_wh == 0 for one in orders if one.side is Side.SELL} == {True, False}


def test_after_a_copy_is_recovered_accounts_are_empty_in_store_and_replay(
    street: tuple[Planned, Path],
) -> None:
    """What was given away since the copy does not come back with the log's entries."""
    lived, _ = street
    with pytest.raises(_UndoneError):
        _emptied(lived)
    whole = Derivation()
    whole._books._accounts[1, AssetId("BAT-1")] = 300
    whole.derive(
        Record(1, Kind.ACTION, "2026-06-25T08:00Z", {"action": "ledger.recover"}, 0), None, None
    )
    assert whole._books._accounts == {}


def _emptied(lived: Planned) -> None:
    with lived.room.store.write() as tx:
        batteries.empty(tx)
        assert batteries.accounts(tx) == {}
        raise _UndoneError
