"""What an input must be before a model is built from it.

A NaN or 1e30 that reaches a solver can come back as "optimal", so each field is held to a
declared range here, and the refusal names field, position, value and limit.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dispatch.plan import Floats, LinearCut, PlanInput
from dispatch.survival import check_survival
from grid.errors import BadInputError
from grid.quantities import require_finite
from grid.site import Battery, Genset, GridConnection, Shedding, Solar, Wind
from grid.site_devices import Charger, Flexible, Heat

PRICE_LIMIT = 1000.0
"""Currency per kWh."""
POWER_LIMIT_KW = 1e6
ENERGY_LIMIT_KWH = 1e7
STEPS_LIMIT = 10_000

_FACTS: dict[str, type] = {
    "battery": Battery,
    "solar": Solar,
    "wind": Wind,
    "genset": Genset,
    "shedding": Shedding,
    "charger": Charger,
    "flexible": Flexible,
    "heat": Heat,
    "cuts": LinearCut,
}


def _array(value: object, name: str, shape: tuple[int, ...], low: float, high: float) -> Floats:
    if value is None:
        raise BadInputError(f"{name} is missing: must have shape {list(shape)}")
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise BadInputError(f"{name} holds a value that is no number: {error}") from error
    if array.shape != shape:
        raise BadInputError(f"{name} has shape {list(array.shape)}, must be {list(shape)}")
    return require_finite(array, name=name, low=low, high=high)


def _number(value: object, name: str, low: float, high: float) -> None:
    _array([value], name, (1,), low, high)


def _booleans(value: object, name: str, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    if value is None:
        raise BadInputError(f"{name} is missing: must have shape {list(shape)}")
    array = np.asarray(value)
    if array.shape != shape:
        raise BadInputError(f"{name} has shape {list(array.shape)}, must be {list(shape)}")
    if array.dtype != np.bool_:
        raise BadInputError(f"{name} is {array.dtype}, must be true or false at every position")
    return array


def _whole(value: object, name: str, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise BadInputError(f"{name} is {value!r}, must be a whole number")
    if not low <= value <= high:
        raise BadInputError(f"{name} is {value}, must be within {low} to {high}")
    return int(value)


def check_input(plan_input: PlanInput) -> None:
    """Refuse an input that has anything missing, not finite, out of range or of wrong shape.

    Raises
    ------
    BadInputError
        Naming the field, the position, the value and the limit.
    """
    _check_kinds(plan_input)
    _whole(plan_input.start_s, "start_s", 0, 2**40)
    _whole(plan_input.interval_s, "interval_s", 1, 86_400)
    demand = plan_input.demand_kw
    if demand is None or np.ndim(demand) != 1 or not 1 <= len(demand) <= STEPS_LIMIT:
        raise BadInputError(f"demand_kw must be one row of 1 to {STEPS_LIMIT} steps")
    n = plan_input.n
    _array(demand, "demand_kw", (n,), 0.0, POWER_LIMIT_KW)
    for kind in ("solar", "wind"):
        name, plants = f"{kind}_available_kw", len(getattr(plan_input, kind))
        _array(getattr(plan_input, name), name, (plants, n), 0.0, POWER_LIMIT_KW)
    groups = len(plan_input.shedding)
    _array(plan_input.sheddable_kw, "sheddable_kw", (groups, n), 0.0, POWER_LIMIT_KW)
    _array(plan_input.buy_price, "buy_price", (n,), -PRICE_LIMIT, PRICE_LIMIT)
    _array(plan_input.sell_price, "sell_price", (n,), -PRICE_LIMIT, PRICE_LIMIT)
    _number(plan_input.end_value_per_kwh, "end_value_per_kwh", -PRICE_LIMIT, PRICE_LIMIT)
    _array(plan_input.reserve_kw, "reserve_kw", (n,), 0.0, POWER_LIMIT_KW)
    _booleans(plan_input.grid_available, "grid_available", (n,))
    _number(plan_input.peak_kw, "peak_kw", 0.0, POWER_LIMIT_KW)
    _number(plan_input.co2_price_per_kg, "co2_price_per_kg", 0.0, PRICE_LIMIT)
    if plan_input.co2_cap_kg is not None:
        _number(plan_input.co2_cap_kg, "co2_cap_kg", 0.0, 1e12)
    if plan_input.critical_kw is not None:
        _array(plan_input.critical_kw, "critical_kw", (n,), 0.0, POWER_LIMIT_KW)
    _whole(plan_input.survive_steps, "survive_steps", 0, STEPS_LIMIT)
    _check_state(plan_input)
    check_survival(plan_input)
    _check_optional(plan_input)
    _check_asked(plan_input)
    _check_movable(plan_input)
    _check_heat(plan_input)
    _check_facts(plan_input)
    _check_cuts(plan_input)


def _check_kinds(plan_input: PlanInput) -> None:
    """Refuse what is no fact of the kind that its field is for."""
    for name, kind in _FACTS.items():
        given = getattr(plan_input, name)
        if not isinstance(given, tuple):
            raise BadInputError(f"{name} is {given!r}, must be a tuple of {kind.__name__}")
        for number, one in enumerate(given):
            if not isinstance(one, kind):
                raise BadInputError(f"{name}[{number}] is {one!r}, must be a {kind.__name__}")
    if not isinstance(plan_input.grid, GridConnection):
        raise BadInputError(f"grid is {plan_input.grid!r}, must be a GridConnection")


def _check_state(plan_input: PlanInput) -> None:
    batteries = len(plan_input.battery)
    stored = _array(
        plan_input.battery_energy_kwh, "battery_energy_kwh", (batteries,), 0.0, ENERGY_LIMIT_KWH
    )
    ends = plan_input.end_energy_min_kwh
    least = (
        np.zeros(batteries)
        if ends is None
        else _array(ends, "end_energy_min_kwh", (batteries,), 0.0, ENERGY_LIMIT_KWH)
    )
    for i, battery in enumerate(plan_input.battery):
        low, high = battery.min_energy_kwh, battery.energy_kwh
        if not low <= stored[i] <= high:
            raise BadInputError(
                f"battery_energy_kwh of {battery.id} is {stored[i]}, must be within {low} to {high}"
            )
        if least[i] > high:
            raise BadInputError(
                f"end_energy_min_kwh of {battery.id} is {least[i]}, must be at most {high}"
            )
    gensets = len(plan_input.genset)
    _booleans(plan_input.genset_on, "genset_on", (gensets,))
    name = "genset_intervals_in_state"
    steps = _array(plan_input.genset_intervals_in_state, name, (gensets,), 0.0, 1e9)
    if (steps != np.round(steps)).any():
        raise BadInputError(f"{name} is {steps.tolist()}, must be whole steps")


def _check_optional(plan_input: PlanInput) -> None:
    gensets, batteries = (len(plan_input.genset),), (len(plan_input.battery), plan_input.n)
    for name, shape, high in (
        ("genset_output_kw", gensets, POWER_LIMIT_KW),
        ("genset_fuel_kwh", gensets, ENERGY_LIMIT_KWH),
        ("energy_target_kwh", batteries, ENERGY_LIMIT_KWH),
    ):
        if getattr(plan_input, name) is not None:
            _array(getattr(plan_input, name), name, shape, 0.0, high)
    if plan_input.genset_output_kw is not None:
        for i, genset in enumerate(plan_input.genset):
            output = float(plan_input.genset_output_kw[i])
            most = genset.power_kw if plan_input.genset_on[i] else 0.0
            if output > most:
                state = "running" if plan_input.genset_on[i] else "standing"
                raise BadInputError(
                    f"genset_output_kw of {genset.id} is {output}, "
                    f"must be at most {most} while it is {state}"
                )
    if plan_input.energy_target_kwh is not None:
        for battery, target in zip(plan_input.battery, plan_input.energy_target_kwh, strict=True):
            if float(target.max()) > battery.energy_kwh:
                raise BadInputError(
                    f"energy_target_kwh of {battery.id} is {target.max()}, "
                    f"must be at most {battery.energy_kwh}"
                )


def _check_asked(plan_input: PlanInput) -> None:
    """Refuse limits that somebody asks for which are none."""
    for name in ("import_limit_kw", "export_limit_kw", "limit_margin_kw"):
        if getattr(plan_input, name) is not None:
            _array(getattr(plan_input, name), name, (plan_input.n,), 0.0, POWER_LIMIT_KW)
    _number(plan_input.limit_penalty_per_kwh, "limit_penalty_per_kwh", 0.0, PRICE_LIMIT)


def _check_movable(plan_input: PlanInput) -> None:
    """Refuse chargers and flexible loads without what they need."""
    n, chargers, loads = plan_input.n, len(plan_input.charger), len(plan_input.flexible)
    if chargers:
        _check_vehicles(plan_input, (chargers, n))
    if loads:
        limit = ENERGY_LIMIT_KWH
        need = plan_input.flexible_need_kw
        _array(need, "flexible_need_kw", (loads, n), -POWER_LIMIT_KW, POWER_LIMIT_KW)
        low = _array(plan_input.flexible_low_kwh, "flexible_low_kwh", (loads, n), -limit, limit)
        high = _array(plan_input.flexible_high_kwh, "flexible_high_kwh", (loads, n), -limit, limit)
        _array(plan_input.flexible_energy_kwh, "flexible_energy_kwh", (loads,), -limit, limit)
        for asset, t in np.argwhere(low > high).tolist():
            raise BadInputError(
                f"flexible_low_kwh of {plan_input.flexible[asset].id} {plan_input.label(t)} is "
                f"{low[asset, t]}, must be at most flexible_high_kwh, {high[asset, t]}"
            )


def _check_heat(plan_input: PlanInput) -> None:
    """Refuse tanks without what they need, or without a genset of their own."""
    tanks, gensets = plan_input.heat, {str(one.id) for one in plan_input.genset}
    if not tanks:
        return
    shape = (len(tanks), plan_input.n)
    _array(plan_input.heat_need_kw, "heat_need_kw", shape, 0.0, POWER_LIMIT_KW)
    held = _array(plan_input.heat_energy_kwh, "heat_energy_kwh", shape[:1], 0.0, ENERGY_LIMIT_KWH)
    taken: dict[str, str] = {}
    for tank, energy in zip(tanks, held.tolist(), strict=True):
        if tank.genset not in gensets:
            raise BadInputError(f"{tank.id} genset is {tank.genset!r}, which is no genset")
        if (other := taken.setdefault(tank.genset, tank.id)) != tank.id:
            raise BadInputError(f"{tank.id} genset is {tank.genset!r}, whose heat {other} takes")
        if energy > tank.energy_kwh:
            raise BadInputError(
                f"heat_energy_kwh of {tank.id} is {energy}, must be at most {tank.energy_kwh}"
            )
        for name in ("boiler", "missed"):
            _number(getattr(tank, name) / 1e6, f"{tank.id} {name}", 0.0, PRICE_LIMIT)


def _check_vehicles(plan_input: PlanInput, shape: tuple[int, int]) -> None:
    there = _booleans(plan_input.ev_connected, "ev_connected", shape)
    limit = ENERGY_LIMIT_KWH
    brought = _array(plan_input.ev_arrival_kwh, "ev_arrival_kwh", shape, 0.0, limit)
    target = _array(plan_input.ev_target_kwh, "ev_target_kwh", shape, 0.0, limit)
    held = _array(plan_input.ev_energy_kwh, "ev_energy_kwh", shape[:1], 0.0, limit)
    for i, charger in enumerate(plan_input.charger):
        arrives = there[i] & ~np.append(held[i] > 0.0, there[i, :-1])
        for name, values, where, when in (
            ("ev_arrival_kwh", brought[i], arrives, "in the first step of a vehicle"),
            ("ev_target_kwh", target[i], there[i], "while a vehicle is there"),
        ):
            wrong = np.flatnonzero((values > 0.0) & ~where)
            high = np.flatnonzero(values > charger.energy_kwh)
            for t in wrong[:1].tolist():
                raise BadInputError(
                    f"{name} of {charger.id} {plan_input.label(t)} is {values[t]}, "
                    f"may be above 0 only {when}"
                )
            for t in high[:1].tolist():
                raise BadInputError(
                    f"{name} of {charger.id} {plan_input.label(t)} is {values[t]}, "
                    f"must be at most {charger.energy_kwh}"
                )
        if held[i] > charger.energy_kwh:
            raise BadInputError(
                f"ev_energy_kwh of {charger.id} is {held[i]}, must be at most {charger.energy_kwh}"
            )


def _check_facts(plan_input: PlanInput) -> None:
    """Refuse an asset that stands twice; each asset's own limits hold since it was made."""
    seen: set[str] = set()
    for asset in (*plan_input.assets, plan_input.grid):
        if asset.id in seen:
            raise BadInputError(f"asset {asset.id} stands twice")
        seen.add(asset.id)


def _check_cuts(plan_input: PlanInput) -> None:
    known = {*plan_input.asset_ids, plan_input.grid.id}
    for number, cut in enumerate(plan_input.cuts):
        name = f"cuts[{number}] {cut.name!r}"
        _whole(cut.step, f"{name} step", 0, plan_input.n - 1)
        _number(cut.limit_kw, f"{name} limit_kw", -1e9, 1e9)
        for asset, coefficient in cut.coefficient.items():
            if asset not in known:
                raise BadInputError(f"{name} names {asset!r}, which is no asset of the plan")
            if type(coefficient) is not float or not -1e9 <= coefficient <= 1e9:
                _number(coefficient, f"{name} coefficient of {asset}", -1e9, 1e9)
        if not any(cut.coefficient.values()):
            raise BadInputError(f"{name} has no coefficient other than 0")
