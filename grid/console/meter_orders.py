"""Orders of meters: who asked for what, and the second person who agrees."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from flask import Blueprint, abort, redirect, render_template, session, url_for
from flask_security import current_user

from grid.console.web_view import clock, form_text, only_fields, room
from grid.errors import BadInputError, StoreError
from grid.operation import given_up_orders, medical_loads, meter_orders
from grid.operation.meter_orders import Asked
from grid.site import MeterRole, Protocol
from grid.store import meter_orders as stored
from grid.store.meter_orders import MeterOrder, OrderKind, OrderState

pages = Blueprint("meter_orders", __name__, url_prefix="/meters/orders")

_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Orderable:
    """A meter that takes orders, as the form offers it."""

    id: str
    usage_point: str
    medical: bool
    sources: tuple[str, ...]


def _orderable(medical: set[str]) -> list[Orderable]:
    site = room().site
    return [
        Orderable(
            str(meter.id),
            str(meter.usage_point or ""),
            meter.usage_point in medical,
            tuple(meter_orders.island_sources(site, meter)),
        )
        for meter in site.meter
        if meter.protocol is Protocol.DLMS and meter.role is not MeterRole.FEEDER_HEAD
    ]


@pages.get("")
def orders() -> str:
    """Show the orders, those that can still come to something first."""
    here = room()
    with here.store.read() as tx:
        found = stored.listed(tx, _SHOWN)
        medical = medical_loads.medical(tx, here.site)
        now_s = clock(tx) or 0
    return render_template(
        "meter_orders.html",
        waiting=[one for one in reversed(found) if one.open],
        ended=[one for one in found if not one.open],
        meters=_orderable(medical),
        own=lambda order: meter_orders.same_person(order.asked_by, current_user.email),
        kept=lambda order: given_up_orders.cannot_give_up(order, current_user.email, now_s),
        limit=here.site.orders,
        refused=session.pop("refused", None),
    )


@pages.post("")
def ask() -> Any:
    """Ask for something of a meter."""
    only_fields("meter", "kind", "reason", "island_source")
    kind = form_text("kind", 64)
    if kind not in tuple(OrderKind):
        abort(400)
    here = room()
    with here.store.write() as tx:
        try:
            wanted = Asked(
                OrderKind(kind),
                form_text("meter", 64),
                form_text("reason", meter_orders.REASON_MAX),
                current_user.email,
                form_text("island_source") == "yes",
            )
            _tell(meter_orders.ask(tx, here.site, wanted))
        except BadInputError as error:
            session["refused"] = str(error)
    return redirect(url_for("meter_orders.orders"))


@pages.post("/<int:number>/approve")
def approve(number: int) -> Any:
    """Agree to what another person asked for."""
    return _decide(number, meter_orders.approve)


@pages.post("/<int:number>/cancel")
def cancel(number: int) -> Any:
    """Take an order back before it goes to the meter."""
    return _decide(number, meter_orders.cancel)


@pages.post("/<int:number>/give-up")
def give_up(number: int) -> Any:
    """End an order whose meter does not answer any more."""
    reason = form_text("reason", meter_orders.REASON_MAX)
    return _decide(number, partial(given_up_orders.give_up, reason=reason), "reason")


def _decide(number: int, decide: Any, *fields: str) -> Any:
    only_fields(*fields)
    here = room()
    with here.store.write() as tx:
        try:
            stored.get_order(tx, number)
        except StoreError:
            abort(404)
        try:
            _tell(decide(tx, here.site, number, current_user.email))
        except (BadInputError, StoreError) as error:
            session["refused"] = str(error)
    return redirect(url_for("meter_orders.orders"))


def _tell(order: MeterOrder) -> None:
    if order.state in (OrderState.REFUSED, OrderState.EXPIRED):
        session["refused"] = order.outcome
