"""Overrides: what devices hold, who holds one at what until when, and the second person."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, abort, redirect, render_template, session, url_for
from flask_security import current_user

from grid.console import control_words
from grid.console.web_view import form_text, live, only_fields, room
from grid.errors import BadInputError, StoreError
from grid.operation import overrides, safety_tags
from grid.operation.field.serve import device_kind, rating_w
from grid.operation.meter_orders import same_person
from grid.site import Site
from grid.store import Transaction, control, device_holds
from grid.store import overrides as stored
from grid.store.overrides import Action, Override, OverrideState, Reason

pages = Blueprint("overrides", __name__, url_prefix="/operator/overrides")

MINUTES = (15, 30, 60, 120, 240, 480, 1440)
_KW = re.compile(r"[0-9]{1,6}([.,][0-9]{1,3})?", re.ASCII)
_SHOWN = 100


@pages.get("")
def listed() -> str:
    """Show what devices hold, what is overridden, and the form."""
    return render_template(
        "overrides.html",
        typed=session.pop("typed", {}),
        refused=session.pop("refused", None),
        **_facts(),
    )


@pages.get("/live")
def listed_live() -> Response:
    """Show the part of :func:`listed` that changes."""
    return live(render_template("overrides_live.html", **_facts()))


@pages.post("")
def ask() -> Any:
    """Hold a device, or ask for a second person to agree to it."""
    only_fields("asset", "action", "kw", "minutes", "reason", "note")
    action, reason = form_text("action", 64), form_text("reason", 64)
    minutes = form_text("minutes", 8)
    if action not in tuple(Action) or reason not in tuple(Reason) or not _whole(minutes):
        abort(400)
    typed = {name: form_text(name) for name in ("asset", "action", "kw", "minutes", "reason")}
    here = room()
    try:
        wanted = overrides.Wanted(
            typed["asset"],
            Action(action),
            _power_w(typed["kw"], Action(action)),
            int(minutes),
            Reason(reason),
            current_user.email,
            form_text("note", overrides.NOTE_MAX),
        )
        with here.store.write() as tx:
            overrides.ask(tx, here.site, wanted)
    except BadInputError as error:
        session["refused"], session["typed"] = str(error), typed
    return redirect(url_for("overrides.listed"))


@pages.post("/<int:number>/approve")
def approve(number: int) -> Any:
    """Agree to what another operator asked for."""
    return _decide(number, overrides.approve)


@pages.post("/<int:number>/end")
def end(number: int) -> Any:
    """Give the device back to the plan."""
    return _decide(number, overrides.end)


def _decide(number: int, decide: Callable[[Transaction, Site, int, str], Override]) -> Any:
    only_fields()
    here = room()
    with here.store.write() as tx:
        try:
            stored.get_override(tx, number)
        except StoreError:
            abort(404)
        try:
            done = decide(tx, here.site, number, current_user.email)
            if done.state is OverrideState.LAPSED:
                session["refused"] = f"override {number}: nobody approved it in time"
        except (BadInputError, StoreError) as error:
            session["refused"] = str(error)
    return redirect(url_for("overrides.listed"))


def _facts() -> dict[str, Any]:
    here = room()
    with here.store.read() as tx:
        now_s = control.clock_s(tx)
        found = stored.listed(tx, _SHOWN)
        cycle_s = device_holds.latest(tx)
        rows = [] if cycle_s is None else device_holds.holds(tx, cycle_s)
        tags = safety_tags.blocked(tx)
    most_minutes = 60 * here.site.control.override_hours
    return {
        "now_s": now_s,
        "cycle_s": cycle_s,
        "devices": rows,
        "tags": tags,
        "held": {one.asset: one for one in found if one.state is OverrideState.ACTIVE},
        "asked": [one for one in reversed(found) if one.state is OverrideState.ASKED],
        "active": [one for one in reversed(found) if one.state is OverrideState.ACTIVE],
        "ended": [one for one in found if not one.open],
        "own": lambda one: same_person(one.asked_by, current_user.email),
        "assets": [
            (str(asset.id), device_kind(asset), rating_w(here.site, asset))
            for asset in here.site.assets
        ],
        "minutes": [one for one in MINUTES if one <= most_minutes],
        "limits": here.site.control,
        "actions": control_words.actions(),
        "reasons": control_words.reasons(),
        "states": control_words.states(),
        "verdicts": control_words.verdicts(),
    }


def _whole(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _power_w(text: str, action: Action) -> int:
    if action is Action.OFF:
        return 0
    if not _KW.fullmatch(text):
        raise BadInputError(f"{text[:20]!r} kW must be a number such as 12.5")
    return round(1000 * float(text.replace(",", ".")))
