"""Each profile is the law it says, from its day on, and what breaks it is named."""

from dataclasses import replace
from datetime import date

import pytest

from grid.errors import BadInputError
from grid.site import Market, RegulationProfile
from trading.mechanisms import REGISTRY
from trading.regulation import (
    Netting,
    market_findings,
    parse_regulations,
    participation_findings,
    regulation_on,
)

from .tariffs.tariff_world import CHANGING, TIMED

TODAY = date(2026, 5, 1)
MARKET = Market("uniform_price", RegulationProfile.AZERBAIJAN, 0, 0, 0, 0, 0)
LAW = {profile: regulation_on(profile, TODAY) for profile in RegulationProfile}
AZERBAIJAN, SANDBOX, SHARING, AUSTRIA = LAW.values()


def test_in_azerbaijan_nothing_is_traded_and_the_bank_lasts_until_the_years_end():
    assert not AZERBAIJAN.trading_allowed
    assert AZERBAIJAN.netting is Netting.MONTH
    assert [AZERBAIJAN.expired_wh(70, month) for month in (1, 11, 12)] == [0, 0, 70]


def test_in_the_sandbox_every_mechanism_is_allowed_and_households_pay_no_zone_or_loss_fees():
    assert set(REGISTRY) <= set(SANDBOX.mechanisms)
    assert SANDBOX.trading_allowed
    assert SANDBOX.guarantee_allowed
    assert (SANDBOX.zonal_fees_households, SANDBOX.loss_fees_households) == (False, False)
    assert SANDBOX.netting is Netting.NONE


def test_sharing_is_by_key_alone():
    assert SHARING.mechanisms == AUSTRIA.mechanisms == ("static_key", "dynamic_key")
    assert SHARING.organiser_allowed


def test_austria_allows_five_communities_since_april_2024_and_one_before():
    before = regulation_on(RegulationProfile.AUSTRIA, date(2024, 4, 7))
    since = regulation_on(RegulationProfile.AUSTRIA, date(2024, 4, 8))
    assert (before.communities_max, since.communities_max) == (1, 5)


@pytest.mark.parametrize(
    ("full", "locality", "left"),
    [
        (60_000, "local", 25_800),
        (60_000, "regional", 43_200),
        (60_000, "far", 60_000),
        (50, "local", 22),  # 21.5, half away from zero
        (-50, "local", -22),
    ],
)
def test_austrias_grid_fee_falls_by_57_percent_locally_and_28_regionally(full, locality, left):
    assert AUSTRIA.grid_fee(full, locality) == left


@pytest.mark.parametrize(
    ("market", "tariff", "law", "message"),
    [
        (MARKET, TIMED, AZERBAIJAN, "tariff timed: rate is day, spot, total, netting needs one"),
        (MARKET, CHANGING, SHARING, "mechanism is uniform_price, must be one of static_key, dy"),
    ],
)
def test_what_breaks_the_law_of_a_market_is_named(market, tariff, law, message):
    (finding,) = market_findings(market, [tariff], law)
    assert message in finding.message
    assert law.title in finding.message


def test_a_lawful_market_has_nothing_found():
    assert market_findings(MARKET, [CHANGING], AZERBAIJAN) == ()
    assert market_findings(MARKET, [CHANGING, TIMED], SANDBOX) == ()
    assert market_findings(replace(MARKET, mechanism="static_key"), [TIMED], AUSTRIA) == ()


@pytest.mark.parametrize(
    ("shares", "law", "messages"),
    [
        ({"A": 600_000, "B": 400_000}, AUSTRIA, []),
        ({}, AZERBAIJAN, []),
        ({"A": 1}, AZERBAIJAN, ["communities is 1, must be 0"]),
        ({"A": 505_000}, AUSTRIA, ["505000 ppm in A, must be a multiple of 10000"]),
        ({"A": 505_000}, SHARING, []),
        ({"A": 0}, SHARING, ["0 ppm in A, must be within 1 to 1000000"]),
        ({"A": 600_000, "B": 500_000}, SHARING, ["1100000 ppm together, must be at most 1000000"]),
        (dict.fromkeys("ABCDEF", 100_000), AUSTRIA, ["communities is 6, must be at most 5"]),
        (dict.fromkeys("ABCDE", 100_000), AUSTRIA, []),
    ],
)
def test_what_breaks_the_law_of_a_participation_is_named(shares, law, messages):
    found = participation_findings("UP-1", shares, law)
    assert len(found) == len(messages)
    for finding, message in zip(found, messages, strict=True):
        assert message in finding.message
        assert finding.subject == "UP-1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[regulation]]\ntitle = "X"\ntrading = true', "X.toml:3: unknown key 'trading'"),
        ('[[regulation]]\nnetting = "day"\ntitle = "X"', "X.toml:2: .*one of none, month"),
        ('[[regulation]]\ntitle = "X"\ncommunities_max = -1', "X.toml:3: .*within 0 to 1000"),
        (
            '[[regulation]]\ntitle = "X"\nnetting = "month"\nmechanisms = ["mcafee"]',
            "X.toml:3: .*cannot be traded",
        ),
        ('[[regulation]]\ntitle = "X"\n' * 2, "0001-01-01, 0001-01-01 must rise"),
        ('[[regulation]]\ntitle = "X"\nvalid_from = 2026-01-01T10:00:00', "X.toml:3: .*be date"),
        ("title = 1", "must have"),
    ],
)
def test_a_profile_is_read_strictly(text, message):
    with pytest.raises(BadInputError, match=message):
        parse_regulations(text, "X.toml")
