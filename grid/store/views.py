"""Reads that only people's pages need."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import RowMapping, func, select

from grid.store.control import OPEN, URGENCY
from grid.store.engine import Transaction
from grid.store.schema import (
    dataset,
    finding,
    ledger_entry,
    opening,
    plan,
    posting,
    setpoint,
)


def latest(tx: Transaction, kind: str, until_s: int) -> int | None:
    """Return the newest instant up to `until_s` at which a dataset of `kind` is stored."""
    where = (dataset.c.kind == kind) & (dataset.c.at_s <= until_s)
    return tx.execute(select(func.max(dataset.c.at_s)).where(where)).scalar()


def latest_plan(tx: Transaction, until_s: int) -> int | None:
    """Return the cycle of the newest plan up to `until_s`."""
    return tx.execute(select(func.max(plan.c.cycle_s)).where(plan.c.cycle_s <= until_s)).scalar()


def latest_setpoints(tx: Transaction, until_s: int) -> int | None:
    """Return the newest cycle up to `until_s` that has set-points."""
    where = setpoint.c.cycle_s <= until_s
    return tx.execute(select(func.max(setpoint.c.cycle_s)).where(where)).scalar()


def finding_row(tx: Transaction, number: int) -> RowMapping | None:
    """Return one finding, or ``None``."""
    query = select(finding).where(finding.c.id == number)
    return tx.execute(query).mappings().one_or_none()


def open_of_code(tx: Transaction, code: str, numbers: Collection[int]) -> list[int]:
    """Return those of `numbers` that are findings of `code` nobody has acknowledged."""
    query = select(finding.c.id).where(
        finding.c.code == code,
        OPEN,
    )
    return [int(one) for one in tx.execute(query).scalars() if one in set(numbers)]


def open_groups(tx: Transaction, limit: int = 12, rows: int = 500) -> list[list[RowMapping]]:
    """Return what nobody has acknowledged, of one kind and interval together.

    The most severe groups come first, then the newest; at most `rows` of each.
    """
    key = (finding.c.code, finding.c.label)
    newest = (func.max(finding.c.cycle_s).desc(), func.max(finding.c.id).desc())
    groups = tx.execute(
        select(*key).where(OPEN).group_by(*key).order_by(func.min(URGENCY), *newest).limit(limit)
    )
    return [
        list(
            tx.execute(
                select(finding)
                .where(OPEN, finding.c.code == code, finding.c.label == label)
                .order_by(URGENCY, finding.c.cycle_s.desc(), finding.c.id.desc())
                .limit(rows)
            ).mappings()
        )
        for code, label in groups.all()
    ]


def open_findings(tx: Transaction) -> dict[str, int]:
    """Return how many findings nobody has acknowledged, by severity, without notes."""
    rows = tx.execute(
        select(finding.c.severity, func.count()).where(OPEN).group_by(finding.c.severity)
    )
    return {severity: int(count) for severity, count in rows}


def failures(tx: Transaction, prefix: str, since_s: int) -> dict[str, tuple[int, str]]:
    """Return for each subject how many findings with a code of `prefix` it has since an
    instant, and the newest message."""
    rows = tx.execute(
        select(finding.c.subject, finding.c.message)
        .where(finding.c.code.startswith(prefix, autoescape=True), finding.c.cycle_s >= since_s)
        .order_by(finding.c.id)
    )
    found: dict[str, tuple[int, str]] = {}
    for subject, message in rows:
        found[subject] = (found.get(subject, (0, ""))[0] + 1, message)
    return found


def entry_kinds(tx: Transaction) -> dict[str, int]:
    """Return how many ledger entries there are of each kind."""
    rows = tx.execute(
        select(ledger_entry.c.kind, func.count())
        .group_by(ledger_entry.c.kind)
        .order_by(ledger_entry.c.kind)
    )
    return {kind: int(count) for kind, count in rows}


def account_months(tx: Transaction, account: str) -> list[str]:
    """Return the months in which an account has postings, newest first."""
    rows = tx.execute(
        select(posting.c.month)
        .where((posting.c.debit == account) | (posting.c.credit == account))
        .distinct()
        .order_by(posting.c.month.desc())
    )
    return [row.month for row in rows]


def party_openings(tx: Transaction, party: str, kind: str, about: str) -> list[RowMapping]:
    """Return a party's openings of the entries of `kind` about the interval labelled `about`."""
    query = (
        select(opening)
        .join(ledger_entry, ledger_entry.c.sequence == opening.c.sequence)
        .where(opening.c.party == party, ledger_entry.c.kind == kind, ledger_entry.c.label == about)
    )
    rows = tx.execute(query.order_by(opening.c.sequence, opening.c.digest))
    return list(rows.mappings())
