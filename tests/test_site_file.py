"""A site file is taken whole, or refused with the line of every error."""

from __future__ import annotations

from datetime import date

import pytest

from grid.operation.demo_site import demo_site, profile_offset_days
from grid.site import Protocol
from grid.site_file import SiteFileError, parse
from grid.site_sensors import QUANTITIES


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
        ('profile = "azerbaijan_sandbox"', 'profile = "wild"', "one of azerbaijan, azer"),
        ("[market]", "[markets]", "unknown table 'markets'"),
        ('feed_in = "0.050"', 'feed_in = "-0.050"', "feed_in: '-0.050' must be within 0 to"),
        ('sell = "0.085"', 'sell = "-0.085"', "sell: '-0.085' must be within 0 to"),
        ('price = "0.100"', 'price = "-0.100"', "price: '-0.100' must be within 0 to"),
        ('price = "0.100"', 'price = "999999999999"', "must be within 0 to 1000000"),
        ('fixed_fee = "1.00"', 'fixed_fee = "-1.00"', "fixed_fee: '-1.00' must be within 0 to"),
        ("seed = 1\n", "seed = -1\n", "seed is -1, must be within 0 to"),
        ("seed = 1\n", f"seed = {10**30}\n", "must be within"),
        ("power_kw = 60.0", f"power_kw = {10**400}", "the number is too large"),
        ('id = "demo-rural2"', 'id = "demo rural"', "'demo rural' is not an identifier"),
        ('id = "demo-rural2"', 'id = "../rural"', "'../rural' is not an identifier"),
        ('id = "UP-002"', 'id = "UP/002"', "'UP/002' is not an identifier"),
        ("T15:00Z", "T15:07Z", "outage: start 2026-05-29T15:07Z must be where an interval"),
        ("T16:00Z", "T16:00:30Z", "outage: end 2026-05-29T16:00:30Z must be where an interval"),
        ("T16:00Z", "T14:00Z", "outage: end must be after start"),
        ("2026-05-29T16:00Z", "0001-01-01T00:00Z", "must be within"),
        ('from_time = "08:00"', 'from_time = "8:00"', "must be HH:MM on a quarter-hour"),
        ('from_time = "08:00"', 'from_time = "08:07"', "must be HH:MM on a quarter-hour"),
        ('usage_point = "UP-002"', 'usage_point = "UP-001"', "UP-001 has meter M-001 already"),
        ('id = "BAT-01"', 'id = "UP-001"', "a usage point has the same id"),
        ('id = "M-HEAD"', 'id = "UP-001"', "a usage point has the same id"),
        ('id = "BAT-01"', 'id = "PV-01.available"', "stands for what PV-01 could produce"),
        ('time_zone = "Asia/Baku"', 'time_zone = "Asia"', "not an IANA time zone"),
        ('currency = "AZN"', 'currency = ""', "currency: '' must be three letters"),
        ('name = "Household 1"', 'name = "\\u0000"', "cannot be printed"),
        ("minimum_group = 5", "minimum_group = 0", "minimum_group is 0, must be within 1"),
    ],
)
def test_what_cannot_be_is_named(text: str, old: str, new: str, message: str) -> None:
    wrong = text.replace(old, new, 1)
    errors = [error for error in _errors(wrong) if message in error]
    # Where a key or a table stands twice the line is that of the second.
    lines = {number for number, line in enumerate(wrong.splitlines(), 1) if new.strip() in line}
    assert any(int(error.split(":")[1]) in lines for error in errors), _errors(wrong)


SENSORS = """
[mqtt]
host = "10.0.0.5"
user = "khazri"
password_file = "mqtt.password"
tls = true
subscribe = ["city/#"]

[[sensor]]
id = "T-1"
kind = "temperature_celsius"
topic = "city/square"
location = "the square"
payload = "json"
value = "/t"
range = [-30, 50]

[[sensor]]
id = "H-1"
kind = "humidity_percent"
topic = "city/square"
usage_point = "UP-001"
payload = "json"
value = "/h"
time = "/at"
stale_after_s = 600
"""


def test_sensors_and_their_broker_are_facts_of_a_site(text: str) -> None:
    site = parse(text + SENSORS)
    assert site.mqtt is not None
    assert (site.mqtt.host, site.mqtt.port, site.mqtt.tls) == ("10.0.0.5", 1883, True)
    square, humidity = site.sensor
    assert (square.quantity.unit, square.bounds) == ("celsius", (-30.0, 50.0))
    assert (humidity.bounds, humidity.stale_after_s) == ((0.0, 100.0), 600)
    assert parse(text).sensor == ()


@pytest.mark.parametrize("kind", QUANTITIES)
def test_the_last_word_of_a_kind_is_its_unit(kind: str) -> None:
    assert kind.endswith(f"_{QUANTITIES[kind].unit}")


@pytest.mark.parametrize(
    ("old", "new", "at", "message"),
    [
        ("tls = true", "tls = false", "password_file", "would go to 10.0.0.5 in clear"),
        ('user = "khazri"', "port = 70000", "port", "port is 70000, must be within 1 to 65535"),
        ('"10.0.0.5"', '"mqtt://broker"', "host", "is not a host name or address"),
        ('["city/#"]', '["city/#/a"]', "subscribe", "a whole level and # for the last"),
        ('"temperature_celsius"', '"warmth"', "kind", "kind is 'warmth', must be one of"),
        ('topic = "city/square"', 'topic = "city/+"', "topic", "must have no + or #"),
        ('topic = "city/square"', 'topic = ""', "topic", "must be 1 to 256 printable bytes"),
        ('value = "/t"', 'value = "t"', "value", "is not a JSON pointer"),
        ('value = "/t"', 'value = "/~2"', "value", "is not a JSON pointer"),
        ('value = "/t"', f'value = "{17 * "/a"}"', "value", "has 17 steps, must be within 16"),
        ('value = "/h"', 'value = "/t"', "topic", "sensor T-1 reads the same value there"),
        ('payload = "json"', 'payload = "xml"', "payload", "must be one of number, boolean, json"),
        ('payload = "json"', 'payload = "number"', "value", "value is for payload = 'json'"),
        ("[-30, 50]", "[50, -30]", "range", "must be [LOW, HIGH] within -60 to 70"),
        ("[-30, 50]", "[-30, nan]", "range", "must be [LOW, HIGH] within -60 to 70"),
        ("[-30, 50]", "[-300, 50]", "range", "must be [LOW, HIGH] within -60 to 70"),
        ('location = "the square"', "", "[[sensor]]", "has a usage_point or else a location"),
        ('usage_point = "UP-001"', 'usage_point = "UP-999"', "usage_point", "no usage_point"),
        ("after_s = 600", "after_s = 0", "stale_after_s", "is 0, must be within 1"),
        ('id = "H-1"', 'id = "T-1"', "id", "sensor T-1 stands twice"),
        ('id = "H-1"', 'id = "UP-001"', "id", "sensor UP-001: a usage point has the same id"),
        ("[mqtt]", "[mqtts]", "[mqtts]", "unknown table 'mqtts'"),
    ],
)
def test_a_sensor_that_cannot_be_is_named_with_its_line(
    text: str, old: str, new: str, at: str, message: str
) -> None:
    assert old in SENSORS
    wrong = text + SENSORS.replace(old, new, 1)
    (error, *_) = [error for error in _errors(wrong) if message in error]
    assert wrong.splitlines()[int(error.split(":")[1]) - 1].startswith(at)


def test_sensors_need_a_broker(text: str) -> None:
    alone = SENSORS[SENSORS.index("[[sensor]]") :]
    (error,) = _errors(text + alone)
    assert error.endswith("a sensor needs [mqtt], the broker it speaks to")


def test_broken_toml_is_told_with_its_line() -> None:
    (error,) = _errors('id = "x"\nname = \n')
    assert error.startswith("SITE.toml:2:")


def test_a_day_is_played_with_its_weekday_from_the_profile_year() -> None:
    for day in (date(2026, 5, 29), date(2026, 1, 1), date(2024, 2, 29), date(2026, 12, 31)):
        position = (day.toordinal() + profile_offset_days(day)) % 366
        assert date.fromordinal(date(2016, 1, 1).toordinal() + position).weekday() == day.weekday()


def test_an_outage_without_a_battery_that_forms_an_island_is_refused(text: str) -> None:
    (error,) = _errors(text.replace("forming = true", "forming = false"))
    line = text.splitlines().index("[[outage]]") + 1
    assert error == f"SITE.toml:{line}: an outage needs a battery with forming = true"


def test_what_is_wrong_in_one_table_hides_nothing_of_the_others(text: str) -> None:
    wrong = text.replace("power_kw = 60.0", "power_kw = -60.0", 1)
    wrong = wrong.replace("energy_kwh = 160.0", "energy_kwh = nan", 1)
    wrong = wrong.replace('party = "P-001"', 'party = "P-999"', 1)
    wrong = wrong.replace("interval_s = 900", "interval_s = 600", 1)
    errors = _errors(wrong)
    wanted = ("power_kw is -60.0", "energy_kwh is nan", "no party P-999", "interval_s: is 600")
    for message in wanted:
        assert any(message in error for error in errors), errors
    assert [int(error.split(":")[1]) for error in errors] == sorted(
        int(error.split(":")[1]) for error in errors
    )


def test_the_line_of_a_block_counts_on_from_tariff_to_tariff(text: str) -> None:
    wrong = text.replace('price = "0.130"', 'price = "0,130"')
    (error,) = _errors(wrong)
    assert error.startswith(f"SITE.toml:{wrong[: wrong.index('0,130')].count(chr(10)) + 1}:")


def test_hours_of_reading_and_limits_of_clocks_are_taken_or_refused_with_their_line(
    text: str,
) -> None:
    table = """
[reading]
profile_at = ["00:10", "23:30"]
give_up_minutes = 60
clock_correct_s = 10
"""
    told = parse(text + table).reading
    assert told.profile_at == ("00:10", "23:30")
    assert parse(text).reading.profile_at == ()
    assert parse(text).reading.clock_correct_s is None
    midnight_s = 1_779_912_000  # in Baku
    for minutes, is_open in ((-31, False), (10, True), (31, True), (69, True), (70, False)):
        assert told.is_open(midnight_s + 60 * minutes, "Asia/Baku") is is_open
    # Half past eleven at night lasts until half past midnight.
    assert told.is_open(midnight_s - 30 * 60, "Asia/Baku")
    assert told.is_open(midnight_s + 5 * 60, "Asia/Baku")
    wrong = table.replace("00:10", "24:10").replace("= 60", "= 0").replace("= 10\n", "= 400\n")
    errors = _errors(text + wrong)
    first = len(text.splitlines()) + 3
    assert [one.split(":")[1] for one in errors] == [str(first), str(first + 1), str(first + 2)]
    assert "'24:10', must be HH:MM" in errors[0]
    assert "clock_correct_s is 400, must be within 1 to clock_max_s = 300" in errors[2]
