"""How devices are controlled: safe states, ramps, and what takes a second person."""

from __future__ import annotations

from dataclasses import dataclass

from grid.ids import AssetId
from grid.site_facts import outside, refuse


@dataclass(frozen=True, slots=True)
class Ramp:
    """By how much the set-point of a device moves in a minute, at most."""

    asset: AssetId
    kw_per_min: float

    def __post_init__(self) -> None:
        refuse(outside(self, f"ramp of {self.asset}", kw_per_min=(0.001, 1e6)))


@dataclass(frozen=True, slots=True)
class Control:
    """Limits of control.

    Attributes
    ----------
    revert_s : int
        A device that hears nothing for so long returns to its safe state by itself. Longer
        than an interval, so that each cycle refreshes it before it lapses.
    two_person_kw : float
        What may move a device by more than this takes a second person.
    approval_hours : float
        What nobody approved by then lapses.
    override_hours : float
        Longest override.
    tolerance_percent : float
        Of its rating: by more than this a device does not follow its set-point.
    watchdog_s : int
        A stage of a cycle that takes longer ends the control room; 0 for never.
    ramp : tuple of Ramp
        Devices that are not named move at once.
    """

    revert_s: int = 1800
    two_person_kw: float = 50.0
    approval_hours: float = 1.0
    override_hours: float = 24.0
    tolerance_percent: float = 5.0
    watchdog_s: int = 1200
    ramp: tuple[Ramp, ...] = ()

    def __post_init__(self) -> None:
        faults = outside(
            self,
            "[control]",
            revert_s=(901, 86_400),
            two_person_kw=(0.0, 1e9),
            approval_hours=(0.25, 24.0),
            override_hours=(0.25, 168.0),
            tolerance_percent=(0.1, 100.0),
            watchdog_s=(0, 86_400),
        )
        names = [str(ramp.asset) for ramp in self.ramp]
        for name in sorted({name for name in names if names.count(name) > 1}):
            faults.append(("ramp", f"[control]: {name} has two ramps"))
        refuse(faults)

    def ramp_kw_per_min(self, asset: str) -> float | None:
        """Return how fast the set-point of a device moves; ``None`` where it moves at once."""
        return next((one.kw_per_min for one in self.ramp if one.asset == asset), None)


STANDARD = Control()
