"""Flexibility events: what somebody outside asks of import or export, the answer, the delivery."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, select, update

from grid.store.engine import Transaction
from grid.store.schema import flexibility_event as event
from grid.store.staged import Staged


class EventKind(StrEnum):
    """What is asked for.

    Attributes
    ----------
    IMPORT_LIMIT
        Draw at most so much.
    IMPORT_REDUCTION
        Draw so much less than the baseline.
    EXPORT_LIMIT
        Feed in at most so much.
    """

    IMPORT_LIMIT = "import-limit"
    IMPORT_REDUCTION = "import-reduction"
    EXPORT_LIMIT = "export-limit"

    @property
    def way(self) -> str:
        """``"import"`` or ``"export"``."""
        return "export" if self is EventKind.EXPORT_LIMIT else "import"


class Cause(StrEnum):
    """Why an event was declined or cancelled: what the ledger may hold of it.

    Attributes
    ----------
    WITHDRAWN
        Whoever asked took it back.
    """

    TOO_DEAR = "too-dear"
    NOT_POSSIBLE = "not-possible"
    SAFETY = "safety"
    WITHDRAWN = "withdrawn"
    OTHER = "other"


class EventState(StrEnum):
    """How far an event has come.

    Attributes
    ----------
    APPROVING
        One operator accepted it, and it takes a second one.
    EXPIRED
        Nobody answered in time.
    OVER
        Its end came; readings of its last intervals may be missing still.
    """

    RECEIVED = "received"
    APPROVING = "approving"
    ACCEPTED = "accepted"
    RUNNING = "running"
    OVER = "over"
    MEASURED = "measured"
    DECLINED = "declined"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


WAITING = (EventState.RECEIVED, EventState.APPROVING)
HELD = (EventState.ACCEPTED, EventState.RUNNING)
DONE = (EventState.RUNNING, EventState.OVER, EventState.MEASURED)


@dataclass(frozen=True, slots=True)
class Event:
    """One event of ``[start_s, end_s)``; instants are seconds UTC.

    Attributes
    ----------
    asked_w : int
        The limit, of several the lowest; or the reduction.
    limits_w : tuple of int
        Most that may flow in each of its intervals; of a reduction, what the baseline known when
        it was received leaves.
    reward : int
        Paid per Wh delivered, nano-currency.
    penalty : int
        Owed per Wh above the limit, nano-currency.
    stake_w : int
        By how much it may move the connection.
    asked_by, program, name : str
        Who asks, under which program, and what they call it; never in the ledger.
    answer_by_s : int
        When it expires if nobody answers.
    accepted_by, approved_by, closed_by : str or None
        Who accepted it, the second operator, and who declined, cancelled or ended it.
    weighed : str or None
        What it would cost, JSON (:mod:`grid.operation.event_weighing`).
    report : str or None
        What was delivered, canonical JSON (:mod:`grid.operation.event_delivery`).
    """

    id: int
    kind: EventKind
    start_s: int
    end_s: int
    asked_w: int
    limits_w: tuple[int, ...]
    reward: int
    penalty: int
    stake_w: int
    asked_by: str
    program: str
    name: str
    received_by: str
    received_s: int
    answer_by_s: int
    accepted_by: str | None
    accepted_s: int | None
    approved_by: str | None
    approved_s: int | None
    closed_by: str | None
    closed_s: int | None
    cause: Cause | None
    weighed: str | None
    report: str | None
    state: EventState

    @property
    def waiting(self) -> bool:
        """Whether it waits for an answer."""
        return self.state in WAITING

    @property
    def held(self) -> bool:
        """Whether plans keep to it."""
        return self.state in HELD

    @property
    def report_sha256(self) -> str | None:
        """SHA-256 of the report, hexadecimal, as the ledger has it."""
        return None if self.report is None else hashlib.sha256(self.report.encode()).hexdigest()


def put_event(tx: Transaction, *, limits_w: Sequence[int], **facts: Any) -> Event:
    """Keep an event; return it with its number."""
    return _ROWS.put(tx, limits_w=json.dumps(list(limits_w)), **facts)


def put_weighed(tx: Transaction, number: int, weighed: str) -> None:
    """Keep what an event would cost, in place of what was known of it."""
    tx.execute(update(event).where(event.c.id == number).values(weighed=weighed))


def during(tx: Transaction, start_s: int, end_s: int) -> list[Event]:
    """Return the events that were run, are run or will be in some part of ``[start_s, end_s)``."""
    names = [str(state) for state in (*HELD, *DONE)]
    query = (
        select(event)
        .where(event.c.state.in_(names), event.c.start_s < end_s, event.c.end_s > start_s)
        .order_by(event.c.id)
    )
    return [_event(row) for row in tx.execute(query)]


def _event(row: Row[Any]) -> Event:
    facts = dict(row._mapping)
    facts["kind"] = EventKind(facts["kind"])
    facts["limits_w"] = tuple(json.loads(facts["limits_w"]))
    facts["cause"] = None if facts["cause"] is None else Cause(facts["cause"])
    facts["state"] = EventState(facts["state"])
    return Event(**facts)


_ROWS = Staged(event, "event", _event)
get_event, move, in_states, listed = _ROWS.get, _ROWS.move, _ROWS.in_states, _ROWS.listed
