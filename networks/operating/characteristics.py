"""Inverters and the characteristics of their reactive power: cos phi(P) and Q(U)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from grid.errors import BadInputError

_SMALL_KVA = 4.6


@dataclass(frozen=True, slots=True)
class CosPhiOfP:
    """cos phi by the share of rated power: always under-excited, so that it lowers the voltage.

    Attributes
    ----------
    points : tuple of (float, float)
        Share of rated active power, rising, and cos phi, above 0 and at most 1; constant beyond
        the ends, straight between.
    """

    points: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        _rising("cos phi(P)", self.points)
        for _, cos_phi in self.points:
            if not 0.0 < cos_phi <= 1.0:
                raise BadInputError(f"cos phi(P): cos phi is {cos_phi}, must be above 0, at most 1")


@dataclass(frozen=True, slots=True)
class QOfU:
    """Reactive power by voltage.

    Attributes
    ----------
    points : tuple of (float, float)
        Voltage per unit, rising, and reactive power into the network as a share of rated apparent
        power, -1 to 1, not rising; constant beyond the ends, straight between.
    """

    points: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        _rising("Q(U)", self.points)
        shares = [share for _, share in self.points]
        if any(not -1.0 <= share <= 1.0 for share in shares):
            raise BadInputError(f"Q(U): shares are {shares}, must be within -1 to 1")
        if any(later > share for share, later in pairwise(shares)):
            raise BadInputError(f"Q(U): shares are {shares}, must not rise with the voltage")


def _rising(what: str, points: Sequence[tuple[float, float]]) -> None:
    at = [one for one, _ in points]
    if len(at) < 2 or not np.isfinite(points).all() or not (np.diff(at) > 0).all():
        raise BadInputError(f"{what}: points are at {at}, must be 2 or more, finite and rising")


def cos_phi_of_p(rated_kva: float) -> CosPhiOfP:
    """Return the standard characteristic of VDE-AR-N 4105: 1 up to half the power, then down.

    At full power it is 0.95 up to 4.6 kVA, else 0.90.
    """
    return CosPhiOfP(((0.5, 1.0), (1.0, 0.95 if rated_kva <= _SMALL_KVA else 0.90)))


Q_OF_U = QOfU(((0.92, 0.44), (0.98, 0.0), (1.02, 0.0), (1.08, -0.44)))
"""IEEE 1547-2018, 5.3.3, the default of category B."""


@dataclass(frozen=True, slots=True)
class Inverter:
    """An inverter with its characteristic."""

    bus: int
    rated_kw: float
    rated_kva: float
    curve: CosPhiOfP | QOfU

    def __post_init__(self) -> None:
        for name in ("rated_kw", "rated_kva"):
            value = getattr(self, name)
            if not 0.0 < value < np.inf:
                raise BadInputError(
                    f"inverter at bus {self.bus}: {name} is {value}, must be finite and above 0"
                )
