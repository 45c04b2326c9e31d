"""What people want of charge points, and what their vehicles got."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, func, insert, select, update

from grid.errors import StoreError
from grid.store.engine import Transaction
from grid.store.schema import charging_session, device_state


class SessionState(StrEnum):
    """How a wish stands.

    Attributes
    ----------
    STATED
        It holds, unless a newer one of the same charge point does.
    WITHDRAWN
        Taken back before its vehicle left.
    ENDED
        The vehicle left, or its time came.
    """

    STATED = "stated"
    WITHDRAWN = "withdrawn"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Session:
    """What somebody wants for a vehicle at a charge point; instants are seconds UTC.

    Attributes
    ----------
    arrives_s : int or None
        When it is expected; None where it is there, or may come at any time.
    departs_s, wanted_wh : int
        By when it is to have got how much, as the charge point counts.
    ended_s, got_wh : int or None
        When it was over, and what the vehicle had got by then.
    """

    id: int
    charger: str
    party: str
    stated_by: str
    stated_s: int
    arrives_s: int | None
    departs_s: int
    wanted_wh: int
    state: SessionState
    ended_s: int | None
    got_wh: int | None


def put_session(tx: Transaction, **facts: Any) -> Session:
    """Keep a wish; return it with its number."""
    number = tx.execute(
        insert(charging_session)
        .values(**facts, state=str(SessionState.STATED))
        .returning(charging_session.c.id)
    ).scalar_one()
    return get_session(tx, int(number))


def get_session(tx: Transaction, number: int) -> Session:
    """Return a wish by its number.

    Raises
    ------
    StoreError
        When there is none.
    """
    where = charging_session.c.id == number
    row = tx.execute(select(charging_session).where(where)).one_or_none()
    if row is None:
        raise StoreError(f"charging session {number} does not exist")
    return _session(row)


def close(tx: Transaction, number: int, after: SessionState, **facts: Any) -> Session:
    """Let a wish no longer hold.

    Raises
    ------
    StoreError
        When it does not hold any more: somebody else was first.
    """
    result = tx.execute(
        update(charging_session)
        .where(
            charging_session.c.id == number,
            charging_session.c.state == str(SessionState.STATED),
        )
        .values(state=str(after), **facts)
    )
    if result.rowcount != 1:
        raise StoreError(f"charging session {number} is not {SessionState.STATED} any more")
    return get_session(tx, number)


def stated(tx: Transaction) -> list[Session]:
    """Return the wishes that are not over, the oldest first."""
    query = (
        select(charging_session)
        .where(charging_session.c.state == str(SessionState.STATED))
        .order_by(charging_session.c.id)
    )
    return [_session(row) for row in tx.execute(query)]


def listed(tx: Transaction, *, party: str | None = None, limit: int = 100) -> list[Session]:
    """Return wishes, the newest first; of one party where it is given."""
    query = select(charging_session).order_by(charging_session.c.id.desc()).limit(limit)
    if party is not None:
        query = query.where(charging_session.c.party == party)
    return [_session(row) for row in tx.execute(query)]


def last_apart(tx: Transaction, charger: str, at_s: int, since_s: int) -> tuple[int, int, int]:
    """Return when a charge point last had no vehicle, and what it had given and taken by then.

    Without such an instant in ``[since_s, at_s]`` it is the first at which it said anything.

    Returns
    -------
    at_s, charged_wh, discharged_wh : int
        Seconds UTC and counters; ``(at_s, 0, 0)`` where it said nothing.
    """
    within = (
        (device_state.c.asset == charger)
        & (device_state.c.at_s >= since_s)
        & (device_state.c.at_s <= at_s)
    )
    instant = device_state.c.at_s
    apart = select(func.max(instant)).where(within, device_state.c.running.is_(False))
    found = tx.execute(apart).scalar()
    if found is None:
        found = tx.execute(select(func.min(instant)).where(within)).scalar()
    if found is None:
        return at_s, 0, 0
    columns = (instant, device_state.c.charged_wh, device_state.c.discharged_wh)
    row = tx.execute(
        select(*columns).where(device_state.c.asset == charger, instant == found)
    ).one()
    return int(row[0]), int(row[1]), int(row[2])


def _session(row: Row[Any]) -> Session:
    facts = dict(row._mapping)
    facts["state"] = SessionState(facts["state"])
    return Session(**facts)
