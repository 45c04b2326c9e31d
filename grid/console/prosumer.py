"""The prosumer's pages: energy, trades, statement, limit prices. Own party only."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, session, url_for
from flask_security import current_user

from grid import interval
from grid.console.prosumer_day import day_chart
from grid.console.web_view import clock, form_text, only_fields, record, room
from grid.errors import BadInputError
from grid.quantities import format_price
from grid.site import Party, UsagePoint
from grid.store import Transaction, market, series, views
from trading.accounts import party_account
from trading.orders import OrderRules, parse_limit
from trading.statements import MonthEnergy
from trading.statements import statement as month_statement

pages = Blueprint("prosumer", __name__, url_prefix="/my")

_TRADES_S = 7 * 86_400
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


def _today(tx: Transaction) -> dt.date | None:
    now_s = clock(tx)
    site = room().site
    return None if now_s is None else interval.local_day(now_s - _READ_WITHIN_S, site.time_zone)


@pages.get("/energy")
def energy() -> str:
    """Show the own energy of one day by quarter-hour."""
    here, point = room(), _selected()
    zone = here.site.time_zone
    with here.store.read() as tx:
        today = _today(tx)
        text = request.args.get("day")
        day = interval.parse_date(text) if text else today
        if day is None or today is None:
            return render_template("prosumer_energy.html", chart=None, own=_own(), point=point)
        newest = interval.local_day(clock(tx) or 0, zone)
        if not newest - dt.timedelta(days=3660) <= day <= newest:
            abort(404)
        start_s, end_s = interval.day_bounds(day, zone)
        found = series.get_intervals(tx, [point.id], start_s, end_s, time_zone=zone)
        now_s = clock(tx) or end_s
    chart = day_chart(found, now_s)
    return render_template(
        "prosumer_energy.html",
        own=_own(),
        point=point,
        day=day,
        before=day - dt.timedelta(days=1),
        after=day + dt.timedelta(days=1) if day < newest else None,
        chart=chart,
    )


@pages.get("/trades")
def trades() -> str:
    """Show the own trades of the last week."""
    here = room()
    own = {point.id for point in _own()}
    rows: list[dict[str, Any]] = []
    with here.store.read() as tx:
        now_s = clock(tx)
        if now_s is not None:
            start_s, end_s = now_s - _TRADES_S, now_s + 86_400
            for name in sorted(own):
                for trade in market.trades(tx, start_s, end_s, usage_point=name):
                    bought = trade["buyer"] == name
                    rows.append({**trade, "usage_point": name, "bought": bought})
    rows.sort(key=lambda row: (row["start_s"], row["number"]), reverse=True)
    return render_template("prosumer_trades.html", rows=rows[:400])


def _energies(tx: Transaction, points: list[UsagePoint], at_s: int) -> dict[Any, MonthEnergy]:
    """Return the metered month of each usage point, as far as it is known."""
    here = room()
    zone = here.site.time_zone
    start_s, end_s = interval.month_bounds(at_s, zone)
    tariffs = {tariff.id: tariff for tariff in here.site.tariff}
    before = market.month_totals(tx, interval.month_label(start_s - 1, zone))
    totals = market.month_totals(tx, interval.month_label(at_s, zone))
    baseline = _baselines(tx, {point.id for point in points}, start_s, end_s)
    return {
        point.id: MonthEnergy(
            tariffs[point.tariff],
            *baseline.get(point.id, (0, 0)),
            bank_wh=before.get(point.id, (0, 0, False))[1],
            fixed_fee_due=totals.get(point.id, (0, 0, True))[2],
        )
        for point in points
    }


def _baselines(
    tx: Transaction, names: set[Any], start_s: int, end_s: int
) -> dict[str, tuple[int, int]]:
    """Return import and export without instructions, from the settlements of a month."""
    sums: dict[str, tuple[int, int]] = {}
    settled = {row["start_s"] for row in market.settlements(tx, start_s, end_s)}
    for at_s in sorted(settled):
        newest = market.newest_settlement(tx, at_s)
        content = newest[2] if newest else None
        points = content.get("usage_points", []) if isinstance(content, dict) else []
        for point in points:
            if point.get("usage_point") in names and "baseline_import_wh" in point:
                old = sums.get(point["usage_point"], (0, 0))
                sums[point["usage_point"]] = (
                    old[0] + int(point["baseline_import_wh"]),
                    old[1] + int(point["baseline_export_wh"]),
                )
    return sums


def _items(lines: Any) -> list[dict[str, Any]]:
    """Return the lines of a statement summed by kind, exactly."""
    items: dict[str, dict[str, Any]] = {}
    for line in lines:
        empty = {"kind": line["kind"], "energy_wh": 0, "amount": Decimal(0)}
        item = items.setdefault(line["kind"], empty)
        item["energy_wh"] += line["energy_wh"]
        item["amount"] += Decimal(line["amount"])
    return list(items.values())


@pages.get("/statement")
def statement() -> str:
    """Show the own statement of a month."""
    here, party, own = room(), _party(), _own()
    account = party_account(party.id)
    with here.store.read() as tx:
        months = views.account_months(tx, account)
        month = request.args.get("month", months[0] if months else "")
        if month and month not in months:
            abort(404)
        document = None
        if month:
            lines = [line for _, _, line in market.postings(tx, account=account, month=month)]
            at_s = interval.day_bounds(interval.parse_date(f"{month}-01"), here.site.time_zone)[0]
            energies = _energies(tx, own, at_s)
            document, _ = month_statement(
                party.id, month, here.site.currency, lines, energies, here.site.market
            )
    return render_template(
        "prosumer_statement.html",
        document=document,
        items=_items(document["lines"]) if document else [],
        months=months,
        month=month,
    )


@pages.get("/limits")
def limits() -> str:
    """Show the own limit prices."""
    own = _own()
    with room().store.read() as tx:
        stored = market.limits(tx)
    rows = [(point, *stored.get(point.id, (None, None))) for point in own]
    return render_template("prosumer_limits.html", rows=rows, undo=session.get("undo_limits"))


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
