"""A prosumer's orders: what became of them, and a receipt anyone can recompute."""

from __future__ import annotations

import html
import re
import subprocess
from collections.abc import Callable

from flask.testing import FlaskClient

from grid import interval
from grid.ids import OrderId, PartyId, UsagePointId
from grid.store import Store, books, control, log, market, people
from trading.book import Order, Side
from trading.ledger import note, prove

SignIn = Callable[..., FlaskClient]

NOW = interval.parse("2026-05-27T14:00+04:00")
DAY = "/my/trades?day=2026-05-27"


def _order(name: str, start_s: int, energy_wh: int, sequence: int) -> Order:
    return Order(
        OrderId(name),
        PartyId("P-2"),
        UsagePointId("UP-2"),
        start_s,
        Side.SELL,
        50_000,
        energy_wh,
        sequence,
    )


def _row(page: str, sequence: int) -> str:
    return next(row for row in page.split("<tr") if f">{sequence}</a>" in row)


def test_each_status_is_told(sign_in: SignIn, store: Store) -> None:
    cleared_s = NOW - 3600
    orders = [
        _order("open", NOW + 1800, 300, 100),
        _order("sealed", NOW + 900, 300, 101),
        _order("none", cleared_s, 300, 102),
        _order("part", cleared_s - 900 * 8, 400, 103),
    ]
    trade = {
        "buy_order": "x",
        "sell_order": "part",
        "buyer": "UP-1",
        "seller": "UP-2",
        "price": 66_000,
        "energy_wh": 250,
    }
    facts = {
        "mechanism": "uniform_price",
        "price": 66_000,
        "price_low": 50_000,
        "price_high": 84_000,
        "volume_wh": 250,
        "summary": "{}",
    }
    with store.write() as tx:
        books.put_orders(tx, orders, received_s=NOW)
        market.put_clearing(tx, cleared_s - 900 * 8, facts, [trade])
    page = sign_in("prosumer").get(DAY).text
    found = [_row(page, n) for n in (100, 101, 102, 103, 1)]
    for row, text in zip(
        found, ("open", "sealed", "not filled", "partly", "● filled"), strict=True
    ):
        assert text in row
    assert "0.250" in found[3]
    assert "0.0660" in found[3]


def test_only_own_orders_are_listed_and_anothers_is_as_absent_as_none(sign_in: SignIn) -> None:
    client = sign_in("prosumer")
    page = client.get(DAY).text
    assert page.count('href="/my/orders/') == 8
    assert "O-0-1" not in page
    for url in ("/my/orders/{}", "/my/orders/{}?prove=1", "/my/orders/{}/proof"):
        pages = [client.get(url.format(name)) for name in ("O-0-1", "O-404")]
        assert [one.status_code for one in pages] == [404, 404]
        plain = [
            re.sub(r'name="csrf_token" value="[^"]+"', "", one.text).replace(name, "")
            for one, name in zip(pages, ("O-0-1", "O-404"), strict=True)
        ]
        assert plain[0] == plain[1]


def test_the_receipt_is_recomputed_by_a_shell_and_its_file_proves_it(
    sign_in: SignIn, store: Store
) -> None:
    client = sign_in("prosumer")
    page = client.get("/my/orders/O-0-2?prove=1").text
    assert "Entry 13 holds the commitment to exactly this order." in page
    assert "equals the signed root" in page
    assert "/audit/" not in page
    digest = re.search(r"[0-9a-f]{64}", page.split("Commitment</th>")[1])
    command = re.search(r"<pre>(\{ printf.*?)</pre>", page, re.DOTALL)
    assert digest
    assert command
    line = html.unescape(command[1])
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == digest[0]
    answer = client.get("/my/orders/O-0-2/proof")
    assert answer.headers["Content-Disposition"].endswith('"O-0-2.tlog-proof"')
    with store.read() as tx:
        key = note.parse_key(control.get_meta(tx, "ledger_vkey") or "")
    proven = prove.verify(answer.text, key)
    assert [opening.label.subject for opening in proven.openings] == ["O-0-2"]
    assert proven.entry.sequence == 13
    assert digest[0] in proven.entry.commitments


def test_an_order_changed_after_sealing_is_found(sign_in: SignIn, store: Store) -> None:
    with store.write() as tx:
        tx.exec_driver_sql("UPDATE market_order SET price = 60000 WHERE id = 'O-0-2'")
    client = sign_in("prosumer")
    assert "does not hold a commitment" in client.get("/my/orders/O-0-2").text
    assert client.get("/my/orders/O-0-2/proof").status_code == 404


def test_before_the_ledger_holds_it_there_is_no_proof(sign_in: SignIn, store: Store) -> None:
    with store.write() as tx:
        books.put_orders(tx, [_order("fresh", NOW + 1800, 300, 100)], received_s=NOW)
    client = sign_in("prosumer")
    assert "when its book is sealed" in client.get("/my/orders/fresh").text
    assert client.get("/my/orders/fresh/proof").status_code == 404


def test_whoever_is_an_auditor_too_gets_the_link_to_the_entry(
    sign_in: SignIn, store: Store
) -> None:
    with store.write() as tx:
        found = next(one for one in people.people(tx) if one.party)
        people.set_roles(tx, found.id, ["auditor", "prosumer"])
    page = sign_in("prosumer").get("/my/orders/O-0-2").text
    assert '/audit/entries/13?prove=1"' in page


def test_no_opening_of_another_party_is_read(store: Store) -> None:
    from grid.console import prosumer_orders

    with store.read() as tx:
        (theirs,) = (one.order for one in books.party_orders(tx, "P-1", NOW - 3600, NOW - 2700))
        assert books.party_order(tx, "P-2", theirs.id) is None
        held = prosumer_orders.read_receipt(tx, theirs)
        assert held is not None
        assert {row["party"] for row in log.openings(tx, party="P-2")} == {"P-2"}
