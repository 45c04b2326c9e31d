"""Incidents: an element without supply, and each customer's interruption by it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Row, and_, delete, func, insert, or_, select, update

from grid.store.engine import Transaction
from grid.store.schema import incident, interruption, last_gasp
from grid.store.upsert import put

SUSPECTED: Final = "suspected"
LOCATED: Final = "located"
DISMISSED: Final = "dismissed"
"""Meters that were silent and had supply: no outage."""


@dataclass(frozen=True, slots=True)
class Incident:
    """One outage from the first evidence of it to the last customer's supply.

    Attributes
    ----------
    id : int
    kind : str
        ``"line"``, ``"trafo"``, ``"head"`` or ``"service"``.
    element : int
        Index in the source network; the bus of a head or a service.
    name : str
        The element in words, with those that cannot be told from it.
    start_s, found_s : int
        First evidence, and the cycle that made an incident of it, seconds UTC.
    end_s : int or None
        When the last customer had supply again.
    state : str
        :data:`SUSPECTED`, :data:`LOCATED` or :data:`DISMISSED`.
    planned : bool
    content : dict
        ``section``, ``uncertain``, ``evidence``, counts, ``opened`` (what was open from when
        on) and the ``timeline``, as JSON knows them.
    """

    id: int
    kind: str
    element: int
    name: str
    start_s: int
    found_s: int
    end_s: int | None
    state: str
    planned: bool
    content: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A usage point without supply during ``[start_s, end_s)``; `end_s` None while it lasts.

    `planned` and `state` are those of the incident.
    """

    incident: int
    usage_point: str
    start_s: int
    end_s: int | None
    planned: bool
    state: str


@dataclass(frozen=True, slots=True)
class OpenElement:
    """What is known to be open at an instant.

    Attributes
    ----------
    incident : int
    state : str
        Of the incident.
    section : tuple of (str, int)
        Kind and index of each element that it may be, from the head outwards; empty where
        customers wait for supply and nobody knows what is open.
    usage_points : tuple of str
        Those without supply at the instant.
    """

    incident: int
    state: str
    section: tuple[tuple[str, int], ...]
    usage_points: tuple[str, ...]


def _incident(row: Row[Any]) -> Incident:
    facts = dict(row._mapping)
    return Incident(**{**facts, "content": json.loads(facts["content"])})


def put_gasps(tx: Transaction, gasps: Iterable[tuple[str, int]], received_s: int) -> None:
    """Keep when meters said that they lost their supply."""
    rows = [{"meter": meter, "at_s": at_s, "received_s": received_s} for meter, at_s in gasps]
    put(tx, last_gasp, rows, replace=False)


def gasps(tx: Transaction, since_s: int, until_s: int) -> dict[str, int]:
    """Return the newest last gasp of each meter in ``[since_s, until_s]``."""
    rows = tx.execute(
        select(last_gasp.c.meter, func.max(last_gasp.c.at_s))
        .where(last_gasp.c.at_s >= since_s, last_gasp.c.at_s <= until_s)
        .group_by(last_gasp.c.meter)
    )
    return {str(meter): int(at_s) for meter, at_s in rows}


def open_incidents(tx: Transaction) -> list[Incident]:
    """Return the incidents that have not ended, the oldest first."""
    query = select(incident).where(incident.c.end_s.is_(None)).order_by(incident.c.id)
    return [_incident(row) for row in tx.execute(query)]


def incidents(tx: Transaction, limit: int = 200) -> list[Incident]:
    """Return incidents: those that have not ended first, the newest before others."""
    query = select(incident).order_by(
        incident.c.end_s.is_not(None), incident.c.start_s.desc(), incident.c.id.desc()
    )
    return [_incident(row) for row in tx.execute(query.limit(limit))]


def add(tx: Transaction, facts: Mapping[str, Any], content: Mapping[str, Any]) -> int:
    """Open an incident; return its number."""
    values = {**facts, "end_s": None, "content": json.dumps(content, sort_keys=True)}
    done = tx.execute(insert(incident).values(values))
    assert done.inserted_primary_key is not None
    return int(done.inserted_primary_key[0])


def change(tx: Transaction, number: int, content: Mapping[str, Any], **facts: Any) -> None:
    """Bring an incident up to date."""
    values = {**facts, "content": json.dumps(content, sort_keys=True)}
    tx.execute(update(incident).where(incident.c.id == number).values(values))


def absorb(tx: Transaction, number: int, other: int) -> None:
    """Let an incident take the interruptions of another one, which was a part of it."""
    mine = {(one.usage_point, one.start_s) for one in interruptions(tx, [number])}
    for one in interruptions(tx, [other]):
        if (one.usage_point, one.start_s) not in mine:
            tx.execute(_same(one).values(incident=number))
    tx.execute(delete(interruption).where(interruption.c.incident == other))
    tx.execute(delete(incident).where(incident.c.id == other))


def _same(one: Interrupted) -> Any:
    return update(interruption).where(
        interruption.c.incident == one.incident,
        interruption.c.usage_point == one.usage_point,
        interruption.c.start_s == one.start_s,
    )


def interrupt(tx: Transaction, number: int, starts: Mapping[str, int]) -> None:
    """Keep since when usage points are without supply by an incident."""
    rows = [
        {"incident": number, "usage_point": point, "start_s": start_s, "end_s": None}
        for point, start_s in sorted(starts.items())
    ]
    put(tx, interruption, rows, replace=False)


def settle(tx: Transaction, one: Interrupted, *, start_s: int, end_s: int | None) -> None:
    """Keep when an interruption began and ended, as it is known by now."""
    tx.execute(_same(one).values(start_s=start_s, end_s=end_s))


def drop(tx: Transaction, one: Interrupted) -> None:
    """Forget an interruption that was none."""
    tx.execute(
        delete(interruption).where(
            interruption.c.incident == one.incident,
            interruption.c.usage_point == one.usage_point,
            interruption.c.start_s == one.start_s,
        )
    )


def interruptions(tx: Transaction, numbers: Sequence[int]) -> list[Interrupted]:
    """Return the interruptions of some incidents, by incident and usage point."""
    query = _joined().where(interruption.c.incident.in_(numbers))
    return [Interrupted(*row) for row in tx.execute(query)]


def lasting(tx: Transaction) -> dict[str, Interrupted]:
    """Return the interruptions that have not ended, by usage point."""
    query = _joined().where(interruption.c.end_s.is_(None))
    return {row[1]: Interrupted(*row) for row in tx.execute(query)}


def between(tx: Transaction, start_s: int, end_s: int) -> list[Interrupted]:
    """Return the interruptions that lasted in some part of ``[start_s, end_s)``."""
    lasts = or_(interruption.c.end_s.is_(None), interruption.c.end_s > start_s)
    query = _joined().where(and_(interruption.c.start_s < end_s, lasts))
    return [Interrupted(*row) for row in tx.execute(query)]


def _joined() -> Any:
    names = ("incident", "usage_point", "start_s", "end_s")
    return (
        select(*(interruption.c[name] for name in names), incident.c.planned, incident.c.state)
        .join(incident, incident.c.id == interruption.c.incident)
        .order_by(interruption.c.incident, interruption.c.usage_point, interruption.c.start_s)
    )


def evidence(tx: Transaction, numbers: Iterable[int]) -> dict[int, str]:
    """Return what the beginning of each incident rests on."""
    query = select(incident.c.id, incident.c.content).where(incident.c.id.in_(list(numbers)))
    return {int(number): json.loads(content)["evidence"] for number, content in tx.execute(query)}


def open_elements(tx: Transaction, at_s: int) -> list[OpenElement]:
    """Return the elements that are known or suspected to be open at an instant, seconds UTC.

    An element of which all customers were found to have supply is not among them.
    """
    there = [one for one in between(tx, at_s, at_s + 1) if one.start_s <= at_s]
    points: dict[int, list[str]] = {}
    for one in there:
        points.setdefault(one.incident, []).append(one.usage_point)
    query = select(incident).where(incident.c.id.in_(points)).order_by(incident.c.id)
    found = []
    for row in tx.execute(query):
        it = _incident(row)
        told = [section for from_s, section in it.content["opened"] if from_s <= at_s]
        section = (told or [it.content["section"]])[-1]
        elements = tuple((str(kind), int(index)) for kind, index, _ in section)
        found.append(OpenElement(it.id, it.state, elements, tuple(points[it.id])))
    return found
