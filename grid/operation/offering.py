"""Stage ``offer``: the community's default agents order what the forecast says."""

from __future__ import annotations

from grid import interval
from grid.operation import agreements, record
from grid.operation.commission import DRAW_SECRET
from grid.operation.record import Personal
from grid.operation.room import Room
from grid.site import RegulationProfile, UsageKind
from grid.store import Transaction, control, datasets
from grid.store import market as store
from trading.book import Order
from trading.ledger.entry import Kind
from trading.orders import AgentNeed, default_orders, receipt
from trading.tariffs.blocks import marginal_block

_WH_PER_KW_INTERVAL = 250


def offer(room: Room, at_s: int) -> None:
    """Let the default agents place their orders for the next book to be sealed.

    They commit an interval before the gate closes, from the forecast alone: whatever others order
    in that interval can be no reason for theirs.
    """
    start_s = at_s + 2 * room.site.interval_s
    placed: tuple[Order, ...] = ()
    with room.store.write() as tx:
        if room.site.market.profile is RegulationProfile.SANDBOX:
            placed = _place(room, tx, at_s, start_s)
            facts = [Personal(str(one.party), "order", one.id, receipt(one)) for one in placed]
            public = {"by": "agents", "orders": len(placed)}
            record.append(tx, Kind.BOOK, start_s, at_s, public, facts)
        control.mark_done(tx, at_s, "offer")
    room.log(at_s, "offer", orders=len(placed))


def _place(room: Room, tx: Transaction, at_s: int, start_s: int) -> tuple[Order, ...]:
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
    standing = agreements.standing(tx, start_s)
    needs = []
    for point in room.site.usage_point:
        agreement = standing[str(point.id)]
        terms = agreement.terms_at(start_s)
        if point.kind is UsageKind.COMMUNITY or not terms.trades:
            continue
        net = kw[f"load:{point.id}"] - produced.get(point.id, 0.0)
        wh = round(abs(net) * _WH_PER_KW_INTERVAL)
        month_wh = totals.get(point.id, (0, 0, False))[0]
        buy, sell = limits.get(agreement.id, (None, None))
        needs.append(
            AgentNeed(
                usage_point=point.id,
                party=agreement.party,
                need_wh=wh if net > 0 else 0,
                surplus_wh=wh if net < 0 else 0,
                retail_price=marginal_block(tariffs[terms.tariff], month_wh).price,
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
    return placed
