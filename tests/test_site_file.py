"""A site file is taken whole, or refused with the line of every error."""

from __future__ import annotations

from datetime import date

import pytest

from grid.operation.demo_site import demo_site, profile_offset_days
from grid.site import Protocol
from grid.site_file import SiteFileError, parse


@pytest.fixture(scope="module")
def text() -> str:
    return demo_site()


def _errors(text: str) -> list[str]:
    with pytest.raises(SiteFileError) as caught:
        parse(text)
    return list(caught.value.errors)


def test_the_demo_site_has_a_meter_for_each_connection_and_half_speak_each_protocol(
    text: str,
) -> None:
    site = parse(text)
    assert len(site.usage_point) == 96
    assert len(site.meter) == 97
    assert sum(meter.protocol is Protocol.DLMS for meter in site.meter) == 49
    assert len(site.solar) == 11
    assert len(site.battery) == 9


def test_an_unknown_key_is_refused_with_its_line(text: str) -> None:
    line = text.splitlines().index("[market]") + 2
    (error,) = _errors(text.replace("[market]\n", "[market]\nmechanisms = 1\n"))
    assert error.startswith(f"SITE.toml:{line}: unknown key 'mechanisms'")


def test_every_error_is_told_at_once(text: str) -> None:
    wrong = text.replace('feed_in = "0.050"', "feed_in = 0.05").replace("import_limit_kw", "limit")
    errors = _errors(wrong)
    assert any("must be a decimal in quotes" in error for error in errors)
    assert any("unknown key 'limit'" in error for error in errors)
    assert any("has no 'import_limit_kw'" in error for error in errors)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('party = "P-001"', 'party = "P-999"', "no party P-999"),
        ('id = "UP-002"', 'id = "UP-001"', "stands twice"),
        ("voltage_max_pu = 1.05 ", "voltage_max_pu = 5.0 ", "voltage_max_pu is 5.0"),
        ('time_zone = "Asia/Baku"', 'time_zone = "Asia/Nowhere"', "not an IANA time zone"),
        ("interval_s = 900", "interval_s = 600", "must be 900"),
        ('buy = "0.120"', 'buy = "1e-1"', "not a plain decimal"),
        ("forming = true", "forming = false", "an outage needs a battery"),
        ('profile = "sandbox"', 'profile = "wild"', "must be one of sandbox, lawful"),
        ("[market]", "[markets]", "unknown table 'markets'"),
    ],
)
def test_what_cannot_be_is_named(text: str, old: str, new: str, message: str) -> None:
    assert any(message in error for error in _errors(text.replace(old, new, 1)))


def test_broken_toml_is_told_with_its_line() -> None:
    (error,) = _errors('id = "x"\nname = \n')
    assert error.startswith("SITE.toml:2:")


def test_a_day_is_played_with_its_weekday_from_the_profile_year() -> None:
    for day in (date(2026, 5, 29), date(2026, 1, 1), date(2024, 2, 29), date(2026, 12, 31)):
        position = (day.toordinal() + profile_offset_days(day)) % 366
        assert date.fromordinal(date(2016, 1, 1).toordinal() + position).weekday() == day.weekday()
