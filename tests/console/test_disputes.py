"""A prosumer disputes lines of an own invoice only; billing decides; nothing written is told."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal

import pytest
from flask import Flask
from flask.testing import FlaskClient

from grid import interval
from grid.console import line_words
from grid.operation import billing
from grid.site import Site
from grid.store import Store, control, invoices, log
from grid.store.invoices import DisputeState, Invoice
from trading.accounts import PostingKind
from trading.ledger.entry import Kind

SignIn = Callable[..., FlaskClient]
MONTH = "2026-05"
WHY = "my meter was away that night"


def _token(client: FlaskClient) -> str:
    found = re.search(r'csrf_token" value="([^"]+)', client.get("/no-such-page").text)
    assert found
    return found[1]


def _post(client: FlaskClient, url: str, **fields: object) -> int:
    return client.post(url, data={**fields, "csrf_token": _token(client)}).status_code


@pytest.fixture
def billed(store: Store, site: Site) -> Invoice:
    """The invoice of the village's prosumer; a neighbour has one too."""
    with store.write() as tx:
        at_s = control.clock_s(tx)
        for number, party in (("2026-05-0002", "P-2"), ("2026-05-0003", "P-3")):
            made = billing.draft(tx, site, "P-2", MONTH)
            invoices.put_invoice(
                tx, Invoice(number, party, MONTH, at_s, made.total_nano, made.document, 1)
            )
        return invoices.invoices(tx, party="P-2")[0]


def _dear(billed: Invoice) -> int:
    """Return the place of a line that charges something."""
    lines = billed.document["lines"]
    return next(n for n, line in enumerate(lines) if Decimal(line["amount"]) > 0)


def _ask(client: FlaskClient, billed: Invoice, **change: object) -> int:
    fields = {"invoice": billed.number, "line": [str(_dear(billed))], "reason": WHY}
    return _post(client, "/disputes", **{**fields, **change})


def test_a_dispute_goes_from_the_page_to_a_credit_on_the_next_statement(
    sign_in: SignIn, store: Store, site: Site, billed: Invoice
) -> None:
    prosumer, clerk = sign_in("prosumer"), sign_in("billing")
    assert _ask(prosumer, billed) == 302
    page = prosumer.get(f"/my/statement?month={MONTH}").text
    assert "Held until your dispute is decided" in page
    assert WHY in page
    listed = clerk.get("/disputes").text
    assert WHY in listed
    assert billed.document["lines"][_dear(billed)]["amount"] in listed
    with store.read() as tx:
        (one,) = invoices.disputes(tx)
    assert one.line == _dear(billed)
    too_much = f"{one.amount_nano + 1:010d}"
    form = {"credit": f"{too_much[:-9]}.{too_much[-9:]}", "note": "half of it is ours"}
    assert _post(clerk, f"/disputes/{one.id}/decide", **form) == 302
    assert "must be within 0 to" in clerk.get("/disputes").text
    assert _post(clerk, f"/disputes/{one.id}/decide", **{**form, "credit": "0.000000007"}) == 302
    with store.read() as tx:
        (done,) = invoices.disputes(tx)
        month = interval.month_label(control.clock_s(tx), site.time_zone)
        lines = billing.draft(tx, site, "P-2", month).document["lines"]
        entries = log.contents(tx, [str(kind) for kind in Kind])
        told = [*(str(row["content"]) for row in log.openings(tx)), *map(str, entries)]
        acts = [act["kind"] for act in control.actions(tx)]
    assert (done.state, done.credit_nano) == (DisputeState.UPHELD, 7)
    assert [line["amount"] for line in lines if line["kind"] == "credit"] == ["-0.000000007"]
    assert acts == ["dispute.decide", "dispute.open"]
    assert any("dispute.decide" in row for row in told)
    assert not any(WHY in row or "half of it" in row for row in told)
    page = prosumer.get(f"/my/statement?month={MONTH}").text
    assert "half of it is ours" in page
    assert "Held until your dispute is decided" not in page


def test_a_dispute_taken_back_leaves_the_line_due_and_only_while_it_is_open(
    sign_in: SignIn, store: Store, billed: Invoice
) -> None:
    prosumer = sign_in("prosumer")
    _ask(prosumer, billed)
    assert _post(prosumer, "/disputes/1/withdraw") == 302
    with store.read() as tx:
        found = invoices.disputes(tx)
    assert [one.state for one in found] == [DisputeState.WITHDRAWN]
    assert billing.held_nano(found) == 0
    assert _post(prosumer, "/disputes/1/withdraw") == 302
    assert "has none that is open" in prosumer.get(f"/my/statement?month={MONTH}").text


def test_anothers_invoice_and_dispute_are_as_absent_as_none(
    sign_in: SignIn, store: Store, site: Site, billed: Invoice
) -> None:
    prosumer = sign_in("prosumer")
    assert _ask(prosumer, billed, invoice="2026-05-0003") == 404
    assert _ask(prosumer, billed, invoice="2026-05-9999") == 404
    with store.write() as tx:
        billing.dispute(tx, site, "2026-05-0003", 0, party="P-3", reason="not so", by="p3")
    assert _post(prosumer, "/disputes/1/withdraw") == 404
    assert _post(prosumer, "/disputes/99/withdraw") == 404
    assert "not so" not in prosumer.get(f"/my/statement?month={MONTH}").text
    clerk = sign_in("billing")
    assert _post(clerk, "/disputes/99/decide", credit="0", note="no") == 404
    with store.read() as tx:
        assert [one.state for one in invoices.disputes(tx)] == [DisputeState.OPEN]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"line": []}, "no line is chosen"),
        ({"line": ["77"]}, "it has lines 0 to"),
        ({"reason": ""}, "a reason has 1 to"),
    ],
)
def test_a_dispute_that_says_too_little_is_refused_with_why(
    sign_in: SignIn, store: Store, billed: Invoice, change: dict[str, object], told: str
) -> None:
    prosumer = sign_in("prosumer")
    assert _ask(prosumer, billed, **change) == 302
    assert told in prosumer.get(f"/my/statement?month={MONTH}").text
    with store.read() as tx:
        assert invoices.disputes(tx) == []


def test_a_statement_says_where_the_energy_came_from(
    sign_in: SignIn, store: Store, billed: Invoice
) -> None:
    origin = {"grid_wh": 3000, "local_wh": 1000, "local_permille": 250, "co2_mg": 1_237_500}
    with store.write() as tx:
        tx.exec_driver_sql("DELETE FROM invoice WHERE party = 'P-2'")
        document = {**billed.document, "origin": origin}
        facts = (billed.number, "P-2", MONTH, billed.made_s, billed.total_nano, document, 1)
        invoices.put_invoice(tx, Invoice(*facts))
    page = sign_in("prosumer").get(f"/my/statement?month={MONTH}").text
    assert "25.0 % of the energy you drew came from the solar and wind plants" in page
    assert "1.000 kWh (25.0 %)" in page
    assert "1.238 kg" in page
    assert '<rect class="local" width="250"' in page


def test_billing_and_the_prosumer_read_a_line_by_the_same_words_in_their_language(
    sign_in: SignIn, store: Store, billed: Invoice
) -> None:
    prosumer, clerk = sign_in("prosumer"), sign_in("billing")
    place = next(n for n, line in enumerate(billed.document["lines"]) if line["kind"] == "supply")
    assert _ask(prosumer, billed, line=[str(place)]) == 302
    for language, word in (
        ("en", "Energy from the supplier"),
        ("az", "Təchizatçıdan enerji"),
        ("ru", "Энергия от поставщика"),
    ):
        for client in (prosumer, clerk):
            assert _post(client, "/language", language=language, after="/") == 302
        assert f"<td>{word}" in prosumer.get(f"/my/statement?month={MONTH}").text
        assert f"{word} UP-2: " in clerk.get("/disputes").text


def test_every_kind_that_a_statement_of_a_party_can_have_is_told_in_words(app: Flask) -> None:
    grids = {"resale", "head_import", "head_export", "losses", "clearing_surplus"}
    with app.test_request_context():
        assert set(line_words.kinds()) == {str(kind) for kind in PostingKind} - grids
