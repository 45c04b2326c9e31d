"""Orders of meters: what was asked, by whom, who approved it, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, func, select

from grid.store.engine import Transaction
from grid.store.schema import meter_order
from grid.store.staged import Staged


class OrderKind(StrEnum):
    """What a meter is ordered to do."""

    DISCONNECT = "disconnect"
    RECONNECT = "reconnect"
    KEY_REPLACEMENT = "key-replacement"


class OrderState(StrEnum):
    """How far an order has come.

    Attributes
    ----------
    EXECUTING
        Committed before anything goes to the meter: from here on it may have acted.
    REFUSED
        By an interlock, whoever asked or approved.
    GIVEN_UP
        It may have acted, and nobody waits for its answer any more.
    """

    ASKED = "asked"
    APPROVED = "approved"
    EXECUTING = "executing"
    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    GIVEN_UP = "given-up"


OPEN = (OrderState.ASKED, OrderState.APPROVED, OrderState.EXECUTING)


@dataclass(frozen=True, slots=True)
class MeterOrder:
    """One order; instants are seconds UTC, ``None`` where it has not come so far.

    Attributes
    ----------
    island_source : bool
        Whoever asked said that what forms or feeds an island stands behind the meter.
    outcome : str
        One sentence for people; empty as long as nothing is to be told.
    """

    id: int
    kind: OrderKind
    meter: str
    reason: str
    island_source: bool
    asked_by: str
    asked_s: int
    expires_s: int
    approved_by: str | None
    approved_s: int | None
    executing_s: int | None
    ended_s: int | None
    state: OrderState
    outcome: str

    @property
    def open(self) -> bool:
        """Whether it can still come to something."""
        return self.state in OPEN


def put_order(
    tx: Transaction,
    *,
    kind: OrderKind,
    meter: str,
    reason: str,
    island_source: bool,
    asked_by: str,
    asked_s: int,
    expires_s: int,
) -> int:
    """Keep what was asked; return its number."""
    asked = _ROWS.put(
        tx,
        kind=kind,
        meter=meter,
        reason=reason,
        island_source=island_source,
        asked_by=asked_by,
        asked_s=asked_s,
        expires_s=expires_s,
        state=OrderState.ASKED,
        outcome="",
    )
    return asked.id


def executed_since(tx: Transaction, kind: OrderKind, since_s: int) -> int:
    """Return how many orders of a kind went to a meter after `since_s`."""
    query = select(func.count()).where(
        meter_order.c.kind == str(kind), meter_order.c.executing_s > since_s
    )
    return int(tx.execute(query).scalar_one())


def _order(row: Row[Any]) -> MeterOrder:
    facts = dict(row._mapping)
    return MeterOrder(
        **{
            **facts,
            "kind": OrderKind(facts["kind"]),
            "state": OrderState(facts["state"]),
            "island_source": bool(facts["island_source"]),
        }
    )


_ROWS = Staged(meter_order, "order", _order)
get_order, move, in_states, listed = _ROWS.get, _ROWS.move, _ROWS.in_states, _ROWS.listed
