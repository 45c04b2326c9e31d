"""Cases of lost energy, each kept up to date until a person closes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import RowMapping, insert, select, update

from grid.errors import StoreError
from grid.store.engine import Transaction
from grid.store.schema import loss_case

CONFIRMED, NOT_CONFIRMED = "confirmed", "not_confirmed"
REASONS = (CONFIRMED, NOT_CONFIRMED)
"""Found and put right; or nothing was found, and what flows since is usual."""


def _decoded(row: RowMapping) -> dict[str, Any]:
    return {**row, "content": json.loads(row["content"])}


def cases(tx: Transaction, *, open_only: bool = False, limit: int = 500) -> list[dict[str, Any]]:
    """Return cases with their content decoded: the open ones first, the newest before others."""
    query = select(loss_case).order_by(
        loss_case.c.closed_s.is_not(None), loss_case.c.found_s.desc(), loss_case.c.id.desc()
    )
    if open_only:
        query = query.where(loss_case.c.closed_s.is_(None))
    return [_decoded(row) for row in tx.execute(query.limit(limit)).mappings()]


def case(tx: Transaction, number: int) -> dict[str, Any] | None:
    """Return one case with its content decoded, or None."""
    row = tx.execute(select(loss_case).where(loss_case.c.id == number)).mappings().one_or_none()
    return None if row is None else _decoded(row)


def put_case(tx: Transaction, facts: Mapping[str, Any], content: object) -> tuple[bool, bool]:
    """Open a case, or bring the open one of its family up to date.

    A case that a person closed is not opened again by days before the closing.

    Parameters
    ----------
    facts : mapping
        ``family, kind, subject, since_s, found_s, last_s, wh_per_day, wh_per_day_sd``.
    content : object
        Evidence, suspects and the picture, as JSON knows them.

    Returns
    -------
    (bool, bool)
        Whether it is new, and whether its kind or whom it names changed.
    """
    same = select(loss_case).where(loss_case.c.family == facts["family"])
    rows = list(tx.execute(same.order_by(loss_case.c.id)).mappings())
    written = {**facts, "content": json.dumps(content, sort_keys=True)}
    waiting = [row for row in rows if row["closed_s"] is None]
    if waiting:
        row = waiting[0]
        # It was found when it was first told, however surely it is dated later.
        written["found_s"] = row["found_s"]
        tx.execute(update(loss_case).where(loss_case.c.id == row["id"]).values(written))
        return False, (row["kind"], row["subject"]) != (facts["kind"], facts["subject"])
    if any(facts["since_s"] < row["closed_s"] for row in rows):
        return False, False
    tx.execute(insert(loss_case).values(written))
    return True, True


def close_case(
    tx: Transaction, number: int, *, user: str, at_s: int, reason: str, comment: str
) -> None:
    """Record who closed a case, when, with which of :data:`REASONS` and what they said.

    Raises
    ------
    StoreError
        When there is no such case, it was closed before, or the reason is none of them.
    """
    if reason not in REASONS:
        raise StoreError(f"case {number}: reason {reason!r} must be one of {', '.join(REASONS)}")
    result = tx.execute(
        update(loss_case)
        .where(loss_case.c.id == number, loss_case.c.closed_s.is_(None))
        .values(closed_s=at_s, closed_by=user, reason=reason, comment=comment)
    )
    if result.rowcount != 1:
        raise StoreError(f"case {number} does not exist or was closed before")
