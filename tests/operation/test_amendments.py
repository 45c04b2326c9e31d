"""Amended orders: kept, receipted, committed to, replayed; a continuous book in their order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grid.errors import BadInputError
from grid.operation import audit, market, ordering, record
from grid.store import books, log
from tests.operation.month_site import STEP_S, Month, begin
from tests.operation.ordered_street import (
    NOW,
    START_S,
    amend,
    cancel,
    cleared,
    judged,
    order_of,
    place,
    replayed,
)
from tests.operation.replay_site import altered, rewritten
from tests.operation.test_month import BAKU
from trading import receipts
from trading.book import Side
from trading.ledger.commitment import Opening
from trading.ledger.entry import decode
from trading.sealed_book import AMENDMENTS_MOST

CONTINUOUS = BAKU.replace('"uniform_price"', '"order_book"')


@pytest.fixture
def street(tmp_path: Path) -> Month:
    """A street with an auction, nothing ordered yet."""
    return begin(tmp_path / "site", BAKU, NOW, 40, seed=3)


def test_less_energy_keeps_the_place_in_time_and_any_other_amendment_loses_it(
    street: Month,
) -> None:
    for party, name in (("P-1", "first"), ("P-3", "second"), ("P-5", "third")):
        place(street, party, "sell", "0.050", 100, name)
    amend(street, "P-1", "first", energy_wh=90)
    amend(street, "P-3", "second", energy_wh=110)
    with street.room.store.read() as tx:
        standing = books.orders(tx, START_S)
    assert [(one.id, one.energy_wh) for one in standing] == [
        ("first", 90),
        ("third", 100),
        ("second", 110),
    ]
    amend(street, "P-1", "first", price="0.051")
    with street.room.store.read() as tx:
        assert [str(one.id) for one in books.orders(tx, START_S)] == ["third", "second", "first"]


def test_an_amended_order_trades_as_amended_and_the_audit_finds_nothing(street: Month) -> None:
    place(street, "P-1", "sell", "0.050", 100, "ask")
    place(street, "P-2", "buy", "0.040", 80, "bid")
    amend(street, "P-2", "bid", price="0.060", energy_wh=70)
    assert cleared(street) == [("bid", "ask", 70, 50_000)]
    with street.room.store.read() as tx:
        assert audit.compare(tx, street.site.time_zone) == []
    with street.room.store.write() as tx:
        tx.exec_driver_sql("UPDATE order_amendment SET energy_wh = 71")
    with street.room.store.read() as tx:
        (found,) = audit.compare(tx, street.site.time_zone)
    assert "order_amendment" in found.message
    assert "energy_wh is 71, committed 70" in found.message


def test_an_amendment_sent_again_amends_once_and_another_under_its_id_is_refused(
    street: Month,
) -> None:
    order = place(street, "P-1", "sell", "0.050", 100)
    first = amend(street, "P-1", order, "mine-1", energy_wh=90)
    assert amend(street, "P-1", order, "mine-1", energy_wh=90) == first
    amend(street, "P-1", order, "mine-2", price="0.051")
    assert amend(street, "P-1", order, "mine-1", energy_wh=90) == first, "its limit was left open"
    with pytest.raises(BadInputError, match="another one was sent under this id"):
        amend(street, "P-1", order, "mine-1", energy_wh=80)
    other = place(street, "P-3", "sell", "0.050", 100)
    with pytest.raises(BadInputError, match="another one was sent under this id"):
        amend(street, "P-3", other, "mine-1", energy_wh=90)


def test_what_is_no_order_cannot_be_amended_to(street: Month) -> None:
    order = place(street, "P-1", "sell", "0.050", 3000)
    place(street, "P-1", "sell", "0.060", 1500)
    for fields, told in (
        ({"energy_wh": 3501}, "has placed 1500 Wh to sell, 3501 Wh more is above its 5000 Wh"),
        ({"energy_wh": 0}, "must be within 1 to 5000"),
        ({"price": "0.05001"}, "must be a multiple of"),
        ({"price": "0.050", "energy_wh": 3000}, "these are its limit and its energy already"),
        ({"side": "buy"}, "an amendment has energy_wh or price"),
        ({}, "an amendment has energy_wh or price"),
    ):
        with pytest.raises(BadInputError, match=told):
            amend(street, "P-1", order, **fields)
    with pytest.raises(BadInputError, match="no such order of P-2"):
        amend(street, "P-2", order, energy_wh=10)
    with pytest.raises(BadInputError, match="the gate is closed"):
        amend(street, "P-1", order, at_s=START_S - STEP_S, energy_wh=10)
    for count in range(AMENDMENTS_MOST):
        amend(street, "P-1", order, energy_wh=2999 - count)
    with pytest.raises(BadInputError, match=f"was amended {AMENDMENTS_MOST} times"):
        amend(street, "P-1", order, energy_wh=1)
    cancel(street, "P-1", order)
    with pytest.raises(BadInputError, match="was cancelled"):
        amend(street, "P-1", order, energy_wh=1)
    market.seal(street.room, START_S - STEP_S)
    with pytest.raises(BadInputError, match="its book is sealed"):
        amend(street, "P-1", order, energy_wh=1)


def test_in_a_continuous_book_what_may_have_traded_is_still_part_of_what_a_connection_carries(
    tmp_path: Path,
) -> None:
    street = begin(tmp_path / "site", CONTINUOUS, NOW, 40, seed=3)
    order = place(street, "P-1", "sell", "0.050", 3000)
    amend(street, "P-1", order, energy_wh=10)
    cancel(street, "P-1", order)
    with pytest.raises(BadInputError, match="has placed 3000 Wh to sell, 2001 Wh more"):
        place(street, "P-1", "sell", "0.050", 2001)
    other = place(street, "P-1", "sell", "0.050", 2000)
    with pytest.raises(BadInputError, match="has placed 3000 Wh to sell, 2001 Wh more"):
        amend(street, "P-1", other, energy_wh=2001)


def test_a_receipt_of_an_amendment_holds_beside_that_of_its_order(street: Month) -> None:
    name = place(street, "P-1", "sell", "0.050", 100)
    store = street.room.store

    def promised(amendment: str = "") -> receipts.Receipt:
        found = order_of(street, "P-1", name)
        with store.read() as tx:
            key = record.receipts_signer(tx).key
            if not amendment:
                return receipts.verify(ordering.receipt(tx, found.order), key)
            text = ordering.amendment_receipt(tx, found.order, amendment)
            return receipts.verify(text, key)

    before = promised()
    one = amend(street, "P-1", name, energy_wh=90)
    made = promised(str(one.id))
    assert (made.order, made.amendment) == (name, one.id)
    assert promised() == before, "what was promised of the order stands"
    cleared(street)
    with store.read() as tx:
        sequence = books.sealed(tx, START_S)
        assert sequence is not None
        row = log.entry_row(tx, sequence)
        assert row is not None
        sealed = decode(bytes(row["content"])).commitments
    assert receipts.keeps(before, sealed)
    assert receipts.keeps(made, sealed)
    with pytest.raises(BadInputError, match="is not kept"):
        promised("amend-0")


def _dropped(name: str) -> Any:
    def apply(entry, openings: list[Opening]):
        return entry.body, [
            one for one in openings if (one.label.kind, one.label.subject) != ("amend", name)
        ]

    return apply


@pytest.fixture
def traded(street: Month, tmp_path: Path) -> tuple[Month, Path, str, str]:
    """A street whose trade hangs on an amendment: its export, key, and the amendment's receipt."""
    place(street, "P-1", "sell", "0.050", 100, "ask")
    place(street, "P-2", "buy", "0.040", 80, "bid")
    amend(street, "P-2", "bid", "better", price="0.060")
    assert len(cleared(street)) == 1
    found = order_of(street, "P-2", "bid")
    with street.room.store.read() as tx:
        text = ordering.amendment_receipt(tx, found.order, "better")
    (tmp_path / "receipt").write_text(text)
    _, key = audit.export(street.room.store, tmp_path / "out", openings=True)
    return street, tmp_path, key, "better"


def test_a_dropped_or_altered_amendment_is_named_by_replay_and_proved_by_its_receipt(
    traded: tuple[Month, Path, str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    street, folder, key, name = traded
    assert replayed(folder / "out").difference is None
    status, said = judged(folder / "out", key, folder / "receipt", capsys)
    assert (status, f"amendment {name} of order bid" in said) == (0, True)
    apply, found = altered("amend", lambda one: True, lambda told: told.update(energy_wh=70))
    for number, change in enumerate((_dropped(name), apply)):
        out = folder / f"other-{number}"
        key = rewritten(street.site, folder / "out", out, change)
        difference = replayed(out).difference
        assert difference is not None
        assert difference.kind == "clearing"
        assert "bid" in difference.what or "trade" in difference.what
        status, said = judged(out, key, folder / "receipt", capsys)
        assert status == 1
        assert "the book lacks it" in said
        assert f"amendment {name} of order bid" in said
    assert len(found) == 1


class Slow:
    """A continuous book that looks at everything again for each Wh."""

    def __init__(self) -> None:
        self.orders: dict[str, list[Any]] = {}
        self.line: list[str] = []
        self.done: dict[str, int] = {}
        self.trades: list[tuple[str, str, int]] = []

    def place(self, name: str, party: str, side: Side, price: int, wh: int) -> None:
        self.orders[name], self.done[name] = [party, side, price, wh], 0
        self._arrive(name)

    def amend(self, name: str, price: int, wh: int) -> None:
        order = self.orders[name]
        if order[3] <= self.done[name]:
            return
        keeps = price == order[2] and wh <= order[3]
        order[2:] = price, wh
        if not keeps:
            self.line.remove(name)
            self._arrive(name)

    def cancel(self, name: str) -> None:
        self.orders[name][3] = 0

    def _arrive(self, name: str) -> None:
        party, side, price, _ = self.orders[name]
        sign = 1 if side is Side.BUY else -1
        while self.done[name] < self.orders[name][3]:
            best = None
            for turn, other in enumerate(self.line):
                who, what, limit, wh = self.orders[other]
                if what is side or self.done[other] >= wh or (price - limit) * sign < 0:
                    continue
                rank = (who != party, limit * sign, turn, other)
                best = rank if best is None else min(best, rank)
            if best is None:
                break
            self.done[name] += 1
            self.done[best[3]] += 1
            if best[0]:
                pair = (name, best[3]) if side is Side.BUY else (best[3], name)
                self.trades.append((*pair, self.orders[best[3]][2]))
        self.line.append(name)


@pytest.mark.parametrize("seed", range(3))
def test_a_continuous_book_trades_as_one_that_looks_at_everything_again_and_replays(
    tmp_path: Path, seed: int
) -> None:
    street, slow = begin(tmp_path / "site", CONTINUOUS, NOW, 40, seed=3), Slow()
    draw, standing = np.random.default_rng(seed), {}
    for number in range(70):
        price, wh = int(draw.integers(50, 60)), int(draw.integers(1, 30))
        act = int(draw.integers(0, 4)) if standing else 0
        name = str(draw.choice(sorted(standing))) if standing else ""
        if act < 2:
            party, name = f"P-{draw.integers(1, 6)}", f"order-{number}"
            side = Side.BUY if draw.integers(0, 2) else Side.SELL
            place(street, party, str(side), f"0.0{price}", wh, name)
            slow.place(name, party, side, price * 1000, wh)
            standing[name] = (party, price, wh)
        elif act == 2 and standing[name][1:] != (price, wh):
            party = standing[name][0]
            amend(street, party, name, price=f"0.0{price}", energy_wh=wh)
            slow.amend(name, price * 1000, wh)
            standing[name] = (party, price, wh)
        elif act == 3:
            cancel(street, standing.pop(name)[0], name)
            slow.cancel(name)
    traded = cleared(street)
    each = [(buy, sell, price) for buy, sell, wh, price in traded for _ in range(wh)]
    assert each == slow.trades
    assert len(traded) >= 5
    audit.export(street.room.store, tmp_path / "out", openings=True)
    done = replayed(tmp_path / "out")
    assert (done.difference, done.stopped, done.derived["trades"]) == (None, None, len(traded))
    with street.room.store.read() as tx:
        assert audit.compare(tx, street.site.time_zone) == []
    street.room.signer.close()


def test_in_a_continuous_book_a_cancellation_told_as_later_than_it_was_is_named(
    tmp_path: Path,
) -> None:
    street = begin(tmp_path / "site", CONTINUOUS, NOW, 40, seed=3)
    place(street, "P-1", "sell", "0.050", 100, "ask")
    cancel(street, "P-1", "ask")
    place(street, "P-2", "buy", "0.060", 80, "bid")
    assert cleared(street) == []
    audit.export(street.room.store, tmp_path / "out", openings=True)
    assert replayed(tmp_path / "out").difference is None
    later, found = altered("cancel", lambda one: True, lambda told: told.update(sequence=9))
    rewritten(street.site, tmp_path / "out", tmp_path / "late", later)
    difference = replayed(tmp_path / "late").difference
    assert difference is not None
    assert (len(found), difference.kind) == (1, "clearing")
    assert "order bid with ask" in difference.what
    street.room.signer.close()
