"""``khazri market clear ORDERS.csv --mechanism M``: what a book decides, and its certificate."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grid.console.cli.options import UsageError, answer, as_json, checked, instant
from grid.errors import BadInputError, VerificationError
from grid.quantities import format_price, parse_price

if TYPE_CHECKING:
    from trading.book import Book, Clearing
    from trading.mechanisms.terms import Terms
    from trading.orders_csv import OrdersFile

TERM = {
    "network": "feeder",
    "contracts": "contracts",
    "at": "start_s",
    "margin": "margin",
    "retail": "retail",
    "feed_in": "feed_in",
    "price": "price",
    "redistribute": "redistribute",
}
"""The term of a mechanism that each option gives."""


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    from trading.mechanisms import REGISTRY
    from trading.mechanisms.terms import Margin

    per_kwh = checked(_price)
    parser.add_argument("orders", type=Path, metavar="ORDERS.csv")
    parser.add_argument("--mechanism", required=True, choices=REGISTRY, metavar="M",
                        help=", ".join(REGISTRY))  # fmt: skip
    parser.add_argument("--tick", type=checked(_tick), default=100, help="price step per kWh")
    parser.add_argument("--margin", choices=[*Margin], help="who is served first at the price")
    parser.add_argument("--retail", type=per_kwh, help="price per kWh from the supplier")
    parser.add_argument("--feed-in", type=per_kwh, help="price per kWh that is fed in")
    parser.add_argument("--price", type=per_kwh, help="price per kWh that members agreed")
    parser.add_argument("--redistribute", action="store_true", default=None,
                        help="what a static key leaves goes to those in need")  # fmt: skip
    parser.add_argument("--network", type=Path, metavar="LINES.csv", help="buses and their lines")
    parser.add_argument("--contracts", type=Path, metavar="FILE.csv", help="bilateral contracts")
    parser.add_argument("--at", type=instant, help="start of the interval; 1970 by default")
    as_json(parser)
    parser.set_defaults(run=run)


def _price(text: str) -> int:
    price = parse_price(text)
    if not 0 <= price <= 10**9:
        raise BadInputError(f"price {text} must be within 0 to {format_price(10**9)} per kWh")
    return price


def _tick(text: str) -> int:
    if (tick := _price(text)) < 1:
        raise BadInputError(f"tick {text} must be more than 0 per kWh")
    return tick


def run(options: argparse.Namespace) -> int:
    """Clear the orders of a file, print who trades with whom, and check it."""
    from trading.book import Book
    from trading.mechanisms import mechanism
    from trading.orders_csv import read_orders

    _check_usage(options)
    rules = mechanism(options.mechanism)
    given = read_orders(options.orders, tick=options.tick, priced=not rules.metered)
    book = Book.of(given.orders)
    terms = _terms(options, given)
    if rules.metered:
        book = _metered(book, terms)
    outcome = rules.clear(book, terms)
    if wrong := rules.certify(book, outcome, terms):
        raise VerificationError(f"{options.orders}: the certificate does not hold: {wrong[0]}")
    facts = _facts(options, given, outcome)
    if rules.metered:
        facts |= _averages(book, outcome, terms)
    answer(options, facts, _text(facts))
    return 0


def _check_usage(options: argparse.Namespace) -> None:
    from trading.mechanisms import REGISTRY

    chosen = REGISTRY[options.mechanism]
    for name, term in TERM.items():
        given = getattr(options, name) is not None
        flag = f"--{name.replace('_', '-')}"
        if given and term not in (*chosen.needs, *chosen.reads):
            others = [key for key, one in REGISTRY.items() if term in (*one.needs, *one.reads)]
            raise UsageError(f"{flag} is for {', '.join(others)}, not {options.mechanism}")
        if not given and term in chosen.needs:
            raise UsageError(f"--mechanism {options.mechanism} needs {flag}")


def _terms(options: argparse.Namespace, given: OrdersFile) -> Terms:
    import numpy as np

    from trading.book import party_numbers
    from trading.mechanisms.terms import Margin, Terms
    from trading.terms_csv import read_contracts, read_feeder

    if given.events and options.mechanism != "order_book":
        raise UsageError(f"a column act is for order_book, not {options.mechanism}")
    feeder = bus = None
    if options.network:
        feeder, number = read_feeder(options.network)
        for order, name in zip(given.orders, given.bus, strict=True):
            if name not in number:
                raise BadInputError(f"order {order.id} is at bus {name!r}: not in the network")
        bus = np.array([number[name] for name in given.bus], np.int64)
    party = party_numbers(given.orders)
    return Terms(
        tick=options.tick,
        margin=Margin(options.margin or Margin.PRO_RATA),
        retail=options.retail or 0,
        feed_in=options.feed_in or 0,
        price=options.price or 0,
        key_percent=np.array(given.key_percent, np.int64),
        redistribute=bool(options.redistribute),
        events=tuple(given.events),
        contracts=read_contracts(options.contracts, party) if options.contracts else (),
        start_s=options.at or 0,
        feeder=feeder,
        bus=bus,
    )


def _metered(book: Book, terms: Terms) -> Book:
    from trading.mechanisms.metered import metered_book

    taken = book.energy_wh * book.buy
    return metered_book(taken, book.energy_wh - taken, terms, book.party)


def _facts(options: argparse.Namespace, given: OrdersFile, outcome: Clearing) -> dict[str, Any]:
    from trading.statements import exact_money

    name = [str(order.id) for order in given.orders]
    facts: dict[str, Any] = {
        "mechanism": outcome.mechanism,
        "price": _shown(outcome.price),
        "price_low": _shown(outcome.price_low),
        "price_high": _shown(outcome.price_high),
        "volume_wh": outcome.volume_wh,
        "surplus": exact_money(outcome.surplus_nano),
        "trades": [
            {
                "buy_order": name[buy],
                "sell_order": name[sell],
                "energy_wh": energy_wh,
                "buyer_pays": _shown(paid),
                "seller_gets": _shown(received),
            }
            for buy, sell, energy_wh, paid, received in outcome.trades.tolist()
        ],
        "netted": {name[n]: wh for n, wh in enumerate(outcome.netted.tolist()) if wh},
        "certificate": "holds",
    }
    if outcome.bus_price is not None:
        from trading.terms_csv import read_feeder

        buses = read_feeder(options.network)[1]
        prices = outcome.bus_price.tolist()
        facts["bus_price"] = {bus: _shown(prices[number]) for bus, number in buses.items()}
    return facts


def _shown(price: int | None) -> str | None:
    return None if price is None else format_price(price)


def _averages(book: Book, outcome: Clearing, terms: Terms) -> dict[str, str]:
    from trading.mechanisms.metered import average_prices

    cost, brought = average_prices(book, outcome, terms)
    # Shown to the nano below; the exact ratio is a bill's business.
    return {
        "average_cost": format_price(cost.numerator // cost.denominator),
        "average_brought": format_price(brought.numerator // brought.denominator),
    }


def _text(facts: dict[str, Any]) -> str:
    price = facts["price"] or "none"
    if facts["price_low"] is not None:
        price += f" (from {facts['price_low']} to {facts['price_high']})"
    lines = [
        f"mechanism    {facts['mechanism']}",
        f"price        {price} per kWh",
        f"volume       {facts['volume_wh']} Wh",
        f"surplus      {facts['surplus']}",
        f"certificate  {facts['certificate']}",
    ]
    if "average_cost" in facts:
        lines.append(
            f"on average   costs {facts['average_cost']}, brings {facts['average_brought']}"
        )
    lines += [f"bus {bus}: {shown}" for bus, shown in facts.get("bus_price", {}).items()]
    lines += [f"{order}: {wh} Wh within its party" for order, wh in facts["netted"].items()]
    lines += [
        f"{row['buy_order']} buys {row['energy_wh']} Wh from {row['sell_order']} at "
        f"{row['buyer_pays']}"
        + (f", who gets {row['seller_gets']}" if row["seller_gets"] != row["buyer_pays"] else "")
        for row in facts["trades"]
    ]
    return "\n".join(lines)
