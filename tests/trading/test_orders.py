"""Orders: what is accepted, what is refused and in which words."""

from dataclasses import replace

import pytest

from grid.errors import BadInputError
from grid.interval import parse
from grid.site import Market, RegulationProfile
from trading.book import Order, Side
from trading.mechanisms.terms import Act, Event
from trading.orders import AgentNeed, OrderRules, accept, default_orders, in_time, receipt
from trading.orders_csv import parse_orders, read_orders

AT = parse("2026-06-01T10:00Z")
GOOD = {
    "usage_point": "up-1",
    "start": "2026-06-01T10:30Z",
    "side": "buy",
    "price": "0.0720",
    "energy_wh": "1500",
}
MARKET = Market(
    "uniform_price", RegulationProfile.SANDBOX, 50_000, 160_000, 30_000, 10_000, 5_000, 5
)


def submit(**changes):
    return accept(
        {**GOOD, **changes},
        party="ada",
        usage_points={"up-1": ("ada", 5000), "up-2": ("bob", 5000)},
        rules=OrderRules(),
        at_s=AT,
        order_id="o-1",
        sequence=7,
    )


def test_a_good_order_is_kept_exactly():
    start = parse("2026-06-01T10:30Z")
    assert submit() == Order("o-1", "ada", "up-1", start, Side.BUY, 72_000, 1500, 7)
    assert receipt(submit())["price"] == "72000"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"price": "1e5"}, "not a plain decimal"),
        ({"price": "٠.٠٧"}, "not a plain decimal"),
        ({"price": "NaN"}, "not a plain decimal"),
        ({"price": 0.07}, "must be a decimal text"),
        ({"price": "-0.01"}, "within 0 to 1.0000"),
        ({"price": "1.01"}, "within 0 to 1.0000"),
        ({"price": "0.07205"}, "multiple of 0.0001"),
        ({"energy_wh": "1_000"}, "not a whole number"),
        ({"energy_wh": "١٠"}, "not a whole number"),
        ({"energy_wh": 1.0}, "not a whole number"),
        ({"energy_wh": True}, "not a whole number"),
        ({"energy_wh": "0"}, "within 1 to 5000"),
        ({"energy_wh": 5001}, "is 5001, must be within 1 to 5000"),
        ({"side": "hold"}, "must be 'buy' or 'sell'"),
        ({"side": ["buy"]}, "must be 'buy' or 'sell'"),
        ({"usage_point": "up-2"}, "not one of party ada"),
        ({"usage_point": "up-9"}, "not one of party ada"),
        ({"start": "2026-06-01T10:15Z"}, "gate closed at 2026-06-01T10:00Z"),
        ({"start": "2026-06-01T10:31Z"}, "no start of an interval"),
        ({"start": "2026-06-03T10:30Z"}, "too far ahead"),
        ({"start": "2026-06-01T10:30"}, "no time zone"),
        ({"colour": "red"}, "unknown: colour"),
    ],
)
def test_a_bad_order_is_refused_with_its_value_and_limit(changes, words):
    with pytest.raises(BadInputError, match=words):
        submit(**changes)


def test_the_seal_orders_by_interval_and_time_and_refuses_twins():
    one = submit()
    later = replace(one, id="o-2", sequence=3, start_s=one.start_s + 900)
    assert in_time([later, one]) == (one, later)
    with pytest.raises(BadInputError, match="twice"):
        in_time([one, replace(one, id="o-3")])


def agents(*needs, start_s=900):
    return default_orders(needs, start_s=start_s, market=MARKET, first_sequence=10, secret=b"draw")


def test_agents_bid_below_retail_less_the_grid_fee_and_ask_above_feed_in():
    needs = [AgentNeed(f"up-{i}", f"p{i}", 100 * (i % 2), 50, 84_000) for i in range(40)]
    orders = agents(*needs)
    assert agents(*reversed(needs)) == orders
    assert {order.price for order in orders} <= set(range(50_100, 74_000, 100))
    assert len({order.price for order in orders}) > 10
    assert [order.sequence for order in orders] == list(range(10, 70))
    assert len({order.id for order in orders}) == 60
    assert all(order.agent for order in orders)
    bids = [order.price for order in orders if order.side is Side.BUY]
    assert min(bids) > max(order.price for order in orders if order.side is Side.SELL)


def test_a_prosumers_own_limit_replaces_the_agents_and_keeps_the_tick():
    (bid,) = agents(AgentNeed("up-1", "p", 100, 0, 84_000, buy_limit=61_234))
    (ask,) = agents(AgentNeed("up-1", "p", 0, 100, 84_000, sell_limit=61_234))
    assert (bid.price, ask.price) == (61_200, 61_300)


def test_where_nothing_is_to_gain_agents_stay_out():
    assert agents(AgentNeed("up-1", "p", 100, 100, 60_000)) == ()


CSV = "id,side,price,energy_wh\n"


def test_a_file_of_orders_is_read_in_the_order_of_its_lines(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text(CSV + "a,buy,3,1\nb,sell,0.002,4\n", "utf-8")
    got = [(o.id, o.side.value, o.price, o.energy_wh, o.sequence) for o in read_orders(path).orders]
    assert got == [("a", "buy", 3_000_000, 1, 1), ("b", "sell", 2_000, 4, 2)]


@pytest.mark.parametrize(
    "row",
    [
        "a,buy,1e5,1",
        "a,buy,3,1_000",
        "a,buy,٣,1",
        "a,buy,3,١",
        "a,buy,NaN,1",
        "a,buy,-3,1",
        "a,buy,3,-1",
        "a,buy,3,0",
        "a,buy,3,1.5",
        "a,buy,inf,1",
        "a,Buy,3,1",
        "a,buy, 3,1",
        "a,buy,3",
        "a,buy,3,1,9",
        ",buy,3,1",
        "ok,buy,3,1",
        'a,buy,3,"1"x',
    ],
)
def test_a_bad_line_is_refused_by_its_number(row):
    with pytest.raises(BadInputError, match=r"^f\.csv:3: ") as error:
        parse_orders(CSV + "ok,buy,3,1\n" + row + "\n", "f.csv")
    assert "\n" not in str(error.value)


def test_a_line_may_cancel_or_amend_an_order_that_was_placed():
    found = parse_orders(
        "id,side,price,energy_wh,act\na,buy,3,5,place\nb,sell,2,4,place\n"
        "a,,,,cancel\nb,,1,,amend\nb,,,3,amend\n",
        "f.csv",
    )
    assert [order.id for order in found.orders] == ["a", "b"]
    assert found.events == [
        Event(Act.PLACE, 0),
        Event(Act.PLACE, 1),
        Event(Act.CANCEL, 0),
        Event(Act.AMEND, 1, 1_000_000),
        Event(Act.AMEND, 1, None, 3),
    ]


def test_an_order_may_have_a_bus_and_a_key_and_a_metered_file_no_price():
    found = parse_orders("id,side,energy_wh,bus,key_percent\na,buy,3,b1,100\nb,sell,2,b2,\n", "f",
                         priced=False)  # fmt: skip
    assert (found.bus, found.key_percent) == (["b1", "b2"], [100, 0])
    assert [order.price for order in found.orders] == [0, 0]
    assert found.events == []


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("a,buy,3,1,101,place", "key_percent is '101', must be within 0 to 100"),
        ("a,buy,3,1,-1,place", "key_percent is '-1'"),
        ("a,buy,3,1,٣,place", "key_percent is '٣'"),
        ("a,buy,3,1,,moved", "a act is 'moved', must be place, cancel or amend"),
        ("a,buy,3,1,,cancel", "order a is not placed before it is changed"),
        ("ok,,1e5,,,amend", "not a plain decimal"),
        ("ok,,,0,,amend", "within 1 to"),
    ],
)
def test_a_bad_key_or_act_is_refused_by_its_line(row, words):
    with pytest.raises(BadInputError, match=rf"^f\.csv:3: .*{words}"):
        parse_orders(CSV.strip() + ",key_percent,act\nok,buy,3,1,,place\n" + row + "\n", "f.csv")


@pytest.mark.parametrize("header", ["", "id,side,price", "id,side,price,energy_wh,x", "id,id"])
def test_a_wrong_header_is_refused(header):
    with pytest.raises(BadInputError, match=r"^f\.csv:1: header"):
        parse_orders(header + "\n", "f.csv")


def test_a_file_that_is_not_utf8_is_bad_input(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_bytes(b"id,side\xff")
    with pytest.raises(BadInputError, match="cannot be read"):
        read_orders(path)
