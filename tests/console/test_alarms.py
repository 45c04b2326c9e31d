"""An open alarm is never pushed off the operator's page by warnings."""

from __future__ import annotations

import re
from collections.abc import Callable

from flask.testing import FlaskClient

from grid import interval
from grid.errors import Finding, Severity
from grid.store import Store, control, views

SignIn = Callable[..., FlaskClient]
NOW = interval.parse("2026-05-27T14:00+04:00")


def _put(store: Store, at_s: int, severity: Severity, code: str, count: int) -> None:
    label = interval.label(at_s)
    found = [Finding(code, f"S-{n:04d}", label, severity, f"{code} {n}") for n in range(count)]
    with store.write() as tx:
        control.put_findings(tx, at_s, found)


def test_newer_warnings_do_not_hide_an_older_alarm(sign_in: SignIn, store: Store) -> None:
    _put(store, NOW - 86_400, Severity.ALARM, "network.overload", 1)
    for n in range(20):
        _put(store, NOW + 900 * n, Severity.WARNING, "meter.silent", 60)
    with store.read() as tx:
        rows = control.findings(tx, open_only=True, limit=3)
        waiting = views.open_findings(tx)
    assert [row["severity"] for row in rows] == ["alarm", "alarm", "warning"]
    assert [row["cycle_s"] for row in rows] == [NOW, NOW - 86_400, NOW + 900 * 19]
    page = sign_in("operator").get("/operator/now").text
    assert "network.overload 0" in page
    assert sum(waiting.values()) == 1203
    assert re.search(r"Alarms\s*<small>1203</small>", page)
    assert 'aria-label="open alarms">1203<' in page


def test_many_alarms_of_one_kind_do_not_hide_another(sign_in: SignIn, store: Store) -> None:
    _put(store, NOW - 86_400, Severity.ALARM, "network.overload", 1)
    _put(store, NOW, Severity.ALARM, "meter.lost", 700)
    page = sign_in("operator").get("/operator/now").text
    assert "network.overload 0" in page
