"""Tariffs are read as they always were, and with versions, rates and dynamic prices."""

from __future__ import annotations

from datetime import date

import pytest

from grid.errors import BadInputError
from grid.operation.demo_site import demo_site
from grid.site import FeeBy, RegulationProfile
from grid.site_file import SiteFileError, parse
from grid.site_tariff import SINGLE_RATE
from grid.site_tariff_file import parse_tariffs, read_tariffs

TARIFFS = """\
[[tariff]]
id = "home"
name = "Blocks"
fixed_fee = "1.00"
vat_percent = 18
[[tariff.block]]
up_to_kwh = 200
price = "0.084"
[[tariff.block]]
up_to_kwh = 0
price = "0.150"
[[tariff.version]]
valid_from = 2026-07-01
name = "Day and night"
fixed_fee = "2.00"
fixed_fee_by = "day"
vat_percent = 18
[[tariff.version.rate]]
id = "day"
hours = ["weekday 06:00-22:00", "weekend 08:00-24:00"]
[[tariff.version.rate.block]]
up_to_kwh = 0
price = "0.120"
[[tariff.version.rate]]
id = "night"
[[tariff.version.rate.block]]
up_to_kwh = 0
price = "0.060"
[[tariff.version]]
valid_from = 2027-01-01
name = "Price of the hour"
fixed_fee = "0.50"
[[tariff.version.rate]]
id = "spot"
series = "day_ahead"
adder = "0.015"
floor = "0.00"
cap = "0.40"
[[tariff]]
id = "shop"
name = "One price"
fixed_fee = "0"
[[tariff.block]]
up_to_kwh = 0
price = "0.130"
"""


def test_a_tariff_has_versions_rates_and_dynamic_prices() -> None:
    home, shop = parse_tariffs(TARIFFS, "T.toml")
    first, timed, spot = home.versions
    assert [rate.id for rate in first.rates] == [SINGLE_RATE]
    assert (first.fixed_fee_by, timed.fixed_fee_by) == (FeeBy.MONTH, FeeBy.DAY)
    assert len(timed.rates[0].quarters) == 64 + 64
    assert spot.rates[0].cap == 400_000
    assert [home.version_on(date(2026, 6, 30)), home.version_on(date(2026, 7, 1))] == [0, 1]
    assert shop.vat_percent == 0


def test_a_site_file_from_before_there_were_versions_means_the_same() -> None:
    site = parse(demo_site())
    home = site.tariff[0]
    assert [(step.up_to_kwh, step.price) for step in home.block] == [
        (200, 84_000), (300, 100_000), (0, 150_000),
    ]  # fmt: skip
    assert home.versions[0].rates[0].block == home.block
    assert len(home.versions) == 1


def test_a_site_file_takes_the_tariffs_of_a_file_of_their_own() -> None:
    text = demo_site()
    again = TARIFFS.replace('"home"', '"household"').replace('"shop"', '"business"')
    start, end = text.index("[[tariff]]"), text.index("[[outage]]")
    site = parse(text[:start] + again + text[end:])
    assert site.tariff == parse_tariffs(again, "T.toml")


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


@pytest.mark.parametrize(
    ("old", "new", "at", "message"),
    [
        ("2026-07-01", '"2026-07-01"', "valid_from", "'2026-07-01' must be date"),
        ("2026-07-01", "2026-07-01T00:00:00", "valid_from", "must be date"),
        ("2027-01-01", "2026-07-01", "[[tariff]]", "2026-07-01, 2026-07-01 of its versions must"),
        ("06:00-22:00", "06:00-22:07", "hours", "on quarter-hours"),
        ("06:00-22:00", "22:00-06:00", "hours", "must end after they start"),
        ("weekday 06", "holiday 06", "hours", "write 'weekday 08:00-22:00'"),
        ("vat_percent = 18\n[[tariff.block]]", "vat_percent = 118\n[[tariff.block]]",
         "vat_percent = 118", "vat_percent is 118, must be within 0 to 100"),
        ('cap = "0.40"', 'cap = "-0.40"', "cap =", "'-0.40' must be within 0 to 1000000"),
        ('floor = "0.00"', 'floor = "0.50"', "floor =", "must be at most cap 400000"),
        ('series = "day_ahead"\n', "", '[[tariff.version.rate]]\nid = "spot"',
         "must have either block or series"),
        ('fixed_fee_by = "day"', 'fixed_fee_by = "week"', "fixed_fee_by", "one of month, day"),
        ('id = "night"', 'id = "day"', "[[tariff.version]]", "each must have a name of its own"),
        ('id = "night"\n', 'id = "night"\nhours = ["daily 21:00-24:00"]\n', "[[tariff.version]]",
         "rates day and night hold at the same time"),
        ('id = "night"\n', 'id = "night"\nhours = ["daily 00:00-02:00"]\n', "[[tariff.version]]",
         "0 rates have no hours, must be 1"),
        ('id = "shop"', 'id = "home"', 'id = "home"\nname = "One', "tariff home stands twice"),
        ('series = "day_ahead"', 'stream = "day_ahead"', "stream", "unknown key 'stream'"),
        ('price = "0.060"', "price = 0.060", "price = 0.060", "must be a decimal in quotes"),
        ("up_to_kwh = 200", "up_to_kwh = 0", "[[tariff]]", "block ends [0, 0] must rise"),
    ],
)  # fmt: skip
def test_each_error_has_its_line(old: str, new: str, at: str, message: str) -> None:
    assert old in TARIFFS
    wrong = TARIFFS.replace(old, new, 1)
    with pytest.raises(SiteFileError) as caught:
        parse_tariffs(wrong, "T.toml")
    told = [error for error in caught.value.errors if message in error]
    assert told, caught.value.errors
    assert told[0].startswith(f"T.toml:{line_of(wrong, at)}: ")


def test_a_file_of_tariffs_has_nothing_else(tmp_path) -> None:
    with pytest.raises(SiteFileError, match=r"T.toml:1: unknown key 'name'"):
        parse_tariffs(f'name = "x"\n{TARIFFS}', "T.toml")
    with pytest.raises(SiteFileError, match=r"there is no \[\[tariff"):
        parse_tariffs("", "T.toml")
    with pytest.raises(BadInputError, match="No such file"):
        read_tariffs(tmp_path / "T.toml")
    (tmp_path / "T.toml").write_text(TARIFFS)
    assert len(read_tariffs(tmp_path / "T.toml")) == 2


def test_old_names_of_profiles_are_taken_and_a_change_has_its_day() -> None:
    text = demo_site()
    for old, profile in (
        ("sandbox", RegulationProfile.AZERBAIJAN_SANDBOX), ("lawful", RegulationProfile.AZERBAIJAN),
        ("austria", RegulationProfile.AUSTRIA), ("eu_sharing", RegulationProfile.EU_SHARING),
    ):  # fmt: skip
        market = parse(text.replace('profile = "azerbaijan_sandbox"', f'profile = "{old}"')).market
        assert market.profile is profile
    change = '[[market.change]]\nvalid_from = 2026-07-01\nprofile = "azerbaijan"\n\n[grid]\n'
    market = parse(text.replace("[grid]\n", change, 1)).market
    assert market.profile_on(date(2026, 6, 30)) is RegulationProfile.AZERBAIJAN_SANDBOX
    assert market.profile_on(date(2026, 7, 1)) is RegulationProfile.AZERBAIJAN
    twice = change.replace("[grid]\n", "") + change
    with pytest.raises(SiteFileError, match="the days 2026-07-01, 2026-07-01 of its changes must"):
        parse(text.replace("[grid]\n", twice, 1))
