"""Stage ``clear``: sealed books, their price and their trades."""

from __future__ import annotations

import json

from grid import interval
from grid.errors import VerificationError
from grid.operation import record
from grid.operation.commission import DRAW_SECRET
from grid.operation.record import Personal
from grid.operation.room import Room
from grid.site import RegulationProfile, UsageKind
from grid.store import Transaction, control, datasets
from grid.store import market as store
from trading.book import Book, Side
from trading.ledger.entry import Kind
from trading.mechanisms import mechanism
from trading.mechanisms.terms import Terms
from trading.orders import TICK, AgentNeed, default_orders, receipt, seal
from trading.statements import market_summary
from trading.tariffs import marginal_block

_WH_PER_KW_INTERVAL = 250


def clear(room: Room, at_s: int) -> None:
    """Close, seal and clear the book of the interval after the next set-points."""
    start_s = at_s + room.site.interval_s
    with room.store.write() as tx:
        if room.site.market.profile is RegulationProfile.SANDBOX:
            _place_agents(room, tx, at_s, start_s)
        orders = seal(store.orders(tx, start_s))
        book = Book.of(orders)
        rules = mechanism(room.site.market.mechanism)
        terms = Terms(tick=TICK)
        outcome = rules.clear(book, terms)
        if broken := rules.certify(book, outcome, terms):
            raise VerificationError(f"{interval.label(start_s)} clearing: {broken[0]}")
        rows = [
            {
                "buy_order": orders[buy].id,
                "sell_order": orders[sell].id,
                "buyer": orders[buy].usage_point,
                "seller": orders[sell].usage_point,
                "price": paid,
                "energy_wh": energy_wh,
            }
            for buy, sell, energy_wh, paid, _ in outcome.trades.tolist()
        ]
        summary = market_summary(orders, outcome, room.site.market.minimum_group)
        facts = {
            "mechanism": outcome.mechanism,
            "price": outcome.price,
            "price_low": outcome.price_low,
            "price_high": outcome.price_high,
            "volume_wh": outcome.volume_wh,
            "summary": json.dumps(summary),
        }
        store.put_clearing(tx, start_s, facts, rows)
        personal = [Personal(o.party, "order", o.id, receipt(o)) for o in orders]
        party = {str(point.id): str(point.party) for point in room.site.usage_point}
        for number, row in enumerate(rows):
            for side, word in (("buyer", Side.BUY), ("seller", Side.SELL)):
                payload = {"side": str(word), "usage_point": str(row[side])}
                payload |= {key: str(row[key]) for key in ("price", "energy_wh")}
                who = party[str(row[side])]
                personal.append(Personal(who, "trade", f"{number}-{side}", payload))
        record.append(tx, Kind.CLEARING, start_s, at_s, summary, personal)
        control.mark_done(tx, at_s, "clear")
    room.log(at_s, "clear", orders=len(orders), volume_wh=outcome.volume_wh, price=outcome.price)


def _place_agents(room: Room, tx: Transaction, at_s: int, start_s: int) -> None:
    """Let the default agents bid what the forecast says each usage point needs or spares."""
    forecast = datasets.require_dataset(tx, "forecast", at_s)
    step = (start_s - at_s) // room.site.interval_s
    mean = forecast["mean_kw"]
    kw = dict(zip(mean["series"].values.tolist(), mean.values[:, step].tolist(), strict=True))
    produced: dict[str, float] = {}
    for plant in room.site.plants:
        at = str(plant.usage_point)
        produced[at] = produced.get(at, 0.0) + kw[plant.id]
    totals = store.month_totals(tx, interval.month_label(start_s, room.site.time_zone))
    tariffs = {tariff.id: tariff for tariff in room.site.tariff}
    limits = store.limits(tx)
    needs = []
    for point in room.site.usage_point:
        if point.kind is UsageKind.COMMUNITY:
            continue
        net = kw[f"load:{point.id}"] - produced.get(point.id, 0.0)
        wh = round(abs(net) * _WH_PER_KW_INTERVAL)
        month_wh = totals.get(point.id, (0, 0, False))[0]
        buy, sell = limits.get(point.id, (None, None))
        needs.append(
            AgentNeed(
                usage_point=point.id,
                party=point.party,
                need_wh=wh if net > 0 else 0,
                surplus_wh=wh if net < 0 else 0,
                retail_price=marginal_block(tariffs[point.tariff], month_wh).price,
                buy_limit=buy,
                sell_limit=sell,
            )
        )
    placed = default_orders(
        needs,
        start_s=start_s,
        market=room.site.market,
        first_sequence=store.next_sequence(tx),
        secret=control.get_secret(tx, DRAW_SECRET),
    )
    store.put_orders(tx, placed, received_s=at_s)


def prices_at(room: Room, at_s: int) -> tuple[int, int]:
    """Return the community's buy and sell price at the feeder head, nano per Wh."""
    clock = interval.local_time(at_s, room.site.time_zone)
    step = [price for price in room.site.grid.price if price.from_time <= clock][-1]
    return step.buy, step.sell
