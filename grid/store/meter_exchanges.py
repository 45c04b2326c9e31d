"""What stood at a meter's place when: devices, their transformers, seals; who moved in when."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

from sqlalchemy import Row, insert, select

from grid.quantities import UNITY, Ratio
from grid.store.engine import Transaction
from grid.store.schema import meter_exchange

Registers = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class MeterExchange:
    """One device at a meter's place giving way to another, or to itself with other facts.

    Attributes
    ----------
    meter : str
    at_s : int
        Seconds UTC.
    old_serial, new_serial : str
        The same where only the facts changed.
    last, first : tuple of int
        What the old and the new one showed, as :data:`meters.reading.CHANNELS`; MISSING where
        nobody wrote it down.
    digits, multiplier : int
        Of the new one, as :class:`grid.site.Meter` has them.
    recorded_by : str
    recorded_s : int
    current, voltage : Ratio
        Of the instrument transformers from then on.
    verified_until_s : int or None
        When the new one's verification expires.
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
    current: Ratio = UNITY
    voltage: Ratio = UNITY
    verified_until_s: int | None = None

    @property
    def factor(self) -> Fraction:
        """Primary Wh for each Wh that the device shows from then on."""
        return self.current.value * self.voltage.value * self.multiplier


def put_exchange(tx: Transaction, one: MeterExchange) -> int:
    """Keep an exchange; return its number."""
    facts = asdict(one) | {name: json.dumps(getattr(one, name)) for name in ("last", "first")}
    facts |= {name: str(getattr(one, name)) for name in ("current", "voltage")}
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
    current, voltage = (Ratio.parse(facts.pop(name)) for name in ("current", "voltage"))
    return MeterExchange(**facts, last=last, first=first, current=current, voltage=voltage)
