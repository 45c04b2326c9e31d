"""A unit-commitment problem as the pglib-uc benchmark states it: typed, in MW and hours.

The benchmark's own words stand beside each attribute, so that a file can be read with this page.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dispatch.plan import Floats

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class StartCategory:
    """What a start costs after `lag` hours of standing (``startup``), until the next one's lag."""

    lag: int
    cost: float


@dataclass(frozen=True, slots=True)
class Point:
    """Cost per hour of producing `mw` (``piecewise_production``)."""

    mw: float
    cost: float


@dataclass(frozen=True, slots=True)
class Thermal:
    """A thermal generator and what it did before the first hour.

    Attributes
    ----------
    name : str
        Its key in ``thermal_generators``.
    must_run : bool
        ``must_run``: never off.
    min_mw, max_mw : float
        ``power_output_minimum`` and ``power_output_maximum`` while on.
    ramp_up_mw, ramp_down_mw : float
        ``ramp_up_limit`` and ``ramp_down_limit`` from one hour to the next.
    start_mw, stop_mw : float
        ``ramp_startup_limit`` and ``ramp_shutdown_limit``: most in the first and last hour on.
    up_hours, down_hours : int
        ``time_up_minimum`` and ``time_down_minimum``, at least 1.
    on : bool
        ``unit_on_t0``.
    output_mw : float
        ``power_output_t0``; 0 when off.
    hours_in_state : int
        ``time_up_t0`` when on, ``time_down_t0`` when off; at least 1.
    start : tuple of StartCategory
        Hottest first; lags and costs rise.
    points : tuple of Point
        From `min_mw` to `max_mw`, convex.
    """

    name: str
    must_run: bool
    min_mw: float
    max_mw: float
    ramp_up_mw: float
    ramp_down_mw: float
    start_mw: float
    stop_mw: float
    up_hours: int
    down_hours: int
    on: bool
    output_mw: float
    hours_in_state: int
    start: tuple[StartCategory, ...]
    points: tuple[Point, ...]

    @property
    def above_mw(self) -> float:
        """What it produced above its minimum before the first hour."""
        return self.output_mw - self.min_mw if self.on else 0.0

    @property
    def held_hours(self) -> int:
        """For how many first hours it cannot change its state."""
        return max(0, (self.up_hours if self.on else self.down_hours) - self.hours_in_state)


@dataclass(frozen=True, slots=True, eq=False)
class Renewable:
    """A generator that can give between two series, each of shape (hour,), MW."""

    name: str
    min_mw: Floats
    max_mw: Floats


@dataclass(frozen=True, slots=True, eq=False)
class CommitmentProblem:
    """Demand and reserve of each hour, shape (hour,), MW, and who can serve them."""

    demand_mw: Floats
    reserve_mw: Floats
    thermal: tuple[Thermal, ...]
    renewable: tuple[Renewable, ...]

    @property
    def n(self) -> int:
        """Number of hours."""
        return len(self.demand_mw)


@dataclass(frozen=True, slots=True, eq=False)
class Commitment:
    """What a solver decided.

    Attributes
    ----------
    status : str
        ``"optimal"`` within the gap asked for, or ``"limit"`` when the nodes ran out.
    cost : float
        In the currency of the file.
    gap : float
        Relative distance to the bound that was proven.
    on : array of bool (thermal, hour)
    output_mw, reserve_mw : array (thermal, hour)
        Output from zero, and what is kept above it.
    renewable_mw : array (renewable, hour)
    """

    status: str
    cost: float
    gap: float
    on: Flags
    output_mw: Floats
    reserve_mw: Floats
    renewable_mw: Floats
