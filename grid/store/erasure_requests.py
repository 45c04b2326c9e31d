"""Who asked for a person to be erased and who approved it; what keeps a person from it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, insert, or_, select, update

from grid.store.engine import Transaction
from grid.store.schema import dispute, erasure, invoice, posting


@dataclass(frozen=True, slots=True)
class Request:
    """Somebody asked for a person to be erased."""

    id: int
    asked_by: str
    asked_s: int
    reason: str


def ask(tx: Transaction, party: str, *, reason: str, by: str, at_s: int) -> None:
    """Keep that somebody asked."""
    tx.execute(insert(erasure).values(party=party, reason=reason, asked_by=by, asked_s=at_s))


def open_request(tx: Transaction, party: str, since_s: int) -> Request | None:
    """Return the newest request for a party that was made since an instant."""
    query = select(erasure).where(erasure.c.party == party, erasure.c.asked_s >= since_s)
    row = tx.execute(query.order_by(erasure.c.id.desc()).limit(1)).one_or_none()
    return None if row is None else Request(row.id, row.asked_by, row.asked_s, row.reason)


def approve(tx: Transaction, number: int, *, name: str, by: str, at_s: int) -> None:
    """Keep who approved, and forget of whom it was and why."""
    one = erasure.c.id == number
    party = tx.execute(select(erasure.c.party).where(one)).scalar_one()
    done = {"name": name, "approved_by": by, "approved_s": at_s}
    tx.execute(update(erasure).where(one).values(**done))
    # Requests that lapsed name the person too.
    tx.execute(update(erasure).where(erasure.c.party == party).values(party=None, reason=""))


def disputed(tx: Transaction, party: str) -> bool:
    """Whether a dispute about an invoice of a party is open."""
    mine = select(invoice.c.number).where(invoice.c.party == party)
    query = select(dispute.c.id).where(dispute.c.state == "open", dispute.c.invoice.in_(mine))
    return tx.execute(query.limit(1)).first() is not None


def not_invoiced(tx: Transaction, party: str) -> list[str]:
    """Return the months (``YYYY-MM``) with postings of a party and no invoice of it."""
    account = f"party:{party}"
    query = select(posting.c.month).where(
        or_(posting.c.debit == account, posting.c.credit == account),
        posting.c.month.not_in(select(invoice.c.month).where(invoice.c.party == party)),
    )
    return sorted(set(tx.execute(query).scalars()))


def last_invoice_s(tx: Transaction, party: str) -> int:
    """Return when the last invoice of a party was made, 0 when it has none."""
    query = select(func.max(invoice.c.made_s)).where(invoice.c.party == party)
    return int(tx.execute(query).scalar_one() or 0)
