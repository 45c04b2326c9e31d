"""Metering facts: how a place is metered, from when until when, and who has it.

What the site file says of a meter holds until a dated change says otherwise; a change says
only what it changes, so that one that is told late corrects all that follows it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from fractions import Fraction
from typing import Any, Final

from grid.errors import BadInputError, Finding, Severity
from grid.interval import label
from grid.site_metering import Metering, Summation, parse_ratio

Registers = tuple[int, int, int, int]

NAMES: Final = ("current", "voltage", "multiplier", "phases", "summation", "verified_until")
"""What a change may say."""


@dataclass(frozen=True, slots=True)
class Seal:
    """A seal on a meter: its number never leaves the store."""

    meter: str
    number: str = field(repr=False)
    placed_s: int
    removed_s: int | None = None


@dataclass(frozen=True, slots=True)
class MoveIn:
    """A party takes over a usage point, with the registers read then."""

    usage_point: str
    party: str
    at_s: int
    registers: Registers


@dataclass(frozen=True, slots=True)
class Change:
    """What is otherwise from an instant on.

    Attributes
    ----------
    at_s : int
    values : mapping of str to object
        Of :class:`~grid.site_metering.Metering`, by name.
    serial : str
        Of the device that came; empty where the same one stays.
    last, first : tuple of int, or None
        What the old and the new one showed then, or the one that stayed.
    """

    at_s: int
    values: Mapping[str, Any]
    serial: str = ""
    last: Registers | None = None
    first: Registers | None = None


@dataclass(frozen=True, slots=True)
class Installation:
    """One device at a meter's place, as long as nothing about it changes.

    Attributes
    ----------
    meter, serial : str
    from_s, until_s : int or None
        From the first, before the second; None where it has no end on that side.
    metering : Metering
    first, last : tuple of int, or None
        Its own registers when it began and ended, as :data:`meters.reading.CHANNELS`; None
        where nobody wrote them down.
    """

    meter: str
    serial: str
    from_s: int | None
    until_s: int | None
    metering: Metering
    first: Registers | None = None
    last: Registers | None = None

    @property
    def factor(self) -> Fraction:
        """Primary over secondary energy."""
        return self.metering.factor

    def counts_as(self, other: Installation) -> bool:
        """Return whether the registers of both go on from each other, worth the same."""
        return (
            self.serial == other.serial
            and self.factor == other.factor
            and self.metering.register_digits == other.metering.register_digits
            and (self.metering.summation is Summation.FERRARIS)
            == (other.metering.summation is Summation.FERRARIS)
        )

    def there(self, at_s: int) -> bool:
        """Return whether it was there at an instant."""
        begun = self.from_s is None or self.from_s <= at_s
        return begun and (self.until_s is None or at_s < self.until_s)


def parse_change(name: str, text: str) -> object:
    """Return the value of a fact that is written as in the site file.

    Raises
    ------
    BadInputError
        When there is no fact of that name, or the value cannot be.
    """
    try:
        if name in ("current", "voltage", "multiplier"):
            return parse_ratio(text)
        if name == "phases" and text in ("1", "3"):
            return int(text)
        if name == "summation" and text in list(Summation):
            return Summation(text)
        if name == "verified_until":
            return date.fromisoformat(text)
    except (ValueError, BadInputError) as error:
        raise BadInputError(f"{name}: {error}") from error
    must = {"phases": "1 or 3", "summation": ", ".join(Summation)}.get(name)
    if must is None:
        raise BadInputError(f"{name[:40]!r} is no fact of a meter: it has {', '.join(NAMES)}")
    raise BadInputError(f"{name}: {text[:40]!r} must be {must}")


def installations(
    meter: str, serial: str, metering: Metering, changes: Iterable[Change]
) -> tuple[Installation, ...]:
    """Return how a meter's place was metered, oldest first and without gaps.

    Parameters
    ----------
    serial : str
        Of the first device, empty where unknown.
    metering : Metering
        How it was at first.
    changes : iterable of Change
        Of those at the same instant a later one holds.

    Raises
    ------
    BadInputError
        When values cannot be together.
    """
    found = [Installation(meter, serial, None, None, metering)]
    ordered = sorted(changes, key=lambda one: one.at_s)
    for at_s, together in itertools.groupby(ordered, key=lambda one: one.at_s):
        now = replace(found[-1], from_s=at_s, first=None)
        last: Registers | None = None
        for one in together:
            now = replace(
                now,
                serial=one.serial or now.serial,
                metering=replace(now.metering, **one.values),
                first=one.first or now.first,
            )
            last = one.last or last
        if faults := now.metering.faults(f"{meter} {label(at_s)}"):
            raise BadInputError("\n".join(message for _, message in faults))
        found[-1] = replace(found[-1], until_s=at_s, last=last)
        found.append(now)
    return tuple(found)


def party_at(move_ins: Iterable[MoveIn], at_s: int, before: str) -> str:
    """Return who has a usage point at an instant; `before` is who had it at first."""
    past = [one for one in move_ins if one.at_s <= at_s]
    return max(past, key=lambda one: one.at_s).party if past else before


def expiring(
    installed: Iterable[Installation],
    seals: Sequence[Seal],
    *,
    now: date,
    before: date,
) -> list[Finding]:
    """Return what expires before a day of what is installed now, and who has lost its seals.

    A verification that has expired is an alarm; that it will, and a meter whose every seal was
    removed, a warning. The most urgent comes first.
    """
    found: list[tuple[date, Finding]] = []
    for one in installed:
        until = one.metering.verified_until
        if until is not None and until < before:
            past = until < now
            verb, severity = ("expired", Severity.ALARM) if past else ("expires", Severity.WARNING)
            message = f"{one.meter}: verification {verb} after {until}"
            code = "facts.expired" if past else "facts.expiring"
            found.append((until, Finding(code, one.meter, f"{until}", severity, message)))
        mine = [seal for seal in seals if seal.meter == one.meter]
        if mine and all(seal.removed_s is not None for seal in mine):
            since = label(max(seal.removed_s or 0 for seal in mine))
            message = f"{one.meter}: without a seal since {since}"
            finding = Finding("facts.seal", one.meter, since, Severity.WARNING, message)
            found.append((now, finding))
    return [finding for _, finding in sorted(found, key=lambda pair: (pair[0], pair[1].subject))]
