"""The page of why a device does not do otherwise: who sees it, and what it says without a plan."""

from __future__ import annotations

from collections.abc import Callable

from flask.testing import FlaskClient

from grid.site import Site

SignIn = Callable[..., FlaskClient]


def test_each_set_point_leads_to_its_page(sign_in: SignIn, site: Site) -> None:
    client = sign_in("operator")
    asset = site.battery[0].id
    assert f"/operator/dispatch/why/{asset}" in client.get("/operator/dispatch").text
    page = client.get(f"/operator/dispatch/why/{asset}")
    assert page.status_code == 200
    assert f"Why {asset} does not do otherwise" in page.text
    # the village's readings are drawn, so its plan does not come out again
    assert "The plan cannot be made again:" in page.text
    assert client.get("/operator/dispatch/why/NOTHING").status_code == 404


def test_nobody_else_sees_it(sign_in: SignIn, site: Site) -> None:
    path = f"/operator/dispatch/why/{site.battery[0].id}"
    assert sign_in("prosumer").get(path).status_code in (302, 403)
    assert sign_in("auditor").get(path).status_code in (302, 403)


def test_it_speaks_the_readers_language(sign_in: SignIn, site: Site) -> None:
    path = f"/operator/dispatch/why/{site.battery[0].id}"
    client = sign_in("operator")
    for language, text in (("ru", "Почему"), ("az", "niyə başqa cür etmir")):
        assert text in client.get(path, headers={"Accept-Language": language}).text
