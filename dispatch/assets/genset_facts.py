"""Facts of gensets as their numbers and rows need them."""

from __future__ import annotations

from dispatch.plan import PlanInput, currency, per_kwh
from grid.site import Genset


def has_ramps(plan_input: PlanInput) -> bool:
    """Return whether any genset is slower than it likes."""
    return any(
        value is not None
        for g in plan_input.genset
        for value in (g.ramp_up_kw_per_hour, g.ramp_down_kw_per_hour, g.start_kw, g.stop_kw)
    )


def start_kinds(genset: Genset) -> list[tuple[int, float]]:
    """Return from how many steps of standing on a start costs how much, currency."""
    cold = [(one.after_intervals, currency(one.start)) for one in genset.cold_start]
    return [(0, currency(genset.start)), *cold]


def kinds_of(plan_input: PlanInput) -> int:
    """Return how many kinds of starts there are; 0 when each genset has one."""
    most = max((len(start_kinds(g)) for g in plan_input.genset), default=0)
    return most if most > 1 else 0


def segments_of(plan_input: PlanInput) -> int:
    """Return how many segments of dearer fuel there are at most."""
    return max((len(g.fuel_segment) for g in plan_input.genset), default=0)


def segment_of(genset: Genset, number: int) -> tuple[float, float]:
    """Return the lower end of a segment, kW, and by how much it is dearer, currency/kWh."""
    if number >= len(genset.fuel_segment):
        return genset.power_kw, 0.0
    before = genset.fuel_segment[number - 1].fuel if number else genset.fuel
    one = genset.fuel_segment[number]
    return one.from_kw, per_kwh(one.fuel) - per_kwh(before)


def ramp_of(genset: Genset, way: str, hours: float) -> tuple[float, float]:
    """Return what output may move by while running, and at a start or stop, kW."""
    ramp = getattr(genset, f"ramp_{way}_kw_per_hour")
    edge = genset.start_kw if way == "up" else genset.stop_kw
    power = genset.power_kw
    return power if ramp is None else ramp * hours, power if edge is None else edge
