"""The page of overrides: who holds what, the second operator, and what each is shown."""

from __future__ import annotations

import re
from collections.abc import Callable

from flask.testing import FlaskClient

from grid.store import Store, control, log
from grid.store import overrides as stored
from grid.store.overrides import OverrideState

PAGE = "/operator/overrides"
SECOND = "second@example.org"


def _form(client: FlaskClient, **fields: str) -> dict[str, str]:
    token = re.search(r'name="csrf_token" value="([^"]+)', client.get(PAGE).text)
    assert token
    return {"csrf_token": token[1], **fields}


def _ask(client: FlaskClient, **fields: str) -> str:
    form = {"asset": "BAT-1", "action": "discharge", "kw": "25,5", "minutes": "60"}
    form |= {"reason": "test", "note": "by Ayşə's wish"} | fields
    assert client.post(PAGE, data=_form(client, **form)).status_code == 302
    return client.get(PAGE).text


def test_a_small_override_holds_at_once_and_is_given_back(
    sign_in: Callable[..., FlaskClient], store: Store
) -> None:
    client = sign_in("operator")
    assert "The plan has every device." in client.get(PAGE).text
    page = _ask(client, asset="WIND-1", action="limit", kw="5")
    assert "Give back to the plan" in page
    with store.read() as tx:
        one = stored.get_override(tx, 1)
    assert (one.state, one.power_w, one.approved_by) == (OverrideState.ACTIVE, 5000, None)
    assert one.end_s - one.start_s == 3600
    assert "override 1 until" in client.get("/operator/dispatch").text
    assert client.post(f"{PAGE}/1/end", data=_form(client)).status_code == 302
    assert "given back" in client.get(PAGE).text
    assert client.post(f"{PAGE}/99/end", data=_form(client)).status_code == 404


def test_a_large_one_waits_for_another_operator_and_names_both(
    sign_in: Callable[..., FlaskClient], store: Store, second: FlaskClient
) -> None:
    client = sign_in("operator")
    page = _ask(client)
    assert "You asked for it: another operator approves it." in page
    assert ">Approve<" not in page
    client.post(f"{PAGE}/1/approve", data=_form(client))
    assert "it takes a second person" in client.get(PAGE).text
    assert ">Approve<" in second.get(PAGE).text
    assert second.post(f"{PAGE}/1/approve", data=_form(second)).status_code == 302
    with store.read() as tx:
        one = stored.get_override(tx, 1)
        newest = control.actions(tx)[0]
        opened = "".join(str(row["content"]) for row in log.openings(tx))
    assert (one.asked_by, one.approved_by) == ("operator@example.org", SECOND)
    assert newest["kind"] == "override.approve"
    assert "operator@example.org" in newest["detail"]
    assert SECOND in newest["detail"]
    # The ledger has pseudonyms and a code, and nothing that somebody wrote.
    assert "override.approve" not in opened
    for text in ("operator@example.org", SECOND, "Ayşə", "wish"):
        assert text not in opened
    assert '\\"reason\\": \\"test\\"' in opened
    second.post(f"{PAGE}/1/approve", data=_form(second))
    assert "only what is asked can be approved" in second.get(PAGE).text


def test_a_wrong_override_is_told_what_was_typed_stays_and_nothing_is_kept(
    sign_in: Callable[..., FlaskClient], store: Store
) -> None:
    client = sign_in("operator")
    for fields, told in (
        ({"kw": "1e3"}, "kW must be a number such as 12.5"),
        ({"kw": "31"}, "must be within 0 to 30 kW"),
        ({"asset": "PV-1"}, "cannot be held at discharge, only at limit, off"),
        ({"asset": "DG-1", "action": "run", "kw": "4"}, "must be within 5 to 25 kW"),
        ({"asset": "BAT-404"}, "no such device"),
        ({"minutes": "20"}, "15 to 1440 minutes in steps of 15"),
    ):
        assert told in _ask(client, **fields)
    assert 'value="31"' in _ask(client, kw="31")
    for fields in ({"action": "explode"}, {"reason": "spite"}, {"minutes": "-1"}, {"id": "1"}):
        form = {"asset": "BAT-1", "action": "off", "kw": "", "minutes": "60", "reason": "test"}
        assert client.post(PAGE, data=_form(client, **(form | fields))).status_code == 400
    with store.read() as tx:
        assert stored.listed(tx) == []


def test_the_page_is_in_each_language_and_its_live_part_answers_304(
    sign_in: Callable[..., FlaskClient],
) -> None:
    client = sign_in("operator")
    for language, word in (("az", "Qurğunu saxla"), ("ru", "Удержать устройство")):
        client.post("/language", data=_form(client, language=language))
        assert word in client.get(PAGE).text
    live = client.get(f"{PAGE}/live")
    again = client.get(f"{PAGE}/live", headers={"If-None-Match": live.headers["ETag"]})
    assert (live.status_code, again.status_code) == (200, 304)
