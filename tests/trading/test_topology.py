"""Fees of the network from a book to its postings: each paid once, by its buyer."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.errors import BadInputError
from grid.ids import OrderId, PartyId, TariffId, UsagePointId
from grid.site import Market, RegulationProfile, Tariff, TariffBlock, Zone
from trading.accounts import CLEARING_SURPLUS, GRID_OPERATOR, LOSSES, PostingKind, balances
from trading.book import Book, Order, Side
from trading.mechanisms import mechanism
from trading.mechanisms.terms import Terms
from trading.regulation import regulation_on
from trading.settlement import settle
from trading.settlement_facts import Settlement, SettlementInput, UsagePointInput
from trading.sharing import joined
from trading.tariffs.clock import Segment
from trading.topology import Place, Topology, Trade, trades

MARKET = Market(
    "with_line_limits", RegulationProfile.SANDBOX, 0, 0, 0, 1000, 0,
    zone=(Zone("a", (1,), 300), Zone("b", (2,), 500)),
)  # fmt: skip
TARIFF = Tariff(TariffId("t"), "T", 0, (TariffBlock(0, 90_000),))
LAW = regulation_on(MARKET.profile, date(2026, 1, 1))


def order(number: int, side: str, price: int, wh: int) -> Order:
    name = f"p{number}"
    point, side = UsagePointId(name), Side(side)
    return Order(OrderId(name), PartyId(name), point, 0, side, price, wh, number)


def settled(
    topology: Topology, orders: list[Order], market: Market
) -> tuple[list[Trade], Settlement]:
    """Clear a book and settle what it traded, delivered and consumed to the Wh."""
    rules, book = mechanism(market.mechanism), Book.of(orders)
    terms = topology.terms(Terms(), market, orders)
    outcome = rules.clear(book, terms)
    assert rules.certify(book, outcome, terms) == []
    made = trades(outcome, terms, topology, orders)
    legs: dict[int, list] = {place: [] for place in range(len(orders))}
    for one in made:
        bought, sold = one.legs()
        legs[one.buy].append(bought)
        legs[one.sell].append(sold)
    points = tuple(
        UsagePointInput(
            one.usage_point, one.party, TARIFF.id, Segment(0, "total"),
            import_wh=sum(leg.energy_wh for leg in legs[place] if leg.side is Side.BUY),
            export_wh=sum(leg.energy_wh for leg in legs[place] if leg.side is Side.SELL),
            legs=joined(legs[place]),
        )
        for place, one in enumerate(orders)
    )  # fmt: skip
    given = SettlementInput(0, points, market, LAW, {TARIFF.id: TARIFF}, 0, 0, 0, 60, 40)
    return made, settle(given)


def test_two_zones_on_four_buses_by_hand_to_the_last_nano() -> None:
    """Head 0 and bus 1 in zone a, 2 and 3 in zone b: line 1 carries 9 Wh, line 2 carries 4.

    p0 asks 10 Wh at 2,000 at the head; p1 bids 5 at 9,000 at bus 1, p2 bids 8 at 9,000 at bus 3.
    Losses cost 100 on each line, the border 2-1 300 + 500. 4 Wh are all that line 2 carries, 5 go
    to p1: line 1 carries its 9, and is full as line 2 is. The price at the head is that of the
    ask, 2,000, since 1 Wh of it is left; at bus 3 that of the bid, 9,000, of which 4 Wh are
    unserved; at bus 1 the most at which line 2 is worth its fees, 9,000 - 100 - 900 = 8,000.
    """
    topology = Topology(
        {"p0": Place("a", 0), "p1": Place("a", 1), "p2": Place("b", 3)},
        (-1, 0, 1, 2), (0, 9, 4, 99), ("a", "a", "b", "b"), (0, 100, 100, 100),
    )  # fmt: skip
    orders = [order(0, "sell", 2000, 10), order(1, "buy", 9000, 5), order(2, "buy", 9000, 8)]
    made, result = settled(topology, orders, MARKET)
    paid = {one.buy: one for one in made}
    assert paid[2] == Trade(2, 0, 4, 9000, 2000, zone_fee=800, loss_fee=300, regional=True)
    assert paid[1] == Trade(1, 0, 5, 8000, 2000, zone_fee=0, loss_fee=100, regional=False)
    lines = {(str(one.debit), str(one.kind)): one for one in result.lines if one.usage_point}
    shown = {
        key: (str(one.credit), one.energy_wh, one.price, one.amount_nano)
        for key, one in lines.items()
        if key[0] == "party:p2"
    }
    assert shown == {
        ("party:p2", "purchase"): ("market", 4, 7900, 31_600),
        ("party:p2", "grid_fee"): ("grid_operator", 4, 1000, 4_000),
        ("party:p2", "zone_fee"): ("grid_operator", 4, 800, 3_200),
        ("party:p2", "loss_fee"): ("losses", 4, 300, 1_200),
    }
    total = balances(result.lines)
    assert total[GRID_OPERATOR] == 9 * 1000 + 4 * 800
    assert total[LOSSES] == 4 * 300 + 5 * 100
    assert total[CLEARING_SURPLUS] == 4 * 5900 + 5 * 5900
    assert sum(total.values()) == 0


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_over_random_books_the_fees_are_those_of_the_flows_once_and_all_sums_to_zero(
    seed: int,
) -> None:
    draw = np.random.default_rng(seed)
    buses = int(draw.integers(2, 8))
    count = int(draw.integers(2, 14))
    topology = Topology(
        {f"p{n}": Place(bus=int(draw.integers(0, buses))) for n in range(count)},
        (-1, *(int(draw.integers(0, at)) for at in range(1, buses))),
        tuple(draw.integers(1, 12, buses).tolist()),
        tuple(draw.choice(["", "a", "b"], buses).tolist()),
        tuple(draw.integers(0, 3, buses).tolist()),
    )
    places = {name: Place(topology.zone[one.bus], one.bus) for name, one in topology.place.items()}
    topology = replace(topology, place=places)
    zones = (Zone("a", (1,), int(draw.integers(0, 4))), Zone("b", (2,), int(draw.integers(0, 4))))
    market = replace(MARKET, zone=zones)
    orders = [
        order(
            n,
            str(draw.choice(["buy", "sell"])),
            int(draw.integers(0, 20)),
            int(draw.integers(1, 9)),
        )
        for n in range(count)
    ]
    made, result = settled(topology, orders, market)
    network = topology.feeder(market)
    flow = np.zeros(buses, np.int64)
    for one in made:
        for place, sign in ((one.buy, -1), (one.sell, 1)):
            at = topology.of(f"p{place}").bus
            while at >= 0:
                flow[at] += sign * one.energy_wh
                at = topology.parent[at]
    got = balances(line for line in result.lines if line.kind is not PostingKind.GRID_FEE)
    lost = np.array(topology.loss_fee) * (network.parent >= 0)
    assert got.get(LOSSES, 0) == int((np.abs(flow) * lost).sum())
    crossed = network.line_fee - np.array(topology.loss_fee)
    assert got.get(GRID_OPERATOR, 0) == int((np.abs(flow) * crossed * (network.parent >= 0)).sum())
    assert got.get(CLEARING_SURPLUS, 0) >= 0
    assert sum(balances(result.lines).values()) == 0
    for one in made:
        assert one.paid - one.zone_fee - one.loss_fee >= one.got
        ends = topology.of(f"p{one.buy}"), topology.of(f"p{one.sell}")
        assert one.regional == (ends[0].zone != ends[1].zone)


def test_columns_that_do_not_fit_and_zones_that_are_none_are_refused_in_words() -> None:
    with pytest.raises(BadInputError, match="limit_wh has 1 buses, must have 2"):
        Topology(parent=(-1, 0), limit_wh=(0,), zone=("", ""))
    with pytest.raises(BadInputError, match="zone c is none of the market's"):
        Topology(parent=(-1, 0), limit_wh=(0, 1), zone=("", "c")).feeder(MARKET)
