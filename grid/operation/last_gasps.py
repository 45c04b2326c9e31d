"""From what the door heard to the meters of the site; and the door of a room."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from grid import interval
from grid.errors import BadInputError
from grid.operation import meter_exchanges, meter_keys
from grid.operation.commission import simulated
from grid.operation.field.link import FieldLink
from grid.operation.gasp_door import GaspDoor
from grid.operation.room import Room
from grid.store import Transaction, control, field, incidents
from meters.dlms.last_gasp import LastGasp

OLD_S = interval.DAY_S
"""One that is older tells nothing of a cycle."""


@contextmanager
def listening(room: Room) -> Iterator[None]:
    """Hear the meters of a site for as long as its room is open.

    Raises
    ------
    BadInputError
        When the port is taken.
    """
    told = room.site.reading.push_port
    is_driven = simulated(room.site)
    if not is_driven and told is None:
        yield
        return
    try:
        room.door = GaspDoor("127.0.0.1", 0) if is_driven else GaspDoor("0.0.0.0", told or 0)
    except OSError as error:
        raise BadInputError(f"[reading]: push_port is {told}, which is taken: {error}") from error
    try:
        tell_field(room)
        yield
    finally:
        room.door.close()
        room.door = None


def tell_field(room: Room) -> None:
    """Tell a simulated field where it is heard."""
    if room.door is not None and isinstance(room.link, FieldLink):
        room.link.ask(do="hear", port=room.door.port)


def keep(room: Room, tx: Transaction, at_s: int, heard: Sequence[LastGasp]) -> int:
    """Store the last gasps of meters that are known by name; return how many those are.

    A gasp without a time is of now, and one of later than now too. Meters with keys are not
    believed without them.
    """
    if not heard:
        return 0
    names: dict[str, str] = json.loads(control.get_meta(tx, meter_exchanges.SERIALS) or "{}")
    names |= field.serials(tx, at_s - OLD_S, at_s)
    keyed = meter_keys.all_ciphering(tx)
    by_name = {name: meter for meter, name in names.items() if meter not in keyed}
    found = []
    for one in heard:
        gasp_s = at_s if one.at_s is None else min(one.at_s, at_s)
        if one.name in by_name and gasp_s > at_s - OLD_S:
            found.append((by_name[one.name], gasp_s))
    incidents.put_gasps(tx, found, at_s)
    return len(found)
