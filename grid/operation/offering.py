"""Stage ``offer``: the community's default agents order what the forecast says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from grid import interval
from grid.operation import agreements, record
from grid.operation.battery_consent import OFFERED_AHEAD
from grid.operation.battery_offering import at_hand
from grid.operation.commission import DRAW_SECRET
from grid.operation.market import prices_at, trades_ahead
from grid.operation.record import Personal
from grid.operation.room import Room
from grid.operation.tariffs import in_force
from grid.site import UsageKind
from grid.store import Transaction, books, control, datasets
from grid.store import market as store
from trading.agreements import Agreement
from trading.battery_offers import battery_orders
from trading.book import Order, Side
from trading.ledger.entry import Kind
from trading.orders import AgentNeed, OrderRules, default_orders, receipt
from trading.settlement_facts import MonthAccount
from trading.tariffs.clock import segment_at
from trading.tariffs.month import marginal_price

_WH_PER_KW_INTERVAL = 250


def offer(room: Room, at_s: int) -> None:
    """Let the default agents place their orders for the next book to be sealed.

    They commit an interval before the gate closes, from the forecast and what their own party has
    ordered: whatever others order in that interval can be no reason for theirs.
    """
    start_s = at_s + OFFERED_AHEAD * room.site.interval_s
    placed: tuple[Order, ...] = ()
    with room.store.write() as tx:
        if trades_ahead(room.site, start_s):
            placed = _place(room, tx, at_s, start_s)
            facts = [Personal(str(one.party), "order", one.id, receipt(one)) for one in placed]
            public = {"by": "agents", "orders": len(placed)}
            record.append(tx, Kind.BOOK, start_s, at_s, public, facts)
        control.mark_done(tx, at_s, "offer")
    room.log(at_s, "offer", orders=len(placed))


def _place(room: Room, tx: Transaction, at_s: int, start_s: int) -> tuple[Order, ...]:
    """Let the default agents bid what each usage point needs or spares by the forecast, and what
    the batteries that may trade hold or have room for."""
    standing = agreements.standing(tx, start_s)
    needs = _needs(room, tx, at_s, start_s, standing)
    market, secret = room.site.market, control.get_secret(tx, DRAW_SECRET)
    first = books.next_sequence(tx)
    placed = default_orders(
        needs.values(), start_s=start_s, market=market, first_sequence=first, secret=secret
    )
    if any(standing[point].terms_at(start_s).batteries for point in needs):
        hand = at_hand(tx, at_s, start_s, standing.values())
        placed += battery_orders(
            [one for point, need in needs.items() for one in hand.offers(standing[point], need)],
            start_s=start_s,
            market=market,
            first_sequence=first + len(placed),
            rules=OrderRules(interval_s=room.site.interval_s),
            secret=secret,
        )
    books.put_orders(tx, placed, received_s=at_s)
    return placed


def _needs(
    room: Room, tx: Transaction, at_s: int, start_s: int, standing: Mapping[str, Agreement]
) -> dict[str, AgentNeed]:
    """Return what each usage point whose party trades needs or spares by the forecast.

    What the party ordered by hand already is not ordered again.
    """
    forecast = datasets.require_dataset(tx, "forecast", at_s)
    step = (start_s - at_s) // room.site.interval_s
    mean = forecast["mean_kw"]
    kw = dict(zip(mean["series"].values.tolist(), mean.values[:, step].tolist(), strict=True))
    produced: dict[str, float] = {}
    for plant in room.site.plants:
        at = str(plant.usage_point)
        produced[at] = produced.get(at, 0.0) + kw[plant.id]
    zone = room.site.time_zone
    accounts = store.month_accounts(tx, interval.month_label(start_s, zone))
    buy_price, sell_price = prices_at(room, start_s)
    known = {"grid.buy": buy_price, "grid.sell": sell_price}
    tariffs = {tariff.id: tariff for tariff in in_force(tx, room.site)}
    limits = store.limits(tx)
    by_hand: Counter[tuple[str, Side]] = Counter()
    for one in books.orders(tx, start_s):
        if not one.agent:
            by_hand[str(one.usage_point), one.side] += one.energy_wh
    needs = {}
    for point in room.site.usage_point:
        agreement = standing[str(point.id)]
        terms = agreement.terms_at(start_s)
        if point.kind is UsageKind.COMMUNITY or not terms.trades:
            continue
        net = kw[f"load:{point.id}"] - produced.get(point.id, 0.0)
        wh = round(abs(net) * _WH_PER_KW_INTERVAL)
        account = accounts.get((agreement.id, str(terms.tariff)), MonthAccount())
        tariff = tariffs[terms.tariff]
        segment = segment_at(tariff, start_s, zone, known)
        buy, sell = limits.get(agreement.id, (None, None))
        needs[str(point.id)] = AgentNeed(
            usage_point=point.id,
            party=agreement.party,
            need_wh=(wh if net > 0 else 0) - by_hand[str(point.id), Side.BUY],
            surplus_wh=(wh if net < 0 else 0) - by_hand[str(point.id), Side.SELL],
            retail_price=marginal_price(tariff, account.supplied, segment),
            buy_limit=buy,
            sell_limit=sell,
        )
    return needs
