"""The page of incidents: who waits, since when, what happened, and the indices."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from grid import interval
from grid.store import Store, incidents

SignIn = Callable[..., FlaskClient]
NOW = interval.parse("2026-05-27T14:00+04:00")
PAGE = "/incidents"
CONTENT = {
    "section": [["line", 4, "Line 4"], ["line", 5, "Line 5"]],
    "uncertain": ["UP-8"],
    "evidence": "gasp",
    "gasped": 2,
    "silent": 1,
    "unknown": 0,
    "opened": [[NOW - 3600, [["line", 4, "Line 4"]]]],
    "timeline": [{"at_s": NOW - 3600, "what": "found", "customers": 3}],
}


def _incident(store: Store, start_s: int, points: dict[str, int | None], **facts: object) -> int:
    with store.write() as tx:
        number = incidents.add(
            tx,
            {
                "kind": "line", "element": 4, "name": "line 4", "start_s": start_s,
                "found_s": start_s, "state": "located", "planned": False, **facts,
            },
            CONTENT,
        )  # fmt: skip
        incidents.interrupt(tx, number, dict.fromkeys(points, start_s))
        for row in incidents.interruptions(tx, [number]):
            if (end_s := points[row.usage_point]) is not None:
                incidents.settle(tx, row, start_s=start_s, end_s=end_s)
        ends = list(points.values())
        if None not in ends:
            incidents.change(tx, number, CONTENT, end_s=max(end for end in ends if end))
    return number


def test_no_incident_is_said_to_be_none(sign_in: SignIn) -> None:
    page = sign_in("operator").get(PAGE).text
    assert "Nobody is known to be without supply." in page
    assert re.search(r"SAIFI[^<]*</th><td class=\"n\">0\.0000<", page)


def test_an_open_incident_shows_who_waits_and_the_indices_of_month_and_year(
    sign_in: SignIn, store: Store
) -> None:
    start_s = NOW - 3600
    _incident(store, start_s, {"UP-1": None, "UP-2": None, "UP-3": start_s + 1800})
    last_month = NOW - 30 * interval.DAY_S
    _incident(store, last_month, {"UP-1": last_month + 7200})
    page = sign_in("operator").get(PAGE).text
    assert "line Line 4 or line Line 5" in page
    assert "2 last gasps, 1 silent, 0 not known." in page
    assert "1 h 0 min" in page
    assert re.search(r"Customers</dt><dd>3<", page)
    assert re.search(r"Restored</dt><dd>1<", page)
    assert "UP-8" in page
    assert "13:00–13:30" in page
    # Of 8 customers, two wait for an hour so far and one waited for half of one: 150 minutes.
    assert re.search(r"SAIDI[^<]*</th><td class=\"n\">18\.750</td><td class=\"n\">33\.750<", page)
    assert re.search(r"SAIFI[^<]*</th><td class=\"n\">0\.3750</td><td class=\"n\">0\.5000<", page)
    assert re.search(r"<th class=\"n\">2026-05</th><th class=\"n\">2026</th>", page)


def test_a_suspicion_is_said_to_be_one(sign_in: SignIn, store: Store) -> None:
    _incident(store, NOW - 900, {"UP-1": None, "UP-2": None}, state="suspected")
    page = sign_in("operator").get(PAGE).text
    assert "It may be communication" in page
    assert re.search(r"SAIFI[^<]*</th><td class=\"n\">0\.0000<", page)


def test_what_changes_is_sent_once(sign_in: SignIn, store: Store) -> None:
    client = sign_in("metering")
    first = client.get(f"{PAGE}/live")
    again = client.get(f"{PAGE}/live", headers={"If-None-Match": first.headers["ETag"]})
    assert (first.status_code, again.status_code) == (200, 304)
    _incident(store, NOW - 900, {"UP-1": None})
    assert client.get(f"{PAGE}/live", headers={"If-None-Match": first.headers["ETag"]}).data


@pytest.mark.parametrize("role", ["prosumer", "auditor", "market"])
def test_others_may_not_look(sign_in: SignIn, role: str) -> None:
    assert sign_in(role).get(PAGE).status_code in (403, 404)
