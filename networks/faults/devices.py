"""Fuses and circuit breakers: from which current on they operate within a time.

The gates of gG fuse-links are those of IEC 60269-1 (clause 5.6.3, table 3: pre-arcing within 5 s at
`max_5_s_a` and within 0.1 s at `max_100_ms_a`; for 2 to 12 A of IEC 60269-2, fuse system A). The
standard has no gate at 0.4 s. `at_400_ms_a` are the currents that makers of loop testers publish
for gG fuses in TN networks (the table of the Kewtech KT64 manual); where there
is none the gate at 0.1 s stands, which is on the safe side.
"""

from __future__ import annotations

from dataclasses import dataclass

from grid.errors import BadInputError
from networks.faults.graph import ENDS

FINAL_S = 0.4
"""Longest disconnection of a final circuit at 230 V to earth: IEC 60364-4-41:2005, table 41.1."""
DISTRIBUTION_S = 5.0
"""Longest disconnection of a distribution circuit: IEC 60364-4-41:2005, 411.3.2.3."""


@dataclass(frozen=True, slots=True)
class Gates:
    """Currents at which a gG fuse-link of one rating has operated, in A."""

    max_5_s_a: float
    at_400_ms_a: float | None
    max_100_ms_a: float

    def within(self, seconds: float) -> float:
        """Return the current from which on the fuse-link operates within a time."""
        if seconds >= DISTRIBUTION_S:
            return self.max_5_s_a
        if seconds >= FINAL_S and self.at_400_ms_a is not None:
            return self.at_400_ms_a
        return self.max_100_ms_a


GG = {
    2.0: Gates(9.2, None, 23.0),
    4.0: Gates(18.5, None, 47.0),
    6.0: Gates(28.0, 47.0, 72.0),
    10.0: Gates(46.5, 82.0, 110.0),
    16.0: Gates(65.0, 110.0, 150.0),
    20.0: Gates(85.0, 147.0, 200.0),
    25.0: Gates(110.0, 183.0, 260.0),
    32.0: Gates(150.0, 275.0, 350.0),
    40.0: Gates(190.0, 320.0, 450.0),
    50.0: Gates(250.0, 470.0, 610.0),
    63.0: Gates(320.0, 550.0, 820.0),
    80.0: Gates(425.0, 840.0, 1100.0),
    100.0: Gates(580.0, 1020.0, 1450.0),
    125.0: Gates(715.0, None, 1910.0),
    160.0: Gates(950.0, None, 2590.0),
    200.0: Gates(1250.0, None, 3420.0),
    250.0: Gates(1650.0, None, 4500.0),
    315.0: Gates(2200.0, None, 6000.0),
    400.0: Gates(2840.0, None, 8060.0),
    500.0: Gates(3800.0, None, 10600.0),
    630.0: Gates(5100.0, None, 14140.0),
    800.0: Gates(7000.0, None, 19000.0),
    1000.0: Gates(9500.0, None, 24000.0),
    1250.0: Gates(13000.0, None, 35000.0),
}
"""Gates by rated current in A."""

CURVES = {"B": 5.0, "C": 10.0, "D": 20.0}
"""Multiple of the rated current that trips at once: IEC 60898-1:2015, table 2, upper limits."""
SMALL_A = (6.0, 10.0, 13.0, 16.0, 20.0, 25.0, 32.0, 40.0, 50.0, 63.0, 80.0, 100.0, 125.0)
"""Preferred rated currents of small circuit breakers: IEC 60898-1:2015, 5.3.2."""
KINDS = ("gG", *CURVES, "definite")
GG_BREAKING_KA = 50.0
"""Least rated breaking capacity of gG fuse-links for authorised persons: IEC 60269-2, 5.7.2."""
RELEASE_TOLERANCE = 0.2
"""Of short-circuit releases: IEC 60947-2:2016, 8.3.3.1.2."""


@dataclass(frozen=True, slots=True)
class ProtectiveDevice:
    """A fuse or circuit breaker at one end of a line or transformer.

    Attributes
    ----------
    name : str
        Its identifier.
    branch : tuple of (str, int)
        ``("line", 3)`` or ``("trafo", 0)``.
    end : str
        ``from_bus`` or ``to_bus`` of a line, ``hv_bus`` or ``lv_bus`` of a transformer.
    kind : str
        ``"gG"``, ``"B"``, ``"C"``, ``"D"`` or ``"definite"`` (a breaker that trips `delay_s` after
        its current is above `pickup_a`).
    rated_a : float
    within_s : float
        Time it must operate within: 5 s in distribution, 0.4 s in final circuits.
    pickup_a, delay_s : float, optional
        Of a definite-time breaker.
    breaking_ka : float, optional
        Rated breaking capacity; of gG fuses 50 kA when not given.
    proposed : bool
        Whether nobody has said that it is there.
    """

    name: str
    branch: tuple[str, int]
    end: str
    kind: str
    rated_a: float
    within_s: float = DISTRIBUTION_S
    pickup_a: float | None = None
    delay_s: float | None = None
    breaking_ka: float | None = None
    proposed: bool = False

    def __post_init__(self) -> None:
        if self.branch[0] not in ENDS or self.end not in ENDS[self.branch[0]]:
            raise BadInputError(
                f"device {self.name}: {self.end!r} is no end of a {self.branch[0]!r}"
            )
        if self.kind not in KINDS:
            raise BadInputError(
                f"device {self.name}: kind {self.kind!r} must be one of {', '.join(KINDS)}"
            )
        if self.kind == "gG" and self.rated_a not in GG:
            raise BadInputError(
                f"device {self.name}: no gG fuse-link is rated {self.rated_a:g} A, must be one of "
                f"{', '.join(f'{a:g}' for a in GG)}"
            )
        if not 0.5 <= self.rated_a <= 10_000:
            raise BadInputError(
                f"device {self.name}: rated_a is {self.rated_a}, must be 0.5 to 1e4"
            )
        if not 0.1 <= self.within_s <= DISTRIBUTION_S:
            raise BadInputError(
                f"device {self.name}: within_s is {self.within_s}, must be within 0.1 to 5"
            )
        if self.kind == "definite":
            self._definite()

    def _definite(self) -> None:
        if self.pickup_a is None or not self.pickup_a > 0:
            raise BadInputError(f"device {self.name}: pickup_a is {self.pickup_a}, must be above 0")
        if self.delay_s is None or not 0 <= self.delay_s <= self.within_s:
            raise BadInputError(
                f"device {self.name}: delay_s is {self.delay_s}, must be within 0 and the "
                f"{self.within_s:g} s that it has"
            )

    @property
    def operates_a(self) -> float:
        """Current in A from which on it is sure to operate within `within_s`."""
        if self.kind == "gG":
            return GG[self.rated_a].within(self.within_s)
        if self.kind == "definite":
            return (1.0 + RELEASE_TOLERANCE) * (self.pickup_a or float("nan"))
        return CURVES[self.kind] * self.rated_a

    @property
    def conventional_a(self) -> float:
        """Current in A at which it operates within the conventional time (1 to 4 h).

        gG fuse-links: IEC 60269-1:2006, 5.6.2 (1.6 times the rating; 1.9 below 16 A, 2.1 to 4 A).
        Breakers: 1.45 times (IEC 60898-1), 1.3 times (IEC 60947-2).
        """
        if self.kind == "gG":
            factor = 1.6 if self.rated_a >= 16 else 1.9 if self.rated_a > 4 else 2.1
        else:
            factor = 1.3 if self.kind == "definite" else 1.45
        return factor * self.rated_a

    @property
    def breaks_ka(self) -> float | None:
        """Rated breaking capacity in kA, None where it is not known."""
        if self.breaking_ka is None and self.kind == "gG":
            return GG_BREAKING_KA
        return self.breaking_ka

    def label(self) -> str:
        """Return how it is named in messages: ``F-3 (gG 200 A, proposed)``."""
        kind = f"{self.kind} {self.rated_a:g} A"
        return f"{self.name} ({kind}{', proposed' if self.proposed else ''})"


def protects(device: ProtectiveDevice, rating_a: float) -> bool:
    """Return whether a device keeps a cable of a rating from overload.

    In ≤ Iz and I2 ≤ 1.45 Iz: IEC 60364-4-43:2008, 433.1.
    """
    return device.rated_a <= rating_a and device.conventional_a <= 1.45 * rating_a


def smaller(device: ProtectiveDevice, least_a: float) -> float | None:
    """Return the next smaller rating of its kind that operates at `least_a`, None when none does.

    Of a definite-time breaker the pickup in A that would.
    """
    if device.kind == "definite":
        return least_a / (1.0 + RELEASE_TOLERANCE)
    ratings = GG if device.kind == "gG" else SMALL_A
    for rating in sorted((r for r in ratings if r < device.rated_a), reverse=True):
        needed = (
            GG[rating].within(device.within_s)
            if device.kind == "gG"
            else CURVES[device.kind] * rating
        )
        if needed <= least_a:
            return rating
    return None
