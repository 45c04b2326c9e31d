"""Erasures of persons: requests that wait, asking, approving with the identifier typed, ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, abort, redirect, render_template, session, url_for
from flask_security import current_user

from grid.console.web_view import form_text, only_fields, room
from grid.errors import BadInputError
from grid.operation import erasure, erasure_requests, record
from grid.operation.erasure_requests import Case
from grid.operation.meter_orders import REASON_MAX, same_person
from grid.store import Transaction, agreements
from grid.store import erasure_requests as kept
from grid.store.erasure import NAME
from grid.store.erasure_requests import Request

pages = Blueprint("erasures", __name__, url_prefix="/erasures")


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request with what it would take; `mine` when who reads it asked or is of the party."""

    request: Request
    name: str
    case: Case
    lapses_s: int | None
    mine: bool


@pages.get("")
def listed() -> str:
    """Show requests that wait with what would go, a form for another, and erasures."""
    return _page({}, session.pop("refused", None))


@pages.post("")
def ask() -> Any:
    """Ask for a person to be erased."""
    only_fields("party", "reason")
    typed = {"party": form_text("party", 64), "reason": form_text("reason", REASON_MAX)}
    here = room()
    try:
        with here.store.write() as tx:
            erasure_requests.ask(tx, here.site, **typed, by=current_user.email)
    except BadInputError as error:
        return _page(typed, str(error))
    session["told"] = "asked"
    return redirect(url_for("erasures.listed"))


@pages.post("/<int:number>/withdraw")
def withdraw(number: int) -> Any:
    """Take back a request of the administration."""
    only_fields()
    here = room()
    try:
        with here.store.write() as tx:
            one = _waiting(tx, number)
            erasure_requests.withdraw(tx, here.site, one, by=current_user.email)
        session["told"] = "withdrawn"
    except BadInputError as error:
        session["refused"] = str(error)
    return redirect(url_for("erasures.listed"))


@pages.post("/<int:number>/approve")
def approve(number: int) -> Any:
    """Approve what somebody else asked for, the party's identifier typed, and erase."""
    only_fields("confirm")
    here, confirmed = room(), form_text("confirm", 64)
    with here.store.read() as tx:
        one = _waiting(tx, number)
    try:
        if confirmed != one.party:
            raise BadInputError(f"{one.party}: is not what was typed, nothing is erased")
        erasure.approve(here.directory, here.store, here.site, one, current_user.email)
        session["told"] = "erased"
    except BadInputError as error:
        session["refused"] = str(error)
    except erasure.LeftInFilesError:
        session["told"] = "left"
    return redirect(url_for("erasures.listed"))


def _waiting(tx: Transaction, number: int) -> Request:
    for one in erasure_requests.waiting(tx):
        if one.id == number:
            return one
    abort(404)


def _page(typed: dict[str, str], refused: str | None) -> str:
    here = room()
    with here.store.read() as tx:
        parties = agreements.parties(tx)
        cases = [
            Waiting(
                one,
                parties[one.party].name,
                erasure_requests.examine(tx, here.site, one.party),
                erasure_requests.lapses_s(one),
                same_person(one.asked_by, current_user.email) or one.party == current_user.party,
            )
            for one in erasure_requests.waiting(tx)
        ]
        done = kept.done(tx)
    community = record.community(here.site)
    persons = [
        one for one in parties.values() if one.id != community and not one.id.startswith(NAME)
    ]
    return render_template(
        "erasures.html",
        cases=cases,
        persons=persons,
        done=done,
        purge=erasure.PURGE,
        reason_max=REASON_MAX,
        retention_days=here.site.settlement.retention_days,
        typed=typed,
        refused=refused,
        told=session.pop("told", None),
    )
