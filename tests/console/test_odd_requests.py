"""What no form of ours sends is refused with a 4xx: no error, no way out of the console."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient

from grid import interval
from grid.errors import BadInputError

SignIn = Callable[..., FlaskClient]
HUGE = ("1" + "0" * 20, "9" * 24, str(2**63), "1" * 5000)


def _token(client: FlaskClient, url: str) -> str:
    found = re.search(r'csrf_token" value="([^"]+)', client.get(url).text)
    assert found
    return found[1]


@pytest.mark.parametrize("number", HUGE)
def test_a_number_no_row_can_have_is_absent(sign_in: SignIn, number: str) -> None:
    auditor, operator = sign_in("auditor"), sign_in("operator")
    assert auditor.get(f"/audit/entries/{number}").status_code == 404
    assert auditor.get(f"/audit/entries?before={number}").status_code == 400
    form = {"csrf_token": _token(operator, "/operator/now")}
    url = f"/operator/alarms/{number}/acknowledge"
    assert operator.post(url, data=form).status_code == 404


@pytest.mark.parametrize("text", ["x", "-1", "1.5", "٣", "1_0", " 1", ""])
def test_a_number_that_is_none_is_refused(sign_in: SignIn, text: str) -> None:
    page = sign_in("auditor").get("/audit/entries", query_string={"before": text})
    assert page.status_code == (200 if text == "" else 400)


@pytest.mark.parametrize(
    "text",
    [
        "0001-01-01T00:00+23:00",
        "0001-01-01T00:00Z",
        "9999-12-31T23:59-23:00",
        "9999-12-31T23:59Z",
        "soon",
    ],
)
def test_an_instant_no_calendar_holds_is_refused(sign_in: SignIn, text: str) -> None:
    page = sign_in("auditor").get("/audit/entries", query_string={"interval": text})
    assert page.status_code == 400
    with pytest.raises(BadInputError):
        interval.parse(text)


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31", "1899-12-31", "x", "2026-05-27\n"])
def test_a_day_no_calendar_holds_is_refused(sign_in: SignIn, day: str) -> None:
    page = sign_in("prosumer").get("/my/energy", query_string={"day": day})
    assert page.status_code in (400, 404)


@pytest.mark.parametrize(
    "after",
    ["/\t/evil.example", "/a\r\nSet-Cookie: x=1", "/a\nb", "/\x00", "/\x7f", "/\x85", "/\u2028x"],
)
def test_a_way_back_with_control_characters_is_refused(sign_in: SignIn, after: str) -> None:
    client = sign_in("operator")
    form = {"language": "ru", "after": after, "csrf_token": _token(client, "/operator/now")}
    assert client.post("/language", data=form).status_code == 400


@pytest.mark.parametrize(
    "after",
    ["//evil.example", "/\\evil.example", "///evil.example", "https://evil.example", "evil", ""],
)
def test_a_way_back_leads_nowhere_else(sign_in: SignIn, after: str) -> None:
    client = sign_in("operator")
    form = {"language": "ru", "after": after, "csrf_token": _token(client, "/operator/now")}
    assert client.post("/language", data=form).location == "/"


@pytest.mark.parametrize(
    "after",
    [
        "/\t/evil.example",
        "//evil.example",
        "/\\evil.example",
        "///evil.example",
        "/\r\nX: y",
        "https:evil.example",
        "\x01//evil.example",
        "javascript:alert(1)",
    ],
)
def test_signing_in_leads_nowhere_else(app: Flask, after: str) -> None:
    client = app.test_client()
    form = {"email": "operator@example.org", "password": "a long enough password"}
    form["csrf_token"] = _token(client, "/login")
    url = f"/login?next={quote(after)}"
    assert client.get(url).status_code == 400
    assert client.post(url, data=form).status_code == 400
    assert client.post("/login", data={**form, "next": after}).status_code == 400
    answer = client.post("/login?next=/operator/dispatch%3Fx=1", data=form)
    assert answer.location == "/operator/dispatch?x=1"
