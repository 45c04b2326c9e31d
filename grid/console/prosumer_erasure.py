"""A prosumer's own erasure: from when on, asked for, taken back. Nobody sees another's."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, redirect, render_template, session, url_for
from flask_security import current_user

from grid.console.prosumer_ordering import own_party
from grid.console.web_view import only_fields, room
from grid.errors import BadInputError
from grid.operation import erasure_requests

pages = Blueprint("own_erasure", __name__, url_prefix="/my/data")


@pages.get("")
def shown() -> str:
    """Show from when on the own data can be erased, and whether it is asked for."""
    here, party = room(), own_party()
    with here.store.read() as tx:
        case = erasure_requests.examine(tx, here.site, party)
        own = [one for one in erasure_requests.waiting(tx, party) if one.is_own]
    return render_template(
        "prosumer_erasure.html",
        case=case,
        # Which invoice it is could be a neighbour's.
        obstacles={one.kind.value: one.about for one in case.obstacles},
        asked=own[0] if own else None,
        retention_days=here.site.settlement.retention_days,
        refused=session.pop("refused", None),
        told=session.pop("told", None),
    )


@pages.post("/ask")
def ask() -> Any:
    """Ask for the own erasure."""
    only_fields()
    here, party = room(), own_party()
    try:
        with here.store.write() as tx:
            erasure_requests.ask_own(tx, here.site, party, by=current_user.email)
        session["told"] = "asked"
    except BadInputError as error:
        session["refused"] = str(error)
    return redirect(url_for("own_erasure.shown"))


@pages.post("/withdraw")
def withdraw() -> Any:
    """Take the own request back."""
    only_fields()
    here, party = room(), own_party()
    try:
        with here.store.write() as tx:
            erasure_requests.withdraw_own(tx, here.site, party, by=current_user.email)
        session["told"] = "withdrawn"
    except BadInputError as error:
        session["refused"] = str(error)
    return redirect(url_for("own_erasure.shown"))
