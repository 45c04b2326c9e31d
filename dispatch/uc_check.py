"""A second look at a commitment, without the solver: every rule of the benchmark, and its cost.

What :mod:`dispatch.uc_model` states as rows is counted here from the schedule itself: a start is
where a generator came on, a standing is the hours it was off.
"""

from __future__ import annotations

import numpy as np

from dispatch.commitment import Commitment, CommitmentProblem, Flags, Thermal
from dispatch.plan import Floats
from dispatch.uc_cost import too_long

TOLERANCE_MW = 1e-5
"""Ten times HiGHS' own: a sum of a thousand outputs is one row of its."""

TOLERANCE_COST = 1e-7
"""Relative to the cost."""


def check(problem: CommitmentProblem, found: Commitment) -> list[str]:
    """Return what `found` breaks, each with its subject, hour, value and limit."""
    shapes = {
        "on": (found.on, (len(problem.thermal), problem.n)),
        "output_mw": (found.output_mw, (len(problem.thermal), problem.n)),
        "reserve_mw": (found.reserve_mw, (len(problem.thermal), problem.n)),
        "renewable_mw": (found.renewable_mw, (len(problem.renewable), problem.n)),
    }
    for name, (values, shape) in shapes.items():
        if values.shape != shape or not np.isfinite(values).all():
            return [f"{name} must be finite and of shape {shape}"]
    broken = _system(problem, found)
    for g, unit in enumerate(problem.thermal):
        broken += _times(unit, found.on[g])
        broken += _powers(unit, found.on[g], found.output_mw[g], found.reserve_mw[g])
    cost = total_cost(problem, found.on, found.output_mw)
    if abs(cost - found.cost) > TOLERANCE_COST * max(1.0, abs(cost)):
        broken.append(f"cost is told as {found.cost:.6f}, the schedule costs {cost:.6f}")
    return broken


def changes(unit: Thermal, on: Flags) -> tuple[Flags, Flags]:
    """Return in which hours it started and in which it stopped."""
    before = np.concatenate([[unit.on], on[:-1]])
    return on & ~before, ~on & before


def total_cost(problem: CommitmentProblem, on: Flags, output_mw: Floats) -> float:
    """Return the cost of production and starts, in the currency of the file."""
    total = 0.0
    for unit, state, output in zip(problem.thermal, on, output_mw, strict=True):
        mw = [point.mw for point in unit.points]
        cost = [point.cost for point in unit.points]
        total += float(np.interp(output[state], mw, cost).sum())
        started, stopped = changes(unit, state)
        total += sum(start_cost(unit, stopped, int(t)) for t in np.flatnonzero(started))
    return total


def start_cost(unit: Thermal, stopped: Flags, t: int) -> float:
    """Return the least cost of a start in hour `t` (from 0) after those stops."""
    for s in range(len(unit.start) - 1):
        category, later = unit.start[s], unit.start[s + 1].lag
        if t + 1 < later:
            possible = not too_long(unit, s, t + 1)
        else:
            possible = bool(stopped[t - later + 1 : t - category.lag + 1].any())
        if possible:
            return category.cost
    return unit.start[-1].cost


def _system(problem: CommitmentProblem, found: Commitment) -> list[str]:
    broken = []
    served = found.output_mw.sum(axis=0) + found.renewable_mw.sum(axis=0)
    kept = found.reserve_mw.sum(axis=0)
    for t in range(problem.n):
        demand, reserve = problem.demand_mw[t], problem.reserve_mw[t]
        if abs(served[t] - demand) > TOLERANCE_MW * max(1.0, 1e-3 * demand):
            broken.append(f"hour {t + 1}: {served[t]:.6f} MW serve a demand of {demand:.6f} MW")
        if kept[t] < reserve - TOLERANCE_MW * max(1.0, 1e-3 * reserve):
            broken.append(f"hour {t + 1}: reserve {kept[t]:.6f} MW below {reserve:.6f} MW")
    for plant, output in zip(problem.renewable, found.renewable_mw, strict=True):
        outside = (output < plant.min_mw - TOLERANCE_MW) | (output > plant.max_mw + TOLERANCE_MW)
        broken += [
            f"{plant.name}, hour {t + 1}: {output[t]:.6f} MW outside "
            f"{plant.min_mw[t]:.6f} to {plant.max_mw[t]:.6f} MW"
            for t in np.flatnonzero(outside)
        ]
    return broken


def _times(unit: Thermal, on: Flags) -> list[str]:
    broken = []
    if unit.must_run and not on.all():
        broken.append(f"{unit.name}: must run and is off")
    if (on[: unit.held_hours] != unit.on).any():
        broken.append(f"{unit.name}: changes within its first {unit.held_hours} h")
    started, stopped = changes(unit, on)
    for kind, at, least, kept in (
        ("up", started, unit.up_hours, on),
        ("down", stopped, unit.down_hours, ~on),
    ):
        broken += [
            f"{unit.name}, hour {t + 1}: {kind} for less than {least} h"
            for t in np.flatnonzero(at)
            if not kept[t : t + least].all()
        ]
    return broken


def _powers(unit: Thermal, on: Flags, output: Floats, reserve: Floats) -> list[str]:
    n = len(on)
    started, stopped = changes(unit, on)
    held = output + reserve
    stops_next = np.concatenate([stopped[1:], [False]])
    least = np.where(on, unit.min_mw, 0.0)
    most = np.where(on, unit.max_mw, 0.0)
    most = np.where(started, np.minimum(most, unit.start_mw), most)
    most = np.where(stops_next, np.minimum(most, unit.stop_mw), most)
    above = np.where(on, output - unit.min_mw, 0.0)
    before = np.concatenate([[unit.above_mw], above[:-1]])
    # off, a generator counts as standing at its minimum: that is how its ramps are stated
    rise = above + reserve - before
    fall = before - above
    rules = (
        ("output below its minimum", least - output),
        ("output and reserve above its limit", held - most),
        ("reserve below zero", -reserve),
        ("rises beyond its ramp", rise - unit.ramp_up_mw),
        ("falls beyond its ramp", fall - unit.ramp_down_mw),
    )
    broken = [
        f"{unit.name}, hour {t + 1}: {what} by {excess[t]:.6f} MW"
        for what, excess in rules
        for t in np.flatnonzero(excess > TOLERANCE_MW)
    ]
    if n and stopped[0] and unit.output_mw > unit.stop_mw + TOLERANCE_MW:
        broken.append(f"{unit.name}, hour 1: stops from above {unit.stop_mw:g} MW")
    return broken
