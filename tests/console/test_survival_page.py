"""How long critical load would last, on the operator's pages."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from flask.testing import FlaskClient

from grid.store import Store, datasets, views

SignIn = Callable[..., FlaskClient]


def _lasts(store: Store, hours: np.ndarray) -> None:
    with store.write() as tx:
        at_s = views.latest(tx, "plan", 2**40)
        assert at_s is not None
        schedule = datasets.require_dataset(tx, "plan", at_s)
        lasts = ("interval", hours, {"units": "h"})
        datasets.put_dataset(tx, "plan", at_s, schedule.assign(lasts_h=lasts))


def test_the_hours_of_now_and_the_least_ahead_are_told(sign_in: SignIn, store: Store) -> None:
    client = sign_in("operator")
    assert "If the public network is lost" not in client.get("/operator/now").text
    charts = client.get("/operator/dispatch/data").json["charts"]
    assert "If the public network is lost" not in [one["title"] for one in charts]
    hours = np.full(96, 7.25)
    hours[8] = 3.5
    _lasts(store, hours)
    page = client.get("/operator/now").text
    assert "7.3 h" in page or "7.2 h" in page
    assert "least 3.5 h at 16:00" in page
    (chart,) = [
        one
        for one in client.get("/operator/dispatch/data").json["charts"]
        if one["title"] == "If the public network is lost"
    ]
    assert chart["unit"] == "h"
    known = [value for value in chart["series"][0]["values"] if value is not None]
    assert (len(known), min(known)) == (96, 3.5)


def test_more_than_is_looked_ahead_is_said_to_be_more(sign_in: SignIn, store: Store) -> None:
    _lasts(store, np.full(96, 48.0))
    assert "≥ 48.0 h" in sign_in("operator").get("/operator/now").text
