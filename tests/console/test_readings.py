"""The page of readings: what decided a value, what it rests on, and setting it."""

from __future__ import annotations

import re
from collections.abc import Callable

from flask.testing import FlaskClient

from grid.console.web_view import clock
from grid.store import Store, control, edits


def _form(client: FlaskClient, **fields: str) -> dict[str, str]:
    page = client.get("/readings/day").text
    token = re.search(r'name="csrf_token" value="([^"]+)', page)
    starts = re.findall(r'<option value="(\d+)"', page)
    point = re.search(r"<option selected>([^<]+)", page)
    assert token
    assert point
    form = {"csrf_token": token[1], "usage_point": point[1], "at": starts[2]}
    return form | {"register": "import_wh", "values": "77, 78", "reason": "phoned"} | fields


def test_metering_sets_a_reading_and_takes_it_back(
    sign_in: Callable[..., FlaskClient], store: Store
) -> None:
    client = sign_in("metering")
    before = client.get("/readings/day").text
    assert "Set readings" in before
    form = _form(client)
    assert client.post("/readings/edit", data=form).status_code == 302
    page = client.get("/readings/day").text
    assert "edit 1" in page
    assert "phoned" in page
    assert "77, 78" in page
    with store.read() as tx:
        assert control.actions(tx)[0]["kind"] == "readings.edit"
        made = edits.about(tx, form["usage_point"], 0, 2**40)
    assert made[0].edit.editor == "metering@example.org"
    address = f"/readings/edit/{made[0].number}/take-back"
    assert client.post(address, data={"csrf_token": form["csrf_token"]}).status_code == 302
    assert "taken back by metering@example.org" in client.get("/readings/day").text
    assert client.post(address, data={"csrf_token": form["csrf_token"]}).status_code == 302
    assert "withdrawn before" in client.get("/readings/day").text


def test_a_wrong_value_is_told_and_nothing_is_set(
    sign_in: Callable[..., FlaskClient], store: Store
) -> None:
    client = sign_in("metering")
    for fields, told in (
        ({"values": "9999999999"}, "twice what the connection carries"),
        ({"values": "1,x"}, "whole numbers"),
        ({"reason": ""}, "needs a reason"),
        ({"register": "volume"}, "is none of"),
    ):
        assert client.post("/readings/edit", data=_form(client, **fields)).status_code == 302
        assert told in client.get("/readings/day").text
    with store.read() as tx:
        assert edits.within(tx, ["UP-1"], 0, clock(tx) or 2**40) == []


def test_the_operator_sees_what_a_value_rests_on_and_cannot_set_it(
    sign_in: Callable[..., FlaskClient],
) -> None:
    client = sign_in("operator")
    page = client.get("/readings/day").text
    assert "Set readings" not in page
    link = re.search(r'href="(/readings/day\?[^"]*at=\d+)#origin"', page)
    assert link
    origin = client.get(link[1].replace("&amp;", "&")).text
    assert "Decided by" in origin
    assert client.get("/readings/day?at=99999999999").status_code == 404
    assert client.get("/readings/day?usage_point=UP-999").status_code == 404
    token = re.search(r'name="csrf_token" value="([^"]+)', page)
    assert token
    assert client.post("/readings/edit", data={"csrf_token": token[1]}).status_code in (403, 404)
