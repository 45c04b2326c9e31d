"""Reader of pglib-uc files: JSON to a checked :class:`dispatch.commitment.CommitmentProblem`.

The format is that of the benchmark library of the IEEE PES task force (power-grid-lib,
``pglib-uc`` v19.08, MODEL.pdf). Nothing is guessed: what is missing, not finite, out of range or
contradicts itself is refused with the path of its field, the value and the limit.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from dispatch.commitment import CommitmentProblem, Point, Renewable, StartCategory, Thermal
from dispatch.plan import Floats
from grid.errors import BadInputError

MOST_BYTES = 64 * 2**20
MOST_HOURS = 8784
MOST_GENERATORS = 10_000
MOST_POINTS = 1_000
MOST_MW = 1e7
MOST_COST = 1e12
MOST_T0_HOURS = 10**7

ROUNDING = 1e-9
"""Relative difference of numbers that files write twice and round apart."""

_PROBLEM = {"time_periods", "demand", "reserves", "thermal_generators", "renewable_generators"}
_THERMAL = {
    "must_run",
    "power_output_minimum",
    "power_output_maximum",
    "ramp_up_limit",
    "ramp_down_limit",
    "ramp_startup_limit",
    "ramp_shutdown_limit",
    "time_up_minimum",
    "time_down_minimum",
    "power_output_t0",
    "unit_on_t0",
    "time_up_t0",
    "time_down_t0",
    "startup",
    "piecewise_production",
}
_RENEWABLE = {"power_output_minimum", "power_output_maximum"}
_NAME = {"name"}


def read(path: Path) -> CommitmentProblem:
    """Return the problem of a pglib-uc file.

    Raises
    ------
    BadInputError
        Naming the file, the field, its value and the limit.
    """
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise BadInputError(f"{path.name}: {size} bytes, at most {MOST_BYTES}")
        octets = path.read_bytes()
    except OSError as error:
        raise BadInputError(f"{path}: {error.strerror or error}") from error
    try:
        return parse(octets)
    except BadInputError as error:
        raise BadInputError(f"{path.name}: {error}") from error


def parse(octets: bytes) -> CommitmentProblem:
    """Return the problem of a pglib-uc file's bytes.

    Raises
    ------
    BadInputError
        Naming the field, its value and the limit.
    """
    try:
        raw = json.loads(octets, object_pairs_hook=_once, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"no JSON: {str(error)[:120]}") from error
    return problem(raw)


def problem(raw: object) -> CommitmentProblem:
    """Return the checked problem of a decoded file; see :func:`parse`."""
    top = _fields(raw, "problem", _PROBLEM - {"reserves"}, {"reserves"})
    n = _whole(top["time_periods"], "time_periods", 1, MOST_HOURS)
    demand = _series(top["demand"], "demand", n)
    # the benchmark calls the reserve optional
    reserve = _series(top["reserves"], "reserves", n) if "reserves" in top else np.zeros(n)
    thermal = _named(top["thermal_generators"], "thermal_generators")
    renewable = _named(top["renewable_generators"], "renewable_generators")
    if not thermal and not renewable:
        _bad("thermal_generators", "empty", "one at least, renewable_generators being empty too")
    if not thermal and reserve.any():
        _bad("reserves", f"{reserve.max():g}", "0, thermal_generators being empty")
    return CommitmentProblem(
        demand,
        reserve,
        tuple(_thermal(name, where, facts) for name, where, facts in thermal),
        tuple(_renewable(name, where, facts, n) for name, where, facts in renewable),
    )


def _thermal(name: str, where: str, raw: object) -> Thermal:
    facts = _fields(raw, where, _THERMAL, _NAME)

    def power(key: str) -> float:
        return _number(facts[key], f"{where}.{key}", 0.0, MOST_MW)

    def hours(key: str, most: int) -> int:
        return _whole(facts[key], f"{where}.{key}", 0, most)

    on = _flag(facts["unit_on_t0"], f"{where}.unit_on_t0")
    found = Thermal(
        name,
        must_run=_flag(facts["must_run"], f"{where}.must_run"),
        min_mw=power("power_output_minimum"),
        max_mw=power("power_output_maximum"),
        ramp_up_mw=power("ramp_up_limit"),
        ramp_down_mw=power("ramp_down_limit"),
        start_mw=power("ramp_startup_limit"),
        stop_mw=power("ramp_shutdown_limit"),
        up_hours=max(1, hours("time_up_minimum", MOST_HOURS)),
        down_hours=max(1, hours("time_down_minimum", MOST_HOURS)),
        on=on,
        output_mw=power("power_output_t0"),
        hours_in_state=hours("time_up_t0" if on else "time_down_t0", MOST_T0_HOURS),
        start=_categories(facts["startup"], f"{where}.startup"),
        points=_points(facts["piecewise_production"], f"{where}.piecewise_production"),
    )
    _agree(found, where, hours("time_down_t0" if on else "time_up_t0", MOST_T0_HOURS))
    return found


def _agree(unit: Thermal, where: str, other_hours: int) -> None:
    """Refuse a generator whose facts contradict each other."""
    least, most = unit.min_mw, unit.max_mw
    state, other = ("time_up_t0", "time_down_t0") if unit.on else ("time_down_t0", "time_up_t0")
    if least > most:
        _bad(f"{where}.power_output_minimum", least, f"at most power_output_maximum, {most:g}")
    for key, mw in (("ramp_startup_limit", unit.start_mw), ("ramp_shutdown_limit", unit.stop_mw)):
        if mw < least and not _same(mw, least):
            _bad(f"{where}.{key}", mw, f"at least power_output_minimum, {least:g}")
    if unit.start[0].lag > unit.down_hours:
        limit = f"at most time_down_minimum, {unit.down_hours}"
        _bad(f"{where}.startup[0].lag", unit.start[0].lag, limit)
    if unit.must_run and not unit.on and unit.held_hours:
        _bad(f"{where}.must_run", 1, f"0, its minimum down time holds {unit.held_hours} h more")
    if unit.hours_in_state < 1:
        _bad(f"{where}.{state}", unit.hours_in_state, f"at least 1, unit_on_t0 being {unit.on:d}")
    if other_hours:
        _bad(f"{where}.{other}", other_hours, f"0, unit_on_t0 being {unit.on:d}")
    before = unit.output_mw
    if not unit.on and before > 0.0:
        _bad(f"{where}.power_output_t0", before, "0, unit_on_t0 being 0")
    low, high = least - ROUNDING * (1 + least), most + ROUNDING * (1 + most)
    if unit.on and not low <= before <= high:
        _bad(f"{where}.power_output_t0", before, f"within {least:g} to {most:g}")
    for point, edge, key in (
        (unit.points[0], least, "power_output_minimum"),
        (unit.points[-1], most, "power_output_maximum"),
    ):
        if not _same(point.mw, edge):
            _bad(f"{where}.piecewise_production", point.mw, f"{key}, {edge:g}, at that end")


def _renewable(name: str, where: str, raw: object, n: int) -> Renewable:
    facts = _fields(raw, where, _RENEWABLE, _NAME)
    least = _series(facts["power_output_minimum"], f"{where}.power_output_minimum", n)
    most = _series(facts["power_output_maximum"], f"{where}.power_output_maximum", n)
    for t in np.flatnonzero(least > most):
        limit = f"at most power_output_maximum, {most[t]:g}"
        _bad(f"{where}.power_output_minimum[{t}]", least[t], limit)
    return Renewable(name, least, most)


def _categories(raw: object, where: str) -> tuple[StartCategory, ...]:
    found: list[StartCategory] = []
    for i, part in enumerate(_list(raw, where, 1, MOST_POINTS)):
        facts = _fields(part, f"{where}[{i}]", {"lag", "cost"}, set())
        lag = _whole(facts["lag"], f"{where}[{i}].lag", 0, MOST_T0_HOURS)
        cost = _number(facts["cost"], f"{where}[{i}].cost", 0.0, MOST_COST)
        if found and lag <= found[-1].lag:
            _bad(f"{where}[{i}].lag", lag, f"above the one before, {found[-1].lag}")
        if found and cost < found[-1].cost:
            _bad(f"{where}[{i}].cost", cost, f"at least the one before, {found[-1].cost:g}")
        found.append(StartCategory(lag, cost))
    return tuple(found)


def _points(raw: object, where: str) -> tuple[Point, ...]:
    found: list[Point] = []
    slope = -math.inf
    for i, part in enumerate(_list(raw, where, 1, MOST_POINTS)):
        facts = _fields(part, f"{where}[{i}]", {"mw", "cost"}, set())
        mw = _number(facts["mw"], f"{where}[{i}].mw", 0.0, MOST_MW)
        cost = _number(facts["cost"], f"{where}[{i}].cost", -MOST_COST, MOST_COST)
        if found:
            if mw <= found[-1].mw:
                _bad(f"{where}[{i}].mw", mw, f"above the one before, {found[-1].mw:g}")
            steeper = (cost - found[-1].cost) / (mw - found[-1].mw)
            if steeper < slope - ROUNDING * max(1.0, abs(slope)):
                _bad(f"{where}[{i}].cost", cost, f"convex: {steeper:g} a MW after {slope:g}")
            slope = steeper
        found.append(Point(mw, cost))
    return tuple(found)


def _same(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=ROUNDING, abs_tol=ROUNDING)


def _bad(where: str, value: object, limit: str) -> NoReturn:
    raise BadInputError(f"{where} is {str(value)[:40]}, must be {limit}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise BadInputError(f"{twice[:60]!r} stands twice in one object")
    return found


def _refuse(text: str) -> NoReturn:
    raise BadInputError(f"{text} is not a finite number")


def _fields(raw: object, where: str, needed: set[str], also: set[str]) -> dict[str, Any]:
    if not isinstance(raw, dict):
        _bad(where, type(raw).__name__, "an object")
    for name in sorted(needed - raw.keys()):
        raise BadInputError(f"{where}.{name} is missing")
    for name in sorted(raw.keys() - needed - also):
        raise BadInputError(f"{where}.{str(name)[:60]} is unknown")
    return raw


def _named(raw: object, where: str) -> list[tuple[str, str, object]]:
    if not isinstance(raw, dict):
        _bad(where, type(raw).__name__, "an object of generators by name")
    if len(raw) > MOST_GENERATORS:
        _bad(where, f"{len(raw)} generators", f"at most {MOST_GENERATORS}")
    return [(name, f"{where}.{name[:60]}", facts) for name, facts in raw.items()]


def _list(raw: object, where: str, least: int, most: int) -> list[Any]:
    if not isinstance(raw, list):
        _bad(where, type(raw).__name__, "a list")
    if not least <= len(raw) <= most:
        _bad(where, f"a list of {len(raw)}", f"a list of {least} to {most}")
    return raw


def _series(raw: object, where: str, n: int) -> Floats:
    values = _list(raw, where, 0, MOST_HOURS)
    if len(values) != n:
        _bad(where, f"a list of {len(values)}", f"of length time_periods, {n}")
    return np.array([_number(v, f"{where}[{t}]", 0.0, MOST_MW) for t, v in enumerate(values)])


def _number(raw: object, where: str, low: float, high: float) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        _bad(where, raw, "a number")
    if not low <= raw <= high:
        _bad(where, raw, f"within {low:g} to {high:g}")
    return float(raw)


def _whole(raw: object, where: str, low: int, high: int) -> int:
    found = _number(raw, where, low, high)
    if found != int(found):
        _bad(where, raw, "a whole number")
    return int(found)


def _flag(raw: object, where: str) -> bool:
    if isinstance(raw, bool):
        return raw
    return bool(_whole(raw, where, 0, 1))
