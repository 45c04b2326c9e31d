"""What an auditor finds when the store says something else than the ledger."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from grid.operation import audit, record
from grid.site import Site
from grid.store import Store, control, log
from trading.ledger.commitment import pseudonym

SignIn = Callable[..., FlaskClient]
LABEL = "2026-05-27T09:00Z"
WHERE = "start_s = 1779872400"


def _findings(store: Store, site: Site) -> list[str]:
    with store.read() as tx:
        return [one.message for one in audit.compare(tx, site.time_zone)]


def _edit(store: Store, statement: str) -> None:
    with store.write() as tx:
        assert tx.exec_driver_sql(statement).rowcount == 1


def test_an_export_holds_what_the_newest_checkpoint_covers(
    store: Store, site: Site, tmp_path: Path, signs: Callable[..., str]
) -> None:
    with store.write() as tx:
        record.record_action(
            tx, site, at_s=1_779_876_000, user="u", kind="release", subject="BAT-1", detail={}
        )
        assert log.size(tx) == 49
    for openings in (False, True):
        head, _ = audit.export(store, tmp_path / "out", openings=openings)
        assert head.size == 48
    assert (tmp_path / "out" / "openings.jsonl").read_text().count("\n") == 8 * 9
    with store.write() as tx:
        record.checkpoint(tx, signs, 1_779_876_000)
    assert audit.export(store, tmp_path / "out", openings=True)[0].size == 49


def test_rows_as_they_were_committed_are_found_sound(store: Store, site: Site) -> None:
    assert _findings(store, site) == []


@pytest.mark.parametrize(
    ("table", "row", "column", "value", "told"),
    [
        ("posting", "number = 1", "amount_nano", "7", "amount_nano is 7, committed 16500000"),
        ("posting", "number = 1", "energy_wh", "7", "energy_wh is 7, committed 250"),
        ("posting", "number = 1", "price", "7", "price is 7, committed 66000"),
        (
            "posting",
            "number = 1",
            "debit",
            "'party:P-7'",
            "debit is party:P-7, committed party:P-1",
        ),
        ("posting", "number = 1", "credit", "'supplier'", "credit is supplier, committed market"),
        ("posting", "number = 1", "kind", "'supply'", "kind is supply, committed purchase"),
        ("posting", "number = 1", "reversal", "1", "reversal is True, committed False"),
        ("posting", "number = 1", "usage_point", "'UP-7'", "usage_point is UP-7, committed UP-1"),
        ("posting", "number = 1", "month", "'2026-04'", "month is 2026-04, committed 2026-05"),
        ("trade", "number = 0", "energy_wh", "7", "energy_wh is 7, committed 250"),
        ("trade", "number = 0", "price", "7", "price is 7, committed 66000"),
        ("trade", "number = 0", "seller", "'UP-7'", "seller is UP-7, committed UP-2"),
        ("market_order", "side = 'buy'", "price", "7", "price is 7, committed 84000"),
        ("market_order", "side = 'buy'", "party", "'P-7'", "party is P-7, committed P-1"),
    ],
)
def test_an_edited_row_is_named(
    store: Store, site: Site, table: str, row: str, column: str, value: str, told: str
) -> None:
    _edit(store, f"UPDATE {table} SET {column} = {value} WHERE {WHERE} AND {row}")
    messages = _findings(store, site)
    assert messages
    assert all(f"{table} {LABEL}" in message for message in messages)
    assert told in messages[0]


def test_rows_that_were_removed_added_or_moved_are_named(store: Store, site: Site) -> None:
    _edit(store, f"DELETE FROM posting WHERE {WHERE} AND number = 4")
    assert "posting 2026-05-27T09:00Z version 1 number 4" in _findings(store, site)[0]
    assert "not in the store" in _findings(store, site)[0]
    _edit(store, f"UPDATE posting SET number = 9 WHERE {WHERE} AND number = 3")
    assert any("number 9" in m and "nothing commits" in m for m in _findings(store, site))


def test_an_opening_edited_with_its_row_is_named(store: Store, site: Site) -> None:
    _edit(store, f"UPDATE posting SET amount_nano = 7 WHERE {WHERE} AND number = 1")
    _edit(
        store,
        "UPDATE opening SET content = replace(content, '\"16500000\"', '\"7\"') "
        f"WHERE content LIKE '%{LABEL}%posting%purchase%'",
    )
    (message,) = [m for m in _findings(store, site) if "opening" in m]
    assert "is not what its entry commits to" in message
    assert LABEL in message


def test_an_opening_removed_with_its_row_is_missed(store: Store, site: Site) -> None:
    _edit(store, f"DELETE FROM posting WHERE {WHERE} AND number = 1")
    _edit(store, f"DELETE FROM opening WHERE content LIKE '%{LABEL}%posting%purchase%'")
    (message,) = _findings(store, site)
    assert f"{LABEL}: 1 of 5 commitments are not opened" in message


def test_accounts_may_be_pseudonyms_of_the_month(store: Store, site: Site) -> None:
    with store.write() as tx:
        start_s = 1_779_883_200
        secret = control.secrets(tx, record.PARTY_SECRET)["P-1"]
        line = {
            "amount_nano": "20", "credit": "supplier", "debit": pseudonym(secret, "2026-05"),
            "energy_wh": "10", "kind": "supply", "price": "2", "reversal": False,
        }  # fmt: skip
        trade = {"energy_wh": "10", "price": "2"}
        sides = [
            record.Personal(
                f"P-{n}",
                "trade",
                f"0-{side}er",
                {**trade, "side": side, "usage_point": f"UP-{n}"},
            )
            for n, side in ((1, "buy"), (2, "sell"))
        ]
        record.append(tx, record.Kind.CLEARING, start_s, start_s, {"price": None}, sides)
        told = [record.Personal("P-1", "posting", "0", line)]
        record.append(tx, record.Kind.SETTLEMENT, start_s, start_s, {"version": 0}, told)
        tx.exec_driver_sql(
            "INSERT INTO posting (start_s, version, number, debit, credit, amount_nano, energy_wh,"
            " kind, usage_point, price, reversal, month) VALUES (1779883200, 1, 0, 'party:P-1',"
            " 'supplier', 20, 10, 'supply', 'UP-1', 2, 0, '2026-05')"
        )
        tx.exec_driver_sql(
            "INSERT INTO trade (start_s, number, buy_order, sell_order, buyer, seller, price,"
            " sell_price, energy_wh, zone_fee, loss_fee, regional)"
            " VALUES (1779883200, 0, 'a', 'b', 'UP-1', 'UP-2', 2, 2, 10, 0, 0, false)"
        )
    assert _findings(store, site) == []
    _edit(store, "UPDATE posting SET debit = 'party:P-2' WHERE start_s = 1779883200")
    _edit(store, "UPDATE trade SET buyer = 'UP-3' WHERE start_s = 1779883200")
    messages = _findings(store, site)
    assert any("debit is party:P-2, committed p-" in m for m in messages)
    assert any("usage_point is UP-3, committed UP-1" in m for m in messages)


def test_the_auditor_sees_which_row_was_edited(sign_in: SignIn, store: Store) -> None:
    client = sign_in("auditor")
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get("/audit/").text)
    assert found
    page = client.post("/audit/verify", data={"csrf_token": found[1]}).text
    assert "✓ Each order, trade and posting is what the ledger commits to" in page
    assert "The ledger verifies: 48" in page
    _edit(store, f"UPDATE posting SET amount_nano = 7 WHERE {WHERE} AND number = 1")
    page = client.post("/audit/verify", data={"csrf_token": found[1]}).text
    assert "The ledger does not verify." in page
    told = "posting 2026-05-27T09:00Z version 1 number 1: amount_nano is 7, committed 16500000"
    assert told in page
