"""A session is one cookie, ends when its owner says so, and does not outlive its day."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from grid.console import auth_sessions
from grid.console.auth_limiter import PAIR_ATTEMPTS_MAX
from grid.console.permissions import ROLES
from grid.store import Store, control, people

SignIn = Callable[..., FlaskClient]
PASSWORD = "a long enough password"
NEW = "şifrəm kifayət qədər uzun"
PAGE = "/account/password"


def _token(client: FlaskClient, url: str) -> str:
    found = re.search(r'csrf_token" value="([^"]+)', client.get(url).text)
    assert found
    return found[1]


def _enter(client: FlaskClient, role: str, password: str, **more: str) -> int:
    form = {"email": f"{role}@example.org", "password": password, **more}
    form["csrf_token"] = _token(client, "/login")
    return client.post("/login", data=form).status_code


def _change(client: FlaskClient, old: str, new: str, again: str | None = None) -> int:
    form = {"current": old, "new": new, "again": new if again is None else again}
    answer = client.post(PAGE, data={**form, "csrf_token": _token(client, PAGE)})
    return answer.status_code


def test_no_token_signs_in_and_none_is_given(app: Flask) -> None:
    from flask_security import current_user

    client = app.test_client()
    with client:
        form = {"email": "operator@example.org", "password": PASSWORD}
        form["csrf_token"] = _token(client, "/login")
        answer = client.post(
            "/login?include_auth_token=1", data=form, headers={"Accept": "application/json"}
        )
        assert answer.status_code == 302
        assert "authentication_token" not in answer.text
        token = current_user.get_auth_token()
    fresh = app.test_client()
    header = {"Authentication-Token": token}
    assert fresh.get("/operator/now", headers=header).status_code == 302
    assert fresh.get(f"/operator/now?auth_token={token}").status_code == 302


def test_no_browser_is_remembered(app: Flask) -> None:
    from flask_login.utils import encode_cookie
    from flask_security import current_user

    client = app.test_client()
    with client:
        assert _enter(client, "operator", PASSWORD, remember="y") == 302
        assert client.get_cookie("remember_token") is None
        cookie = encode_cookie(current_user.fs_uniquifier)
    fresh = app.test_client()
    fresh.set_cookie("remember_token", cookie)
    assert fresh.get("/operator/now").status_code == 302


def test_signing_out_ends_the_session_everywhere(sign_in: SignIn, app: Flask) -> None:
    here, there, other = sign_in("operator"), sign_in("operator"), sign_in("auditor")
    kept = here.get_cookie("khazri")
    assert kept
    assert here.post("/logout", data={"csrf_token": _token(here, "/operator/now")}).status_code
    assert there.get("/operator/now").status_code == 302
    stolen = app.test_client()
    stolen.set_cookie("khazri", kept.value)
    assert stolen.get("/operator/now").status_code == 302
    assert other.get("/audit/").status_code == 200
    assert _enter(here, "operator", PASSWORD) == 302


def test_polling_does_not_make_a_session_last_longer(
    sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = sign_in("operator")
    began = auth_sessions.now_s()
    for hour in (4, 8, 11.9):
        monkeypatch.setattr(auth_sessions, "now_s", lambda hour=hour: began + hour * 3600)
        assert client.get("/operator/now/live").status_code == 200
    monkeypatch.setattr(auth_sessions, "now_s", lambda: began + auth_sessions.LIFETIME_S + 1)
    assert client.get("/operator/now").status_code == 302
    live = client.get("/operator/now/live", headers={"HX-Request": "true"})
    assert (live.status_code, live.headers["HX-Redirect"]) == (401, "/login")


@pytest.mark.parametrize("role", ROLES)
def test_each_role_changes_its_password_and_every_session_ends(
    sign_in: SignIn, app: Flask, store: Store, role: str
) -> None:
    here, there = sign_in(role), sign_in(role)
    assert _change(here, PASSWORD, NEW) == 302
    assert here.get("/").location.startswith("/login")
    assert there.get("/").location.startswith("/login")
    assert _enter(app.test_client(), role, PASSWORD) == 200
    assert _enter(app.test_client(), role, NEW) == 302
    with store.read() as tx:
        (act,) = control.actions(tx)
        assert (act["user"], act["kind"]) == (f"{role}@example.org", "user.password")
        assert NEW not in act["detail"]


@pytest.mark.parametrize(
    ("old", "new", "again"),
    [
        ("not the password", NEW, None),
        (PASSWORD, "short", None),
        (PASSWORD, NEW, NEW + "x"),
        (PASSWORD, PASSWORD, None),
        (PASSWORD, "x" * 1025, None),
    ],
)
def test_a_wrong_change_changes_nothing(
    sign_in: SignIn, app: Flask, store: Store, old: str, new: str, again: str | None
) -> None:
    client = sign_in("operator")
    assert _change(client, old, new, again) == 400
    assert client.get("/operator/now").status_code == 200
    assert _enter(app.test_client(), "operator", PASSWORD) == 302
    with store.read() as tx:
        assert control.actions(tx) == []


def test_guessing_the_password_of_an_open_session_is_limited(sign_in: SignIn) -> None:
    client = sign_in("operator")
    codes = [_change(client, f"guess number {n}", NEW) for n in range(PAIR_ATTEMPTS_MAX + 2)]
    assert codes == [400] * PAIR_ATTEMPTS_MAX + [429, 429]


@pytest.mark.parametrize(
    ("language", "text"), [("az", "Parolu dəyişmək"), ("ru", "Сменить пароль")]
)
def test_the_page_is_translated_and_found_from_every_page(
    sign_in: SignIn, store: Store, language: str, text: str
) -> None:
    client = sign_in("auditor")
    assert f'href="{PAGE}"' in client.get("/audit/").text
    with store.write() as tx:
        number = next(one.id for one in people.people(tx) if one.email.startswith("auditor"))
        people.set_language(tx, number, language)
    assert text in client.get(PAGE).text


def test_a_password_an_administrator_gave_works_whatever_its_letters(
    sign_in: SignIn, app: Flask
) -> None:
    client = sign_in("administrator")
    form = {"email": "new@example.org", "name": "New", "password": NEW, "role": "auditor"}
    form["csrf_token"] = _token(client, "/admin/users")
    assert client.post("/admin/users", data=form).status_code == 302
    assert _enter(app.test_client(), "new", NEW) == 302
