"""Tariffs as pages: billing proposes and previews, another activates, nobody else sees it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from grid import interval
from grid.errors import BadInputError
from grid.operation import tariffs
from grid.site import Site
from grid.store import Store, control, tariff_changes
from grid.store.tariff_changes import ChangeState

SignIn = Callable[..., FlaskClient]


def _post(client: FlaskClient, url: str, **fields: object) -> tuple[int, str]:
    found = re.search(r'csrf_token" value="([^"]+)', client.get("/no-such-page").text)
    assert found
    answer = client.post(url, data={**fields, "csrf_token": found[1]})
    return answer.status_code, answer.text


def _text(store: Store, site: Site, days: int) -> str:
    with store.read() as tx:
        today = interval.local_day(control.clock_s(tx), site.time_zone)
    return f"""[[tariff]]
id = "{site.tariff[0].id}"
name = "Dearer"
valid_from = {today + timedelta(days=days)}
fixed_fee = "1.00"
[[tariff.block]]
up_to_kwh = 0
price = "0.500"
"""


def test_a_tariff_goes_from_a_proposal_with_its_preview_into_force(
    sign_in: SignIn, store: Store, site: Site
) -> None:
    with store.write() as tx:
        control.put_meta(tx, "first_cycle_s", str(control.clock_s(tx) - 6 * 3600))
    clerk = sign_in("billing")
    assert _post(clerk, "/tariffs", tariff=_text(store, site, 2))[0] == 302
    page = clerk.get("/tariffs").text
    assert "Proposal 1:" in page
    assert "What past months would have cost" in page
    assert "Somebody else has to activate it." in page
    assert "/tariffs/1/approve" not in page
    assert _post(clerk, "/tariffs/1/approve")[0] == 302
    assert "takes a second person" in clerk.get("/tariffs").text
    with store.write() as tx:
        tariffs.approve(tx, site, 1, "second@example.org")
    page = clerk.get("/tariffs").text
    assert "0.5000" in page
    assert "activated" in page
    with store.read() as tx:
        assert tariff_changes.get(tx, 1).state is ChangeState.ACTIVE


def test_what_cannot_be_is_told_with_its_line_and_the_text_stays(
    sign_in: SignIn, store: Store, site: Site
) -> None:
    clerk = sign_in("billing")
    text = _text(store, site, 2).replace('"0.500"', '"-1"')
    status, page = _post(clerk, "/tariffs", tariff=text)
    assert status == 200
    assert "tariff:8:" in page
    assert "Dearer" in page
    assert (
        "a version begins from the day after"
        in _post(clerk, "/tariffs", tariff=_text(store, site, 0))[1]
    )
    assert _post(clerk, "/tariffs", tariff="x" * 20_001)[0] == 400
    assert _post(clerk, "/tariffs/7/approve")[0] == 404
    with store.read() as tx:
        assert tariff_changes.listed(tx) == []


def test_a_failed_activation_leaves_no_trace(
    sign_in: SignIn, store: Store, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    clerk = sign_in("billing")
    with store.write() as tx:
        tariffs.propose(tx, site, tariffs.read(_text(store, site, 2), "x"), "other@example.org")

    def full(*_: object) -> int:
        raise BadInputError("the entry is too long")

    monkeypatch.setattr(tariffs.record, "append", full)
    assert _post(clerk, "/tariffs/1/approve")[0] == 302
    with store.read() as tx:
        assert tariff_changes.get(tx, 1).state is ChangeState.PROPOSED
        assert tariffs.in_force(tx, site) == site.tariff
