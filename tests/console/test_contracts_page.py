"""Contracts on the pages and by command: seen by their two parties and by nobody else."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from grid import interval, site_file
from grid.console.auth_passwords import hash_password
from grid.console.cli import main
from grid.site import Site
from grid.store import Store, contracts, control, people
from tests.console import village

SignIn = Callable[..., FlaskClient]
PASSWORD = "another long enough password"
NOW = interval.parse("2026-05-27T14:00+04:00")
FORM = {
    "counterparty": "P-3", "side": "sell", "price": "0,07", "by": "energy", "amount": "0.25",
    "first": "2026-05-28", "last": "",
}  # fmt: skip


@pytest.fixture
def site(site: Site, store: Store) -> Site:
    """The village, where contracts hold; P-3 and P-4 sign in too."""
    text = village.TOML.replace('"uniform_price"', '"bilateral"')
    with store.write() as tx:
        control.put_meta(tx, "site_toml", text)
        control.put_meta(tx, "first_cycle_s", str(NOW))
        for party in ("P-3", "P-4"):
            people.create(
                tx, email=f"{party.lower()}@example.org", name=party,
                password_hash=hash_password(PASSWORD), roles=["prosumer"], at_s=0, party=party,
            )  # fmt: skip
    return site_file.parse(text)


def _enter(app: Flask, party: str) -> FlaskClient:
    client = app.test_client()
    form = {"email": f"{party.lower()}@example.org", "password": PASSWORD}
    form["csrf_token"] = _token(client, "/login")
    assert client.post("/login", data=form).status_code == 302
    return client


def _token(client: FlaskClient, page: str = "/my/contracts") -> str:
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get(page).text)
    assert found
    return found[1]


def _post(client: FlaskClient, path: str = "", **form: str) -> int:
    form["csrf_token"] = _token(client)
    return client.post(f"/my/contracts{path}", data=form).status_code


def _number(store: Store) -> int:
    with store.read() as tx:
        return contracts.of_party(tx, "P-2")[0].contract.id


def test_one_proposes_the_other_accepts_and_either_ends_it(
    site: Site, app: Flask, store: Store, sign_in: SignIn
) -> None:
    one, other = sign_in("prosumer"), _enter(app, "P-3")
    assert _post(one, **FORM) == 302
    assert "It holds when the other party has accepted it" in one.get("/my/contracts").text
    number = _number(store)
    page = other.get("/my/contracts").text
    assert "P-2" in page
    assert "0.250 kWh" in page
    assert "Household" not in page, "a counterparty is an identifier, not a person"
    assert _post(other, f"/{number}/accept") == 302
    assert "Accepted." in other.get("/my/contracts").text
    assert "accepted, to begin" in one.get("/my/contracts").text
    assert _post(other, f"/{number}/accept") == 302
    assert "was accepted already" in other.get("/my/contracts").text
    assert _post(one, f"/{number}/end") == 302
    with store.read() as tx:
        kept = contracts.get(tx, number, "P-3")
    assert kept is not None
    assert (kept.ended_by, kept.contract.until_s) == (
        "P-2",
        interval.parse("2026-05-29T00:00+04:00"),
    )
    for name in ("accept", "refuse", "end"):
        assert f"/{number}/{name}" not in one.get("/my/contracts").text


def test_another_partys_contract_is_as_absent_as_none(
    site: Site, app: Flask, store: Store, sign_in: SignIn
) -> None:
    assert _post(sign_in("prosumer"), **FORM) == 302
    third, number = _enter(app, "P-4"), _number(store)
    assert "No contract yet." in third.get("/my/contracts").text
    for name in ("accept", "refuse", "end"):
        assert _post(third, f"/{number}/{name}") == _post(third, f"/999/{name}") == 404
    for role in ("operator", "billing", "market", "auditor", "administrator"):
        assert sign_in(role).get("/my/contracts").status_code == 403


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"counterparty": "P-99"}, "P-99 does not trade here"),
        ({"amount": "much"}, "must be a number such as 1.25"),
        ({"by": "share", "amount": "1.5"}, "must be within 1 to 100"),
        ({"by": "share", "amount": "0"}, "must be within 1 to 100"),
        ({"first": "2026-05-27"}, "it begins from the day after 2026-05-27 on"),
        ({"first": "soon"}, "soon"),
        ({"price": "free"}, "free"),
    ],
)
def test_a_wrong_proposal_is_refused_with_why_and_what_was_typed_stays(
    site: Site, store: Store, sign_in: SignIn, change: dict[str, str], told: str
) -> None:
    client = sign_in("prosumer")
    assert _post(client, **{**FORM, **change}) == 302
    page = client.get("/my/contracts").text
    assert told in page
    assert 'value="0,07"' in page or change.get("price") == "free"
    with store.read() as tx:
        assert contracts.of_party(tx, "P-2") == []


def test_the_commands_do_what_the_pages_do_for_the_party_of_a_user(
    site: Site, folder: Path, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*arguments: str) -> tuple[int, dict[str, object]]:
        status = main(["market", "contract", *arguments, "--dir", str(folder), "--json"])
        out = capsys.readouterr().out
        return status, json.loads(out.splitlines()[-1]) if out else {}

    who, other = ("--by", "prosumer@example.org"), ("--by", "p-3@example.org")
    proposal = ["propose", "P-3", "sell", "--price", "0.07", "--from", "2026-05-28"]
    status, made = run(*proposal, "--share", "40", *who)
    assert (status, made["state"], made["with"], made["share_percent"]) == (
        0,
        "proposed",
        "P-3",
        40,
    )
    number = str(made["contract"])
    assert run("accept", number, *who)[0] == 1
    assert run("accept", number, "--by", "p-4@example.org")[0] == 1
    assert run("accept", number, *other)[1]["state"] == "accepted"
    assert run("list")[1] == {"count": {"proposed": 0, "to come": 1, "in force": 0, "ended": 0}}
    assert run("list", "--by", "p-4@example.org")[1] == {"contracts": []}
    assert run("end", number, "--on", "2026-05-30", *who)[1]["until"] == "2026-05-29T20:00Z"
    assert run("refuse", number, *other)[0] == 1
    assert run("list", "--by", "operator@example.org")[0] == 1
    assert main(["market", "contract", "list", *other, "--dir", str(folder)]) == 0
    said = capsys.readouterr().out
    assert f"{number} buy 40 % an interval at 0.07" in said
    assert "with P-2" in said
    with closing(Store.at(folder)) as again, again.read() as tx:
        assert [row["kind"] for row in control.actions(tx)][:2] == [
            "contract.end",
            "contract.accept",
        ]
