"""The prosumer's pages: energy, trades, statement, limit prices. Own party only."""

from __future__ import annotations

import datetime as dt
from typing import Any

from flask import Blueprint, Response, abort, redirect, render_template, request, session, url_for
from flask_security import current_user

from grid import interval
from grid.console import prosumer_orders, prosumer_statement
from grid.console.prosumer_day import day_chart
from grid.console.web_proof import inclusion
from grid.console.web_view import clock, form_text, only_fields, record, room
from grid.errors import BadInputError
from grid.quantities import format_price
from grid.site import Party, UsagePoint
from grid.store import Transaction, control, market, series, views
from trading.accounts import party_account
from trading.book import Order
from trading.ledger.prove import prove
from trading.orders import OrderRules, parse_limit

pages = Blueprint("prosumer", __name__, url_prefix="/my")

_DAYS_BACK = dt.timedelta(days=3660)
_READ_WITHIN_S = 3600


def _party() -> Party:
    for party in room().site.party:
        if party.id == current_user.party:
            return party
    abort(404)


def _own() -> list[UsagePoint]:
    party = _party()
    return [point for point in room().site.usage_point if point.party == party.id]


def _point(name: str) -> UsagePoint:
    """Return an own usage point; another's is as absent as one that does not exist."""
    for point in _own():
        if point.id == name:
            return point
    abort(404)


def _selected() -> UsagePoint:
    own = _own()
    if not own:
        abort(404)
    name = request.args.get("usage_point", own[0].id)
    return _point(name)


def _day(tx: Transaction, ahead_s: int = 0) -> tuple[dt.date, dt.date] | None:
    """Return the day asked for and the last there is, or ``None`` before the first cycle."""
    now_s = clock(tx)
    if now_s is None:
        return None
    zone = room().site.time_zone
    last = interval.local_day(now_s + ahead_s, zone)
    text = request.args.get("day")
    day = interval.parse_date(text) if text else interval.local_day(now_s - _READ_WITHIN_S, zone)
    if not last - _DAYS_BACK <= day <= last:
        abort(404)
    return day, last


def _around(day: dt.date, last: dt.date) -> dict[str, dt.date | None]:
    """Return the day and its neighbours, as links of a page name them."""
    one = dt.timedelta(days=1)
    return {"day": day, "before": day - one, "after": day + one if day < last else None}


@pages.get("/energy")
def energy() -> str:
    """Show the own energy of one day by quarter-hour."""
    here, point = room(), _selected()
    zone = here.site.time_zone
    with here.store.read() as tx:
        days = _day(tx)
        if days is None:
            return render_template("prosumer_energy.html", chart=None, own=_own(), point=point)
        start_s, end_s = interval.day_bounds(days[0], zone)
        found = series.get_intervals(tx, [point.id], start_s, end_s, time_zone=zone)
        now_s = clock(tx) or end_s
    return render_template(
        "prosumer_energy.html",
        own=_own(),
        point=point,
        chart=day_chart(found, now_s),
        **_around(*days),
    )


@pages.get("/trades")
def trades() -> str:
    """Show the own orders of one day and what became of them."""
    here, party = room(), _party()
    with here.store.read() as tx:
        days = _day(tx, 2 * here.site.interval_s)
        if days is None:
            return render_template("prosumer_trades.html", day=None, rows=[])
        bounds = interval.day_bounds(days[0], here.site.time_zone)
        orders = market.party_orders(tx, party.id, *bounds)
        rows = prosumer_orders.rows(tx, orders, clock(tx) or 0, here.site.interval_s)
    return render_template(
        "prosumer_trades.html",
        rows=rows[::-1],
        totals=prosumer_orders.totals(rows),
        several=len(_own()) > 1,
        **_around(*days),
    )


def _order(tx: Transaction, order_id: str) -> tuple[Order, int]:
    """Return an own order; another's is as absent as one that does not exist."""
    found = market.party_order(tx, _party().id, order_id)
    if found is None:
        abort(404)
    return found


@pages.get("/orders/<order_id>")
def order(order_id: str) -> str:
    """Show an own order with its receipt and, on request, the proof of its entry."""
    here, proof = room(), None
    with here.store.read() as tx:
        found = _order(tx, order_id)
        (row,) = prosumer_orders.rows(tx, [found], clock(tx) or 0, here.site.interval_s)
        receipt = prosumer_orders.read_receipt(tx, found[0])
        if receipt is not None and "prove" in request.args:
            proof = inclusion(tx, receipt.sequence, receipt.entry)
        key = control.get_meta(tx, "ledger_vkey")
    return render_template("prosumer_order.html", row=row, receipt=receipt, proof=proof, key=key)


@pages.get("/orders/<order_id>/proof")
def order_proof(order_id: str) -> Response:
    """Return the proof as a file (C2SP tlog-proof) with the opening of this order only."""
    with room().store.read() as tx:
        receipt = prosumer_orders.read_receipt(tx, _order(tx, order_id)[0])
        if receipt is None or not receipt.committed:
            abort(404)
        proof = inclusion(tx, receipt.sequence, receipt.entry)
    if "problem" in proof:
        abort(404)
    text = prove(receipt.entry, proof["path"], proof["note"], [receipt.opening])
    answer = Response(text, mimetype="text/plain")
    answer.headers["Content-Disposition"] = f'attachment; filename="{order_id}.tlog-proof"'
    return answer


@pages.get("/statement")
def statement() -> str:
    """Show the own statement of a month."""
    here, party = room(), _party()
    with here.store.read() as tx:
        months = views.account_months(tx, party_account(party.id))
        month = request.args.get("month", months[0] if months else "")
        if month and month not in months:
            abort(404)
        made = prosumer_statement.make(tx, here.site, party.id, month) if month else None
    return render_template("prosumer_statement.html", made=made, months=months, month=month)


@pages.get("/limits")
def limits() -> str:
    """Show the own limit prices."""
    own = _own()
    with room().store.read() as tx:
        stored = market.limits(tx)
    rows = [(point, *stored.get(point.id, (None, None))) for point in own]
    return render_template(
        "prosumer_limits.html",
        rows=rows,
        undo=session.get("undo_limits"),
        feed_in=room().site.market.feed_in,
    )


def _limit(name: str, point: UsagePoint) -> int | None:
    text = form_text(name, 20)
    return None if text == "" else parse_limit(text, point.id, OrderRules())


def _put(point: UsagePoint, buy: int | None, sell: int | None) -> None:
    here = room()
    with here.store.write() as tx:
        old = market.limits(tx).get(point.id, (None, None))
        at_s = clock(tx) or 0
        market.put_limits(tx, point.id, buy, sell)
        shown = {
            "buy": None if buy is None else format_price(buy),
            "sell": None if sell is None else format_price(sell),
        }
        record(tx, at_s, "limits.set", point.id, dict(shown))
    session["undo_limits"] = [point.id, *old]


@pages.post("/limits/<name>")
def set_limits(name: str) -> Any:
    """Keep limit prices; an empty field leaves the side to the default agent."""
    only_fields("buy", "sell")
    point = _point(name)
    buy, sell = _limit("buy", point), _limit("sell", point)
    if buy is not None and sell is not None and sell < buy:
        raise BadInputError(f"{point.id}: the sell limit must not be below the buy limit")
    _put(point, buy, sell)
    return redirect(url_for("prosumer.limits"))


@pages.post("/limits/undo")
def undo_limits() -> Any:
    """Put back what the last change replaced."""
    only_fields()
    undo = session.get("undo_limits")
    if not undo:
        abort(409)
    _put(_point(undo[0]), undo[1], undo[2])
    return redirect(url_for("prosumer.limits"))
