"""The page of safety tags: whose, and that only their holder releases them."""

from __future__ import annotations

import re
from collections.abc import Callable

from flask.testing import FlaskClient

from grid.site import Site
from grid.store import Store, control
from grid.store import safety_tags as stored

PAGE = "/operator/tags"


def _form(client: FlaskClient, **fields: str) -> dict[str, str]:
    token = re.search(r'name="csrf_token" value="([^"]+)', client.get(PAGE).text)
    assert token
    return {"csrf_token": token[1], **fields}


def test_a_tag_is_placed_blocks_an_override_and_is_released_by_its_holder(
    sign_in: Callable[..., FlaskClient], store: Store
) -> None:
    client = sign_in("operator")
    assert "No element is under a permit." in client.get(PAGE).text
    preview = client.get(f"{PAGE}?element=asset:BAT-1").text
    assert "Generation behind BAT-1" in preview
    assert "makes voltage by itself" in preview
    form = _form(client, element="asset:BAT-1", reason="maintenance", note="fan")
    assert client.post(PAGE, data=form).status_code == 302
    page = client.get(PAGE).text
    assert "Release" in page
    assert "30.0 kW" in page
    hold = {"asset": "BAT-1", "action": "off", "kw": "", "minutes": "60", "reason": "test"}
    client.post("/operator/overrides", data=_form(client, **hold))
    told = client.get("/operator/overrides").text
    assert "safety tag 1 of operator@example.org on asset:BAT-1 stands before it" in told
    assert "TAG" in client.get("/operator/network").text
    assert client.post(f"{PAGE}/1/release", data=_form(client)).status_code == 302
    assert client.post(f"{PAGE}/1/release", data=_form(client)).status_code == 302
    assert "does not stand any more" in client.get(PAGE).text
    with store.read() as tx:
        assert stored.standing(tx) == []
        kinds = [row["kind"] for row in control.actions(tx)]
    assert kinds[:2] == ["safety_tag.release", "safety_tag.place"]


def test_somebody_elses_tag_stays(
    sign_in: Callable[..., FlaskClient], store: Store, site: Site
) -> None:
    from grid.operation import safety_tags
    from grid.store.overrides import Reason

    client = sign_in("operator")
    none = None
    with store.write() as tx:
        safety_tags.place(
            tx, site, lambda: none, element="asset:PV-1", reason=Reason.SAFETY, by="b@example.org"
        )
    assert "Only its holder releases it." in client.get(PAGE).text
    client.post(f"{PAGE}/1/release", data=_form(client))
    assert "only its holder b@example.org releases it" in client.get(PAGE).text
    with store.read() as tx:
        assert len(stored.standing(tx)) == 1


def test_what_is_no_element_is_told(sign_in: Callable[..., FlaskClient]) -> None:
    client = sign_in("operator")
    for element in ("switch:1", "line:x", "asset:", "line:-1", "asset:BAT-404"):
        page = client.get(PAGE, query_string={"element": element})
        assert page.status_code == 200
        assert "is no element" in page.text or "no such device" in page.text
    form = _form(client, element="asset:BAT-1", reason="spite", note="")
    assert client.post(PAGE, data=form).status_code == 400
    assert client.post(f"{PAGE}/99/release", data=_form(client)).status_code == 404
