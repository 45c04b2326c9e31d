"""The page of events: entering, weighing, two operators, the report, three languages."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable

import numpy as np
import xarray as xr
from flask.testing import FlaskClient

from grid import interval
from grid.operation import event_delivery, events
from grid.site import Site
from grid.store import Store, control, series
from grid.store import events as stored
from grid.store.events import EventState
from meters.vee.quality import Quality

PAGE = "/operator/events"
SECOND = "second@example.org"
NOW = interval.parse("2026-05-27T14:00+04:00")
FORM = {
    "kind": "import-limit", "kw": "30,5", "start": "2026-05-27T17:00", "end": "2026-05-27T19:00",
    "answer_by": "2026-05-27T16:00", "asked_by": "Şəhər şəbəkəsi", "program": "peak",
    "name": "evening", "reward": "0,25", "penalty": "",
}  # fmt: skip


def _form(client: FlaskClient, **fields: str) -> dict[str, str]:
    token = re.search(r'name="csrf_token" value="([^"]+)', client.get(PAGE).text)
    assert token
    return {"csrf_token": token[1], **fields}


def _add(client: FlaskClient, **fields: str) -> str:
    answer = client.post(PAGE, data=_form(client, **(FORM | fields)), follow_redirects=True)
    assert answer.status_code == 200
    return answer.text


def _press(client: FlaskClient, what: str, **fields: str) -> str:
    answer = client.post(
        f"{PAGE}/2/{what}", data=_form(client, **fields), follow_redirects=True
    )  # fmt: skip
    assert answer.status_code == 200
    return answer.text


def test_an_event_is_entered_accepted_by_two_and_cancelled(
    sign_in: Callable[..., FlaskClient], store: Store, second: FlaskClient
) -> None:
    client = sign_in("operator")
    assert "Nobody asks for anything." in client.get(PAGE).text
    page = _add(client, kw="5")
    assert "Event 2" in page
    assert "not weighed yet" in page
    with store.read() as tx:
        one = stored.get_event(tx, 2)
    assert (one.start_s, one.end_s, one.answer_by_s) == (
        NOW + 3 * 3600, NOW + 5 * 3600, NOW + 2 * 3600,
    )  # fmt: skip
    assert (one.asked_w, one.reward, one.penalty) == (5000, 250_000, 0)
    assert "waits for an answer" in client.get("/operator/now").text
    page = _press(client, "accept")
    assert "You accepted it: another operator approves it." in page
    assert "it takes a second person" in _press(client, "approve")
    assert ">Approve<" in second.get(f"{PAGE}/2").text
    assert "Cancel the event" in _press(second, "approve")
    # Both click: the later one is told what it is.
    assert "only what waits for a second operator" in _press(second, "approve")
    assert "it is accepted, only received" in _press(client, "accept")
    assert "taken back by who asked" in _press(client, "cancel", cause="withdrawn")
    assert "cannot be cancelled" in _press(second, "cancel", cause="other")
    with store.read() as tx:
        kinds = [row["kind"] for row in control.actions(tx)]
    assert kinds[:4] == ["event.cancel", "event.approve", "event.ask", "event.receive"]
    assert client.get(f"{PAGE}/99").status_code == 404
    assert client.post(f"{PAGE}/99/accept", data=_form(client)).status_code == 404


def test_a_late_answer_and_a_wrong_form_are_told(
    sign_in: Callable[..., FlaskClient], store: Store
) -> None:
    client = sign_in("operator")
    for fields, told in (
        ({"kw": "1e3"}, "kW must be a number such as 12.5"),
        ({"kw": "99999"}, "the limit of the connection"),
        ({"start": "2026-05-27T17:05"}, "must be at the start of an interval"),
        ({"end": "yesterday"}, "is not a civil time"),
        ({"asked_by": ""}, "who asks"),
        ({"reward": "much"}, "is not a plain decimal number"),
        ({"kind": "import-reduction"}, "needs a baseline"),
    ):
        assert told in _add(client, **fields)
    assert 'value="99999"' in _add(client, kw="99999")
    for fields in ({"kind": "blackout"}, {"id": "7"}):
        form = _form(client, **(FORM | fields))
        assert client.post(PAGE, data=form).status_code == 400
    with store.read() as tx:
        assert [one.id for one in stored.listed(tx)] == [1]
    _add(client)
    assert client.post(f"{PAGE}/2/decline", data=_form(client, cause="spite")).status_code == 400
    with store.write() as tx:
        control.put_meta(tx, "clock_s", str(NOW + 2 * 3600))
    assert "its time to be answered is over" in _press(client, "accept")
    with store.read() as tx:
        assert stored.get_event(tx, 2).state is EventState.EXPIRED


def _weighed() -> str:
    starts = [NOW + 900 * n for n in range(16)]
    return json.dumps(
        {
            "at": "2026-05-27T10:00Z", "steps": 4, "of_steps": 8, "within": 0.0,
            "sources": ["new plan", "new plan"], "costs": [41.2, 43.45], "reward": 1.5,
            "spared_kwh": 6.0, "unserved_kwh": [0.0, 0.0],
            "short": [["2026-05-27T13:30Z", 20.0, 23.1]],
            "changes": [["BAT-1", [0.0, 2.5], [12.5, 0.0]]],
            "starts": starts, "flows_kw": [[33.0] * 16, [20.0] * 16],
        }
    )  # fmt: skip


def test_what_it_costs_and_what_is_short_stands_there_before_anybody_accepts(
    sign_in: Callable[..., FlaskClient], store: Store
) -> None:
    client = sign_in("operator")
    _add(client, kw="20")
    with store.write() as tx:
        stored.put_weighed(tx, 2, _weighed())
    page = client.get(f"{PAGE}/2").text
    assert "17:30: at most 20.0 kW asked for, 23.1 kW needed" in page
    assert "+2.25 AZN" in page
    assert "2.5 kWh taken" in page
    assert "12.5 kWh given" in page
    assert "The plan reaches 4 of its 8 intervals." in page
    assert "cannot be kept" in client.get(PAGE).text
    told = client.get(f"{PAGE}/2/data").get_json()
    columns = {one["label"]: one["values"] for one in told["charts"][0]["series"]}
    place = told["x"].index(NOW + 3 * 3600)
    assert columns["Asked limit"][place : place + 8] == [20.0] * 8
    assert columns["Plan without the event"][place] == 33.0
    assert columns["Plan with the event"][place] == 20.0


def test_the_report_is_shown_and_its_file_has_the_hash_of_the_ledger(
    sign_in: Callable[..., FlaskClient], store: Store, site: Site
) -> None:
    client = sign_in("operator")
    _add(client, kw="30", end="2026-05-27T18:00")
    with store.write() as tx:
        events.accept(tx, site, 2, "operator@example.org")
        one = events.approve(tx, site, 2, SECOND)
        assert one.state is EventState.ACCEPTED
        energy = np.array([[7000, 7500, 7501, 7400]])
        names = ("import_wh", "export_wh", "import_varh", "export_varh")
        dims = ("usage_point", "interval")
        content = xr.Dataset(
            {
                **{name: (dims, energy if name == "import_wh" else 0 * energy) for name in names},
                "quality": (dims, np.full((1, 4), Quality.VALID, np.uint16)),
            },
            coords={"usage_point": ["M-HEAD"], "interval": interval.starts(one.start_s, 4, 900)},
        )
        series.put_intervals(tx, content, time_zone=site.time_zone, cycle_s=one.end_s)
        control.put_meta(tx, "clock_s", str(one.end_s))
        events.pass_time(tx, site, one.end_s)
        (told,) = event_delivery.measure_due(tx, site, one.end_s)
        assert "kept in 3 of 4 intervals" in told.message
        done = stored.get_event(tx, 2)
    page = client.get(f"{PAGE}/2").text
    assert "kept in 3 of 4 intervals, 0 not known" in page
    assert "0.001 kWh above" in page
    file = client.get(f"{PAGE}/2/report.json")
    assert hashlib.sha256(file.data).hexdigest() == done.report_sha256
    assert done.report_sha256 in page
    assert "attachment" in file.headers["Content-Disposition"]
    rows = client.get(f"{PAGE}/2/report.csv").text.splitlines()
    assert rows[0].startswith("start,limit_wh,metered_wh,quality,kept")
    assert rows[3].startswith("2026-05-27T13:30Z,7500,7501,1.0.0,False,1,")
    assert "3/4" in client.get(PAGE).text


def test_the_pages_are_in_each_language_and_the_live_part_answers_304(
    sign_in: Callable[..., FlaskClient],
) -> None:
    client = sign_in("operator")
    _add(client)
    for language, words in (
        ("az", ("Cavab gözləyir", "Hadisə daxil et", "Qəbul et")),
        ("ru", ("Ждут ответа", "Внести событие", "Принять")),
        ("en", ("Waiting for an answer", "Enter an event", "Accept")),
    ):
        client.post("/language", data=_form(client, language=language))
        shown = client.get(PAGE).text + client.get(f"{PAGE}/2").text
        assert all(word in shown for word in words), language
    live = client.get(f"{PAGE}/live")
    again = client.get(f"{PAGE}/live", headers={"If-None-Match": live.headers["ETag"]})
    assert (live.status_code, again.status_code) == (200, 304)
