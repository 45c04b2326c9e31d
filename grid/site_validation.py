"""How a site's readings are validated: its holidays, and thresholds of its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from grid.site_facts import UsageKind, refuse


@dataclass(frozen=True, slots=True)
class Threshold:
    """What a rule compares with, at usage points of a kind, or at all where none is named.

    `name` is one of :class:`meters.vee.thresholds.Thresholds`; its last word is its unit.
    """

    name: str
    value: int
    kind: UsageKind | None = None


@dataclass(frozen=True, slots=True)
class Validation:
    """The ``[vee]`` table.

    Attributes
    ----------
    holidays : tuple of str
        Civil days like Sundays, ``YYYY-MM-DD``.
    siblings : bool
        Two meters that tell the same series are an alarm; not where loads are simulated,
        which share their profiles.
    threshold : tuple of Threshold
        A later one holds over an earlier.
    """

    holidays: tuple[str, ...] = ()
    siblings: bool = False
    threshold: tuple[Threshold, ...] = ()

    def __post_init__(self) -> None:
        faults = []
        for day in self.holidays:
            try:
                date.fromisoformat(day)
            except ValueError:
                message = f"[vee]: holiday is {day!r}, must be a day as YYYY-MM-DD"
                faults.append(("holidays", message))
        refuse(faults)

    @property
    def holiday(self) -> frozenset[date]:
        """The holidays as days."""
        return frozenset(date.fromisoformat(day) for day in self.holidays)


AS_USUAL: Final = Validation()
