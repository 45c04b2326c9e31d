"""A prosumer's bilateral contracts: proposed, answered, ended. Nobody sees another's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from flask import Blueprint, abort, redirect, render_template, session, url_for
from flask_security import current_user

from grid import interval
from grid.console.prosumer_ordering import now_s, own_party, read_wh
from grid.console.web_view import clock, form_text, only_fields, room
from grid.errors import BadInputError
from grid.operation import contracts
from grid.operation.contracts import Proposal
from grid.store import agreements
from grid.store import contracts as kept
from grid.store.contracts import KeptContract
from trading.contracts import end_s

pages = Blueprint("contracts", __name__, url_prefix="/my/contracts")

_FIELDS = ("counterparty", "side", "price", "by", "amount", "first", "last")


@pages.get("")
def listed() -> str:
    """Show the own contracts and proposals, and a form for another."""
    here, party = room(), own_party()
    with here.store.read() as tx:
        at_s = clock(tx) or 0
        rows = kept.of_party(tx, party)
        held = agreements.listed(tx)
    today = interval.local_day(at_s, here.site.time_zone)
    return render_template(
        "prosumer_contracts.html",
        rows=[(one, _state(one, end_s(one.contract, held), at_s)) for one in rows],
        party=party,
        taken=contracts.taken(here.site, at_s),
        soonest=today + timedelta(days=1),
        refused=session.pop("refused", None),
        told=session.pop("told", None),
        typed=session.pop("typed", {}),
    )


def _state(one: KeptContract, until_s: int | None, at_s: int) -> tuple[str, int | None]:
    """Return how a contract stands, and when it ends as far as that is known."""
    if one.accepted_s is None:
        return "proposed" if one.waits else "refused", one.contract.until_s
    if until_s is not None and until_s <= max(at_s, one.contract.from_s):
        return "ended", until_s
    return "to come" if at_s < one.contract.from_s else "holds", until_s


@pages.post("")
def propose() -> Any:
    """Propose a contract to the party named."""
    only_fields(*_FIELDS)
    here, typed = room(), {name: form_text(name, 64) for name in _FIELDS}
    try:
        is_share = typed["by"] == "share"
        proposal = Proposal(
            counterparty=typed["counterparty"],
            side=typed["side"],
            price=typed["price"].replace(",", "."),
            first=interval.parse_date(typed["first"]),
            last=interval.parse_date(typed["last"]) if typed["last"] else None,
            energy_wh=None if is_share else read_wh(typed["amount"]),
            share_percent=_percent(typed["amount"]) if is_share else None,
        )
        with here.commits.write() as tx:
            contracts.propose(
                tx,
                here.site,
                proposal,
                party=own_party(),
                at_s=now_s(tx),
                by=current_user.email,
            )
    except BadInputError as error:
        session["refused"], session["typed"] = str(error), typed
    else:
        session["told"] = "proposed"
    return redirect(url_for("contracts.listed"))


@pages.post("/<int:number>/accept")
def accept(number: int) -> Any:
    """Accept a proposal."""
    return _done(number, contracts.accept, "accepted")


@pages.post("/<int:number>/refuse")
def refuse(number: int) -> Any:
    """Refuse a proposal, or take an own one back."""
    return _done(number, contracts.refuse, "refused")


@pages.post("/<int:number>/end")
def end(number: int) -> Any:
    """Give notice, for the day after tomorrow."""
    return _done(number, contracts.end, "ended")


def _done(number: int, act: Callable[..., KeptContract], told: str) -> Any:
    """Do something with an own contract; another's is as absent as one that does not exist."""
    only_fields()
    here, party = room(), own_party()
    with here.store.read() as tx:
        if kept.get(tx, number, party) is None:
            abort(404)
    try:
        with here.commits.write() as tx:
            act(tx, here.site, number, party=party, at_s=now_s(tx), by=current_user.email)
        session["told"] = told
    except BadInputError as error:
        session["refused"] = str(error)
    return redirect(url_for("contracts.listed"))


def _percent(text: str) -> int:
    if not (text.isdecimal() and text.isascii() and len(text) <= 3):
        raise BadInputError(f"share is {text[:16]!r} %, must be within 1 to 100")
    return int(text)
