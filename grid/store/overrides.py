"""Overrides: what an operator holds a device at until when, who agreed, and how it ended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, insert, select, update

from grid.errors import StoreError
from grid.store.engine import Transaction
from grid.store.schema import override


class Action(StrEnum):
    """What a device is held to: a flow, a highest output, or nothing at all."""

    CHARGE = "charge"
    DISCHARGE = "discharge"
    RUN = "run"
    LIMIT = "limit"
    OFF = "off"


class Reason(StrEnum):
    """Why somebody intervenes: what the ledger may hold of it."""

    MAINTENANCE = "maintenance"
    NETWORK = "network"
    SAFETY = "safety"
    DEVICE_FAULT = "device-fault"
    TEST = "test"
    OTHER = "other"


class OverrideState(StrEnum):
    """How far an override has come.

    Attributes
    ----------
    LAPSED
        Nobody approved it in time.
    EXPIRED
        Its end came.
    ENDED
        Somebody took it back.
    """

    ASKED = "asked"
    ACTIVE = "active"
    LAPSED = "lapsed"
    EXPIRED = "expired"
    ENDED = "ended"


OPEN = (OverrideState.ASKED, OverrideState.ACTIVE)


@dataclass(frozen=True, slots=True)
class Override:
    """One override of ``[start_s, end_s)``; instants are seconds UTC.

    Attributes
    ----------
    power_w : int
        Of the flow or the limit; 0 when off.
    stake_w : int
        By how much it may move the device from what the plan would do.
    note : str
        For people; never in the ledger.
    lapses_s : int
        When it lapses if nobody approves it.
    """

    id: int
    asset: str
    action: Action
    power_w: int
    start_s: int
    end_s: int
    stake_w: int
    reason: Reason
    note: str
    asked_by: str
    asked_s: int
    lapses_s: int
    approved_by: str | None
    approved_s: int | None
    ended_by: str | None
    ended_s: int | None
    state: OverrideState

    @property
    def open(self) -> bool:
        """Whether it holds, or may still come to."""
        return self.state in OPEN


def put_override(tx: Transaction, **facts: Any) -> Override:
    """Keep an override; return it with its number."""
    number = tx.execute(
        insert(override).values(**{name: _plain(value) for name, value in facts.items()})
        .returning(override.c.id)
    ).scalar_one()  # fmt: skip
    return get_override(tx, int(number))


def get_override(tx: Transaction, number: int) -> Override:
    """Return an override by its number.

    Raises
    ------
    StoreError
        When there is none.
    """
    row = tx.execute(select(override).where(override.c.id == number)).one_or_none()
    if row is None:
        raise StoreError(f"override {number} does not exist")
    return _override(row)


def move(
    tx: Transaction, number: int, before: OverrideState, after: OverrideState, **facts: Any
) -> Override:
    """Bring an override from one state to another with what is known of it then.

    Raises
    ------
    StoreError
        When it is not in the state `before`: somebody else was first.
    """
    result = tx.execute(
        update(override)
        .where(override.c.id == number, override.c.state == str(before))
        .values(state=str(after), **facts)
    )
    if result.rowcount != 1:
        raise StoreError(f"override {number} is not {before} any more")
    return get_override(tx, number)


def in_states(tx: Transaction, states: Iterable[OverrideState]) -> list[Override]:
    """Return the overrides in some states, the oldest first."""
    names = [str(state) for state in states]
    query = select(override).where(override.c.state.in_(names)).order_by(override.c.id)
    return [_override(row) for row in tx.execute(query)]


def listed(tx: Transaction, limit: int = 100) -> list[Override]:
    """Return overrides, the newest first."""
    query = select(override).order_by(override.c.id.desc()).limit(limit)
    return [_override(row) for row in tx.execute(query)]


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, StrEnum) else value


def _override(row: Row[Any]) -> Override:
    facts = dict(row._mapping)
    facts["action"] = Action(facts["action"])
    facts["reason"] = Reason(facts["reason"])
    facts["state"] = OverrideState(facts["state"])
    return Override(**facts)
