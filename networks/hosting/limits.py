"""What must hold with whatever is added."""

from __future__ import annotations

from dataclasses import dataclass

from grid.errors import BadInputError

LOW_VOLTAGE_KV = 1.0
RISE_PERCENT = 3.0
"""VDE-AR-N 4105:2018-11, 5.3: what all plants of a low-voltage network may lift the voltage of a
connection point by."""


@dataclass(frozen=True)
class HostingLimits:
    """What must hold with the addition.

    Attributes
    ----------
    voltage_min_pu, voltage_max_pu : float
    loading_max_percent : float
        Of lines and transformers.
    rise_max_percent : float or None
        Of the voltage of any low-voltage bus over what it would be without any plant.
    """

    voltage_min_pu: float = 0.90
    voltage_max_pu: float = 1.10
    loading_max_percent: float = 100.0
    rise_max_percent: float | None = None

    def __post_init__(self) -> None:
        if not 0.5 <= self.voltage_min_pu < self.voltage_max_pu <= 1.5:
            raise BadInputError(
                f"voltage limits {self.voltage_min_pu} to {self.voltage_max_pu} pu must rise and "
                "be within 0.5 to 1.5"
            )
        if not 0.0 < self.loading_max_percent <= 1_000.0:
            raise BadInputError(
                f"loading_max_percent is {self.loading_max_percent}, must be within 0 to 1000"
            )
        rise = self.rise_max_percent
        if rise is not None and not 0.0 < rise <= 50.0:
            raise BadInputError(f"rise_max_percent is {rise}, must be within 0 to 50")
