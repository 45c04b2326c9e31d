"""Zones of a site's network, and what it costs to trade over their borders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grid.site_facts import FREE, Fault, Price, refuse


@dataclass(frozen=True, slots=True)
class Zone:
    """A part of the network by its buses; a bus in none is outside every zone.

    `fee` is charged for each Wh traded over its border, into it or out of it. Energy traded
    within one zone is local, between two regional.
    """

    id: str
    buses: tuple[int, ...]
    fee: Price = FREE

    def __post_init__(self) -> None:
        faults = []
        if not self.id or len(self.id) > 64 or not self.id.isprintable():
            message = f"zone {self.id[:64]!r}: an id has 1 to 64 characters that can be printed"
            faults.append(("id", message))
        if not self.buses or len(set(self.buses)) != len(self.buses):
            message = f"zone {self.id[:64]}: buses must be at least one, and each once"
            faults.append(("buses", message))
        refuse(faults)


def stand_twice(zones: Sequence[Zone]) -> list[Fault]:
    """Return what is in a site's zones more than once, with the key of its table."""
    faults = []
    for what, found in (
        ("zone", [zone.id for zone in zones]),
        ("bus", [str(bus) for zone in zones for bus in zone.buses]),
    ):
        if twice := sorted({one for one in found if found.count(one) > 1}):
            faults.append(("zone", f"[market]: {what} {', '.join(twice)} is in zones twice"))
    return faults


def zone_of(zones: Sequence[Zone], bus: int) -> str:
    """Return the zone that a bus is in, empty for none."""
    return next((zone.id for zone in zones if bus in zone.buses), "")
