"""Exchanges of meters: which device gave way to which, and what both showed then."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Row, insert, select

from grid.store.engine import Transaction
from grid.store.schema import meter_exchange

Registers = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class MeterExchange:
    """One device at a meter's place giving way to another.

    Attributes
    ----------
    meter : str
    at_s : int
        Seconds UTC.
    old_serial, new_serial : str
    last, first : tuple of int
        What the old and the new one showed, as :data:`meters.reading.CHANNELS`; MISSING where
        nobody wrote it down.
    digits, multiplier : int
        Of the new one, as :class:`grid.site.Meter` has them.
    recorded_by : str
    recorded_s : int
    """

    meter: str
    at_s: int
    old_serial: str
    new_serial: str
    last: Registers
    first: Registers
    digits: int
    multiplier: int
    recorded_by: str
    recorded_s: int


def put_exchange(tx: Transaction, one: MeterExchange) -> int:
    """Keep an exchange; return its number."""
    facts = asdict(one) | {"last": json.dumps(one.last), "first": json.dumps(one.first)}
    statement = insert(meter_exchange).values(**facts).returning(meter_exchange.c.id)
    return int(tx.execute(statement).scalar_one())


def exchanges(tx: Transaction, meter: str | None = None) -> list[MeterExchange]:
    """Return exchanges by meter and time, of one meter when given."""
    query = select(meter_exchange).order_by(meter_exchange.c.meter, meter_exchange.c.at_s)
    if meter is not None:
        query = query.where(meter_exchange.c.meter == meter)
    return [_exchange(row) for row in tx.execute(query)]


def _exchange(row: Row[Any]) -> MeterExchange:
    facts = dict(row._mapping)
    del facts["id"]
    last, first = (tuple(json.loads(facts.pop(name))) for name in ("last", "first"))
    return MeterExchange(**facts, last=last, first=first)
