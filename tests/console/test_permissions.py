"""Nobody opens what the table does not give them."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from grid.console.permissions import PERMISSIONS, PUBLIC, ROLES, SIGNED_IN, allowed

ARGUMENTS = {
    "asset": "BAT-1",
    "number": 1,
    "sequence": 1,
    "level": "0",
    "place": "000.p/8",
    "name": "UP-2",
    "order_id": "O-0-2",
    "filename": "console.css",
}


def _routes(app: Flask) -> list[tuple[str, str, str]]:
    found = []
    with app.test_request_context():
        from flask import url_for

        for rule in app.url_map.iter_rules():
            values = {name: ARGUMENTS[name] for name in rule.arguments}
            methods = sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
            url = url_for(rule.endpoint, **values)
            found += [(rule.endpoint, method, url) for method in methods]
    return found


def test_each_declared_endpoint_exists_and_each_role_is_known(app: Flask) -> None:
    endpoints = {rule.endpoint for rule in app.url_map.iter_rules()}
    assert set(PERMISSIONS) | PUBLIC | SIGNED_IN <= endpoints
    assert endpoints - (set(PERMISSIONS) | PUBLIC | SIGNED_IN) == {
        "security.static",
        "security.verify",
    }
    assert all(roles <= set(ROLES) for roles in PERMISSIONS.values())


def _token(client: FlaskClient) -> str:
    """Return a valid token: any page has one, the one that does not exist too."""
    found = re.search(r'csrf_token" value="([^"]+)', client.get("/no-such-page").text)
    assert found
    return found[1]


def _open(client: FlaskClient, method: str, url: str) -> int:
    """Open a route with a valid token, so that only the gate is left to refuse it."""
    form = {"csrf_token": _token(client)} if method == "POST" else None
    return client.open(url, method=method, data=form).status_code


@pytest.mark.parametrize("role", ROLES)
def test_each_route_opens_for_declared_roles_only(
    app: Flask, sign_in: Callable[..., FlaskClient], role: str
) -> None:
    client = sign_in(role)
    posts = 0
    for endpoint, method, url in _routes(app):
        if endpoint in ("security.logout", "security.login"):
            continue
        code = _open(client, method, url)
        if allowed(endpoint, frozenset({role})):
            assert code not in (401, 403), (role, method, url)
            assert method != "GET" or code in (200, 302), (role, url, code)
        else:
            assert code == 403, (role, method, url, code)
            posts += method == "POST"
    assert posts >= 5


def test_an_anonymous_caller_is_sent_to_sign_in(app: Flask) -> None:
    client = app.test_client()
    for endpoint, method, url in _routes(app):
        if endpoint in PUBLIC:
            continue
        code = _open(client, method, url)
        assert code == (302 if method == "GET" else 401), (method, url, code)


def test_an_undeclared_route_is_refused_to_everyone(
    app: Flask, sign_in: Callable[..., FlaskClient]
) -> None:
    app.add_url_rule("/forgotten", "forgotten", lambda: "leak")
    assert sign_in("administrator").get("/forgotten").status_code == 403
    assert app.test_client().get("/forgotten").status_code == 302


@pytest.mark.parametrize("name", ["UP-1", "UP-3", "UP-404"])
def test_another_partys_usage_point_is_as_absent_as_none(
    sign_in: Callable[..., FlaskClient], name: str
) -> None:
    client = sign_in("prosumer")
    pages = [client.get(f"/my/energy?usage_point={name}")]
    form = {"csrf_token": _token(client), "buy": "0.05"}
    pages.append(client.post(f"/my/limits/{name}", data=form))
    assert [page.status_code for page in pages] == [404, 404]
    assert all(name not in page.text for page in pages)


def test_a_prosumer_sees_own_lines_only(sign_in: Callable[..., FlaskClient]) -> None:
    client = sign_in("prosumer")
    for url in ("/my/energy", "/my/trades", "/my/statement", "/my/limits"):
        page = client.get(url)
        assert page.status_code == 200
        assert "UP-1" not in page.text
        assert "P-1" not in page.text.replace("UP-1", "")
        assert page.headers["Cache-Control"] == "no-store"
