"""A prosumer's battery in the market: seen and consented to by its own party alone."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from grid import interval, site_file
from grid.ids import AssetId, OrderId, PartyId, UsagePointId
from grid.site import Site
from grid.store import Store, agreements, batteries, books, control, market
from tests.console import village
from trading.batteries import Moved
from trading.battery_accounts import BatteryMove
from trading.book import Order, Side

SignIn = Callable[..., FlaskClient]
MORNING = interval.parse("2026-05-27T10:00+04:00")


@pytest.fixture
def site(site: Site, store: Store, request: pytest.FixtureRequest) -> Site:
    """The village, with a battery at the prosumer's usage point."""
    bought = 'id = "BAT-2"\nusage_point = "UP-2"\npower_kw = 4\nenergy_kwh = 8\n[[battery]]\n'
    text = village.TOML.replace("[[battery]]\n", f"[[battery]]\n{bought}", 1)
    if "with_a_month" in request.node.name:
        text = text.replace("[market]\n", "[market]\nguaranteed = true\n")
    with store.write() as tx:
        control.put_meta(tx, "site_toml", text)
    return site_file.parse(text)


def _trade(store: Store) -> int:
    """Let the battery buy 400 Wh at 0.06 in the morning, and keep 100; return its agreement."""
    order = Order(
        OrderId("agent-battery-buy-1"), PartyId("P-2"), UsagePointId("UP-2"), MORNING, Side.BUY,
        64_000, 500, 10_000, agent=True, battery="BAT-2",
    )  # fmt: skip
    with store.write() as tx:
        one = next(kept for kept in agreements.listed(tx) if kept.party == "P-2")
        books.put_orders(tx, [order], received_s=MORNING - 1800)
        moved = Moved(bought_wh=400, kept_wh=100)
        move = BatteryMove(one.id, AssetId("BAT-2"), UsagePointId("UP-2"), moved, 475)
        batteries.put_moves(tx, MORNING, [move])
        row = {
            "buy_order": order.id, "sell_order": "x", "buyer": "UP-2", "seller": "UP-3",
            "price": 60_000, "energy_wh": 400,
        }  # fmt: skip
        facts = {"price": 60_000, "price_low": 60_000, "price_high": 60_000, "summary": "{}"}
        facts |= {"mechanism": "uniform_price", "volume_wh": 400}
        market.put_clearing(tx, MORNING, facts, [row])
    return one.id


def _text(client: FlaskClient, path: str = "") -> str:
    page = client.get(f"/my/battery{path}")
    assert page.status_code == 200
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.text))


def _post(client: FlaskClient, name: str, **form: str) -> int:
    found = re.search(r'csrf_token"[^>]*value="([^"]+)"', client.get("/my/limits").text)
    assert found
    return client.post(f"/my/battery/{name}", data={**form, "csrf_token": found[1]}).status_code


def test_a_day_shows_what_the_battery_did_and_what_it_came_to(
    sign_in: SignIn, store: Store
) -> None:
    client = sign_in("prosumer")
    assert "It has not traded yet" in _text(client)
    _trade(store)
    text = _text(client, "?day=2026-05-27")
    assert "0.475 kWh on its account" in text
    assert "Bought 0.400 kWh · 0.02 AZN" in text
    assert "Kept of your own surplus 0.100 kWh" in text
    assert "10:00 BAT-2 400 0 100 0 475" in text
    assert "Sold 0.000 kWh · 0.00 AZN" in text


def test_consent_begins_tomorrow_and_is_taken_back(sign_in: SignIn, store: Store) -> None:
    client = sign_in("prosumer")
    assert "your battery does not trade" in _text(client)
    assert _post(client, "UP-2", battery="yes") == 302
    text = _text(client)
    assert "Kept. The ledger has an entry of it." in text
    assert "Let it not trade any more from 2026-05-28 on" in text
    assert "It trades from 2026-05-28 on." in text
    with store.read() as tx:
        one = next(kept for kept in agreements.listed(tx) if kept.party == "P-2")
    assert [each.id for each in one.terms[-1].batteries] == ["BAT-2"]
    assert _post(client, "UP-2", battery="no") == 302
    assert "It trades from" not in _text(client)
    with store.read() as tx:
        one = next(kept for kept in agreements.listed(tx) if kept.party == "P-2")
    assert one.terms[-1].batteries == ()


def test_a_consent_that_is_to_begin_with_a_month_is_taken_back(
    sign_in: SignIn, store: Store, site: Site
) -> None:
    assert site.market.guaranteed
    client = sign_in("prosumer")
    assert _post(client, "UP-2", battery="yes") == 302
    assert "It trades from 2026-06-01 on." in _text(client)
    assert _post(client, "UP-2", battery="no") == 302
    text = _text(client)
    assert "It trades from" not in text
    assert "Let it trade from 2026-06-01 on" in text


def test_nobody_sees_or_consents_for_anothers_battery(sign_in: SignIn, store: Store) -> None:
    client = sign_in("prosumer")
    for name in ("UP-1", "UP-3", "UP-99"):
        assert client.get(f"/my/battery?usage_point={name}").status_code == 404
        assert _post(client, name, battery="yes") == 404
    assert _post(client, "UP-2", battery="perhaps") == 400
    with store.read() as tx:
        assert not [one for one in agreements.listed(tx) if one.terms[-1].batteries]


def test_the_next_tenant_does_not_see_what_the_battery_did_before(
    sign_in: SignIn, store: Store
) -> None:
    number = _trade(store)
    with store.write() as tx:
        agreements.end(tx, number, MORNING)
        one = next(kept for kept in agreements.listed(tx) if kept.id == number)
        terms = one.terms[0]
        agreements.begin(
            tx, usage_point="UP-2", party_id="community", from_s=MORNING, terms=terms, by="clerk"
        )
    text = _text(sign_in("prosumer"))
    assert "0.475 kWh" in text, "one's own time stays"
    with store.write() as tx:
        assert batteries.moves(tx, 0, 2**40, number + 100) == []
