"""Versions of tariffs that were proposed, and what became of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Row

from grid.site import Tariff
from grid.store.engine import Transaction
from grid.store.schema import tariff_change
from grid.store.staged import Staged
from trading.ledger import canonical
from trading.replay.terms import decode_tariff, encode


class ChangeState(StrEnum):
    """How far a change has come; one that is proposed lapses when its first day begins."""

    PROPOSED = "proposed"
    ACTIVE = "active"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class TariffChange:
    """One proposal.

    Attributes
    ----------
    tariff : Tariff
        With the new version alone.
    decided_by, decided_s
        Who activated, rejected or withdrew it; ``None`` before.
    """

    id: int
    tariff: Tariff
    proposed_by: str
    proposed_s: int
    decided_by: str | None
    decided_s: int | None
    state: ChangeState


def put(tx: Transaction, tariff: Tariff, *, by: str, at_s: int) -> TariffChange:
    """Keep a proposal.

    Raises
    ------
    BadInputError
        When a number of it is too large for the ledger.
    """
    told = canonical.encode(encode(tariff)).decode()
    return _ROWS.put(tx, tariff=told, proposed_by=by, proposed_s=at_s, state=ChangeState.PROPOSED)


def _change(row: Row[Any]) -> TariffChange:
    facts = dict(row._mapping)
    tariff = decode_tariff(json.loads(facts["tariff"]))
    return TariffChange(**{**facts, "tariff": tariff, "state": ChangeState(facts["state"])})


_ROWS = Staged(tariff_change, "tariff change", _change)
get, move, in_states, listed = _ROWS.get, _ROWS.move, _ROWS.in_states, _ROWS.listed
