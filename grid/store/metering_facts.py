"""Seals on meters, and who moved in at a usage point with what its meter showed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from sqlalchemy import insert, select, update

from grid.store.engine import Transaction
from grid.store.schema import meter_seal, move_in

Registers = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Seal:
    """A seal on a meter; its number never leaves the store for the ledger or an export."""

    meter: str
    number: str
    placed_s: int
    placed_by: str
    removed_s: int | None = None
    removed_by: str | None = None


@dataclass(frozen=True, slots=True)
class MoveIn:
    """A party takes over a usage point.

    Attributes
    ----------
    usage_point, party : str
    at_s : int
        Seconds UTC, where an interval begins.
    registers : tuple of int
        What the meter showed, as :data:`meters.reading.CHANNELS`; MISSING where nobody wrote
        it down.
    recorded_by : str
    recorded_s : int
    """

    usage_point: str
    party: str
    at_s: int
    registers: Registers
    recorded_by: str
    recorded_s: int


def put_seal(tx: Transaction, one: Seal) -> None:
    """Keep a seal that was placed."""
    tx.execute(insert(meter_seal).values(**asdict(one)))


def remove_seal(tx: Transaction, meter: str, number: str, at_s: int, by: str) -> bool:
    """Mark a seal as removed; return whether it was there."""
    table = meter_seal.c
    there = (table.meter == meter) & (table.number == number) & table.removed_s.is_(None)
    done = tx.execute(update(meter_seal).where(there).values(removed_s=at_s, removed_by=by))
    return done.rowcount > 0


def seals(tx: Transaction) -> dict[str, list[Seal]]:
    """Return the seals of each meter that ever had one, the oldest first."""
    names = [column for column in meter_seal.c if column.name != "id"]
    found: dict[str, list[Seal]] = {}
    for row in tx.execute(select(*names).order_by(meter_seal.c.placed_s, meter_seal.c.id)):
        found.setdefault(row.meter, []).append(Seal(**row._mapping))
    return found


def put_move_in(tx: Transaction, one: MoveIn) -> None:
    """Keep a move-in."""
    tx.execute(insert(move_in).values(**asdict(one) | {"registers": json.dumps(one.registers)}))


def move_ins(tx: Transaction, usage_points: Iterable[str] | None = None) -> list[MoveIn]:
    """Return the move-ins by usage point and time, of some usage points when given."""
    query = select(move_in).order_by(move_in.c.usage_point, move_in.c.at_s)
    if usage_points is not None:
        query = query.where(move_in.c.usage_point.in_(list(usage_points)))
    found = []
    for row in tx.execute(query):
        facts = dict(row._mapping)
        registers = tuple(json.loads(facts.pop("registers")))
        found.append(MoveIn(**facts, registers=registers))
    return found
