"""Orders a prosumer places by hand: taken, amended, cancelled, with a signed receipt of each."""

from __future__ import annotations

import re
import time
from typing import Any

from flask import Blueprint, Response, abort, redirect, request, session, url_for
from flask_security import current_user

from grid import interval
from grid.console.web_view import form_text, only_fields, record, room
from grid.errors import BadInputError
from grid.operation import ordering
from grid.quantities import WH_PER_KWH
from grid.store import Transaction, books

pages = Blueprint("ordering", __name__, url_prefix="/my/orders")

_FIELDS = ("usage_point", "start", "side", "kwh", "price")
_KWH = re.compile(r"([0-9]{1,6})(?:[.,]([0-9]{1,3}))?", re.ASCII)


@pages.post("")
def place() -> Any:
    """Take an order; it stands until it is cancelled or its gate closes."""
    only_fields(*_FIELDS)
    here, typed = room(), {name: form_text(name, 64) for name in _FIELDS}
    try:
        fields: dict[str, object] = {name: typed[name] for name in ("usage_point", "side")}
        start_s = interval.parse_civil(typed["start"], here.site.time_zone)
        fields["start"] = interval.label(start_s)
        fields["energy_wh"] = read_wh(typed["kwh"])
        fields["price"] = typed["price"].replace(",", ".")
        with here.commits.write() as tx:
            at_s = now_s(tx)
            order = ordering.place(tx, here.site, fields, party=own_party(), at_s=at_s)
            record(tx, at_s, "order.place", order.id, {"order": order.id})
    except BadInputError as error:
        session["refused"], session["typed"] = str(error), typed
        return redirect(url_for("prosumer.trades"))
    return redirect(url_for("prosumer.order", order_id=order.id))


@pages.post("/<order_id>/amend")
def amend(order_id: str) -> Any:
    """Give an own order another limit or energy; amending back undoes it."""
    only_fields("kwh", "price")
    here, typed = room(), {name: form_text(name, 64) for name in ("kwh", "price")}
    try:
        with here.commits.write() as tx:
            at_s = now_s(tx)
            if books.party_order(tx, own_party(), order_id) is None:
                abort(404)
            fields = {"energy_wh": read_wh(typed["kwh"]), "price": typed["price"].replace(",", ".")}
            ordering.amend(tx, here.site, order_id, fields, party=own_party(), at_s=at_s)
            record(tx, at_s, "order.amend", order_id, {"order": order_id})
    except BadInputError as error:
        session["refused"] = str(error)
    return redirect(url_for("prosumer.order", order_id=order_id))


@pages.post("/<order_id>/cancel")
def cancel(order_id: str) -> Any:
    """Let an own order not stand any more."""
    only_fields()
    here = room()
    try:
        with here.commits.write() as tx:
            at_s = now_s(tx)
            if books.party_order(tx, own_party(), order_id) is None:
                abort(404)
            ordering.cancel(tx, here.site, order_id, party=own_party(), at_s=at_s)
            record(tx, at_s, "order.cancel", order_id, {"order": order_id})
    except BadInputError as error:
        session["refused"] = str(error)
    return redirect(url_for("prosumer.order", order_id=order_id))


@pages.get("/<order_id>/receipt")
def receipt(order_id: str) -> Response:
    """Return the signed receipt of an own order, its amendment or its cancellation, as a file."""
    here, amendment = room(), request.args.get("amendment", "")
    with here.store.read() as tx:
        found = books.party_order(tx, own_party(), order_id)
        if found is None:
            abort(404)
        try:
            if "cancellation" in request.args:
                text = ordering.cancellation_receipt(tx, found.order)
                name = f"{order_id}-cancellation"
            elif amendment:
                text = ordering.amendment_receipt(tx, found.order, amendment)
                name = amendment
            else:
                text, name = ordering.receipt(tx, found.order), order_id
        except BadInputError:
            abort(404)
    answer = Response(text, mimetype="text/plain")
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}.receipt"'
    return answer


def own_party() -> str:
    """Return the party of who is signed in; who has none finds nothing."""
    if current_user.party is None:
        abort(404)
    return str(current_user.party)


def now_s(tx: Transaction) -> int:
    """Return when an order arrives."""
    return ordering.arrival_s(tx, room().site, time.time)


def read_wh(text: str) -> int:
    """Return Wh of a text in kWh.

    Raises
    ------
    BadInputError
        When it is no number with at most three decimals.
    """
    match = _KWH.fullmatch(text)
    if match is None:
        raise BadInputError(f"{text[:20]!r} kWh must be a number such as 1.25")
    return int(match[1]) * WH_PER_KWH + int((match[2] or "").ljust(3, "0"))
