"""What a client learns from a meter, one event for each question."""

from __future__ import annotations

from dataclasses import dataclass

from meters.dlms import data as axdr


@dataclass(frozen=True, slots=True)
class Associated:
    """The meter let us in; `conformance` is what both sides can do."""

    conformance: int
    max_pdu: int


@dataclass(frozen=True, slots=True)
class AssociationRefused:
    """The meter did not let us in; `counter` is the one it would take, if it says so."""

    reason: str
    counter: int | None = None


@dataclass(frozen=True, slots=True)
class Continues:
    """A part of the exchange is done: call :meth:`ClientConnection.proceed` for the next."""


@dataclass(frozen=True, slots=True)
class ValueReceived:
    """The whole value of the attribute asked for, decoded."""

    value: axdr.Value


@dataclass(frozen=True, slots=True)
class AccessRefused:
    """The meter answered with a refusal; the association stays open."""

    reason: str
    counter: int | None = None


@dataclass(frozen=True, slots=True)
class ValuesReceived:
    """The answers to a GET with a list, in the order of the questions."""

    values: tuple[ValueReceived | AccessRefused, ...]


@dataclass(frozen=True, slots=True)
class Written:
    """A SET was done."""


@dataclass(frozen=True, slots=True)
class ListWritten:
    """What came of each attribute of a SET with a list, in the order of the values."""

    results: tuple[Written | AccessRefused, ...]


@dataclass(frozen=True, slots=True)
class Acted:
    """An ACTION was done; `value` is what the method returned, ``None`` when nothing."""

    value: axdr.Value


@dataclass(frozen=True, slots=True)
class Released:
    """The association is closed, however badly the meter said so."""


Event = (
    Associated
    | AssociationRefused
    | Continues
    | ValueReceived
    | ValuesReceived
    | AccessRefused
    | Written
    | ListWritten
    | Acted
    | Released
)
