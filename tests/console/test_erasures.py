"""An administrator erases after typing the identifier; a person asks for their own, unseen."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from grid import interval, site_file
from grid.console.auth_passwords import hash_password
from grid.operation import agreements, erasure_requests, record
from grid.site import Site
from grid.store import Store, control, people
from grid.store import agreements as kept
from trading.ledger.entry import Kind

SignIn = Callable[..., FlaskClient]
PASSWORD = "another long enough password"
NOW = interval.parse("2026-05-27T14:00+04:00")
MOVED = interval.parse_date("2026-05-28")
MOVED_S = interval.day_bounds(MOVED, "Asia/Baku")[0]
RETAINED_S = MOVED_S + 2 * interval.DAY_S
WHY = "a letter of the first of May"


@pytest.fixture
def site(site: Site, folder: Path, store: Store) -> Site:
    """The village, where P-5 moves out tomorrow, May is billed and retention is two days."""
    from tests.console.conftest import village

    text = village.TOML.replace("[operation]", "[operation]\n[settlement]\nretention_days = 2")
    (folder / "SITE.toml").write_text(text)
    made = site_file.parse(text)
    with store.write() as tx:
        control.put_meta(tx, "site_toml", text)
        control.put_meta(tx, "first_cycle_s", str(NOW - 2 * interval.DAY_S))
        for email, roles, party in (
            ("p-5@example.org", ["prosumer"], "P-5"),
            ("other@example.org", ["administrator"], None),
        ):
            people.create(
                tx, email=email, name="Aygün", password_hash=hash_password(PASSWORD),
                roles=roles, at_s=0, party=party,
            )  # fmt: skip
        agreements.move_out(tx, made, usage_point="UP-5", day=MOVED, by="x@example.org")
        record.append(tx, Kind.INVOICE, MOVED_S, NOW, {"invoices": 0, "month": "2026-05"})
    return made


def _enter(app: Flask, email: str) -> FlaskClient:
    client = app.test_client()
    form = {"email": email, "password": PASSWORD, "csrf_token": _token(client, "/login")}
    assert client.post("/login", data=form).status_code == 302
    return client


def _token(client: FlaskClient, page: str = "/no-such-page") -> str:
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get(page).text)
    assert found
    return found[1]


def _post(client: FlaskClient, path: str, **form: str) -> int:
    return client.post(path, data={**form, "csrf_token": _token(client)}).status_code


def _go_to(store: Store, at_s: int) -> None:
    with store.write() as tx:
        control.put_meta(tx, "clock_s", str(at_s))


def _number(store: Store) -> int:
    with store.read() as tx:
        (one,) = erasure_requests.waiting(tx)
    return one.id


def _is_erased(store: Store) -> bool:
    with store.read() as tx:
        return "P-5" not in kept.parties(tx)


def test_one_asks_and_another_erases_after_typing_who(
    app: Flask, sign_in: SignIn, store: Store
) -> None:
    _go_to(store, RETAINED_S)
    clerk, administrator = sign_in("billing"), sign_in("administrator")
    assert _post(clerk, "/erasures", party="P-5", reason=WHY) == 302
    for client in (clerk, administrator):
        page = client.get("/erasures").text
        assert WHY in page
        assert "lapses on 2026-06-29 00:00" in page
        assert "invoices of 2026-05:" in page
        assert "asked by the person" not in page
        assert ("Approve and erase" in page) == (client is administrator)
    approve = f"/erasures/{_number(store)}/approve"
    assert _post(clerk, approve, confirm="P-5") == 403
    for typed in ("", "P-2", "p-5"):
        assert _post(administrator, approve, confirm=typed) == 302
        assert (
            "P-5: is not what was typed, nothing is erased" in administrator.get("/erasures").text
        )
    assert not _is_erased(store)
    assert _post(administrator, approve, confirm="P-5") == 302
    page = administrator.get("/erasures").text
    assert "Erased. The ledger is the same" in page
    assert all(word in page for word in ("erased-1", "2026-05-30 00:00", "billing@example.org"))
    assert WHY not in page
    assert _is_erased(store)
    assert _post(administrator, approve, confirm="P-5") == 404


def test_who_asked_cannot_approve_and_what_is_asked_can_be_taken_back(
    app: Flask, sign_in: SignIn, store: Store
) -> None:
    _go_to(store, RETAINED_S)
    administrator = sign_in("administrator")
    assert _post(administrator, "/erasures", party="P-5", reason=WHY) == 302
    assert "Approve and erase" not in administrator.get("/erasures").text
    number = _number(store)
    assert _post(administrator, f"/erasures/{number}/approve", confirm="P-5") == 302
    assert "another person approves" in administrator.get("/erasures").text
    assert not _is_erased(store)
    other = _enter(app, "other@example.org")
    assert _post(other, f"/erasures/{number}/withdraw") == 302
    page = other.get("/erasures").text
    assert "The request is taken back." in page
    assert "No request waits." in page
    assert _post(administrator, f"/erasures/{number}/withdraw") == 404


@pytest.mark.parametrize(
    ("party", "reason", "told"),
    [
        ("P-5", " ", "P-5: needs a reason of 1 to 500 printable characters"),
        ("P-2", WHY, "P-2: stands for UP-2, let it move out first"),
        ("P-99", WHY, "P-99: is no party of the site"),
        ("community", WHY, "community: is the community, which is no person"),
        ("early", WHY, "P-5: is kept until 2026-05-29T20:00Z, 2 days after its last"),
        ("twice", WHY, "P-5: billing@example.org asked to erase it already"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_why_and_kept_in_the_form(
    sign_in: SignIn, store: Store, party: str, reason: str, told: str
) -> None:
    clerk = sign_in("billing")
    _go_to(store, RETAINED_S - 900 if party == "early" else RETAINED_S)
    form = {"party": {"early": "P-5", "twice": "P-5"}.get(party, party), "reason": reason}
    if party == "twice":
        _post(clerk, "/erasures", **form)
    answer = clerk.post("/erasures", data={**form, "csrf_token": _token(clerk)})
    assert told in answer.text
    assert (f'value="{WHY}"' in answer.text) == (reason == WHY)
    with store.read() as tx:
        assert len(erasure_requests.waiting(tx)) == (party == "twice")


def test_a_person_asks_for_their_own_and_is_signed_out_when_it_is_granted(
    app: Flask, sign_in: SignIn, store: Store
) -> None:
    person, administrator = _enter(app, "p-5@example.org"), sign_in("administrator")
    assert "From 2026-05-30 on" in person.get("/my/data").text
    assert _post(person, "/my/data/ask") == 302
    assert "p-5@example.org asked for it on 2026-05-27" in person.get("/my/data").text
    page = administrator.get("/erasures").text
    assert "asked by the person" in page
    assert "does not lapse" in page
    assert "Stands for UP-5: let it move out first." in page
    assert "Approve and erase" not in page
    number = _number(store)
    assert _post(administrator, f"/erasures/{number}/approve", confirm="P-5") == 302
    assert "P-5: stands for UP-5" in administrator.get("/erasures").text
    assert _post(administrator, f"/erasures/{number}/withdraw") == 302
    assert "takes it back itself" in administrator.get("/erasures").text
    _go_to(store, RETAINED_S + 400 * interval.DAY_S)
    assert "From now on" in person.get("/my/data").text
    assert _post(administrator, f"/erasures/{number}/approve", confirm="P-5") == 302
    page = administrator.get("/erasures").text
    assert "erased-1" in page
    assert "the person" in page
    assert "p-5@example.org" not in page
    assert person.get("/my/data").location.startswith("/login")
    with pytest.raises(AssertionError):
        _enter(app, "p-5@example.org")


def test_the_own_request_is_seen_and_taken_back_by_nobody_else(
    app: Flask, sign_in: SignIn, store: Store
) -> None:
    person, neighbour = _enter(app, "p-5@example.org"), sign_in("prosumer")
    assert _post(person, "/my/data/ask") == 302
    for role in ("operator", "metering", "market", "auditor"):
        client = sign_in(role)
        assert client.get("/erasures").status_code == client.get("/my/data").status_code == 403
    assert neighbour.get("/erasures").status_code == 403
    assert _post(neighbour, f"/erasures/{_number(store)}/withdraw") == 403
    page = neighbour.get("/my/data").text
    assert "Ask for erasure" in page
    assert "p-5@example.org" not in page
    assert _post(neighbour, "/my/data/withdraw") == 302
    assert "P-2: no own request waits" in neighbour.get("/my/data").text
    assert _post(person, "/my/data/ask") == 302
    assert "its own request waits already" in person.get("/my/data").text
    assert _post(person, "/my/data/withdraw") == 302
    assert "Your request is taken back." in person.get("/my/data").text
    with store.read() as tx:
        assert erasure_requests.waiting(tx) == []


def test_a_person_who_lives_there_may_ask_and_is_told_that_it_waits(
    sign_in: SignIn, store: Store
) -> None:
    prosumer = sign_in("prosumer")
    page = prosumer.get("/my/data").text
    assert "2 days after you moved out" in page
    assert "the request waits until it can be granted" in page
    assert _post(prosumer, "/my/data/ask", reason="none is asked for") == 400
    assert _post(prosumer, "/my/data/ask") == 302
    with store.read() as tx:
        assert [(one.party, one.is_own) for one in erasure_requests.waiting(tx)] == [("P-2", True)]


def test_an_erasure_while_somebody_reads_the_store_says_that_copies_may_be_left(
    sign_in: SignIn, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from grid.errors import StoreError

    def read_meanwhile(self: Store) -> None:
        raise StoreError("the store is read by another process")

    _go_to(store, RETAINED_S)
    _post(sign_in("billing"), "/erasures", party="P-5", reason=WHY)
    administrator = sign_in("administrator")
    monkeypatch.setattr(Store, "write_anew", read_meanwhile)
    assert _post(administrator, f"/erasures/{_number(store)}/approve", confirm="P-5") == 302
    assert "copies may be left in its files" in administrator.get("/erasures").text
    assert _is_erased(store)
