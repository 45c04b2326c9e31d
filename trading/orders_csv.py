"""A book of orders as a CSV file: strict, and every error with its line.

Columns ``id,side,price,energy_wh``, and ``party`` and ``usage_point`` if
wanted, in any order; the price is a decimal per kWh. The order of the lines is
the order in time.
"""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

from grid.errors import BadInputError
from grid.ids import OrderId, PartyId, UsagePointId, check
from trading.book import Order, Side
from trading.orders import OrderRules, parse_energy, parse_limit

_REQUIRED = ("id", "side", "price", "energy_wh")
_OPTIONAL = ("party", "usage_point")
_ENERGY_MAX_WH = 999_999_999
_PRICE_MAX = 1_000_000_000
_FEW = 20


def read_orders(path: Path, *, tick: int = 1) -> tuple[Order, ...]:
    """Return the orders of a file; see :func:`parse_orders`."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path}: cannot be read: {error}") from error
    return parse_orders(text, path.name, tick=tick)


def parse_orders(text: str, name: str, *, tick: int = 1) -> tuple[Order, ...]:
    """Return the orders of a CSV text, numbered from 1 in the order of the lines.

    Raises
    ------
    BadInputError
        One line ``NAME:LINE: message`` for each of the first errors.
    """
    rows = csv.reader(io.StringIO(text), strict=True)
    rules = OrderRules(tick=tick, price_max=_PRICE_MAX)
    orders: list[Order] = []
    errors: list[str] = []
    first: dict[str, int] = {}
    try:
        header = next(rows, [])
        _check_header(header)
        for row in rows:
            line = rows.line_num
            try:
                order = _order(header, row, rules)
                if order.id in first:
                    raise BadInputError(f"order {order.id} is on line {first[order.id]} already")
                first[order.id] = line
                orders.append(replace(order, sequence=len(orders) + 1))
            except BadInputError as error:
                errors.append(f"{name}:{line}: {error}")
    except (csv.Error, BadInputError) as error:
        errors.append(f"{name}:{max(rows.line_num, 1)}: {error}")
    if errors:
        more = len(errors) - _FEW
        raise BadInputError(
            "\n".join(errors[:_FEW] + ([f"{name}: {more} more errors"] if more > 0 else []))
        )
    return tuple(orders)


def _check_header(header: list[str]) -> None:
    missing = [column for column in _REQUIRED if column not in header]
    unknown = [column for column in header if column not in (*_REQUIRED, *_OPTIONAL)]
    if missing or unknown or len(set(header)) != len(header):
        raise BadInputError(
            f"header {','.join(header)!r} must have {','.join(_REQUIRED)} once each, "
            f"may have {','.join(_OPTIONAL)}, and nothing else"
        )


def _order(header: list[str], row: list[str], rules: OrderRules) -> Order:
    if len(row) != len(header):
        raise BadInputError(f"has {len(row)} columns, the header has {len(header)}")
    fields = dict(zip(header, row, strict=True))
    name = check(fields["id"], "order")
    if fields["side"] not in list(Side):
        raise BadInputError(f"{name} side is {fields['side']!r}, must be 'buy' or 'sell'")
    return Order(
        id=OrderId(name),
        party=PartyId(check(fields.get("party", name), "party")),
        usage_point=UsagePointId(check(fields.get("usage_point", name), "usage point")),
        start_s=0,
        side=Side(fields["side"]),
        price=parse_limit(fields["price"], name, rules),
        energy_wh=parse_energy(fields["energy_wh"], name, _ENERGY_MAX_WH),
        sequence=0,
    )
