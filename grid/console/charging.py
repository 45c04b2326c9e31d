"""Charge points: when a vehicle leaves and with how much; what it got. A prosumer sees the own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, abort, redirect, render_template, session, url_for
from flask_security import current_user

from grid import interval
from grid.console.web_view import clock, form_text, only_fields, room, stored
from grid.errors import BadInputError, StoreError
from grid.operation import charging
from grid.site import Charger
from grid.store import Transaction, field, views
from grid.store import charging as kept
from grid.store.charging import Session

pages = Blueprint("charging", __name__, url_prefix="/charging")

_KWH = re.compile(r"[0-9]{1,4}([.,][0-9]{1,3})?", re.ASCII)
_SHOWN = 30
_KNOWN_S = 4 * 3600


@dataclass(frozen=True, slots=True)
class Point:
    """A charge point as a page shows it.

    Attributes
    ----------
    there : bool or None
        Whether a vehicle is there; ``None`` where the charge point does not say.
    got_kwh : float
        What it got since it came.
    wish : Session or None
        What holds.
    missing_kwh : float
        What the newest plan cannot give of it.
    """

    charger: Charger
    there: bool | None
    got_kwh: float
    wish: Session | None
    missing_kwh: float


def _sees() -> list[Charger]:
    """Return the charge points that this person may see: an operator all, a prosumer the own."""
    site = room().site
    if current_user.has_role("operator"):
        return list(site.charger)
    party = current_user.party
    with room().store.read() as tx:
        return [one for one in site.charger if charging.party_of(tx, one) == party]


def _point(tx: Transaction, charger: Charger, at_s: int) -> Point:
    name = str(charger.id)
    said = field.last_device_states(tx, at_s, since_s=at_s - _KNOWN_S).get(name)
    plan_s = views.latest_plan(tx, at_s)
    plan = None if plan_s is None else stored(tx, "plan", plan_s)
    missing = 0.0
    if plan is not None and "missed_kwh" in plan and name in plan["asset"].values:
        missing = float(plan["missed_kwh"].sel(asset=name).max()) / charger.charge_efficiency
    there = None if said is None else bool(said["running"])
    got = charging.got_wh(tx, charger, at_s) / 1000 if there else 0.0
    return Point(charger, there, got, charging.in_force(tx, at_s).get(name), missing)


@pages.get("")
def listed() -> str:
    """Show the charge points, what is wanted of each, and what came of it."""
    here, seen = room(), _sees()
    names = {str(one.id) for one in seen}
    party = None if current_user.has_role("operator") else current_user.party
    with here.store.read() as tx:
        now_s = clock(tx)
        points = [] if now_s is None else [_point(tx, one, now_s) for one in seen]
        rows = kept.listed(tx, party=party, limit=_SHOWN) if seen else []
    return render_template(
        "charging.html",
        points=points,
        sessions=[one for one in rows if one.charger in names],
        now_s=now_s,
        most_s=None if now_s is None else now_s + charging.AHEAD_S,
        undo=session.get("undo_charging"),
        refused=session.pop("refused", None),
        typed=session.pop("typed", {}),
    )


@pages.post("/<name>")
def state(name: str) -> Any:
    """Keep what somebody wants."""
    only_fields("departs", "kwh", "arrives")
    charger = _own(name)
    typed = {key: form_text(key, 32) for key in ("departs", "kwh", "arrives")}
    here = room()
    zone = here.site.time_zone
    try:
        arrives = interval.parse_civil(typed["arrives"], zone) if typed["arrives"] else None
        wanted = charging.Wanted(
            str(charger.id),
            interval.parse_civil(typed["departs"], zone),
            _wanted_wh(typed["kwh"]),
            current_user.email,
            arrives,
        )
        with here.store.write() as tx:
            made = charging.state(tx, here.site, wanted)
        session["undo_charging"] = made.id
    except BadInputError as error:
        session["refused"], session["typed"] = str(error), {**typed, "charger": name}
    return redirect(url_for("charging.listed"))


@pages.post("/<int:number>/withdraw")
def withdraw(number: int) -> Any:
    """Take a wish back: what was wanted before holds again."""
    only_fields()
    here = room()
    with here.store.write() as tx:
        try:
            found = kept.get_session(tx, number)
        except StoreError:
            abort(404)
        _own(found.charger)
        try:
            charging.withdraw(tx, here.site, number, current_user.email)
        except StoreError as error:
            session["refused"] = str(error)
    if session.get("undo_charging") == number:
        session.pop("undo_charging")
    return redirect(url_for("charging.listed"))


def _own(name: str) -> Charger:
    """Return a charge point one may see; another's is as absent as one that does not exist."""
    for one in _sees():
        if one.id == name:
            return one
    abort(404)


def _wanted_wh(text: str) -> int:
    if not _KWH.fullmatch(text):
        raise BadInputError(f"{text[:20]!r} kWh must be a number such as 12.5")
    return round(1000 * float(text.replace(",", ".")))
