"""Orders placed by hand: kept once, cancelled in time, receipted so that nobody drops them."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from flask.testing import FlaskClient

from grid import interval
from grid.errors import BadInputError, StoreError, VerificationError
from grid.operation import audit, market, ordering, record
from grid.site import Site
from grid.store import Store, books, control, log
from trading import receipts
from trading.ledger import checkpoint, note
from trading.ledger.entry import decode

SignIn = Callable[..., FlaskClient]
NOW = interval.parse("2026-05-27T14:00+04:00")
START_S = NOW + 1800
FORM = {"usage_point": "UP-2", "start": "2026-05-27T14:30", "side": "sell", "kwh": "1.25"}
FIELDS = {"usage_point": "UP-2", "start": interval.label(START_S), "side": "sell"}


def _signs(head: checkpoint.Checkpoint, *_: object) -> str:
    return checkpoint.sign(head, note.signer("khazri/village", bytes(range(32))))


class Alone:
    """As much of a control room as sealing a book needs."""

    def __init__(self, site: Site, store: Store) -> None:
        self.site, self.store = site, store
        self.signer = SimpleNamespace(sign=_signs)

    def log(self, *_: object, **__: object) -> None:
        """Say nothing."""


def _token(client: FlaskClient) -> str:
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get("/my/trades").text)
    assert found
    return found[1]


def _place(client: FlaskClient, **change: str) -> str:
    form = {**FORM, "price": "0,0612", "csrf_token": _token(client), **change}
    answer = client.post("/my/orders", data=form)
    assert answer.status_code == 302
    return str(answer.location)


def _placed(store: Store, site: Site, **change: object) -> str:
    with store.write() as tx:
        fields = {**FIELDS, "price": "0.0612", "energy_wh": 1250, **change}
        return ordering.place(tx, site, fields, party="P-2", at_s=NOW).id


def _sealed(store: Store) -> set[str]:
    with store.read() as tx:
        sequence = books.sealed(tx, START_S)
        assert sequence is not None
        row = log.entry_row(tx, sequence)
        assert row is not None
        return set(decode(bytes(row["content"])).commitments)


def test_an_order_by_hand_is_kept_with_a_receipt_that_the_sealed_book_keeps(
    sign_in: SignIn, store: Store, site: Site
) -> None:
    client = sign_in("prosumer")
    page = _place(client)
    (one,) = kept_orders(store)
    assert (one.order.price, one.order.energy_wh, one.order.start_s) == (61_200, 1250, START_S)
    assert page == f"/my/orders/{one.order.id}"
    answer = client.get(f"{page}/receipt")
    assert answer.headers["Content-Disposition"].endswith('.receipt"')
    with store.read() as tx:
        key = record.receipts_signer(tx).key
    promise = receipts.verify(answer.text, key)
    assert (promise.order, promise.interval) == (one.order.id, interval.label(START_S))
    market.seal(Alone(site, store), START_S - 900)
    assert receipts.keeps(promise, _sealed(store))
    assert client.get(f"{page}/receipt").text == answer.text
    assert "holds the commitment to exactly this order" in client.get(page).text


def test_an_order_of_a_ledger_that_has_ended_says_so_and_gets_no_other_receipt(
    sign_in: SignIn, store: Store, site: Site
) -> None:
    client = sign_in("prosumer")
    page = _place(client)
    with store.write() as tx:
        control.put_meta(tx, record.TOLD_FROM, str(START_S + 900))
    shown = client.get(page).text
    assert "The ledger of that time has ended" in shown
    assert f"{page}/receipt" not in shown
    assert client.get(f"{page}/receipt").status_code == 404
    with pytest.raises(BadInputError, match="its ledger has ended"):
        _placed(store, site)


def kept_orders(store: Store) -> list[books.Kept]:
    with store.read() as tx:
        return books.received(tx, START_S)


def test_a_dropped_order_breaks_the_promise_of_its_receipt(store: Store, site: Site) -> None:
    name = _placed(store, site)
    with store.write() as tx:
        order = kept_order(tx, name)
        text = ordering.receipt(tx, order)
        key = record.receipts_signer(tx).key
        tx.exec_driver_sql(f"DELETE FROM market_order WHERE id = '{name}'")
    market.seal(Alone(site, store), START_S - 900)
    assert not receipts.keeps(receipts.verify(text, key), _sealed(store))


def kept_order(tx, name):
    found = books.party_order(tx, "P-2", name)
    assert found is not None
    return found.order


def test_a_sealed_book_takes_no_order_and_is_sealed_once(store: Store, site: Site) -> None:
    name = _placed(store, site)
    room = Alone(site, store)
    with store.write() as tx:
        ordering.cancel(tx, site, name, party="P-2", at_s=NOW)
    market.seal(room, START_S - 900)
    with store.read() as tx:
        assert books.orders(tx, START_S) == []
        assert len(_sealed(store)) == 2, "the order and its cancellation are both committed to"
        points = log.checkpoints(tx, limit=1)
        assert points[0]["size"] == log.size(tx), "the sealed book is under a checkpoint"
    with pytest.raises(BadInputError, match="its book is sealed"):
        _placed(store, site)
    before = _sealed(store)
    with store.write() as tx:
        market._commit_to_book(tx, START_S - 900, START_S)
    assert _sealed(store) == before, "a stage that runs again seals nothing more"
    with store.read() as tx:
        assert log.size(tx) == points[0]["size"]
    with pytest.raises(StoreError, match="is sealed already"), store.write() as tx:
        books.put_sealed(tx, START_S, sequence=1, orders=1)


def test_a_late_inserted_order_is_named_by_the_audit(store: Store, site: Site) -> None:
    name = _placed(store, site)
    market.seal(Alone(site, store), START_S - 900)
    with store.write() as tx:
        late = kept_order(tx, name)
        tx.exec_driver_sql(
            "INSERT INTO market_order (id, start_s, party, usage_point, side, price, energy_wh, "
            "sequence, agent, battery, received_s) SELECT 'late', start_s, party, usage_point, "
            f"side, price, energy_wh, {late.sequence + 1}, agent, battery, received_s "
            "FROM market_order "
            f"WHERE id = '{name}'"
        )
    with store.read() as tx:
        told = [one.message for one in audit.compare(tx, site.time_zone)]
    assert len(told) == 1
    assert "late: is in the store, but nothing commits to it" in told[0]


def test_sending_an_order_again_places_it_once(store: Store, site: Site) -> None:
    fields = {**FIELDS, "price": "0.0612", "energy_wh": 1250}
    for _ in range(3):
        with store.write() as tx:
            ordering.place(tx, site, fields, party="P-2", at_s=NOW, order_id="mine-1")
    assert len(kept_orders(store)) == 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"usage_point": "UP-1"}, "usage point UP-1 is not one of party P-2"),
        ({"start": "2026-05-27T14:15"}, "gate closed"),
        ({"start": "2026-05-27T14:31"}, "no start of an interval"),
        ({"kwh": "12.6"}, "must be within 1 to 12500"),
        ({"kwh": "NaN"}, "must be a number such as 1.25"),
        ({"price": "-1"}, "must be within 0 to"),
        ({"side": "hold"}, "side is"),
    ],
)
def test_a_wrong_order_is_refused_with_why_and_nothing_is_kept(
    sign_in: SignIn, store: Store, change: dict[str, str], told: str
) -> None:
    client = sign_in("prosumer")
    assert _place(client, **change) == "/my/trades"
    assert told in client.get("/my/trades").text.replace("&#39;", "'")
    assert kept_orders(store) == []


def test_an_order_is_cancelled_in_time_and_only_by_its_party(
    sign_in: SignIn, store: Store, site: Site
) -> None:
    client = sign_in("prosumer")
    page = _place(client)
    form = {"csrf_token": _token(client)}
    assert client.post("/my/orders/O-0-1/cancel", data=form).status_code == 404
    assert client.get("/my/orders/O-0-1/receipt").status_code == 404
    assert client.get(f"{page}/receipt?cancellation=1").status_code == 404
    assert client.post(f"{page}/cancel", data=form).location == page
    shown = client.get(page).text
    assert "cancelled" in shown
    assert f"{page}/receipt?cancellation=1" in shown
    answer = client.get(f"{page}/receipt?cancellation=1")
    assert answer.headers["Content-Disposition"].endswith('-cancellation.receipt"')
    with store.read() as tx:
        key = record.receipts_signer(tx).key
    assert receipts.verify(answer.text, key).kind == receipts.CANCELLED
    other = _place(client)
    with store.write() as tx:
        control.put_meta(tx, "clock_s", str(START_S - 900))
    assert client.post(f"{other}/cancel", data=form).location == other
    assert "the gate is closed" in client.get(other).text


def test_a_receipt_is_refused_when_forged_or_of_another_log(store: Store, site: Site) -> None:
    name = _placed(store, site)
    with store.read() as tx:
        text = ordering.receipt(tx, kept_order(tx, name))
        key = record.receipts_signer(tx).key
        log_key = record.first_key(tx)
    for place in range(0, len(text), 7):
        forged = text[:place] + chr(ord(text[place]) ^ 1) + text[place + 1 :]
        with pytest.raises((VerificationError, BadInputError)):
            receipts.verify(forged, key)
    with pytest.raises(VerificationError):
        receipts.verify(text, log_key)


def test_an_order_is_amended_on_its_page_and_each_amendment_has_a_receipt(
    sign_in: SignIn, store: Store, site: Site
) -> None:
    client = sign_in("prosumer")
    page = _place(client)
    form = {"csrf_token": _token(client), "kwh": "1,1", "price": "0.0612"}
    assert client.post("/my/orders/O-0-1/amend", data=form).status_code == 404
    assert client.post(f"{page}/amend", data=form).location == page
    (one,) = kept_orders(store)
    (change, _), name = one.amended[0], one.order.id
    assert (one.order.energy_wh, change.energy_wh, change.price) == (1250, 1100, 61_200)
    shown = client.get(page).text
    assert "as it was placed" in shown
    assert f"{page}/receipt?amendment={change.id}" in shown
    assert "amended" in client.get("/my/trades").text
    answer = client.get(f"{page}/receipt?amendment={change.id}")
    with store.read() as tx:
        key = record.receipts_signer(tx).key
    promise = receipts.verify(answer.text, key)
    assert (promise.order, promise.amendment) == (name, change.id)
    assert client.get(f"{page}/receipt?amendment=other").status_code == 404
    market.seal(Alone(site, store), START_S - 900)
    assert receipts.keeps(promise, _sealed(store))
    refused = client.post(f"{page}/amend", data=form)
    assert refused.location == page
    assert "its book is sealed" in client.get(page).text


def test_where_no_contracts_are_taken_the_page_says_so(sign_in: SignIn) -> None:
    client = sign_in("prosumer")
    page = client.get("/my/contracts").text
    assert "At this site no contracts are taken" in page
    assert "Propose a contract" not in page
    assert "/my/contracts" not in client.get("/my/energy").text
