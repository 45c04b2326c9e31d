"""Guessing passwords is slow and bounded, whatever the request looks like."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from grid.console import auth_limiter
from grid.console.auth_limiter import (
    ACCOUNT_ATTEMPTS_MAX,
    CALLER_ATTEMPTS_MAX,
    PAIR_ATTEMPTS_MAX,
    WINDOW_S,
    HashSlots,
    Limiter,
)

SignIn = Callable[..., FlaskClient]
PASSWORD = "a long enough password"
WRONG = "wrong wrong wrong"


def _token(client: FlaskClient, url: str) -> str:
    found = re.search(r'csrf_token" value="([^"]+)', client.get(url).text)
    assert found
    return found[1]


def _guess(
    client: FlaskClient,
    email: str = "operator@example.org",
    password: str = WRONG,
    *,
    caller: str = "127.0.0.1",
) -> int:
    form = {"email": email, "password": password, "csrf_token": _token(client, "/login")}
    answer = client.post("/login", data=form, environ_base={"REMOTE_ADDR": caller})
    return answer.status_code


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every password that reached a hash."""
    import flask_security.forms

    seen: list[str] = []
    real = flask_security.forms.hash_password

    def count(password: str) -> str:
        seen.append(password)
        return str(real(password))

    monkeypatch.setattr(flask_security.forms, "hash_password", count)
    return seen


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data", "text/plain"])
def test_only_the_form_may_sign_in(app: Flask, hashed: list[str], kind: str) -> None:
    client = app.test_client()
    token = {"X-CSRFToken": _token(client, "/login")}
    facts = {"email": "nobody@example.org", "password": WRONG}
    if kind == "application/json":
        answer = client.post("/login", json=facts, headers=token)
    else:
        answer = client.post("/login", data=facts, content_type=kind, headers=token)
    assert answer.status_code == 415
    assert hashed == []


def test_a_form_that_wants_json_is_counted_like_any(app: Flask, hashed: list[str]) -> None:
    client = app.test_client()
    form = {"email": "no@example.org", "password": WRONG, "csrf_token": _token(client, "/login")}
    accept = {"Accept": "application/json"}
    codes = [
        client.post("/login?include_auth_token=1", data=form, headers=accept).status_code
        for _ in range(PAIR_ATTEMPTS_MAX + 4)
    ]
    assert codes == [200] * PAIR_ATTEMPTS_MAX + [429] * 4
    assert len(hashed) == PAIR_ATTEMPTS_MAX


def test_bad_passwords_are_slowed_down_and_a_known_browser_still_gets_in(
    app: Flask, sign_in: SignIn
) -> None:
    known = sign_in("operator")
    known.post("/logout", data={"csrf_token": _token(known, "/operator/now")})
    stranger = app.test_client()
    codes = [_guess(stranger) for _ in range(PAIR_ATTEMPTS_MAX + 2)]
    assert codes == [200] * PAIR_ATTEMPTS_MAX + [429, 429]
    assert _guess(known, password=PASSWORD) == 302


def test_writing_an_address_otherwise_is_the_same_account(app: Flask) -> None:
    client = app.test_client()
    spellings = ["operator@example.org", "OPERATOR@example.org", "operator@ｅxample.org"]
    codes = [_guess(client, spellings[n % 3]) for n in range(PAIR_ATTEMPTS_MAX + 1)]
    assert codes[-1] == 429


def test_many_addresses_do_not_give_many_guesses_at_one_account(app: Flask) -> None:
    client, codes = app.test_client(), []
    limiter: Limiter = app.extensions["khazri.limiter"]
    for n in range(ACCOUNT_ATTEMPTS_MAX - 2):
        assert limiter.attempt((("account", "operator@example.org"), ACCOUNT_ATTEMPTS_MAX)) == 0, n
    codes = [_guess(client, caller=f"10.0.0.{n}") for n in range(4)]
    assert codes == [200, 200, 429, 429]


def test_one_address_or_one_ipv6_network_does_not_try_many_accounts(app: Flask) -> None:
    client = app.test_client()
    limiter: Limiter = app.extensions["khazri.limiter"]
    for _ in range(CALLER_ATTEMPTS_MAX - 1):
        limiter.attempt((("caller", "2001:db8:0:1::/64"), CALLER_ATTEMPTS_MAX))
    codes = [
        _guess(client, f"p{n}@example.org", caller=f"2001:db8:0:1::{n + 1:x}") for n in range(3)
    ]
    assert codes == [200, 429, 429]


def test_who_is_signed_in_cannot_wipe_the_count_of_another_account(
    app: Flask, sign_in: SignIn
) -> None:
    own, stranger = sign_in("auditor"), app.test_client()
    for _ in range(PAIR_ATTEMPTS_MAX):
        assert _guess(stranger) == 200
    token = _token(own, "/audit/")
    form = {"email": "operator@example.org", "password": WRONG, "csrf_token": token}
    assert own.post("/login", data=form).status_code == 302
    assert _guess(stranger) == 429


def test_hashes_are_few_at_a_time_and_a_busy_moment_costs_no_attempt(app: Flask) -> None:
    app.extensions["khazri.slots"] = slots = HashSlots(running=1, waiting=1, patience_s=0.0)
    client = app.test_client()
    form = {"email": "operator@example.org", "password": PASSWORD}
    form["csrf_token"] = _token(client, "/login")
    with slots.taken() as got:
        assert got
        for _ in range(PAIR_ATTEMPTS_MAX + 1):
            answer = client.post("/login", data=form)
            assert (answer.status_code, answer.headers["Retry-After"]) == (429, "2")
    assert client.post("/login", data=form).status_code == 302


def test_a_place_to_hash_is_given_back_when_hashing_fails() -> None:
    slots = HashSlots(running=1, waiting=1, patience_s=0.0)
    with pytest.raises(ValueError, match="x"), slots.taken():
        raise ValueError("x")
    with slots.taken() as got, slots.taken() as second:
        assert (got, second) == (True, False)


def test_the_limiter_forgets_after_its_window_and_counts_all_or_nothing() -> None:
    now = [0.0]
    limiter = Limiter(lambda: now[0])
    for _ in range(3):
        assert limiter.attempt(("x", 3), ("y", 9)) == 0
    assert limiter.attempt(("x", 3), ("y", 9)) > 0
    limiter.withdraw("x")
    assert limiter.attempt(("x", 3)) == 0
    now[0] = WINDOW_S + 1
    assert limiter.attempt(("x", 3), ("y", 1)) == 0
    limiter.forget("x")
    assert limiter.attempt(("x", 1)) == 0


def test_the_limiter_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth_limiter, "_KEYS_MAX", 10)
    limiter = Limiter(lambda: 0.0)
    for n in range(40):
        limiter.attempt((n, 5))
    assert len(limiter) == 10
    assert limiter.attempt((39, 1)) > 0


def test_an_unknown_account_and_a_wrong_password_read_the_same(app: Flask) -> None:
    client = app.test_client()
    token = _token(client, "/login")
    pages = []
    for email in ("operator@example.org", "nobody.at.all@example.org"):
        form = {"email": email, "password": WRONG, "csrf_token": token}
        pages.append(client.post("/login", data=form).text.replace(email, ""))
    plain = [re.sub(r'csrf_token"[^>]*value="[^"]+"', "", page) for page in pages]
    assert plain[0] == plain[1]
