"""Agreements: who stands for which usage point, moves to come, and new parties."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, session, url_for
from flask_security import current_user

from grid import interval
from grid.console.web_view import clock, form_text, only_fields, room
from grid.errors import BadInputError
from grid.operation import agreements
from grid.operation.tariffs import in_force
from grid.store import agreements as kept

pages = Blueprint("agreements", __name__, url_prefix="/agreements")

_MOVE = ("usage_point", "party", "day", "tariff", "share_percent", "trades", "battery")
_PARTY = ("party", "name", "kind")


@pages.get("")
def listed() -> str:
    """Show every agreement that holds or is to come, those of one usage point from the first."""
    return _page({})


@pages.post("/moves")
def move() -> Any:
    """Let a party stand for a usage point from a day on, or nobody but the community."""
    only_fields(*_MOVE)
    typed = {name: form_text(name, 64) for name in _MOVE}
    here = room()
    try:
        with here.store.write() as tx:
            made = agreements.move_in(
                tx,
                here.site,
                usage_point=typed["usage_point"],
                party=typed["party"],
                day=interval.parse_date(typed["day"]),
                by=current_user.email,
                tariff=typed["tariff"] or None,
                share_percent=_percent(typed["share_percent"]),
                trades=typed["trades"] == "yes",
                battery=typed["battery"] == "yes",
            )
    except BadInputError as error:
        return _page(typed, str(error))
    session["moved"] = f"{made.usage_point} · {made.party}"
    return redirect(url_for("agreements.listed", usage_point=made.usage_point))


@pages.post("/parties")
def add_party() -> Any:
    """Add a party."""
    only_fields(*_PARTY)
    typed = {name: form_text(name, 100) for name in _PARTY}
    here = room()
    try:
        with here.store.write() as tx:
            agreements.add_party(tx, here.site, **typed, by=current_user.email)
    except BadInputError as error:
        return _page(typed, str(error))
    session["moved"] = typed["party"]
    return redirect(url_for("agreements.listed"))


def _percent(text: str) -> int:
    if not (text.isdecimal() and len(text) <= 3):
        raise BadInputError(f"share_percent is {text[:16]!r}, must be within 0 to 100")
    return int(text)


def _page(typed: dict[str, str], refused: str = "") -> str:
    here = room()
    name = request.args.get("usage_point", typed.get("usage_point", ""))
    points = [str(point.id) for point in here.site.usage_point]
    if name and name not in points:
        abort(404)
    with here.store.read() as tx:
        now_s = clock(tx) or 0
        found = kept.listed(tx, [name] if name else None)
        parties = kept.parties(tx)
        tariffs = in_force(tx, here.site)
    if not name:
        found = [one for one in found if one.until_s is None or now_s < one.until_s]
    return render_template(
        "agreements.html",
        found=found,
        now_s=now_s,
        parties=parties,
        points=points,
        tariffs=tariffs,
        selected=name,
        typed=typed,
        refused=refused,
        told=session.pop("moved", None),
    )
