"""A simulated meter whose clock runs by itself, a little too fast or too slow."""

from __future__ import annotations

from collections.abc import Callable
from math import floor

from meters.reading import RegisterRow
from meters.simulator.points import MeterPoint


class RunningPoint(MeterPoint):
    """A meter point with a clock of its own; setting it is possible, over the wire too.

    Parameters
    ----------
    now_s : callable
        Gives the time in seconds UTC.
    drift_ppm : float
        How much faster the meter's clock runs, in parts per million: 0.0864 s a day each.
    offset_s : float
        How far ahead it is to begin with.
    """

    def __init__(
        self,
        meter: str,
        registers: list[int],
        rows: list[RegisterRow],
        *,
        now_s: Callable[[], float],
        voltage_v: float = 230.0,
        drift_ppm: float = 0.0,
        offset_s: float = 0.0,
    ) -> None:
        self._now_s = now_s
        self._rate = 1.0 + drift_ppm / 1e6
        super().__init__(meter, 0, registers, voltage_v, rows)
        self.step(now_s() + offset_s)

    def step(self, to_s: float) -> None:
        """Let the clock leap, as after a loss of power or a wrong command."""
        self._set_s, self._since_s = to_s, self._now_s()

    @property
    def clock_s(self) -> int:
        """The meter's own time, seconds UTC."""
        return floor(self._set_s + self._rate * (self._now_s() - self._since_s))

    @clock_s.setter
    def clock_s(self, at_s: int) -> None:
        self.step(float(at_s))
