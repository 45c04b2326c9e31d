"""Agreements: which party stands for a usage point, from when until when, on what terms.

At each instant a usage point has at most one agreement; whoever holds it is billed for the
energy of the intervals within it, and sees them. An empty flat is the community's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from grid.errors import BadInputError
from grid.ids import PartyId, TariffId, UsagePointId
from grid.interval import label
from trading.batteries import TradedBattery

EVER_S = 0
"""From when an agreement holds that was there before the site was commissioned."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What an agreement says from an instant on.

    Attributes
    ----------
    from_s : int
    tariff : TariffId
        What the supplier charges.
    share_percent : int
        Part of the metered energy that takes part in energy sharing, 0 to 100.
    trades : bool
        The party consents to the community's agent trading for it.
    key_percent : int
        Part of what the community shares that is this usage point's by a static key.
    batteries : tuple of TradedBattery
        The party consents to the agent trading what these store.
    """

    from_s: int
    tariff: TariffId
    share_percent: int = 100
    trades: bool = True
    key_percent: int = 0
    batteries: tuple[TradedBattery, ...] = ()

    def __post_init__(self) -> None:
        for name in ("share_percent", "key_percent"):
            if not 0 <= getattr(self, name) <= 100:
                raise BadInputError(f"{name} is {getattr(self, name)}, must be within 0 to 100")


@dataclass(frozen=True, slots=True)
class Agreement:
    """A party's agreement about a usage point, ``[from_s, until_s)``.

    `terms` rise by `from_s`; the first begins with the agreement.
    """

    id: int
    usage_point: UsagePointId
    party: PartyId
    from_s: int
    until_s: int | None
    terms: tuple[Terms, ...]

    def holds(self, at_s: int) -> bool:
        """Whether it is in force at an instant."""
        return self.from_s <= at_s and (self.until_s is None or at_s < self.until_s)

    def terms_at(self, at_s: int) -> Terms:
        """Return the terms in force at an instant at which the agreement holds."""
        return [terms for terms in self.terms if terms.from_s <= at_s][-1]

    def overlaps(self, start_s: int, end_s: int) -> bool:
        """Whether it holds at any instant of ``[start_s, end_s)``."""
        return self.from_s < end_s and (self.until_s is None or start_s < self.until_s)


def in_force(agreements: Iterable[Agreement], at_s: int) -> dict[UsagePointId, Agreement]:
    """Return the agreement of each usage point at an instant.

    Raises
    ------
    BadInputError
        When a usage point has two.
    """
    found: dict[UsagePointId, Agreement] = {}
    for one in agreements:
        if not one.holds(at_s):
            continue
        if one.usage_point in found:
            raise BadInputError(f"{one.usage_point} has two agreements at {label(at_s)}")
        found[one.usage_point] = one
    return found


def spans(
    agreements: Iterable[Agreement], usage_point: str, party: str
) -> list[tuple[int, int | None]]:
    """Return when a party stood or stands for a usage point, in order."""
    mine = (one for one in agreements if (one.usage_point, one.party) == (usage_point, party))
    return sorted(((one.from_s, one.until_s) for one in mine), key=lambda span: span[0])
