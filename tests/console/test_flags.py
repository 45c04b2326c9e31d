"""What is estimated is flagged wherever it shows; what belongs together is one alarm."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import xarray as xr
from flask import Flask
from flask.testing import FlaskClient

from dispatch.reasons import TEXT
from grid import interval
from grid.console.operator_alarms import grouped
from grid.console.operator_readings import readings
from grid.errors import Finding, Severity
from grid.site import Site
from grid.store import Store, control, log, series
from meters.vee.quality import Quality

SignIn = Callable[..., FlaskClient]

NOW = interval.parse("2026-05-27T14:00+04:00")


def _put(store: Store, site: Site, name: str, start_s: int, quality: Quality) -> None:
    dims = ("usage_point", "interval")
    values = {
        register: (dims, [[120 if register == "import_wh" else 0]]) for register in series.REGISTERS
    }
    content = xr.Dataset(
        {**values, "quality": (dims, [[int(quality)]])},
        coords={"usage_point": [name], "interval": interval.starts(start_s, 1, 900)},
    )
    with store.write() as tx:
        series.put_intervals(tx, content, time_zone=site.time_zone, cycle_s=NOW)


def _text(page: str) -> str:
    """The page without what shows only when pointed at."""
    return re.sub(r"<title>.*?</title>", "", page)


def test_the_operator_sees_the_estimate_on_every_page(
    sign_in: SignIn, store: Store, site: Site
) -> None:
    for point in site.usage_point:
        known = Quality.ESTIMATED_LIKE_DAY if point.id == "UP-4" else Quality.VALID
        _put(store, site, str(point.id), NOW - 900, known)
    client = sign_in("operator")
    now = _text(client.get("/operator/now").text)
    assert "1 of 8 readings: UP-4" in re.sub(r"\s+", " ", now)
    assert "estimated from like days" in now
    network = _text(client.get("/operator/network").text)
    assert network.count('class="ring"') == 2, "one bus and the legend"
    assert NOW - 900 in client.get("/operator/dispatch/data").json["estimated"]


def test_an_interval_that_waits_for_a_meter_says_for_which(store: Store, site: Site) -> None:
    last_s = NOW + 1800
    for point in site.usage_point:
        for start_s in range(NOW - 900, last_s, 900):
            if point.id != "UP-3" or start_s < NOW:
                _put(store, site, str(point.id), start_s, Quality.VALID)
    with store.read() as tx:
        found = readings(tx, site, NOW - 900, last_s + 900)
        assert readings(tx, site, None, None) is None
    assert found is not None
    assert found.flagged == []
    assert (found.waiting, found.from_s, found.until_s) == (["UP-3"], NOW, last_s)


@pytest.mark.parametrize("quality", [Quality.ESTIMATED_LINEAR, Quality.SUSPECT, Quality.EDITED])
def test_the_prosumer_reads_when_and_why(
    sign_in: SignIn, store: Store, site: Site, quality: Quality
) -> None:
    _put(store, site, "UP-2", NOW - 900, quality)
    page = _text(sign_in("prosumer").get("/my/energy?day=2026-05-27").text)
    words = {
        Quality.ESTIMATED_LINEAR: "estimated between its neighbours",
        Quality.SUSPECT: "suspect",
        Quality.EDITED: "edited",
    }[quality]
    assert f"13:45–14:00 {words}" in page
    assert page.count('class="flag"') == 13
    estimated = 13 if quality is Quality.ESTIMATED_LINEAR else 12
    statement = sign_in("prosumer").get("/my/statement").text
    assert f"{estimated} quarter-hours of this month are estimated" in statement


def test_a_silent_meter_is_one_alarm_and_an_event_of_many_subjects_too(store: Store) -> None:
    labels = [interval.label(NOW + 900 * n) for n in range(6)]
    silent = [
        Finding("meter.silent", "M-9", at, Severity.WARNING, f"M-9 {at} gave nothing")
        for at in labels
    ]
    low = [
        Finding("network.voltage_low", f"bus {n}", labels[0], Severity.ALARM, f"bus {n} low")
        for n in range(5)
    ]
    with store.write() as tx:
        control.put_findings(tx, NOW + 9000, [*silent, *low])
        groups, hidden = grouped(control.findings(tx, open_only=True))
    sizes = {group.code: len(group.alarms) for group in groups if group.alarms[0].subject != "M-3"}
    assert hidden == 0
    assert sizes["meter.silent"] == 6
    assert sizes["network.voltage_low"] == 5
    assert groups[0].severity == "alarm"
    texts = {alarm.text for group in groups for alarm in group.alarms}
    assert "gave nothing" in texts, "a row repeats subject and interval"


def test_only_what_the_page_showed_is_acknowledged(sign_in: SignIn, store: Store) -> None:
    labels = [interval.label(NOW + 900 * n) for n in range(3)]
    with store.write() as tx:
        found = [Finding("x.y", "M-9", at, Severity.WARNING, f"at {at}") for at in labels]
        control.put_findings(tx, NOW + 9000, found)
        rows = [row for row in control.findings(tx, open_only=True) if row["code"] == "x.y"]
        other = next(row for row in control.findings(tx, open_only=True) if row["code"] != "x.y")
    client = sign_in("operator")
    page = client.get("/operator/now").text
    token = re.search(r'csrf_token" value="([^"]+)', page)
    assert token
    first, second, third = (row["id"] for row in rows)
    url = f"/operator/alarms/{first}/acknowledge"
    form = {"comment": "", "csrf_token": token[1]}
    for bad in ("1;2", "-1", "a", "1,,2"):
        assert client.post(url, data={**form, "also": bad}).status_code == 400
    sent = {**form, "also": f"{second},{other['id']}"}
    assert client.post(url, data=sent).status_code == 302
    with store.read() as tx:
        left = {row["id"] for row in control.findings(tx, open_only=True)}
        assert {third, other["id"]} <= left
        assert not {first, second} & left
        assert len(control.actions(tx)) == 1
        assert control.actions(tx)[0]["sequence"] == log.size(tx) - 1


def test_each_reason_of_a_plan_has_its_sentence(app: Flask) -> None:
    from grid.console.operator_reasons import templates

    with app.test_request_context("/"):
        sentences = templates()
    assert set(sentences) == set(TEXT)
    for code, sentence in sentences.items():
        fields = set(re.findall(r"%\((\w+)\)s", sentence))
        assert fields == set(re.findall(r"\{(\w+)", TEXT[code])), code


def test_reasons_are_read_in_the_readers_language(app: Flask) -> None:
    from grid.console.operator_reasons import limit_hours, reason_texts

    stored = [
        {
            "subject": "BAT-1",
            "code": "curtail.voltage",
            "params": {"curtail_kw": 1.25, "cut": "vm_pu bus 7 <= 1.05", "bus": "7"},
            "text": "BAT-1: withholds",
        },
        {"subject": "X", "code": "new.code", "params": {}, "text": "X: something else"},
    ]
    for language, start in (("en", "withholds 1.2 kW"), ("ru", "не отдаёт 1.2 kW")):
        with app.test_request_context("/", headers={"Accept-Language": language}):
            app.preprocess_request()
            found = reason_texts(stored, {7: "LV Bus 7"})
            assert found["BAT-1"] == [f"{start}: LV Bus 7 ≤ 1.05 pu"]
            assert found["X"] == ["something else"]
            binding = [(4, "vm_pu bus 7 <= 1.05"), (5, "vm_pu bus 7 <= 1.05"), (9, "other")]
            assert limit_hours(binding, 0, 900, {}) == [
                ("bus 7 ≤ 1.05 pu", [(3600, 5400)]),
                ("other", [(8100, 9000)]),
            ]
