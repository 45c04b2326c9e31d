"""Who asked for a person to be erased and who approved it; what keeps a person from it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import delete, exists, func, insert, or_, select, update

from grid.store import ended_logs, log
from grid.store.engine import Transaction
from grid.store.erasure import Stay, within
from grid.store.schema import dispute, erasure, invoice, posting, user


@dataclass(frozen=True, slots=True)
class Request:
    """Somebody asked for a person to be erased.

    Attributes
    ----------
    id : int
    party : str
    asked_by : str
    asked_s : int
    reason : str
    is_own : bool
        Asked with a login of the party itself.
    """

    id: int
    party: str
    asked_by: str
    asked_s: int
    reason: str
    is_own: bool


@dataclass(frozen=True, slots=True)
class Done:
    """An erasure; who asked for their own is told by the name that is left of them."""

    name: str
    asked_by: str
    approved_by: str
    approved_s: int


def ask(tx: Transaction, party: str, *, reason: str, by: str, at_s: int) -> int:
    """Keep that somebody asked; return the number of the request."""
    made = insert(erasure).values(party=party, reason=reason, asked_by=by, asked_s=at_s)
    return int(tx.execute(made.returning(erasure.c.id)).scalar_one())


def open_requests(tx: Transaction, since_s: int) -> list[Request]:
    """Return the requests that wait, the oldest first.

    Parameters
    ----------
    since_s : int
        Earlier ones have lapsed, but for a person's own.
    """
    asked = erasure.c
    is_own = exists().where(user.c.email == asked.asked_by, user.c.party == asked.party)
    query = select(erasure, is_own.label("is_own")).where(
        asked.party.is_not(None), asked.name.is_(None), or_(asked.asked_s >= since_s, is_own)
    )
    return [
        Request(row.id, row.party, row.asked_by, row.asked_s, row.reason, bool(row.is_own))
        for row in tx.execute(query.order_by(asked.id))
    ]


def withdraw(tx: Transaction, number: int) -> None:
    """Drop a request; that there was one is with the actions."""
    tx.execute(delete(erasure).where(erasure.c.id == number))


def approve(tx: Transaction, number: int, *, name: str, by: str, at_s: int) -> None:
    """Keep who approved, and forget of whom it was and why."""
    one = erasure.c.id == number
    party = tx.execute(select(erasure.c.party).where(one)).scalar_one()
    done = {"name": name, "approved_by": by, "approved_s": at_s}
    tx.execute(update(erasure).where(one).values(**done))
    # Requests that lapsed name the person too.
    tx.execute(update(erasure).where(erasure.c.party == party).values(party=None, reason=""))


def done(tx: Transaction) -> list[Done]:
    """Return the erasures, the newest first."""
    query = select(erasure).where(erasure.c.name.is_not(None)).order_by(erasure.c.approved_s.desc())
    return [
        Done(row.name, row.asked_by, row.approved_by, row.approved_s)
        for row in tx.execute(query.order_by(erasure.c.id.desc()))
    ]


def disputed(tx: Transaction, party: str, months: Collection[str]) -> list[str]:
    """Return the invoices of a party, or of some months, with a dispute that is open."""
    where = or_(invoice.c.party == party, invoice.c.month.in_(months))
    query = select(invoice.c.number).join(dispute, dispute.c.invoice == invoice.c.number)
    return sorted(set(tx.execute(query.where(where, dispute.c.state == "open")).scalars()))


def not_invoiced(tx: Transaction, party: str, stays: Iterable[Stay]) -> list[str]:
    """Return the months (``YYYY-MM``) on whose invoices something is yet to stand.

    Of a party all counts, and what is of the time of `stays`, whoever it is of.
    """
    account = f"party:{party}"
    mine = or_(posting.c.debit == account, posting.c.credit == account)
    of_time = within(stays, posting.c.start_s) & (posting.c.version > 0)
    # Invoices may be erased; that they were made is in the ledger.
    told = [content for _, content in ended_logs.contents(tx, ["invoice"])]
    bodies = [json.loads(one)["body"] for one in (*told, *log.contents(tx, ["invoice"]))]
    made = {body["month"] for body in bodies if "invoices" in body}
    query = select(posting.c.month).where(or_(mine, of_time)).distinct()
    return sorted(set(tx.execute(query).scalars()) - made)


def last_invoice_s(tx: Transaction, party: str) -> int:
    """Return when the last invoice of a party was made, 0 when it has none."""
    query = select(func.max(invoice.c.made_s)).where(invoice.c.party == party)
    return int(tx.execute(query).scalar_one() or 0)
