"""Where the client of an association stands, and what each request and event leads to."""

from __future__ import annotations

from enum import Enum, auto

from meters.dlms.events import (
    AccessRefused,
    Acted,
    Associated,
    AssociationRefused,
    ListWritten,
    Released,
    ValueReceived,
    ValuesReceived,
    Written,
)


class State(Enum):
    """Whose turn it is, and for what."""

    IDLE = auto()
    ASSOCIATING = auto()
    PROVING = auto()
    READY = auto()
    GETTING = auto()
    SETTING = auto()
    ACTING = auto()
    RELEASING = auto()
    CLOSED = auto()
    ERROR = auto()


# The state in which each request may be sent, and the state that it leads to.
SENDS = {
    "associate": (State.IDLE, State.ASSOCIATING),
    "get": (State.READY, State.GETTING),
    "set": (State.READY, State.SETTING),
    "action": (State.READY, State.ACTING),
    "release": (State.READY, State.RELEASING),
}
ASKED = (State.PROVING, State.GETTING, State.SETTING, State.ACTING)
# The state that each event leads to; after Continues it is what it was.
EVENTS: dict[type, State] = {
    Associated: State.READY,
    AssociationRefused: State.CLOSED,
    ValueReceived: State.READY,
    ValuesReceived: State.READY,
    AccessRefused: State.READY,
    Written: State.READY,
    ListWritten: State.READY,
    Acted: State.READY,
    Released: State.CLOSED,
}
