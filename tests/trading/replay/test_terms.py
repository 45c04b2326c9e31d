"""A site's terms are read back from the log as they were written into it."""

from __future__ import annotations

import json
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.errors import BadInputError
from grid.ids import PartyId, UsagePointId
from grid.site import GridPrice, Market, ProfileChange, RegulationProfile, Tariff, Zone
from tests.trading.tariffs.tariff_world import CHANGING, SPOT, TIMED, blocks
from trading.ledger import canonical
from trading.replay.terms import SiteTerms, decode, encode

PRICES = st.integers(-(10**9), 10**9)
FEES = st.integers(0, 10**15)
DAYS = st.lists(st.dates(date(2020, 1, 1), date(2030, 1, 1)), max_size=3, unique=True)
PROFILES = st.sampled_from(RegulationProfile)
CHANGES = st.builds(
    lambda days, profile: tuple(ProfileChange(day, profile) for day in sorted(days)), DAYS, PROFILES
)
ZONES = st.lists(
    st.builds(Zone, id=st.sampled_from(["north", "south"]), buses=st.just((1, 2)), fee=PRICES),
    max_size=1,
).map(tuple)
MARKETS = st.builds(
    Market,
    mechanism=st.sampled_from(["uniform_price", "dynamic_key"]),
    profile=PROFILES,
    feed_in=PRICES,
    shortfall=PRICES,
    surplus=PRICES,
    grid_fee=PRICES,
    battery_use_fee=PRICES,
    minimum_group=st.integers(1, 10**6),
    shared_price=PRICES,
    reference_price=PRICES,
    guaranteed=st.booleans(),
    change=CHANGES,
    zone=ZONES,
    loss_fees=st.booleans(),
)
PLAIN = st.builds(
    lambda fee, price, up_to: Tariff("one", "One", fee, blocks((up_to, price), (0, price))),
    FEES,
    st.integers(0, 10**9),
    st.integers(1, 10**6),
)
TARIFFS = st.tuples(st.one_of(PLAIN, st.just(CHANGING), st.just(TIMED)))
STEPS = st.tuples(st.builds(GridPrice, from_time=st.just("00:00"), buy=PRICES, sell=PRICES))
TERMS = st.builds(
    SiteTerms,
    time_zone=st.sampled_from(["Asia/Baku", "Europe/Vienna"]),
    interval_s=st.just(900),
    currency=st.just("AZN"),
    community=st.just(PartyId("community")),
    community_points=st.just((UsagePointId("UP-0"),)),
    market=MARKETS,
    grid_price=STEPS,
    tariff=TARIFFS,
)
ONE = SiteTerms(
    "Asia/Baku",
    900,
    "AZN",
    PartyId("community"),
    (UsagePointId("UP-0"),),
    Market("uniform_price", RegulationProfile.AUSTRIA, 1, 2, 3, 4, 5),
    (GridPrice("00:00", 7, 6),),
    (TIMED,),
)


@given(terms=TERMS)
def test_terms_are_read_back_as_they_were_written(terms: SiteTerms) -> None:
    assert decode(canonical.decode(canonical.encode(encode(terms)))) == terms


def test_money_is_a_decimal_text_and_what_is_not_there_is_null() -> None:
    told = encode(ONE)
    assert told["market"]["feed_in"] == "1"
    rate = told["tariff"][0]["version"][1]["rate"][1]
    assert (rate["adder"], rate["floor"], rate["series"]) == ("20000", "50000", SPOT.series)
    assert told["tariff"][0]["version"][0]["rate"][0]["cap"] is None


def test_what_a_later_edition_adds_with_a_default_may_be_missing() -> None:
    told = encode(ONE)
    del told["market"]["guaranteed"]
    assert decode(told) == ONE


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("market", "feed_in"), 1, "market feed_in"),
        (("market", "feed_in"), "1.5", "market feed_in"),
        (("market", "minimum_group"), True, "minimum_group"),
        (("market", "profile"), "moon", "profile"),
        (("market", "more"), 1, "market"),
        (("market",), [], "market"),
        (("tariff",), {}, "tariff"),
        (("interval_s",), None, "interval_s"),
        (("time_zone",), "Moon/Sea", "Moon/Sea"),
    ],
)
def test_terms_that_are_none_are_refused_by_name(
    path: tuple[str, ...], value: object, named: str
) -> None:
    told = json.loads(json.dumps(encode(ONE)))
    inner = told
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    with pytest.raises(BadInputError, match=named):
        decode(told)
