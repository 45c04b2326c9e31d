"""The prosumer's pages: energy, trades, statement, limit prices. Own party only."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from flask import Blueprint, Response, abort, redirect, render_template, request, session, url_for
from flask_security import current_user

from grid import interval
from grid.console import line_words, prosumer_orders, prosumer_statement
from grid.console.prosumer_day import day_chart
from grid.console.web_proof import inclusion
from grid.console.web_view import clock, form_text, only_fields, record, room
from grid.errors import BadInputError
from grid.ids import PartyId, check
from grid.operation.market import trades_ahead
from grid.operation.record import told_from_s
from grid.quantities import format_price
from grid.site import UsagePoint
from grid.store import Transaction, agreements, books, control, market, series, views
from grid.store.books import Kept
from trading.accounts import party_account
from trading.agreements import Agreement
from trading.ledger.prove import prove
from trading.orders import OrderRules, parse_limit

pages = Blueprint("prosumer", __name__, url_prefix="/my")

_DAYS_BACK = dt.timedelta(days=3660)
_READ_WITHIN_S = 3600


def _party() -> str:
    if current_user.party is None:
        abort(404)
    return str(current_user.party)


def own_agreements(tx: Transaction) -> list[Agreement]:
    """Return the own agreements, those that ended and those to come too."""
    party = _party()
    return [one for one in agreements.listed(tx) if one.party == party]


def _within(own: Sequence[Agreement], bounds: tuple[int, int]) -> list[UsagePoint]:
    """Return the usage points one stood for in ``[start_s, end_s)``: nobody sees more."""
    held = {one.usage_point for one in own if one.overlaps(*bounds)}
    return [point for point in room().site.usage_point if point.id in held]


def _selected(points: Sequence[UsagePoint]) -> UsagePoint:
    """Return the one asked for; another's is as absent as one that does not exist."""
    name = request.args.get("usage_point", points[0].id if points else "")
    for point in points:
        if point.id == name:
            return point
    abort(404)


def day_of(
    tx: Transaction, own: Sequence[Agreement], ahead_s: int = 0
) -> tuple[dt.date, dt.date] | None:
    """Return the day asked for and the last there is, or ``None`` before the first cycle."""
    now_s = clock(tx)
    if now_s is None:
        return None
    zone = room().site.time_zone
    last_s, known_s = now_s + ahead_s, now_s - _READ_WITHIN_S
    if own and all(one.until_s is not None for one in own):
        ended_s = max(one.until_s or 0 for one in own) - 1
        last_s, known_s = min(last_s, ended_s), min(known_s, ended_s)
    last = interval.local_day(last_s, zone)
    text = request.args.get("day")
    day = interval.parse_date(text) if text else interval.local_day(known_s, zone)
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
    here = room()
    zone = here.site.time_zone
    with here.store.read() as tx:
        held = own_agreements(tx)
        days = day_of(tx, held)
        if days is None:
            return render_template("prosumer_energy.html", chart=None, own=[], point=None)
        start_s, end_s = interval.day_bounds(days[0], zone)
        own = _within(held, (start_s, end_s))
        point = _selected(own)
        found = series.get_intervals(tx, [point.id], start_s, end_s, time_zone=zone)
        now_s = clock(tx) or end_s
    return render_template(
        "prosumer_energy.html",
        own=own,
        point=point,
        chart=day_chart(found, now_s),
        **_around(*days),
    )


@pages.get("/trades")
def trades() -> str:
    """Show the own orders of one day and what became of them."""
    here, party = room(), _party()
    with here.store.read() as tx:
        held = own_agreements(tx)
        days = day_of(tx, held, 2 * here.site.interval_s)
        if days is None:
            return render_template("prosumer_trades.html", day=None, rows=[])
        now_s = clock(tx) or 0
        standing = [str(one.usage_point) for one in held if one.holds(now_s)]
        bounds = interval.day_bounds(days[0], here.site.time_zone)
        placed = books.party_orders(tx, party, *bounds)
        # Those of a battery that had nothing to trade are of no energy.
        orders = [one for one in placed if one.now.energy_wh or not one.order.battery]
        rows = prosumer_orders.rows(tx, orders, clock(tx) or 0, here.site.interval_s)
    return render_template(
        "prosumer_trades.html",
        rows=rows[::-1],
        totals=prosumer_orders.totals(rows),
        several=len({one.usage_point for one in held}) > 1,
        standing=standing,
        soonest_s=now_s + 2 * here.site.interval_s,
        trades=trades_ahead(here.site, now_s),
        refused=session.pop("refused", None),
        typed=session.pop("typed", {}),
        **_around(*days),
    )


def _order(tx: Transaction, order_id: str) -> Kept:
    """Return an own order; another's is as absent as one that does not exist."""
    found = books.party_order(tx, _party(), order_id)
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
        receipt = prosumer_orders.read_receipt(tx, found.order)
        if receipt is not None and "prove" in request.args:
            proof = inclusion(tx, receipt.sequence, receipt.entry)
        key = control.get_meta(tx, "ledger_vkey")
        ended = found.order.start_s < told_from_s(tx)
    return render_template(
        "prosumer_order.html",
        row=row,
        ended=ended,
        receipt=receipt,
        proof=proof,
        key=key,
        refused=session.pop("refused", None),
    )


@pages.get("/orders/<order_id>/proof")
def order_proof(order_id: str) -> Response:
    """Return the proof as a file (C2SP tlog-proof) with the opening of this order only."""
    with room().store.read() as tx:
        receipt = prosumer_orders.read_receipt(tx, _order(tx, order_id).order)
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
        months = views.account_months(tx, party_account(PartyId(party)))
        month = request.args.get("month", months[0] if months else "")
        if month and month not in months:
            abort(404)
        made = prosumer_statement.make(tx, here.site, PartyId(party), month) if month else None
    return render_template(
        "prosumer_statement.html",
        made=made,
        months=months,
        month=month,
        names=line_words.kinds(),
        refused=session.pop("refused", None),
        told=session.pop("told", None),
    )


@pages.get("/limits")
def limits() -> str:
    """Show the own limit prices."""
    with room().store.read() as tx:
        stored = market.limits(tx)
        rows = [(one, *stored.get(one.id, (None, None))) for one in _standing(tx)]
    return render_template(
        "prosumer_limits.html",
        rows=rows,
        undo=session.get("undo_limits"),
        feed_in=room().site.market.feed_in,
        fitted={one.usage_point for one in room().site.battery},
    )


def _standing(tx: Transaction) -> list[Agreement]:
    """Return the own agreements that have not ended."""
    now_s = clock(tx) or 0
    return [one for one in own_agreements(tx) if one.until_s is None or now_s < one.until_s]


def _limit(name: str, subject: str) -> int | None:
    text = form_text(name, 20)
    return None if text == "" else parse_limit(text, subject, OrderRules())


def _put(name: str, buy: int | None, sell: int | None) -> None:
    here = room()
    with here.store.write() as tx:
        point = next((one for one in _standing(tx) if one.usage_point == name), None)
        if point is None:
            abort(404)
        old = market.limits(tx).get(point.id, (None, None))
        at_s = clock(tx) or 0
        market.put_limits(tx, point.id, buy, sell)
        shown = {
            "buy": None if buy is None else format_price(buy),
            "sell": None if sell is None else format_price(sell),
        }
        record(tx, at_s, "limits.set", name, dict(shown))
    session["undo_limits"] = [name, *old]


@pages.post("/limits/<name>")
def set_limits(name: str) -> Any:
    """Keep limit prices; an empty field leaves the side to the default agent."""
    only_fields("buy", "sell")
    subject = check(name, "usage point")
    buy, sell = _limit("buy", subject), _limit("sell", subject)
    if buy is not None and sell is not None and sell < buy:
        raise BadInputError(f"{subject}: the sell limit must not be below the buy limit")
    _put(subject, buy, sell)
    return redirect(url_for("prosumer.limits"))


@pages.post("/limits/undo")
def undo_limits() -> Any:
    """Put back what the last change replaced."""
    only_fields()
    undo = session.get("undo_limits")
    if not undo:
        abort(409)
    _put(undo[0], undo[1], undo[2])
    return redirect(url_for("prosumer.limits"))
