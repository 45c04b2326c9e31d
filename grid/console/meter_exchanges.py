"""Exchanges of meters: where another device answers, what was recorded, and recording one."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from flask import Blueprint, redirect, render_template, request, session, url_for
from flask_babel import gettext as _
from flask_security import current_user

from grid import interval
from grid.console.web_view import civil, clock, form_text, only_fields, room
from grid.errors import BadInputError
from grid.operation import meter_exchanges
from grid.operation.metering_facts import day_end_s, in_force
from grid.quantities import Ratio
from grid.site import Meter
from grid.store import Transaction, control
from grid.store import meter_exchanges as stored
from grid.store.meter_exchanges import MeterExchange, Registers
from meters.reading import CHANNELS, MISSING

pages = Blueprint("meter_exchanges", __name__, url_prefix="/meters/exchanges")

REGISTER_DIGITS = 15
MULTIPLIER_MAX = 10**6
FIELDS = (
    "meter", "at", "old_serial", "new_serial", "digits", "multiplier", "current", "voltage",
    "verified_until",
    *(f"{which}_{name}" for which in ("last", "first") for name in CHANNELS),
)  # fmt: skip


@pages.get("")
def exchanges() -> str:
    """Show where another device answers, what was recorded, and the form for a meter."""
    return _page(request.args.get("meter", ""))


@pages.post("")
def record() -> Any:
    """Record an exchange; what was refused is shown with what was typed."""
    only_fields(*FIELDS)
    here, typed = room(), {name: form_text(name) for name in FIELDS}
    try:
        with here.store.write() as tx:
            told = MeterExchange(
                meter=typed["meter"],
                at_s=interval.parse_civil(typed["at"], here.site.time_zone),
                old_serial=typed["old_serial"],
                new_serial=typed["new_serial"],
                last=_registers(typed, "last"),
                first=_registers(typed, "first"),
                digits=_whole(typed, "digits", 4, REGISTER_DIGITS),
                multiplier=_whole(typed, "multiplier", 1, MULTIPLIER_MAX),
                recorded_by=current_user.email,
                recorded_s=control.clock_s(tx),
                current=_ratio(typed, "current"),
                voltage=_ratio(typed, "voltage"),
                verified_until_s=_verified_until_s(typed["verified_until"]),
            )
            meter_exchanges.record_exchange(tx, here.site, told)
    except BadInputError as error:
        return _page(typed["meter"], typed, str(error))
    session["exchanged"] = told.meter
    return redirect(url_for("meter_exchanges.exchanges"))


def _page(selected: str, typed: dict[str, str] | None = None, refused: str = "") -> str:
    here = room()
    meter = next((one for one in here.site.meter if one.id == selected), None)
    with here.store.read() as tx:
        found = stored.exchanges(tx)
        untold = meter_exchanges.untold(tx, here.site)
        now_s = clock(tx)
        if typed is None and meter is not None:
            typed = _offered(tx, meter, untold)
    return render_template(
        "meter_exchanges.html",
        untold=untold,
        found=sorted(found, key=lambda one: -one.at_s),
        points={str(one.id): str(one.usage_point or "") for one in here.site.meter},
        selected=meter,
        typed=typed,
        refused=refused,
        told=session.pop("exchanged", None),
        latest=civil(now_s, "%Y-%m-%dT%H:%M"),
    )


def _offered(tx: Transaction, meter: Meter, untold: dict[str, tuple[str, str]]) -> dict[str, str]:
    """Return what is known of a meter before anybody typed anything."""
    known: dict[str, str] = json.loads(control.get_meta(tx, meter_exchanges.SERIALS) or "{}")
    was = in_force(tx, room().site, control.clock_s(tx))[str(meter.id)]
    return {
        "old_serial": was.serial or known.get(meter.id, ""),
        "new_serial": untold[meter.id][1] if meter.id in untold else "",
        "digits": str(was.digits),
        "multiplier": str(was.multiplier),
        "current": str(was.current),
        "voltage": str(was.voltage),
    }


def _ratio(typed: dict[str, str], name: str) -> Ratio:
    try:
        return Ratio.parse(typed[name].replace(" ", ""))
    except BadInputError as error:
        raise BadInputError(f"{name}: {error}") from error


def _verified_until_s(text: str) -> int | None:
    """Return when a civil day ends, ``None`` when none was told."""
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise BadInputError(
            _("%(text)s is not a date: write YYYY-MM-DD", text=repr(text[:20]))
        ) from None
    return day_end_s(room().site, day)


def _registers(typed: dict[str, str], which: str) -> Registers:
    """Return the four registers of a device; only the import must be known."""
    a, b, c, d = (
        MISSING if not typed[f"{which}_{name}"] and name != CHANNELS[0]
        else _whole(typed, f"{which}_{name}", 0, 10**REGISTER_DIGITS - 1)
        for name in CHANNELS
    )  # fmt: skip
    return a, b, c, d


def _whole(typed: dict[str, str], name: str, least: int, most: int) -> int:
    text = typed[name].replace(" ", "")
    if not (text.isdecimal() and len(text) <= REGISTER_DIGITS and least <= int(text) <= most):
        raise BadInputError(
            _("%(name)s is %(text)s, must be a whole number from %(least)s to %(most)s",
              name=name, text=repr(typed[name][:20]), least=least, most=most)
        )  # fmt: skip
    return int(text)
