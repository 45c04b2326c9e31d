"""A village with half a day of made-up facts, written through the store's own functions."""

from __future__ import annotations

import re
from pathlib import Path

from grid import interval
from grid.console.auth_passwords import hash_password
from grid.console.permissions import ROLES
from grid.errors import Finding, Severity
from grid.operation import agreements
from grid.store import Store, control, field, people
from meters.device import Setpoint
from meters.reading import MeterRead, RegisterRow
from tests.console import village_market, village_run
from tests.console.village_market import SIGNER, signs
from tests.console.village_site import NOW, SITE, TOML, N

__all__ = ["NOW", "PASSWORD", "SIGNER", "SITE", "TOML", "N", "fill", "signs", "token"]

PASSWORD = "a long enough password"


def token(page: str) -> str:
    """Return the CSRF token of a page."""
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    assert found, page
    return found[1]


def fill(folder: Path) -> None:
    """Make a store with the village's facts."""
    store = Store.at(folder, create=True)
    password = hash_password(PASSWORD)
    with store.write() as tx:
        control.put_secrets(tx, {"console.secret_key": bytes(range(32))})
        control.put_meta(tx, "clock_s", str(NOW))
        for number, role in enumerate(ROLES):
            party = "P-2" if role == "prosumer" else None
            people.create(
                tx,
                email=f"{role}@example.org",
                name=role.title(),
                password_hash=password,
                roles=[role],
                at_s=NOW - number,
                party=party,
            )
        agreements.take(tx, SITE)
        village_run.put_intervals(tx)
        for n in range(48):
            village_run.put_control(tx, NOW - 900 * (48 - n), n)
        for n in range(24):
            village_run.put_plan(tx, NOW - 900 * (23 - n), n)
        village_run.put_network(tx)
        village_run.put_forecast(tx)
        village_market.put_market(tx)
        village_market.put_ledger(tx)
        village_market.put_commitments(tx)
        village_run.put_asking(tx)
        village_run.put_events(tx)
        for name in ("read", "validate", "forecast", "clear", "plan"):
            control.mark_done(tx, NOW, name)
        label = interval.label(NOW)
        found = [
            Finding("network.voltage", "LV 9", label, Severity.ALARM, "LV 9 vm_pu 1.112 > 1.100"),
            Finding("meter.silent", "M-3", label, Severity.WARNING, "M-3 did not answer in 5 s"),
            Finding("vee.spike", "UP-4", label, Severity.INFO, "UP-4 import 9000 Wh > 7500 Wh"),
        ]
        control.put_findings(tx, NOW, found)
        wishes = [
            Setpoint("BAT-1", "storage", charge_w=14_200),
            Setpoint("PV-1", "limit", limit_w=40_000),
            Setpoint("WIND-1", "limit", limit_w=20_000),
            Setpoint("DG-1", "genset", running=False),
        ]
        control.put_setpoints(tx, NOW, wishes[:3], "confirmed")
        control.put_setpoints(tx, NOW, wishes[3:], "failed")
        reads = [
            MeterRead(
                f"M-{n}", RegisterRow(NOW - 900 * (n % 3), (n, 0, 0, 0)), (), 230.0, bytes(32)
            )
            for n in range(1, N + 1)
        ]
        field.put_reads(tx, reads, cycle_s=NOW)
    store.close()
