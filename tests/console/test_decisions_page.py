"""The page of why a device does not do otherwise: who sees it, and what it says without a plan."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr
from flask.testing import FlaskClient

from grid import interval
from grid.console.operator_prices import KIND
from grid.site import Site
from grid.store import Store, control, datasets, views

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


def test_prices_by_bus_stand_beside_the_set_points(sign_in: SignIn, store: Store) -> None:
    client = sign_in("operator")
    assert "Price of a kWh by bus" not in client.get("/operator/dispatch").text
    with store.read() as tx:
        cycle_s = views.latest_setpoints(tx, int(control.get_meta(tx, "clock_s") or 0))
    assert cycle_s is not None
    nano = np.array([[84_000, 91_500, -(2**31)]], dtype=np.int32)
    content = xr.Dataset(
        {"price": (("interval", "bus"), nano), "congestion": (("interval", "bus"), nano * 0 + 500)},
        coords={"interval": interval.starts(cycle_s, 1, 900), "bus": [1, 2, 3]},
    )
    with store.write() as tx:
        datasets.put_dataset(tx, KIND, cycle_s, content)
    text = client.get("/operator/dispatch").text
    assert "From 0.0840 at" in text
    assert "to 0.0915 at" in text
    assert text.count("0.0005") == 2
