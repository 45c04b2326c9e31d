"""An independent verifier of unit commitments: the raw JSON of an instance, a schedule, numpy.

It shares nothing with `dispatch`: constraints and cost are those of the benchmark's MODEL.pdf
(pglib-uc v19.08), whose equation numbers stand beside them, counted from the schedule itself.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

MW = 1e-5
COST = 1e-6


class Verdict(NamedTuple):
    """The names of what is broken, each with its subject and hour, and the schedule's cost."""

    broken: list[str]
    cost: float


def verify(raw: dict[str, Any], schedule: dict[str, Any]) -> Verdict:
    """Return what `schedule` breaks of the instance `raw`, and what it costs.

    A violation reads ``"name: subject, hour"``; hours count from 1.
    """
    hours = raw["time_periods"]
    thermal, renewable = raw["thermal_generators"], raw["renewable_generators"]
    broken: list[str] = []
    served, kept = np.zeros(hours), np.zeros(hours)
    cost = 0.0
    if set(schedule["thermal_generators"]) != set(thermal):
        return Verdict(["generators: thermal"], np.nan)
    if set(schedule["renewable_generators"]) != set(renewable):
        return Verdict(["generators: renewable"], np.nan)
    for name, unit in thermal.items():
        told = schedule["thermal_generators"][name]
        on, output, reserve = (
            np.asarray(told[key], dtype=np.float64) for key in ("on", "output_mw", "reserve_mw")
        )
        if any(v.shape != (hours,) or not np.isfinite(v).all() for v in (on, output, reserve)):
            return Verdict([f"shape: {name}"], np.nan)
        if not np.isin(on, (0.0, 1.0)).all():
            broken.append(f"integrality: {name}")
            on = np.round(on)
        broken += _states(name, unit, on)
        broken += _outputs(name, unit, on, output, reserve)
        cost += _production(unit, on, output) + _starts(unit, on)
        if not _convex(unit):
            broken.append(f"convexity: {name}")
        served += output
        kept += reserve
    for name, plant in renewable.items():  # (24)
        output = np.asarray(schedule["renewable_generators"][name]["output_mw"], dtype=np.float64)
        if output.shape != (hours,) or not np.isfinite(output).all():
            return Verdict([f"shape: {name}"], np.nan)
        low, high = (np.asarray(plant[f"power_output_{key}"]) for key in ("minimum", "maximum"))
        broken += _where("renewable", name, (output < low - MW) | (output > high + MW))
        served += output
    demand, needed = np.asarray(raw["demand"]), np.asarray(raw.get("reserves", np.zeros(hours)))
    scale = np.maximum(1.0, 1e-3 * demand)
    broken += _where("demand", "system", np.abs(served - demand) > MW * scale)  # (2)
    broken += _where("reserve", "system", kept < needed - MW * scale)  # (3)
    if abs(schedule["cost"] - cost) > COST * max(1.0, abs(cost)):
        broken.append(f"cost: told {schedule['cost']:.6f}, is {cost:.6f}")
    return Verdict(broken, cost)


def _where(what: str, name: str, at: np.ndarray) -> list[str]:
    return [f"{what}: {name}, {t + 1}" for t in np.flatnonzero(at)]


def _changes(unit: dict[str, Any], on: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    step = np.diff(np.concatenate([[float(unit["unit_on_t0"])], on]))
    return step > 0.5, step < -0.5


def _states(name: str, unit: dict[str, Any], on: np.ndarray) -> list[str]:
    hours = len(on)
    broken = []
    if unit["must_run"]:  # (11)
        broken += _where("must run", name, on == 0.0)
    if unit["unit_on_t0"]:  # (4)
        held = max(0, unit["time_up_minimum"] - unit["time_up_t0"])
        broken += _where("initial up time", name, on[:held] == 0.0)
    else:  # (5)
        held = max(0, unit["time_down_minimum"] - unit["time_down_t0"])
        broken += _where("initial down time", name, on[:held] == 1.0)
    started, stopped = _changes(unit, on)
    for t in range(hours):
        up = min(unit["time_up_minimum"], hours)  # (13)
        if started[max(0, t - up + 1) : t + 1].sum() > on[t]:
            broken.append(f"up time: {name}, {t + 1}")
        down = min(unit["time_down_minimum"], hours)  # (14)
        if stopped[max(0, t - down + 1) : t + 1].sum() > 1.0 - on[t]:
            broken.append(f"down time: {name}, {t + 1}")
    return broken


def _outputs(
    name: str, unit: dict[str, Any], on: np.ndarray, output: np.ndarray, reserve: np.ndarray
) -> list[str]:
    least, most = unit["power_output_minimum"], unit["power_output_maximum"]
    started, stopped = _changes(unit, on)
    above = output - least * on
    held = above + reserve
    at_t0 = unit["unit_on_t0"] * (unit["power_output_t0"] - least)
    before = np.concatenate([[at_t0], above[:-1]])
    room = (most - least) * on
    slow_start = room - max(most - unit["ramp_startup_limit"], 0.0)
    broken = _where("minimum", name, above < -MW)
    broken += _where("reserve below zero", name, reserve < -MW)
    broken += _where("maximum", name, held > room + MW)
    broken += _where("start-up ramp", name, started & (held > slow_start + MW))  # (17)
    held_before = np.concatenate([[at_t0], held[:-1]])
    room_before = min(most, unit["ramp_shutdown_limit"]) - least
    quick = stopped & (held_before > room_before + MW)  # (10), (18)
    broken += [f"shut-down ramp: {name}, {t}" for t in np.flatnonzero(quick)]
    broken += _where("ramp up", name, held - before > unit["ramp_up_limit"] + MW)  # (8), (19)
    broken += _where("ramp down", name, before - above > unit["ramp_down_limit"] + MW)  # (9), (20)
    return broken


def _convex(unit: dict[str, Any]) -> bool:
    points = unit["piecewise_production"]
    mw = np.array([point["mw"] for point in points])
    slope = np.diff([point["cost"] for point in points]) / np.diff(mw)
    return bool((np.diff(slope) >= -1e-9 * np.maximum(1.0, np.abs(slope[1:]))).all())


def _production(unit: dict[str, Any], on: np.ndarray, output: np.ndarray) -> float:
    """Return the cost of being on and of output, (21) to (23); of convex points the mixture that
    costs least is the line between two neighbours."""
    points = unit["piecewise_production"]
    mw, cost = ([point[key] for point in points] for key in ("mw", "cost"))
    return float((np.interp(output, mw, cost) * on).sum())


def _starts(unit: dict[str, Any], on: np.ndarray) -> float:
    """Return the cost of starts, each in the cheapest category that (7) and (15) leave open."""
    started, stopped = _changes(unit, on)
    total = 0.0
    for hour in np.flatnonzero(started) + 1:
        open_costs = [unit["startup"][-1]["cost"]]
        for category, later in zip(unit["startup"], unit["startup"][1:], strict=False):
            first = max(1, later["lag"] - unit["time_down_t0"] + 1)
            shut = first <= hour <= later["lag"] - 1  # (7)
            if hour >= later["lag"]:  # (15)
                ago = range(category["lag"], later["lag"])
                shut = not any(stopped[hour - i - 1] for i in ago)
            if not shut:
                open_costs.append(category["cost"])
        total += min(open_costs)
    return total
