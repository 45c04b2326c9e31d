"""Metering facts: how a usage point is metered, from when until when.

A meter behind transformers counts secondary energy; what the network carried is that times
the ratios of its current and voltage transformers and its own multiplier, as they were at
the time. Ratios are exact fractions. A register is converted as a whole, counted from where
it stood when the facts began, and the primary energy of an interval is the difference of
two converted registers: so intervals add up to what the register says, to the Wh.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Final

import numpy as np
import numpy.typing as npt

from grid.errors import BadInputError, Finding, Severity
from grid.interval import label

Ints = npt.NDArray[np.int64]
Registers = tuple[int, int, int, int]

FOREVER_S: Final = 2**62
RATIO_MOST: Final = 1_000_000


class Summation(StrEnum):
    """How a three-phase meter adds up its phases.

    Attributes
    ----------
    VECTORIAL
        With their signs: one register counts the sum, of the other none.
    ARITHMETIC
        Import of the phases that import, export of those that export.
    FERRARIS
        With their signs, as three systems turn one disc; a backstop keeps it from
        turning back, so that there is no export.
    """

    VECTORIAL = "vectorial"
    ARITHMETIC = "arithmetic"
    FERRARIS = "ferraris"


@dataclass(frozen=True, slots=True)
class Ratio:
    """Of a transformer, or another multiplier: primary over secondary, as on its plate.

    Raises
    ------
    BadInputError
        When a part is not within 1 to :data:`RATIO_MOST`.
    """

    primary: int = 1
    secondary: int = 1

    def __post_init__(self) -> None:
        """Check the parts."""
        if not (1 <= self.primary <= RATIO_MOST and 1 <= self.secondary <= RATIO_MOST):
            shown = f"{self.primary}/{self.secondary}"
            raise BadInputError(f"ratio {shown}: both parts must be within 1 to {RATIO_MOST}")

    @property
    def value(self) -> Fraction:
        """The exact factor."""
        return Fraction(self.primary, self.secondary)


@dataclass(frozen=True, slots=True)
class Seal:
    """A seal on a meter: its number never leaves the store."""

    number: str
    placed_s: int
    removed_s: int = FOREVER_S


@dataclass(frozen=True, slots=True)
class Installation:
    """One meter at one usage point, as long as nothing about it changes.

    Attributes
    ----------
    usage_point, meter : str
    from_s, until_s : int
        From the first, before the second.
    current, voltage, multiplier : Ratio
        Of the current and voltage transformers, and of the meter itself.
    phases : int
        1 or 3.
    summation : Summation
    first, last : tuple of int, or None
        The registers when it began and ended, as :data:`meters.reading.CHANNELS`; given
        wherever a meter is exchanged, or ratios change within an interval.
    verified_until_s : int
        When the verification expires.
    seals : tuple of Seal
    """

    usage_point: str
    meter: str
    from_s: int
    until_s: int = FOREVER_S
    current: Ratio = Ratio()
    voltage: Ratio = Ratio()
    multiplier: Ratio = Ratio()
    phases: int = 3
    summation: Summation = Summation.VECTORIAL
    first: Registers | None = None
    last: Registers | None = None
    verified_until_s: int = FOREVER_S
    seals: tuple[Seal, ...] = ()

    @property
    def factor(self) -> Fraction:
        """Primary over secondary energy."""
        return self.current.value * self.voltage.value * self.multiplier.value


@dataclass(frozen=True, slots=True)
class MoveIn:
    """A party takes over a usage point, with the registers read then."""

    usage_point: str
    party: str
    at_s: int
    registers: Registers


@dataclass(frozen=True, slots=True)
class Exchange:
    """One meter replaced by another, with what both showed."""

    usage_point: str
    at_s: int
    removed: str
    last: Registers | None
    installed: str
    first: Registers | None


def shown(at_s: int) -> str:
    """Return the label of an instant that may be the end of all time."""
    return "its end" if at_s >= FOREVER_S else label(at_s)


def in_order(installations: Iterable[Installation]) -> tuple[Installation, ...]:
    """Return the installations of one usage point by time, each beginning where one ends.

    Raises
    ------
    BadInputError
        When there is none, they are of two usage points, one ends before it begins, two
        overlap, nothing is known between two, or a meter was exchanged without reads.
    """
    ordered = tuple(sorted(installations, key=lambda one: (one.from_s, one.until_s)))
    if not ordered:
        raise BadInputError("no installation is known of the usage point")
    for one in ordered:
        if one.usage_point != ordered[0].usage_point:
            raise BadInputError(f"installations of {ordered[0].usage_point} and {one.usage_point}")
        if one.until_s <= one.from_s:
            raise BadInputError(
                f"{one.usage_point} {one.meter}: ends {shown(one.until_s)}, must be after its "
                f"beginning, {label(one.from_s)}"
            )
        if one.phases not in (1, 3):
            raise BadInputError(
                f"{one.usage_point} {one.meter}: {one.phases} phases, must be 1 or 3"
            )
    for before, after in itertools.pairwise(ordered):
        told = f"{before.usage_point}: {before.meter} ends {shown(before.until_s)}, {after.meter}"
        if after.from_s < before.until_s:
            raise BadInputError(f"{told} begins {label(after.from_s)}: they overlap")
        if after.from_s > before.until_s:
            raise BadInputError(f"{told} begins {label(after.from_s)}: nothing is known between")
        if before.meter != after.meter and (before.last is None or after.first is None):
            raise BadInputError(
                f"{before.usage_point} {label(after.from_s)}: {before.meter} was exchanged for "
                f"{after.meter}, and the registers of both must be read then"
            )
    return ordered


def exchanges(installations: Iterable[Installation]) -> list[Exchange]:
    """Return the meter exchanges of one usage point, oldest first.

    Raises
    ------
    BadInputError
        See :func:`in_order`.
    """
    ordered = in_order(installations)
    return [
        Exchange(one.usage_point, two.from_s, one.meter, one.last, two.meter, two.first)
        for one, two in itertools.pairwise(ordered)
        if one.meter != two.meter
    ]


def party_of(starts_s: Ints, move_ins: Iterable[MoveIn]) -> list[str]:
    """Return who has the usage point in each interval; ``""`` before the first move-in.

    Raises
    ------
    BadInputError
        When two parties move in at once, or within an interval: the registers of the
        move-in then belong to an edge.
    """
    ordered = sorted(move_ins, key=lambda one: one.at_s)
    for one, two in itertools.pairwise(ordered):
        if one.at_s == two.at_s:
            raise BadInputError(
                f"{one.usage_point} {label(one.at_s)}: {one.party} and {two.party} move in at once"
            )
    inside = [
        one
        for one in ordered
        if starts_s[0] < one.at_s <= starts_s[-1] and one.at_s not in set(starts_s.tolist())
    ]
    if inside:
        told = f"{inside[0].usage_point} {label(inside[0].at_s)}: {inside[0].party}"
        raise BadInputError(f"{told} moves in within an interval, must be at the start of one")
    index = np.searchsorted(np.array([one.at_s for one in ordered], np.int64), starts_s, "right")
    names = ["", *(one.party for one in ordered)]
    return [names[at] for at in index.tolist()]


def expiring(installations: Iterable[Installation], *, now_s: int, before_s: int) -> list[Finding]:
    """Return what expires before an instant of what is installed now, the most urgent first.

    A verification that has expired is an alarm, a meter without a seal a warning.
    """
    found: list[tuple[int, Finding]] = []
    for one in installations:
        if not one.from_s <= now_s < one.until_s:
            continue
        if one.verified_until_s < before_s:
            past = one.verified_until_s <= now_s
            verb = "expired" if past else "expires"
            message = (
                f"{one.usage_point} {one.meter}: verification {verb} {label(one.verified_until_s)}"
            )
            severity = Severity.ALARM if past else Severity.WARNING
            found.append((one.verified_until_s, _finding("verification", one, severity, message)))
        if one.seals and not any(seal.placed_s <= now_s < seal.removed_s for seal in one.seals):
            when = max(seal.removed_s for seal in one.seals)
            message = f"{one.usage_point} {one.meter}: without a seal since {shown(when)}"
            found.append((when, _finding("seal", one, Severity.WARNING, message)))
    return [finding for _, finding in sorted(found, key=lambda pair: (pair[0], pair[1].subject))]


def _finding(code: str, one: Installation, severity: Severity, message: str) -> Finding:
    return Finding(f"facts.{code}", one.meter, "", severity, message)
