"""Orders as they are submitted, checked, receipted, defaulted and sealed."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from grid.errors import BadInputError
from grid.ids import OrderId, PartyId, UsagePointId, check
from grid.interval import label
from grid.interval import parse as parse_instant
from grid.quantities import format_price, parse_price
from grid.site import Market
from trading.book import Order, Side

__all__ = [
    "AgentNeed",
    "Order",
    "OrderRules",
    "Side",
    "TICK",
    "accept",
    "default_orders",
    "in_time",
    "parse_energy",
    "parse_limit",
    "receipt",
]

TICK = 100
"""Step of a limit price: 0.0001 of the currency per kWh."""

_WHOLE = re.compile(r"[0-9]{1,9}", re.ASCII)
_FIELDS = ("usage_point", "start", "side", "price", "energy_wh")


@dataclass(frozen=True, slots=True)
class OrderRules:
    """What an order must keep.

    Attributes
    ----------
    interval_s : int
        Length of a market interval.
    gate_closure_s : int
        Time before its start at which the book of an interval closes.
    horizon_s : int
        How far ahead an interval may start.
    tick : int
        Step of a limit price, nano-currency per Wh.
    price_max : int
        Highest limit price, nano-currency per Wh.
    """

    interval_s: int = 900
    gate_closure_s: int = 900
    horizon_s: int = 86_400
    tick: int = TICK
    price_max: int = 1_000_000


def parse_energy(value: object, subject: str, high_wh: int) -> int:
    """Return Wh from an integer or its ASCII digits.

    Raises
    ------
    BadInputError
        When it is neither, or not within 1 to `high_wh`.
    """
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadInputError(f"{subject} energy_wh {value!r} is not a whole number of Wh")
    if not 1 <= value <= high_wh:
        raise BadInputError(f"{subject} energy_wh is {value}, must be within 1 to {high_wh}")
    return value


def parse_limit(value: object, subject: str, rules: OrderRules) -> int:
    """Return nano-currency per Wh from a decimal text per kWh.

    Raises
    ------
    BadInputError
        When it is no such text, out of range or off the tick.
    """
    if not isinstance(value, str):
        raise BadInputError(f"{subject} price {value!r} must be a decimal text such as '0.0840'")
    try:
        price = parse_price(value)
    except BadInputError as error:
        raise BadInputError(f"{subject} {error}") from error
    if not 0 <= price <= rules.price_max:
        limit = format_price(rules.price_max)
        raise BadInputError(f"{subject} price is {value}, must be within 0 to {limit} per kWh")
    if price % rules.tick:
        tick = format_price(rules.tick)
        raise BadInputError(f"{subject} price is {value}, must be a multiple of {tick} per kWh")
    return price


def _start(value: object, subject: str, rules: OrderRules, at_s: int) -> int:
    if not isinstance(value, str):
        raise BadInputError(f"{subject} start {value!r} must be an ISO 8601 text")
    start_s = parse_instant(value)
    when = f"{subject} {label(start_s)}"
    if start_s % rules.interval_s:
        raise BadInputError(f"{when} is no start of an interval of {rules.interval_s} s")
    gate_s = start_s - rules.gate_closure_s
    if at_s >= gate_s:
        raise BadInputError(f"{when} gate closed at {label(gate_s)}")
    if start_s > at_s + rules.horizon_s:
        last = label(at_s + rules.horizon_s)
        raise BadInputError(f"{when} is too far ahead: orders are taken until {last}")
    return start_s


def accept(
    fields: Mapping[str, object],
    *,
    party: PartyId,
    usage_points: Mapping[UsagePointId, tuple[PartyId, int]],
    rules: OrderRules,
    at_s: int,
    order_id: OrderId,
    sequence: int,
) -> Order:
    """Return the order a party submitted, or refuse it.

    Parameters
    ----------
    fields : Mapping
        ``usage_point``, ``start`` (ISO 8601), ``side`` (``buy`` or ``sell``),
        ``price`` (decimal text per kWh), ``energy_wh`` (integer or its digits);
        nothing else.
    party : PartyId
        Who submits.
    usage_points : Mapping
        The party of each usage point and the most Wh its connection carries in
        an interval.
    at_s : int
        When the order arrived.

    Raises
    ------
    BadInputError
        With subject, value and limit.
    """
    if set(fields) != set(_FIELDS):
        odd = sorted(set(fields) ^ set(_FIELDS))
        raise BadInputError(f"order fields missing or unknown: {', '.join(map(str, odd))}")
    name = fields["usage_point"]
    if not isinstance(name, str):
        raise BadInputError(f"usage_point {name!r} must be text")
    point = UsagePointId(check(name, "usage point"))
    # The same words for another's usage point and for none, so that none can be probed.
    owner, high_wh = usage_points.get(point, (None, 0))
    if owner is None or owner != party:
        raise BadInputError(f"usage point {point} is not one of party {party}")
    start_s = _start(fields["start"], point, rules, at_s)
    subject = f"{point} {label(start_s)}"
    side = fields["side"]
    if not isinstance(side, str) or side not in list(Side):
        raise BadInputError(f"{subject} side is {side!r}, must be 'buy' or 'sell'")
    return Order(
        id=order_id,
        party=party,
        usage_point=point,
        start_s=start_s,
        side=Side(side),
        price=parse_limit(fields["price"], subject, rules),
        energy_wh=parse_energy(fields["energy_wh"], subject, high_wh),
        sequence=sequence,
    )


def receipt(order: Order) -> dict[str, str | int | bool]:
    """Return the canonical payload of an order; the price as text of nano per Wh."""
    battery = {"battery": order.battery} if order.battery else {}
    return {
        **battery,
        "agent": order.agent,
        "energy_wh": order.energy_wh,
        "id": order.id,
        "party": order.party,
        "price": str(order.price),
        "sequence": order.sequence,
        "side": order.side.value,
        "start_s": order.start_s,
        "usage_point": order.usage_point,
    }


def in_time(orders: Iterable[Order]) -> tuple[Order, ...]:
    """Return the book in its canonical order: by interval, then by sequence.

    Raises
    ------
    BadInputError
        When an identifier or a sequence number is there twice.
    """
    book = sorted(orders, key=lambda order: (order.start_s, order.sequence))
    ids: set[OrderId] = set()
    sequences: set[int] = set()
    for order in book:
        if order.id in ids or order.sequence in sequences:
            raise BadInputError(f"order {order.id} sequence {order.sequence} is there twice")
        ids.add(order.id)
        sequences.add(order.sequence)
    return tuple(book)


@dataclass(frozen=True, slots=True)
class AgentNeed:
    """What a default agent trades for one usage point.

    `retail_price` is the block the next Wh falls into; `buy_limit` and
    `sell_limit` are the prosumer's own, if any. Prices are nano per Wh. Of no
    energy, or less, nothing is ordered.
    """

    usage_point: UsagePointId
    party: PartyId
    need_wh: int
    surplus_wh: int
    retail_price: int
    buy_limit: int | None = None
    sell_limit: int | None = None


def default_orders(
    needs: Iterable[AgentNeed],
    *,
    start_s: int,
    market: Market,
    first_sequence: int,
    secret: bytes,
    tick: int = TICK,
) -> tuple[Order, ...]:
    """Return the orders of the community's default agents for one interval.

    A trade gains where its price lies between the feed-in price and the retail
    price less the grid fee. Buyers bid in the upper quarter of that range and
    sellers ask in the lower, each at a place drawn with `secret` from usage point
    and interval, so that nobody stands last every time and nobody else can tell
    from a price whose bid it was. Where nothing is to be
    gained, only prosumers with a limit of their own trade.
    """
    orders: list[Order] = []
    for need in sorted(needs, key=lambda need: need.usage_point):
        digest = hmac.digest(secret, f"{start_s} {need.usage_point}".encode(), "sha256")
        limits = _agent_limits(need, market, tick, int.from_bytes(digest[:8], "big"))
        for side, limit, energy_wh in (
            (Side.BUY, limits[0], need.need_wh),
            (Side.SELL, limits[1], need.surplus_wh),
        ):
            if limit is None or energy_wh <= 0:
                continue
            orders.append(
                Order(
                    id=OrderId(f"agent-{side}-{digest.hex()[:32]}"),
                    party=need.party,
                    usage_point=need.usage_point,
                    start_s=start_s,
                    side=side,
                    price=limit,
                    energy_wh=energy_wh,
                    sequence=first_sequence + len(orders),
                    agent=True,
                )
            )
    return tuple(orders)


def _agent_limits(
    need: AgentNeed, market: Market, tick: int, draw: int
) -> tuple[int | None, int | None]:
    """Return the limit to buy and the limit to sell at, on the tick."""
    low = (market.feed_in // tick + 1) * tick
    high = -(-(need.retail_price - market.grid_fee) // tick) * tick - tick
    buy = sell = None
    if low <= high:
        step = draw % ((high - low) // tick // 4 + 1) * tick
        buy, sell = high - step, low + step
    if need.buy_limit is not None:
        buy = need.buy_limit // tick * tick
    if need.sell_limit is not None:
        sell = -(-need.sell_limit // tick) * tick
    return buy, sell
