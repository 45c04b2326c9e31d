"""The network of a market, read from the log."""

from __future__ import annotations

from dataclasses import replace

from grid.errors import BadInputError
from trading.mechanisms.feeder import LIMIT_MOST_WH
from trading.replay.log import Fields, Record
from trading.topology import ACTION, Place, Topology

_LINES = {"limit_wh": int, "parent": int, "zone": str}


def take(record: Record, known: Topology) -> Topology:
    """Return the network after a record that tells of it.

    Raises
    ------
    DifferenceError
        When it is none.
    """
    if record.body["action"] == ACTION:
        places = record.of("place")
        record.expect("commitments of places", record.commitments, len(places))
        return replace(lines(record), place={name: _place(one) for name, one in places.items()})
    told = record.of("losses")
    record.expect("losses", sorted(told), ["lines"])
    record.expect("commitments of losses", record.commitments, 1)
    fees = _column(told["lines"], "loss_fee", int)
    try:
        return replace(known, loss_fee=fees)
    except BadInputError as error:
        raise record.differs("losses", str(error), "a fee for each bus") from error


def lines(record: Record) -> Topology:
    """Return what of the network stands in clear.

    Raises
    ------
    DifferenceError
    """
    told = Fields(record, "topology", record.body.get("topology"))
    record.expect("topology", sorted(told.members()), sorted(_LINES))
    try:
        return Topology(**{name: _column(told, name, kind) for name, kind in _LINES.items()})
    except BadInputError as error:
        raise record.differs("topology", str(error), "one value for each bus") from error


def _column(told: Fields, name: str, kind: type) -> tuple[int, ...] | tuple[str, ...]:
    values = told.members().get(name)
    good = isinstance(values, list) and all(type(one) is kind for one in values)
    if good and kind is int:
        good = all(-1 <= one <= LIMIT_MOST_WH for one in values)
    if not good:
        raise told.record.differs(f"{told.what} {name}", values, f"a list of {kind.__name__}")
    return tuple(values)


def _place(one: Fields) -> Place:
    bus = one.members().get("bus")
    if type(bus) is not int or bus < -1:
        raise one.record.differs(f"{one.what} bus", bus, "a whole number from -1")
    return Place(one.text("zone"), bus)
