"""A prosumer's battery in the market: what it did in a day, what it holds, and the consent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, session, url_for
from flask_security import current_user

from grid import interval
from grid.console.prosumer import day_of, own_agreements
from grid.console.web_view import clock, form_text, only_fields, room
from grid.errors import BadInputError
from grid.ids import AssetId, check
from grid.operation import agreements, battery_consent
from grid.store import Transaction, batteries, market
from trading.agreements import Agreement
from trading.batteries import Moved
from trading.battery_accounts import BatteryMove

pages = Blueprint("batteries", __name__, url_prefix="/my/battery")

_LEFT, _WIDTH, _TOP, _BOTTOM, _HEIGHT = 58.0, 800.0, 36.0, 24.0, 300.0


@dataclass(frozen=True, slots=True)
class Earned:
    """What a battery did in a time: Wh, and what was paid and received in trades, nano-currency."""

    moved: Moved
    paid: int
    received: int


@dataclass(frozen=True, slots=True)
class StoredChart:
    """What an account held over a day, as a line of steps.

    `rules` and `hours` are places on the axes with their kWh and instants.
    """

    points: str
    rules: list[tuple[float, str]]
    hours: list[tuple[float, int]]


@pages.get("")
def shown() -> str:
    """Show what the own battery traded in a day, and whether it may."""
    here = room()
    with here.store.read() as tx:
        now_s = clock(tx) or 0
        one = _agreement(own_agreements(tx), now_s)
        days = None if one is None else day_of(tx, [one])
        if one is None or days is None:
            return render_template("prosumer_battery.html", agreement=None)
        held = {
            name: wh for (agreement, name), wh in batteries.accounts(tx).items()
            if agreement == one.id
        }  # fmt: skip
        bounds = interval.day_bounds(days[0], here.site.time_zone)
        moves = batteries.moves(tx, *bounds, one.id)
        month = interval.month_bounds(bounds[0], here.site.time_zone)
        sums = {"day": _earned(tx, one, bounds), "month": _earned(tx, one, month)}
        opened = [
            order
            for order in batteries.open_orders(tx, now_s)
            if (order.party, order.usage_point) == (one.party, one.usage_point) and order.energy_wh
        ]
        wanted = not one.terms[-1].batteries
        soonest = battery_consent.next_day(tx, here.site, one, battery=wanted)
        from_s, _ = interval.day_bounds(soonest, here.site.time_zone)
        earlier = batteries.held_before(tx, one.id, bounds[0])
    traded = one.terms_at(max(now_s, one.from_s)).batteries
    coming = one.terms[-1]
    room_wh = sum(each.room_wh for each in coming.batteries or traded)
    step = timedelta(days=1)
    return render_template(
        "prosumer_battery.html",
        point=next(each for each in here.site.usage_point if each.id == one.usage_point),
        agreement=one,
        traded=traded,
        coming=coming,
        now_s=now_s,
        held=held,
        room_wh=room_wh,
        moves=moves,
        opened=opened,
        soonest=soonest if one.holds(now_s) and one.holds(from_s) else None,
        sums_of=sums,
        month=interval.month_label(bounds[0], here.site.time_zone),
        chart=_chart(moves, bounds, here.site.interval_s, now_s, earlier, room_wh),
        refused=session.pop("refused", None),
        told=session.pop("told", None),
        day=days[0],
        before=days[0] - step,
        after=days[0] + step if days[0] < days[1] else None,
    )


@pages.post("/<name>")
def consent(name: str) -> Any:
    """Let the own battery trade, or no longer, from the first day that is not offered yet."""
    only_fields("battery")
    here = room()
    check(name, "usage point")
    wanted = form_text("battery", 3)
    if wanted not in ("yes", "no"):
        raise BadInputError(f"{name} battery is {wanted!r}, must be yes or no")
    battery = wanted == "yes"
    try:
        with here.store.write() as tx:
            now_s = clock(tx) or 0
            mine = [one for one in own_agreements(tx) if one.holds(now_s)]
            one = next((one for one in mine if one.usage_point == name), None)
            if one is None:
                abort(404)
            day = battery_consent.next_day(tx, here.site, one, battery=battery)
            if not one.holds(interval.day_bounds(day, here.site.time_zone)[0]):
                abort(404)
            by = current_user.email
            agreements.change_terms(
                tx, here.site, usage_point=name, day=day, by=by, battery=battery
            )
    except BadInputError as error:
        session["refused"] = str(error)
    else:
        session["told"] = wanted
    return redirect(url_for("batteries.shown", usage_point=name))


def _agreement(own: Sequence[Agreement], now_s: int) -> Agreement | None:
    """Return the own agreement of the usage point asked for; None where no battery is."""
    fitted = {each.usage_point for each in room().site.battery}
    mine = [one for one in own if one.usage_point in fitted and one.from_s <= now_s]
    name = request.args.get("usage_point")
    found = [one for one in mine if name in (None, one.usage_point)]
    if name is not None and not found:
        abort(404)
    return found[-1] if found else None


def _earned(tx: Transaction, one: Agreement, bounds: tuple[int, int]) -> Earned:
    low_s, high_s = max(bounds[0], one.from_s), min(bounds[1], one.until_s or bounds[1])
    ids = batteries.order_ids(tx, low_s, high_s)
    rows = market.trades(tx, low_s, high_s, usage_point=one.usage_point)
    done = [each.moved for _, each in batteries.moves(tx, low_s, high_s, one.id)]
    return Earned(
        Moved(**{
            field.name: sum(getattr(each, field.name) for each in done) for field in fields(Moved)
        }),
        sum(row["energy_wh"] * row["price"] for row in rows
            if row["buyer"] == one.usage_point and row["buy_order"] in ids),
        sum(row["energy_wh"] * row["sell_price"] for row in rows
            if row["seller"] == one.usage_point and row["sell_order"] in ids),
    )  # fmt: skip


def _chart(
    moves: Sequence[tuple[int, BatteryMove]],
    bounds: tuple[int, int],
    step_s: int,
    now_s: int,
    before: Mapping[AssetId, int],
    room_wh: int,
) -> StoredChart | None:
    """Return the line of what was held; none where no battery ever traded."""
    if not moves and not before:
        return None
    held = dict(before)
    most = max(room_wh, sum(held.values()), *(one.stored_wh for _, one in moves), 1)
    span = bounds[1] - bounds[0]

    def x(at_s: int) -> float:
        return round(_LEFT + (at_s - bounds[0]) / span * (_WIDTH - _LEFT), 2)

    def y(wh: int) -> float:
        return round(_TOP + (1 - wh / most) * (_HEIGHT - _TOP - _BOTTOM), 2)

    line = [(x(bounds[0]), y(sum(held.values())))]
    for start_s, one in moves:
        held[one.battery] = one.stored_wh
        end = x(start_s + step_s)
        line += [(end, line[-1][1]), (end, y(sum(held.values())))]
    line.append((max(x(min(now_s, bounds[1])), line[-1][0]), line[-1][1]))
    marks = [most * part // 4 for part in range(5)]
    return StoredChart(
        " ".join(f"{left},{top}" for left, top in line),
        [(y(wh), f"{wh / 1000:.1f}") for wh in marks],
        [(x(at_s), at_s) for at_s in range(bounds[0], bounds[1], 4 * 3600)],
    )
