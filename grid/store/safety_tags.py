"""Safety tags: on which element, whose, and what stands behind it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, insert, select, update

from grid.errors import StoreError
from grid.store.engine import Transaction
from grid.store.overrides import Reason
from grid.store.schema import safety_tag


@dataclass(frozen=True, slots=True)
class SafetyTag:
    """A permit on an element; instants are seconds UTC.

    Attributes
    ----------
    element : str
        ``line:3``, ``trafo:0``, ``bus:25`` or ``asset:BAT-1``.
    devices : tuple of str
        Devices behind it: they get no set-points as long as it stands.
    ties : tuple of int
        Open switches by which what is behind it could be fed otherwise.
    holder : str
        Who works there: nobody else releases it.
    """

    id: int
    element: str
    devices: tuple[str, ...]
    ties: tuple[int, ...]
    reason: Reason
    note: str
    holder: str
    placed_s: int
    released_s: int | None

    @property
    def standing(self) -> bool:
        """Whether it still holds."""
        return self.released_s is None


def put_tag(
    tx: Transaction,
    *,
    element: str,
    devices: Sequence[str],
    ties: Sequence[int],
    reason: Reason,
    note: str,
    holder: str,
    placed_s: int,
) -> SafetyTag:
    """Keep a tag; return it with its number."""
    behind = json.dumps({"devices": list(devices), "ties": list(ties)})
    number = tx.execute(
        insert(safety_tag)
        .values(
            element=element, behind=behind, reason=str(reason), note=note, holder=holder,
            placed_s=placed_s,
        )
        .returning(safety_tag.c.id)
    ).scalar_one()  # fmt: skip
    return get_tag(tx, int(number))


def get_tag(tx: Transaction, number: int) -> SafetyTag:
    """Return a tag by its number.

    Raises
    ------
    StoreError
        When there is none.
    """
    row = tx.execute(select(safety_tag).where(safety_tag.c.id == number)).one_or_none()
    if row is None:
        raise StoreError(f"safety tag {number} does not exist")
    return _tag(row)


def release(tx: Transaction, number: int, at_s: int) -> SafetyTag:
    """Release a tag.

    Raises
    ------
    StoreError
        When it does not stand any more.
    """
    result = tx.execute(
        update(safety_tag)
        .where(safety_tag.c.id == number, safety_tag.c.released_s.is_(None))
        .values(released_s=at_s)
    )
    if result.rowcount != 1:
        raise StoreError(f"safety tag {number} does not stand any more")
    return get_tag(tx, number)


def standing(tx: Transaction) -> list[SafetyTag]:
    """Return the tags that stand, the oldest first."""
    query = select(safety_tag).where(safety_tag.c.released_s.is_(None)).order_by(safety_tag.c.id)
    return [_tag(row) for row in tx.execute(query)]


def listed(tx: Transaction, limit: int = 100) -> list[SafetyTag]:
    """Return tags, the newest first."""
    query = select(safety_tag).order_by(safety_tag.c.id.desc()).limit(limit)
    return [_tag(row) for row in tx.execute(query)]


def _tag(row: Row[Any]) -> SafetyTag:
    facts = dict(row._mapping)
    behind = json.loads(facts.pop("behind"))
    return SafetyTag(
        **{**facts, "reason": Reason(facts["reason"])},
        devices=tuple(behind["devices"]),
        ties=tuple(behind["ties"]),
    )
