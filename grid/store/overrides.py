"""Overrides: what an operator holds a device at until when, who agreed, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Row

from grid.store.schema import override
from grid.store.staged import Staged


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


def _override(row: Row[Any]) -> Override:
    facts = dict(row._mapping)
    facts["action"] = Action(facts["action"])
    facts["reason"] = Reason(facts["reason"])
    facts["state"] = OverrideState(facts["state"])
    return Override(**facts)


_ROWS = Staged(override, "override", _override)
put_override, get_override, move = _ROWS.put, _ROWS.get, _ROWS.move
in_states, listed = _ROWS.in_states, _ROWS.listed
