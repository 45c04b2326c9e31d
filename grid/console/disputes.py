"""Disputes: a prosumer does not accept lines of an invoice, and billing decides."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, session, url_for
from flask_security import current_user

from grid import interval
from grid.console import line_words
from grid.console.web_view import form_text, only_fields, room
from grid.errors import BadInputError
from grid.ids import PartyId
from grid.operation import billing
from grid.quantities import format_price, parse_money
from grid.store import Transaction, invoices, market, series
from grid.store.invoices import Dispute, DisputeState, Invoice
from trading.accounts import Posting, PostingKind, party_account

pages = Blueprint("disputes", __name__, url_prefix="/disputes")

_LINES_MOST = 100
_BEHIND = 12
"""How many quarter-hours behind a line are shown, the dearest first."""
_SHOWN = 200
_REASON = 500


@dataclass(frozen=True, slots=True)
class Behind:
    """One quarter-hour behind a line: what is posted, and what the meter counted (Wh)."""

    start_s: int
    energy_wh: int
    amount_nano: int
    import_wh: int
    export_wh: int
    quality: int


@dataclass(frozen=True, slots=True)
class Case:
    """A dispute with its line; `quarters` is how many quarter-hours the line is made of."""

    dispute: Dispute
    invoice: Invoice
    line: dict[str, Any]
    quarters: int
    behind: list[Behind]


@pages.post("")
def ask() -> Any:
    """Dispute lines of an own invoice; another's is as absent as one that does not exist."""
    only_fields("invoice", "line", "reason")
    number, reason = form_text("invoice", 64), form_text("reason", _REASON)
    lines = request.form.getlist("line")
    if len(lines) > _LINES_MOST or not all(one.isdecimal() and len(one) <= 4 for one in lines):
        abort(400)
    here, party = room(), _party()
    month = ""
    try:
        with here.store.write() as tx:
            month = _own(tx, party, number).month
            if not lines:
                raise BadInputError(f"invoice {number}: no line is chosen")
            for line in sorted({int(one) for one in lines}):
                billing.dispute(
                    tx, here.site, number, line, party=party, reason=reason, by=current_user.email
                )
    except BadInputError as error:
        session["refused"] = str(error)
    else:
        session["told"] = "asked"
    return redirect(url_for("prosumer.statement", month=month))


@pages.post("/<int:number>/withdraw")
def withdraw(number: int) -> Any:
    """Take an own dispute back while it is open."""
    only_fields()
    here, party = room(), _party()
    with here.store.read() as tx:
        found = next((one for one in invoices.disputes(tx) if one.id == number), None)
        invoice = _own(tx, party, "" if found is None else found.invoice)
    try:
        with here.store.write() as tx:
            billing.withdraw(tx, here.site, number, party=party, by=current_user.email)
        session["told"] = "withdrawn"
    except BadInputError as error:
        session["refused"] = str(error)
    return redirect(url_for("prosumer.statement", month=invoice.month))


@pages.get("")
def listed() -> str:
    """Show open disputes with what is behind their lines, and those that are decided."""
    here = room()
    with here.store.read() as tx:
        found = invoices.disputes(tx)
        billed = {one.number: one for one in invoices.invoices(tx)}
        waiting = [
            _case(tx, one, billed[one.invoice])
            for one in [one for one in found if one.state is DisputeState.OPEN][:_SHOWN]
        ]
    decided = [one for one in reversed(found) if one.state is not DisputeState.OPEN][:_SHOWN]
    return render_template(
        "disputes.html",
        waiting=waiting,
        decided=[(one, billed[one.invoice]) for one in decided],
        names=line_words.kinds(),
        refused=session.pop("refused", None),
    )


@pages.post("/<int:number>/decide")
def decide(number: int) -> Any:
    """Reject a dispute, or give a credit, with the reason for it."""
    only_fields("credit", "note")
    credit, note = form_text("credit", 24), form_text("note", _REASON)
    here = room()
    with here.store.read() as tx:
        if all(one.id != number for one in invoices.disputes(tx)):
            abort(404)
    try:
        if not note:
            raise BadInputError(f"dispute {number}: a decision needs a reason")
        with here.store.write() as tx:
            billing.decide(
                tx,
                here.site,
                number,
                credit_nano=parse_money(credit or "0"),
                note=note,
                by=current_user.email,
            )
    except BadInputError as error:
        session["refused"] = str(error)
    return redirect(url_for("disputes.listed"))


def _party() -> str:
    if current_user.party is None:
        abort(404)
    return str(current_user.party)


def _own(tx: Transaction, party: str, number: str) -> Invoice:
    for one in invoices.invoices(tx, party=party):
        if one.number == number:
            return one
    abort(404)


def _case(tx: Transaction, dispute: Dispute, invoice: Invoice) -> Case:
    line = invoice.document["lines"][dispute.line]
    site = room().site
    month_s = interval.day_bounds(interval.parse_date(f"{invoice.month}-01"), site.time_zone)[0]
    account = party_account(PartyId(invoice.party))
    totals: dict[int, tuple[int, int]] = {}
    for late, start_s, posted in _posted(tx, account, invoice.month, month_s):
        if _is_of(posted, late, line):
            sign = 1 if posted.debit == account else -1
            wh, nano = totals.get(start_s, (0, 0))
            totals[start_s] = wh + sign * posted.energy_wh, nano + sign * posted.amount_nano
    dearest = sorted(totals, key=lambda at_s: (-abs(totals[at_s][1]), at_s))[:_BEHIND]
    behind = [_behind(tx, line["usage_point"], at_s, totals[at_s]) for at_s in dearest]
    return Case(dispute, invoice, line, len(totals), behind if line["energy_wh"] else [])


def _posted(
    tx: Transaction, account: str, month: str, month_s: int
) -> Iterable[tuple[bool, int, Posting]]:
    for start_s, _, posted in market.postings(tx, account=account, month=month):
        yield start_s < month_s or posted.kind is PostingKind.CREDIT, start_s, posted


def _is_of(posted: Posting, late: bool, line: dict[str, Any]) -> bool:
    """Return whether a posting is one of those a line of a statement sums up."""
    return (posted.usage_point or "", str(posted.kind), late, format_price(posted.price)) == (
        line["usage_point"],
        line["kind"],
        line["late"],
        line["price_per_kwh"],
    )


def _behind(tx: Transaction, usage_point: str, at_s: int, total: tuple[int, int]) -> Behind:
    """Return a quarter-hour of a usage point, in which so many Wh and money are posted."""
    site = room().site
    told = series.get_intervals(
        tx, [usage_point], at_s, at_s + site.interval_s, time_zone=site.time_zone
    )
    names = ("import_wh", "export_wh", "quality")
    imported, exported, quality = (int(told[name].values[0, 0]) for name in names)
    return Behind(at_s, *total, imported, exported, quality)
