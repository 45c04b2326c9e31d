"""Cancelled orders: receipted, so that a book that lets them trade all the same is told by it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from grid.errors import BadInputError
from grid.operation import audit, market, ordering, record
from grid.store import books, log
from tests.operation.month_site import STEP_S, Month, begin
from tests.operation.ordered_street import (
    NOW,
    START_S,
    cancel,
    cleared,
    judged,
    order_of,
    place,
    replayed,
)
from tests.operation.replay_site import altered, rewritten
from tests.operation.test_month import BAKU
from trading import receipts, verify
from trading.ledger.entry import decode


@pytest.fixture
def street(tmp_path: Path) -> Iterator[Month]:
    """A street with an auction, in which an ask meets a bid that was cancelled."""
    made = begin(tmp_path / "site", BAKU, NOW, 40, seed=3)
    place(made, "P-1", "sell", "0.050", 100, "ask")
    place(made, "P-2", "buy", "0.060", 80, "bid")
    cancel(made, "P-2", "bid")
    yield made
    made.room.signer.close()


def _promised(street: Month) -> str:
    """Return the signed receipt of the bid's cancellation."""
    order = order_of(street, "P-2", "bid").order
    with street.room.store.read() as tx:
        return ordering.cancellation_receipt(tx, order)


def _exported(street: Month, folder: Path) -> str:
    """Keep the receipt, and export the ledger with its openings; return the log's key."""
    (folder / "receipt").write_text(_promised(street))
    return audit.export(street.room.store, folder / "out", openings=True)[1]


def test_a_receipt_of_a_cancellation_is_the_same_each_time_and_the_sealed_book_keeps_it(
    street: Month,
) -> None:
    text = _promised(street)
    with street.room.store.write() as tx:
        ordering.cancel(tx, street.site, "bid", party="P-2", at_s=NOW + STEP_S - 60)
        key = record.receipts_signer(tx).key
    assert _promised(street) == text, "who cancels twice is promised it once"
    made = receipts.verify(text, key)
    assert (made.kind, made.order, made.amendment) == (receipts.CANCELLED, "bid", "")
    market.seal(street.room, START_S - STEP_S)
    with street.room.store.read() as tx:
        sequence = books.sealed(tx, START_S)
        assert sequence is not None
        row = log.entry_row(tx, sequence)
        assert row is not None
    assert receipts.keeps(made, decode(bytes(row["content"])).commitments)
    assert _promised(street) == text


def test_an_order_that_stands_has_no_receipt_of_a_cancellation(street: Month) -> None:
    order = order_of(street, "P-1", "ask").order
    with street.room.store.read() as tx, pytest.raises(BadInputError, match="ask: was not canc"):
        ordering.cancellation_receipt(tx, order)


def test_a_cancelled_order_trades_nothing_and_its_receipt_is_told_to_be_kept(
    street: Month, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cleared(street) == []
    key = _exported(street, tmp_path)
    status, said = judged(tmp_path / "out", key, tmp_path / "receipt", capsys)
    assert status == 0
    assert "cancellation of order bid is in the sealed book" in said
    told = ["--key", key, "--receipt", str(tmp_path / "receipt")]
    report = verify.run(verify.arguments([str(tmp_path / "out"), *told]))
    assert {"order": "bid", "cancellation": True, "kept": True}.items() <= report["receipt"].items()


def test_a_dropped_cancellation_that_no_replay_can_find_is_proved_by_its_receipt(
    street: Month, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "receipt").write_text(_promised(street))
    with street.room.store.write() as tx:
        tx.exec_driver_sql("UPDATE market_order SET cancelled_s = NULL, cancel_sequence = NULL")
    assert cleared(street) == [("bid", "ask", 80, 50_000)]
    _, key = audit.export(street.room.store, tmp_path / "out", openings=True)
    assert replayed(tmp_path / "out").difference is None
    status, said = judged(tmp_path / "out", key, tmp_path / "receipt", capsys)
    assert status == 1
    assert "the book lacks it: the receipt promises cancellation of order bid" in said


def test_a_cancellation_told_as_another_breaks_the_promise_of_its_receipt(
    street: Month, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cleared(street)
    _exported(street, tmp_path)
    later, found = altered("cancel", lambda one: True, lambda told: told.update(sequence=9))
    key = rewritten(street.site, tmp_path / "out", tmp_path / "late", later)
    status, said = judged(tmp_path / "late", key, tmp_path / "receipt", capsys)
    assert (status, len(found)) == (1, 1)
    assert "the book lacks it" in said
