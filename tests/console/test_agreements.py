"""Who moves in sees nothing of before; who moves out keeps what was theirs, and no more."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date

import pytest
from flask.testing import FlaskClient

from grid import interval
from grid.errors import BadInputError
from grid.operation import agreements
from grid.site import Site
from grid.store import Store, control, log, people
from grid.store import agreements as kept
from trading.agreements import in_force, spans

SignIn = Callable[..., FlaskClient]
DAY = date(2026, 5, 28)
FROM_S, _ = interval.day_bounds(DAY, "Asia/Baku")
FORM = {"usage_point": "UP-2", "day": "2026-05-28", "tariff": "", "share_percent": "50"}


def _token(client: FlaskClient, page: str) -> str:
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get(page).text)
    assert found
    return found[1]


def _new_tenant(client: FlaskClient) -> None:
    """Add a party and let it move in at UP-2 tomorrow, through the pages."""
    form = {"party": "P-NEW", "name": "Aygün", "kind": "household"}
    form["csrf_token"] = _token(client, "/agreements")
    assert client.post("/agreements/parties", data=form).status_code == 302
    moved = client.post("/agreements/moves", data={**form_of(client), "party": "P-NEW"})
    assert moved.location == "/agreements?usage_point=UP-2"


def form_of(client: FlaskClient) -> dict[str, str]:
    return {**FORM, "csrf_token": _token(client, "/agreements")}


def _go_on(store: Store, days: int) -> None:
    with store.write() as tx:
        control.put_meta(tx, "clock_s", str(FROM_S + days * interval.DAY_S + 43_200))


def _stand_for(store: Store, party: str) -> None:
    """Let the village's prosumer be another party's."""
    with store.write() as tx:
        (who,) = [one for one in people.people(tx) if one.roles == ("prosumer",)]
        tx.exec_driver_sql(f"UPDATE user SET party = '{party}' WHERE id = {who.id}")


def test_a_move_ends_the_agreement_before_and_is_committed_to(
    sign_in: SignIn, store: Store
) -> None:
    with store.read() as tx:
        size = log.size(tx)
    _new_tenant(sign_in("billing"))
    with store.read() as tx:
        old, new = kept.listed(tx, ["UP-2"])
        assert (old.party, old.until_s) == ("P-2", FROM_S)
        assert (new.party, new.from_s, new.until_s) == ("P-NEW", FROM_S, None)
        assert (new.terms[0].share_percent, new.terms[0].trades) == (50, False)
        assert agreements.holders(tx, FROM_S - 900)["UP-2"] == "P-2"
        assert agreements.holders(tx, FROM_S)["UP-2"] == "P-NEW"
        assert spans(kept.listed(tx), "UP-2", "P-2") == [(0, FROM_S)]
        acts = [act["kind"] for act in control.actions(tx)]
        assert acts == ["agreement.move_in", "party.add"]
        parties = {row["party"] for row in log.openings(tx, sequence=size + 1)}
        assert parties == {"P-2", "P-NEW"}


def test_a_new_tenant_gets_404_on_earlier_days_and_the_old_one_on_later_days(
    sign_in: SignIn, store: Store
) -> None:
    _new_tenant(sign_in("billing"))
    _go_on(store, 1)
    client = sign_in("prosumer")
    assert client.get("/my/energy?day=2026-05-27&usage_point=UP-2").status_code == 200
    assert client.get("/my/energy?day=2026-05-28&usage_point=UP-2").status_code == 404
    shown = client.get("/my/energy")
    assert shown.status_code == 200
    assert "2026-05-27" in shown.text
    _stand_for(store, "P-NEW")
    assert client.get("/my/energy?day=2026-05-28&usage_point=UP-2").status_code == 200
    assert client.get("/my/energy?day=2026-05-27&usage_point=UP-2").status_code == 404
    assert client.get("/my/energy?day=2026-05-27").status_code == 404
    assert client.get("/my/statement?month=2026-05").status_code == 404
    assert "UP-2" in client.get("/my/limits").text


def test_limit_prices_of_the_old_tenant_do_not_bind_the_new_one(
    sign_in: SignIn, store: Store
) -> None:
    prosumer = sign_in("prosumer")
    form = {"buy": "0.0700", "sell": "", "csrf_token": _token(prosumer, "/my/limits")}
    assert prosumer.post("/my/limits/UP-2", data=form).status_code == 302
    _new_tenant(sign_in("billing"))
    _go_on(store, 0)
    assert prosumer.post("/my/limits/UP-2", data=form).status_code == 404
    _stand_for(store, "P-NEW")
    assert "0.0700" not in prosumer.get("/my/limits").text


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"day": "2026-05-27"}, "from the day after 2026-05-27 on"),
        ({"day": "2029-01-01"}, "at most 400 days ahead"),
        ({"party": "P-99"}, "P-99 is no party of the site"),
        ({"party": "P-2"}, "P-2 stands for it already"),
        ({"usage_point": "UP-99"}, "UP-99: no such usage point"),
        ({"tariff": "gold"}, "known: home"),
        ({"share_percent": "101"}, "must be within 0 to 100"),
        ({"day": "tomorrow"}, "is not a date"),
    ],
)
def test_a_move_that_cannot_be_is_refused_with_why_and_changes_nothing(
    sign_in: SignIn, store: Store, change: dict[str, str], told: str
) -> None:
    client = sign_in("billing")
    answer = client.post("/agreements/moves", data={**form_of(client), "party": "P-3", **change})
    if "usage_point" in change:
        assert answer.status_code == 404
    else:
        assert told in answer.text
    with store.read() as tx:
        assert len(kept.listed(tx)) == 8
        assert control.actions(tx) == []


def test_an_empty_flat_is_the_communitys_and_terms_change_by_day(site: Site, store: Store) -> None:
    with store.write() as tx:
        changed = agreements.change_terms(
            tx, site, usage_point="UP-3", day=DAY, by="a@example.org", trades=False
        )
        assert changed.terms_at(FROM_S - 1).trades
        assert not changed.terms_at(FROM_S).trades
        with pytest.raises(BadInputError, match="these are the terms already"):
            agreements.change_terms(
                tx, site, usage_point="UP-3", day=date(2026, 6, 1), by="a", share_percent=100
            )
        later = date(2026, 7, 1)
        gone = agreements.move_out(tx, site, usage_point="UP-3", day=later, by="a@example.org")
        assert gone.party == "community"
        with pytest.raises(BadInputError, match="stands for it from 2026-06-30T20:00Z on"):
            agreements.move_in(
                tx, site, usage_point="UP-3", party="P-4", day=date(2026, 6, 2), by="a"
            )
        assert set(in_force(kept.listed(tx), FROM_S)) == {p.id for p in site.usage_point}


def test_two_agreements_of_one_usage_point_at_one_instant_cannot_be(store: Store) -> None:
    with store.read() as tx:
        held = kept.listed(tx, ["UP-3"])
    with pytest.raises(BadInputError, match="UP-3 has two agreements"):
        in_force([*held, *held], FROM_S)
