"""The page of exchanges: where another device answers, what was recorded, and who records."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from grid import interval
from grid.store import Store, control, field
from grid.store.meter_exchanges import exchanges
from meters.reading import MeterRead, RegisterRow

PAGE = "/meters/exchanges"
METER, OLD, NEW = "M-3", "SN-OLD", "SN-NEW"


@pytest.fixture
def other_device(store: Store) -> None:
    """Let another device answer at M-3 than the one that was known."""
    with store.write() as tx:
        at_s = control.clock_s(tx) - 900
        control.put_meta(tx, "meter.serials", f'{{"{METER}": "{OLD}"}}')
        control.put_meta(tx, "first_cycle_s", str(at_s - 43_200))
        row = RegisterRow(at_s - 1, (12, 0, 0, 0))
        field.put_reads(tx, [MeterRead(METER, row, (), 230.0, b"x", serial=NEW)], cycle_s=at_s - 1)


def _fields(client: FlaskClient, **fields: str) -> dict[str, str]:
    token = re.search(r'name="csrf_token" value="([^"]+)', client.get(PAGE).text)
    assert token
    known = {
        "meter": METER, "at": "2026-05-27T12:40", "old_serial": OLD, "new_serial": NEW,
        "last_import_wh": "5 250 000", "last_export_wh": "7", "first_import_wh": "10",
        "digits": "9", "multiplier": "1", "current": "200/5", "voltage": "1/1",
        "verified_until": "2034-12-31",
    }  # fmt: skip
    return {"csrf_token": token[1], **known, **fields}


@pytest.mark.usefixtures("other_device")
def test_a_clerk_records_the_exchange_that_a_device_gave_away(
    sign_in: Callable[..., FlaskClient], store: Store
) -> None:
    clerk = sign_in("metering")
    page = clerk.get(PAGE).text
    assert OLD in page
    assert NEW in page
    offered = clerk.get(f"{PAGE}?meter={METER}").text
    assert f'name="old_serial" value="{OLD}"' in offered
    assert f'name="new_serial" value="{NEW}"' in offered
    assert clerk.post(PAGE, data=_fields(clerk)).status_code == 302
    page = clerk.get(PAGE).text
    assert "The exchange of M-3 is recorded" in page
    assert "At every place the recorded device answers." in page
    assert "5 250 000 Wh" in page
    with store.read() as tx:
        (told,) = exchanges(tx, METER)
        assert control.actions(tx)[0]["kind"] == "meter.exchange"
    assert told.at_s == interval.parse("2026-05-27T12:40+04:00")
    assert (told.last, told.first) == ((5_250_000, 7, -1, -1), (10, -1, -1, -1))
    assert told.recorded_by == "metering@example.org"
    assert (told.factor, told.verified_until_s) == (40, interval.parse("2034-12-31T20:00Z"))
    # What was recorded is offered for the next one.
    assert 'name="current" value="200/5"' in clerk.get(f"{PAGE}?meter={METER}").text


@pytest.mark.usefixtures("other_device")
def test_serials_are_shown_only_to_those_who_see_readings_and_recorded_by_clerks(
    sign_in: Callable[..., FlaskClient],
) -> None:
    clerk = sign_in("metering")
    for recorded in (False, True):
        if recorded:
            clerk.post(PAGE, data=_fields(clerk))
        for role, sees in (("administrator", False), ("operator", True)):
            page = sign_in(role).get(f"{PAGE}?meter={METER}").text
            assert METER in page
            assert (OLD in page, NEW in page) == (sees, sees)
            assert 'name="old_serial"' not in page


@pytest.mark.usefixtures("other_device")
@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("old_serial", "SN-OTHER", "SN-OLD was there, not SN-OTHER"),
        ("at", "2026-05-27T19:00", "not after the site"),
        ("at", "noon", "is not a civil time"),
        ("at", "0001-01-01T00:00", "is before 1970"),
        ("last_import_wh", "1.5", "must be a whole number from 0 to"),
        ("last_import_wh", "", "must be a whole number from 0 to"),
        ("digits", "99", "must be a whole number from 4 to 15"),
        ("current", "200", "must be a ratio as text"),
        ("voltage", "0/1", "must be within 1 to 1000000"),
        ("verified_until", "soon", "is not a date"),
        ("first_import_wh", "9999999999", "must be within 0 to 999999999"),
        ("meter", "M-404", "no such meter"),
    ],
)
def test_a_wrong_exchange_is_told_and_what_was_typed_stays(
    sign_in: Callable[..., FlaskClient], store: Store, field: str, value: str, told: str
) -> None:
    clerk = sign_in("metering")
    page = clerk.post(PAGE, data=_fields(clerk, **{field: value})).text
    assert told in page
    if field != "meter":
        assert f'name="{field}"' in page
        assert f'value="{value}"' in page
        assert 'value="5 250 000"' in page or field == "last_import_wh"
    with store.read() as tx:
        assert exchanges(tx) == []
