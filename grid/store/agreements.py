"""Parties, and the agreements by which they stand for usage points."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from sqlalchemy import insert, select, update

from grid.ids import PartyId, TariffId, UsagePointId
from grid.store.engine import Transaction
from grid.store.schema import agreement, agreement_terms, party
from grid.store.upsert import put
from trading.agreements import Agreement, Terms
from trading.batteries import TradedBattery


@dataclass(frozen=True, slots=True)
class Party:
    """Someone an agreement can be with; `kind` is a name of ``grid.site.UsageKind``."""

    id: str
    name: str
    kind: str
    since_s: int


def put_party(tx: Transaction, one: Party) -> None:
    """Keep a party; its identifier is never given again."""
    tx.execute(insert(party).values(id=one.id, name=one.name, kind=one.kind, since_s=one.since_s))


def parties(tx: Transaction) -> dict[str, Party]:
    """Return every party by identifier."""
    rows = tx.execute(select(party).order_by(party.c.id))
    return {row.id: Party(row.id, row.name, row.kind, row.since_s) for row in rows}


def begin(
    tx: Transaction, *, usage_point: str, party_id: str, from_s: int, terms: Terms, by: str
) -> int:
    """Keep an agreement without an end; return its number."""
    made = insert(agreement).values(
        usage_point=usage_point, party=party_id, from_s=from_s, until_s=None
    )
    number = int(tx.execute(made.returning(agreement.c.id)).scalar_one())
    put_terms(tx, number, terms, by)
    return number


def end(tx: Transaction, number: int, until_s: int) -> None:
    """Let an agreement end."""
    tx.execute(update(agreement).where(agreement.c.id == number).values(until_s=until_s))


def put_terms(tx: Transaction, number: int, terms: Terms, by: str) -> None:
    """Keep what an agreement says from an instant on, in place of what it was to say then."""
    row = {
        "agreement": number,
        "from_s": terms.from_s,
        "tariff": terms.tariff,
        "share_percent": terms.share_percent,
        "key_percent": terms.key_percent,
        "trades": terms.trades,
        "batteries": json.dumps([asdict(one) for one in terms.batteries]),
        "recorded_by": by,
    }
    put(tx, agreement_terms, [row])


def listed(tx: Transaction, usage_points: Iterable[str] | None = None) -> list[Agreement]:
    """Return agreements by usage point and time, of some usage points when given."""
    terms: dict[int, list[Terms]] = {}
    rows = tx.execute(
        select(agreement_terms).order_by(agreement_terms.c.agreement, agreement_terms.c.from_s)
    )
    for row in rows:
        one = Terms(
            row.from_s,
            TariffId(row.tariff),
            row.share_percent,
            bool(row.trades),
            row.key_percent,
            tuple(TradedBattery(**facts) for facts in json.loads(row.batteries)),
        )
        terms.setdefault(row.agreement, []).append(one)
    query = select(agreement).order_by(agreement.c.usage_point, agreement.c.from_s)
    if usage_points is not None:
        query = query.where(agreement.c.usage_point.in_(list(usage_points)))
    return [
        Agreement(
            row.id,
            UsagePointId(row.usage_point),
            PartyId(row.party),
            row.from_s,
            row.until_s,
            tuple(terms[row.id]),
        )
        for row in tx.execute(query)
    ]
