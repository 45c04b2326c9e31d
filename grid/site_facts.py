"""What the facts of a site have in common: money, limits, and how a wrong one is told."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import NewType

from grid.errors import BadInputError

Price = NewType("Price", int)
"""Nano-currency per Wh; a decimal text per kWh in the site file."""

Amount = NewType("Amount", int)
"""Nano-currency; a decimal text of currency in the site file."""

CLOCK = re.compile(r"([01][0-9]|2[0-3]):(00|15|30|45)", re.ASCII)
"""A civil time of day on a quarter-hour."""
PRICE_MOST = 10**9
"""Nano-currency per Wh that no price is above: 1,000 currency per kWh."""

AMOUNT_MOST = 10**15
"""Nano-currency that no amount is above: a million of currency."""

FREE = Price(0)
NOTHING = Amount(0)


class UsageKind(StrEnum):
    """Who stands behind a usage point."""

    HOUSEHOLD = "household"
    BUSINESS = "business"
    COMMUNITY = "community"


Fault = tuple[str, str]
"""The key that is wrong, ``""`` for the whole table, and a message."""


class FactError(BadInputError):
    """Everything wrong with one fact of a site.

    Attributes
    ----------
    faults : tuple of (str, str)
        Key and message of each.
    """

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(message for _, message in self.faults))


def outside(fact: object, subject: str, **limits: tuple[float, float]) -> list[Fault]:
    """Return a fault for each named value of `fact` that is not within its limits.

    What is not a number is within no limits.
    """
    faults = []
    for name, (low, high) in limits.items():
        value = getattr(fact, name)
        try:
            inside = low <= value <= high
        except TypeError:
            inside = False
        if not inside:
            message = f"{subject}: {name} is {value}, must be within {low} to {high}"
            faults.append((name, message))
    return faults


def undecided(fact: object, subject: str, *names: str) -> list[Fault]:
    """Return a fault for each named value of `fact` that is neither true nor false."""
    return [
        (name, f"{subject}: {name} is {getattr(fact, name)!r}, must be true or false")
        for name in names
        if getattr(fact, name) not in (True, False)
    ]


def refuse(faults: list[Fault]) -> None:
    """Raise what is wrong, if anything is.

    Raises
    ------
    FactError
        With every fault.
    """
    if faults:
        raise FactError(faults)
