"""Sign-in, headers, live parts, acts and empty stores."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from grid.console.web import create_app
from grid.errors import StoreError
from grid.site import Site
from grid.store import Store, control, log, market, people

SignIn = Callable[..., FlaskClient]


def _token(client: FlaskClient, url: str) -> str:
    found = re.search(r'csrf_token" value="([^"]+)', client.get(url).text)
    assert found
    return found[1]


def test_pages_allow_no_inline_script_or_style_and_no_other_host(sign_in: SignIn) -> None:
    client = sign_in("operator")
    for url in ("/login", "/operator/now", "/operator/network", "/operator/dispatch"):
        page = client.get(url)
        policy = page.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy
        assert "http" not in policy
        assert not re.search(r"<style|\sstyle=|<script(?![^>]*\ssrc=)|\son[a-z]+=", page.text)
        assert not re.search(r'(src|href|action)="(https?:)?//', page.text)


def test_no_page_is_kept_by_anyone(sign_in: SignIn, app: Flask) -> None:
    client = sign_in("operator")
    for url in ("/operator/now", "/operator/now/live", "/operator/dispatch/data", "/none"):
        assert client.get(url).headers["Cache-Control"] == "no-store", url
    stranger = app.test_client()
    for url in ("/login", "/healthz", "/operator/now"):
        assert stranger.get(url).headers["Cache-Control"] == "no-store", url


def test_a_form_without_its_token_is_refused(sign_in: SignIn, store: Store) -> None:
    client = sign_in("operator")
    assert client.post("/operator/alarms/1/acknowledge", data={}).status_code == 400
    assert client.post("/logout").status_code == 400
    assert client.post("/login", data={"email": "a@example.org"}).status_code == 400
    with store.read() as tx:
        assert control.actions(tx) == []


def test_a_live_part_that_did_not_change_is_304(sign_in: SignIn, store: Store) -> None:
    client = sign_in("operator")
    for url in ("/operator/now/live", "/operator/network/live", "/operator/dispatch/data"):
        tag = client.get(url).headers["ETag"]
        same = client.get(url, headers={"If-None-Match": tag})
        assert (same.status_code, same.data) == (304, b"")
    with store.write() as tx:
        control.put_meta(tx, "clock_s", str(1_900_000_000 // 900 * 900))
    changed = client.get("/operator/now/live", headers={"If-None-Match": tag})
    assert changed.status_code == 200


def test_another_host_name_is_refused(app: Flask) -> None:
    client = app.test_client()
    assert client.get("/login", headers={"Host": "evil.example"}).status_code == 400
    assert client.get("/healthz").text == "ok\n"


def test_a_store_without_secret_key_does_not_start(tmp_path: Path, site: Site) -> None:
    Store.at(tmp_path, create=True).close()
    with pytest.raises(StoreError, match=r"console\.secret_key"):
        create_app(f"sqlite:///{tmp_path / 'khazri.sqlite3'}", site, directory=tmp_path)


def test_an_empty_store_tells_what_to_do_next(tmp_path: Path, site: Site) -> None:
    from grid.console.auth_passwords import hash_password

    store = Store.at(tmp_path, create=True)
    roles = ["operator", "prosumer", "auditor", "administrator"]
    with store.write() as tx:
        control.put_secrets(tx, {"console.secret_key": bytes(32)})
        people.create(
            tx,
            email="all@example.org",
            name="All",
            password_hash=hash_password("a long enough password"),
            roles=roles,
            at_s=0,
            party="P-2",
        )
    store.close()
    app = create_app(f"sqlite:///{tmp_path / 'khazri.sqlite3'}", site, directory=tmp_path)
    client = app.test_client()
    form = {"email": "all@example.org", "password": "a long enough password"}
    client.post("/login", data={**form, "csrf_token": _token(client, "/login")})
    for rule in app.url_map.iter_rules():
        own = rule.endpoint.split(".")[0] in roles and "GET" in (rule.methods or ())
        if own and not rule.arguments:
            assert client.get(rule.rule).status_code == 200, rule.rule
    assert "khazri run SITE.toml" in client.get("/operator/now").text


def test_acknowledging_an_alarm_writes_the_act_and_its_entry_once(
    sign_in: SignIn, store: Store
) -> None:
    client = sign_in("operator")
    with store.read() as tx:
        number, size = control.findings(tx, open_only=True)[0]["id"], log.size(tx)
    form = {"comment": "crew sent", "csrf_token": _token(client, "/operator/now")}
    url = f"/operator/alarms/{number}/acknowledge"
    assert client.post(url, data={**form, "acknowledged_by": "x"}).status_code == 400
    assert client.post(url, data=form).status_code == 302
    assert client.post(url, data=form).status_code == 409
    with store.read() as tx:
        (act,) = control.actions(tx)
        assert (act["user"], act["kind"]) == ("operator@example.org", "alarm.acknowledge")
        assert (act["sequence"], log.size(tx)) == (size, size + 1)


@pytest.mark.parametrize("text", ["-1", "1e3", "NaN", "1_0", "٣", "0.00001", "99999"])
def test_a_limit_price_that_is_no_price_is_refused(
    sign_in: SignIn, store: Store, text: str
) -> None:
    client = sign_in("prosumer")
    form = {"buy": text, "sell": "", "csrf_token": _token(client, "/my/limits")}
    assert client.post("/my/limits/UP-2", data=form).status_code == 400
    with store.read() as tx:
        assert market.limits(tx) == {}


def test_limit_prices_are_kept_and_undone_each_with_an_entry(sign_in: SignIn, store: Store) -> None:
    client = sign_in("prosumer")
    token = _token(client, "/my/limits")
    form = {"buy": "0.0700", "sell": "0.0900", "csrf_token": token}
    assert client.post("/my/limits/UP-2", data=form).status_code == 302
    with store.read() as tx:
        assert market.limits(tx) == {2: (70_000, 90_000)}
    assert client.post("/my/limits/undo", data={"csrf_token": token}).status_code == 302
    with store.read() as tx:
        assert market.limits(tx) == {2: (None, None)}
        assert [act["kind"] for act in control.actions(tx)] == ["limits.set"] * 2


def test_users_are_created_and_shut_out_and_the_last_administrator_stays(
    app: Flask, sign_in: SignIn, store: Store
) -> None:
    client = sign_in("administrator")
    token = _token(client, "/admin/users")
    form = {"email": "New@example.org", "name": "New", "password": "another long one"}
    answer = client.post("/admin/users", data={**form, "role": "auditor", "csrf_token": token})
    assert answer.status_code == 302
    form["password"] = "short"
    form["email"] = "other@example.org"
    assert client.post("/admin/users", data={**form, "csrf_token": token}).status_code == 400
    with store.read() as tx:
        found = {one.email: one for one in people.people(tx)}
    auditor = sign_in("auditor")
    number = found["auditor@example.org"].id
    url = f"/admin/users/{number}/active"
    client.post(url, data={"active": "no", "csrf_token": token})
    assert auditor.get("/audit/").status_code == 302
    url = f"/admin/users/{found['administrator@example.org'].id}/roles"
    answer = client.post(url, data={"role": "auditor", "csrf_token": token})
    assert answer.status_code == 400
    assert found["new@example.org"].roles == ("auditor",)


def test_the_auditor_verifies_and_finds_a_flipped_byte(sign_in: SignIn, store: Store) -> None:
    client = sign_in("auditor")
    token = _token(client, "/audit/")
    assert (
        "The ledger verifies: 48" in client.post("/audit/verify", data={"csrf_token": token}).text
    )
    assert "equals the signed root" in client.get("/audit/entries/9?prove=1").text
    with store.write() as tx:
        tx.exec_driver_sql(
            "UPDATE ledger_entry SET content = "
            "CAST(replace(content, '\"note\":10', '\"note\":11') AS BLOB) "
            "WHERE sequence = 10"
        )
    page = client.post("/audit/verify", data={"csrf_token": token}).text
    assert "The ledger does not verify." in page
    assert "equals the signed root" not in client.get("/audit/entries/10?prove=1").text


def test_gaps_are_never_zero(sign_in: SignIn) -> None:
    page = sign_in("prosumer").get("/my/energy?day=2026-05-27").text
    assert page.count('class="gap"') == 7
    assert page.count('class="hatch"') == 12
    assert "7 quarter-hours are missing" in page


def test_the_stages_of_a_cycle_are_shown_in_their_order_each_with_its_word(sign_in: SignIn) -> None:
    from grid.console import operator
    from grid.operation import cycle

    assert tuple(cycle.STAGES) == operator.STAGES
    page = sign_in("operator").get("/operator/now").text
    shown = [page.index(f"</span> {word}") for word in ("seal the book", "clear", "offer", "bill")]
    assert shown == sorted(shown)
