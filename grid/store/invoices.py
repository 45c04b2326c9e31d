"""Invoices, and disputes about their lines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import insert, select, update

from grid.errors import StoreError
from grid.store.engine import Transaction
from grid.store.schema import dispute, invoice, posting, settlement
from trading.accounts import Posting


class DisputeState(StrEnum):
    """What became of a dispute."""

    OPEN = "open"
    UPHELD = "upheld"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Invoice:
    """A party's month as it was billed; `document` is its statement."""

    number: str
    party: str
    month: str
    made_s: int
    total_nano: int
    document: dict[str, Any]
    sequence: int


@dataclass(frozen=True, slots=True)
class Dispute:
    """A line of an invoice that its party does not accept.

    `line` is its place in the document, `amount_nano` what is held of the invoice until it is
    decided, `credit_nano` what an upheld one gives back.
    """

    id: int
    invoice: str
    line: int
    amount_nano: int
    reason: str
    opened_by: str
    opened_s: int
    state: DisputeState
    credit_nano: int = 0
    note: str | None = None
    closed_by: str | None = None
    closed_s: int | None = None


def put_invoice(tx: Transaction, one: Invoice) -> None:
    """Keep an invoice; a party has one for each month."""
    facts = asdict(one) | {"document": json.dumps(one.document, sort_keys=True)}
    tx.execute(insert(invoice).values(**facts))


def invoices(
    tx: Transaction, *, month: str | None = None, party: str | None = None
) -> list[Invoice]:
    """Return invoices by month and number, of a month or party when given."""
    query = select(invoice).order_by(invoice.c.month, invoice.c.number)
    if month is not None:
        query = query.where(invoice.c.month == month)
    if party is not None:
        query = query.where(invoice.c.party == party)
    return [
        Invoice(**{**row._mapping, "document": json.loads(row.document)})
        for row in tx.execute(query)
    ]


def put_closing(
    tx: Transaction, start_s: int, month: str, lines: Sequence[Posting], *, first: int
) -> None:
    """Keep postings that are of a month and not of an interval: version 0 of its first instant."""
    rows = [
        {**asdict(line), "start_s": start_s, "version": 0, "number": number, "month": month}
        for number, line in enumerate(lines, start=first)
    ]
    if rows:
        tx.execute(insert(posting), rows)


def next_closing(tx: Transaction, start_s: int) -> int:
    """Return the next number of a posting of a month that begins at `start_s`."""
    query = select(posting.c.number).where(posting.c.start_s == start_s, posting.c.version == 0)
    return max((int(one) for one in tx.execute(query).scalars()), default=-1) + 1


def provisional(tx: Transaction, start_s: int, end_s: int) -> bool:
    """Whether any settlement of ``[start_s, end_s)`` is not final yet."""
    where = (settlement.c.start_s >= start_s) & (settlement.c.start_s < end_s)
    query = select(settlement.c.start_s).where(where, settlement.c.state == "provisional")
    return tx.execute(query.limit(1)).first() is not None


def open_dispute(tx: Transaction, one: Dispute) -> int:
    """Keep a dispute; return its number."""
    facts = asdict(one) | {"state": str(one.state)}
    del facts["id"]
    return int(tx.execute(insert(dispute).values(**facts).returning(dispute.c.id)).scalar_one())


def close_dispute(
    tx: Transaction, number: int, state: DisputeState, *, credit_nano: int, note: str, by: str,
    at_s: int,
) -> None:  # fmt: skip
    """Keep what became of a dispute.

    Raises
    ------
    StoreError
        When it is not open.
    """
    there = (dispute.c.id == number) & (dispute.c.state == str(DisputeState.OPEN))
    done = tx.execute(
        update(dispute)
        .where(there)
        .values(state=str(state), credit_nano=credit_nano, note=note, closed_by=by, closed_s=at_s)
    )
    if not done.rowcount:
        raise StoreError(f"dispute {number} is not open")


def disputes(tx: Transaction, invoices: Sequence[str] | None = None) -> list[Dispute]:
    """Return disputes by number, of some invoices when given."""
    query = select(dispute).order_by(dispute.c.id)
    if invoices is not None:
        query = query.where(dispute.c.invoice.in_(list(invoices)))
    return [
        Dispute(**{**row._mapping, "state": DisputeState(row.state)}) for row in tx.execute(query)
    ]
