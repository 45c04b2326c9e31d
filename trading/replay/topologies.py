"""The network of a market, read from the log."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from grid.errors import BadInputError
from trading.mechanisms.feeder import LIMIT_MOST_WH
from trading.replay.log import Fields, Record
from trading.topology import ACTION, Place, Topology


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
    fees = _numbers(told["lines"], "loss_fee")
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
    record.expect("topology", sorted(told.members()), ["limit_wh", "parent", "zone"])
    zone = _listed(told, "zone")
    if any(type(one) is not str for one in zone):
        raise record.differs("topology zone", zone, "a list of texts")
    try:
        return Topology(
            parent=_numbers(told, "parent"), limit_wh=_numbers(told, "limit_wh"), zone=tuple(zone)
        )
    except BadInputError as error:
        raise record.differs("topology", str(error), "one value for each bus") from error


def _listed(told: Fields, name: str) -> list[Any]:
    values = told.members().get(name)
    if not isinstance(values, list):
        raise told.record.differs(f"{told.what} {name}", values, "a list")
    return values


def _numbers(told: Fields, name: str) -> tuple[int, ...]:
    values = _listed(told, name)
    if any(type(one) is not int or not -1 <= one <= LIMIT_MOST_WH for one in values):
        raise told.record.differs(f"{told.what} {name}", values, "a list of whole numbers")
    return tuple(values)


def _place(one: Fields) -> Place:
    bus = one.members().get("bus")
    if type(bus) is not int or bus < -1:
        raise one.record.differs(f"{one.what} bus", bus, "a whole number from -1")
    return Place(one.text("zone"), bus)
