"""A book of orders as a CSV file: strict, and every error with its line.

Columns ``id,side,price,energy_wh``, and if wanted ``party``, ``usage_point``,
``bus``, ``key_percent`` and ``act``, in any order; the price is a decimal per
kWh. The order of the lines is the order in time. With a column ``act`` a line
places an order, cancels it (nothing but its id counts) or amends it (what is
given of price and energy). A file of metered energy has no price.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from grid.errors import BadInputError
from grid.ids import OrderId, PartyId, UsagePointId, check
from trading.book import Order, Side
from trading.csv_lines import read_text, take_lines
from trading.mechanisms.terms import Act, Event
from trading.orders import OrderRules, parse_energy, parse_limit

_REQUIRED = ("id", "side", "price", "energy_wh")
_OPTIONAL = ("party", "usage_point", "bus", "key_percent", "act")
_ENERGY_MAX_WH = 999_999_999
_PERCENT = re.compile(r"100|[0-9]{1,2}", re.ASCII)
_PRICE_MAX = 1_000_000_000


@dataclass(slots=True)
class OrdersFile:
    """What a file of orders holds, all by the place of the order.

    Attributes
    ----------
    orders : list of Order
        Numbered from 1 in the order of their lines.
    bus : list of str
        Empty texts where the file has none.
    key_percent : list of int
    events : list of Event
        None where the file has no column ``act``.
    """

    orders: list[Order] = field(default_factory=list)
    bus: list[str] = field(default_factory=list)
    key_percent: list[int] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


def read_orders(path: Path, *, tick: int = 1, priced: bool = True) -> OrdersFile:
    """Return the orders of a file; see :func:`parse_orders`."""
    return parse_orders(read_text(path), path.name, tick=tick, priced=priced)


def parse_orders(text: str, name: str, *, tick: int = 1, priced: bool = True) -> OrdersFile:
    """Return the orders of a CSV text.

    Parameters
    ----------
    tick : int
        Step of a limit price, nano-currency per Wh.
    priced : bool
        Whether the file has prices; without, an order's price is 0.

    Raises
    ------
    BadInputError
        One line ``NAME:LINE: message`` for each of the first errors.
    """
    found = OrdersFile()
    rules = OrderRules(tick=tick, price_max=_PRICE_MAX)
    lines: dict[str, int] = {}
    place: dict[str, int] = {}

    def take(line: int, fields: dict[str, str]) -> None:
        subject = check(fields["id"], "order")
        act = fields.get("act", Act.PLACE)
        if act not in list(Act):
            raise BadInputError(f"{subject} act is {act!r}, must be place, cancel or amend")
        if act != Act.PLACE:
            if subject not in place:
                raise BadInputError(f"order {subject} is not placed before it is changed")
            found.events.append(_change(Act(act), place[subject], subject, fields, rules))
            return
        if subject in lines:
            raise BadInputError(f"order {subject} is on line {lines[subject]} already")
        lines[subject] = line
        order = _order(subject, fields, rules, sequence=len(found.orders) + 1)
        key_percent = _percent(fields.get("key_percent", ""), subject)
        place[subject] = len(found.orders)
        found.orders.append(order)
        found.bus.append(fields.get("bus", ""))
        found.key_percent.append(key_percent)
        if "act" in fields:
            found.events.append(Event(Act.PLACE, place[subject]))

    required = [column for column in _REQUIRED if priced or column != "price"]
    take_lines(text, name, required=required, optional=_OPTIONAL, take=take)
    return found


def _order(subject: str, fields: dict[str, str], rules: OrderRules, *, sequence: int) -> Order:
    if fields["side"] not in list(Side):
        raise BadInputError(f"{subject} side is {fields['side']!r}, must be 'buy' or 'sell'")
    return Order(
        id=OrderId(subject),
        party=PartyId(check(fields.get("party", subject), "party")),
        usage_point=UsagePointId(check(fields.get("usage_point", subject), "usage point")),
        start_s=0,
        side=Side(fields["side"]),
        price=parse_limit(fields["price"], subject, rules) if "price" in fields else 0,
        energy_wh=parse_energy(fields["energy_wh"], subject, _ENERGY_MAX_WH),
        sequence=sequence,
    )


def _change(act: Act, order: int, subject: str, fields: dict[str, str], rules: OrderRules) -> Event:
    if act is Act.CANCEL:
        return Event(act, order)
    price, energy = fields.get("price"), fields["energy_wh"]
    return Event(
        act,
        order,
        parse_limit(price, subject, rules) if price else None,
        parse_energy(energy, subject, _ENERGY_MAX_WH) if energy else None,
    )


def _percent(text: str, subject: str) -> int:
    if not text:
        return 0
    if not _PERCENT.fullmatch(text):
        raise BadInputError(f"{subject} key_percent is {text[:20]!r}, must be within 0 to 100")
    return int(text)
