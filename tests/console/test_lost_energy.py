"""The page of lost energy: what a case rests on, and who closes it with what was found."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from grid.console.lost_energy import picture
from grid.store import Store, control, loss_cases

PAGE = "/losses"
DAY_S = 86_400
FACTS = {
    "family": "loss",
    "kind": "bypass",
    "subject": "",
    "since_s": 30 * DAY_S,
    "found_s": 32 * DAY_S,
    "last_s": 33 * DAY_S,
    "wh_per_day": 5010,
    "wh_per_day_sd": 240,
}
CONTENT = {
    "message": "told",
    "evidence": [
        {"code": "balance", "value": 9.1, "limit": 5.0, "words": "5.0 kWh a day are not metered"}
    ],
    "suspects": [["UP-1", 0.71], ["UP-2", 0.26]],
    "elsewhere": 0.03,
    "narrowed": ["UP-1", "UP-2"],
    "next_step": "inspect the connection",
    "learned": {"start_s": 2 * DAY_S, "wh": [120, -80, None] * 9 + [40]},
    "judged": {"start_s": 30 * DAY_S, "wh": [4900, 5100, 5030], "sd_wh": [300, 290, 280]},
}


@pytest.fixture
def told(store: Store) -> int:
    """Return the number of a case that is open."""
    with store.write() as tx:
        loss_cases.put_case(tx, FACTS, CONTENT)
        return int(loss_cases.cases(tx)[0]["id"])


def _close(client: FlaskClient, number: int, **fields: str) -> int:
    token = re.search(r'name="csrf_token" value="([^"]+)', client.get(PAGE).text)
    form = {"reason": "confirmed", "comment": "a clamp before the meter"} | fields
    answer = client.post(
        f"{PAGE}/{number}/close", data={"csrf_token": token[1] if token else "", **form}
    )
    return answer.status_code


def test_no_case_is_said_to_be_none(sign_in: Callable[..., FlaskClient]) -> None:
    assert "No case is open." in sign_in("operator").get(PAGE).text


def test_a_case_shows_its_days_its_evidence_and_whom_to_visit(
    sign_in: Callable[..., FlaskClient], told: int
) -> None:
    page = sign_in("operator").get(PAGE).text
    assert "one of UP-1, UP-2" in page
    assert "5.0 kWh a day are not metered" in page
    assert "inspect the connection" in page
    assert re.search(r'UP-1</a></th><td class="n">71<', page)
    assert page.count('<rect class="import"') == 3
    assert page.count('<rect class="export"') == 19, "a day without balance is no bar"
    assert "Close the case" not in page, "who closes it is who knows meters"


def test_who_was_there_closes_a_case_once_and_the_ledger_has_it_without_a_name(
    sign_in: Callable[..., FlaskClient], store: Store, told: int
) -> None:
    client = sign_in("metering")
    assert _close(client, told, comment="  ") == 302
    assert "say what was found" in client.get(PAGE).text
    assert _close(client, told, reason="other") == 400
    assert _close(client, told + 1) == 404
    assert _close(client, told) == 302
    page = client.get(PAGE).text
    assert "No case is open." in page
    assert "a clamp before the meter" in page
    with store.read() as tx:
        actions = [row for row in control.actions(tx) if row["kind"] == "loss_case.close"]
        case = loss_cases.case(tx, told)
    assert len(actions) == 1
    assert "UP-" not in str(actions[0])
    assert case is not None
    assert case["reason"] == "confirmed"


def test_who_may_not_close_is_refused(sign_in: Callable[..., FlaskClient], told: int) -> None:
    assert _close(sign_in("operator"), told) in (400, 403)
    assert sign_in("prosumer").get(PAGE).status_code in (403, 404)


def test_the_picture_has_room_for_days_below_zero() -> None:
    drawn = picture(
        {"start_s": 0, "wh": [-2000, 1000]}, {"start_s": 2 * DAY_S, "wh": [4000], "sd_wh": [1]}
    )
    assert [text for _, text in drawn.rules] == ["-2", "0", "4"]
    below, above, judged = drawn.bars
    assert below.y == drawn.zero
    assert above.y + above.height == pytest.approx(drawn.zero, abs=0.11)
    assert judged.height == pytest.approx(2 * below.height, abs=0.11)
    assert [bar.judged for bar in drawn.bars] == [False, False, True]
