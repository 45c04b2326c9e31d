"""What if: a plan's input with one of its numbers changed, as a person writes it.

``demand=+5%``, ``buy_price=+0.02``, ``asset.B-1.power_kw=20``: a name, and what is added to it,
by what share it changes, or what it becomes. Every number of :class:`dispatch.plan.PlanInput` and
of the facts of an asset has such a name.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, get_type_hints

import numpy as np

from dispatch.inputs import check_input
from dispatch.plan import KINDS, SERIES, PlanInput
from grid.errors import BadInputError
from grid.quantities import NANO, WH_PER_KWH
from grid.site_facts import Amount, Price

SHORT = {
    "demand": "demand_kw",
    "solar": "solar_available_kw",
    "wind": "wind_available_kw",
    "reserve": "reserve_kw",
}
"""Shorter names of what is asked for most."""

NUMBERS = ("end_value_per_kwh", "peak_kw", "co2_price_per_kg", "co2_cap_kg", "survive_steps")
STATES = ("battery_energy_kwh", "genset_output_kw", "genset_fuel_kwh", "ev_energy_kwh")

_CHANGE = re.compile(r"([+-]?)([0-9]{1,9}(?:\.[0-9]{1,9})?)(%?)", re.ASCII)
_PARTS = ("sheddable_kw", "critical_kw")
_SCALE = {Price: NANO / WH_PER_KWH, Amount: float(NANO)}
_NOT_SERIES = ("grid_available", "ev_connected")


@dataclass(frozen=True, slots=True)
class Change:
    """One number of an input and what becomes of it.

    Attributes
    ----------
    name : str
        ``"demand"``, a field of :class:`dispatch.plan.PlanInput`, ``"asset.ID.FIELD"`` or
        ``"grid.FIELD"``.
    kind : str
        ``"share"`` (times 1 + value), ``"more"`` (plus value) or ``"set"``.
    value : float
    """

    name: str
    kind: str
    value: float

    def of(self, before: Any) -> Any:
        """Return what a number, or each of an array, becomes."""
        if self.kind == "share":
            return before * (1.0 + self.value)
        return before + self.value if self.kind == "more" else 0.0 * before + self.value


def parse(text: str) -> Change:
    """Return the change that ``NAME=[+|-]NUMBER[%]`` states.

    Raises
    ------
    BadInputError
        When it states none.
    """
    name, _, said = text.partition("=")
    found = _CHANGE.fullmatch(said.strip())
    if not name.strip() or not found:
        raise BadInputError(f"{text!r} is no change: must be such as demand=+5% or buy_price=+0.02")
    sign, digits, percent = found.groups()
    value = float(digits) * (-1.0 if sign == "-" else 1.0)
    if percent and not sign:
        # 95% of what it is
        value -= 100.0
    if percent:
        return Change(name.strip(), "share", value / 100.0)
    return Change(name.strip(), "more" if sign else "set", value)


def changed(plan_input: PlanInput, changes: list[Change]) -> PlanInput:
    """Return a plan's input after some changes, one after the other, checked.

    What may be shed and what is critical is part of the load, and changes with it.

    Raises
    ------
    BadInputError
        When there is no such number, or it becomes what no input may have.
    """
    for one in changes:
        plan_input = _changed(plan_input, one)
    check_input(plan_input)
    return plan_input


def _changed(plan_input: PlanInput, one: Change) -> PlanInput:
    first, _, rest = one.name.partition(".")
    if first == "grid" and rest:
        return replace(plan_input, grid=_fact(plan_input.grid, rest, one))
    if first == "asset":
        return _asset(plan_input, rest, one)
    name = SHORT.get(one.name, one.name)
    known = [*SERIES, *NUMBERS, *STATES]
    before = getattr(plan_input, name) if name in known else None
    if name in _NOT_SERIES or before is None:
        there = [n for n in known if n not in _NOT_SERIES and getattr(plan_input, n) is not None]
        raise BadInputError(
            f"{one.name!r} is no number of this plan; there are {', '.join(sorted(there))}, "
            "asset.ID.FIELD and grid.FIELD"
        )
    after = one.of(np.asarray(before, dtype=np.float64))
    if isinstance(before, int):
        return _replaced(plan_input, name, round(float(after)))
    if np.ndim(before) == 0:
        return _replaced(plan_input, name, float(after))
    if name == "demand_kw":
        plan_input = _with_parts(plan_input, after)
    return _replaced(plan_input, name, after)


def _replaced(plan_input: PlanInput, name: str, value: Any) -> PlanInput:
    given: dict[str, Any] = {name: value}
    return replace(plan_input, **given)


def _with_parts(plan_input: PlanInput, demand: Any) -> PlanInput:
    before = np.asarray(plan_input.demand_kw, dtype=np.float64)
    share = np.divide(demand, before, out=np.ones_like(before), where=before > 0.0)
    for name in _PARTS:
        part = getattr(plan_input, name)
        if part is not None:
            plan_input = _replaced(plan_input, name, part * share)
    return plan_input


def _asset(plan_input: PlanInput, rest: str, one: Change) -> PlanInput:
    name, _, field = rest.rpartition(".")
    for kind in KINDS:
        assets = getattr(plan_input, kind)
        if name in [asset.id for asset in assets]:
            after = tuple(
                _fact(asset, field, one) if asset.id == name else asset for asset in assets
            )
            return _replaced(plan_input, kind, after)
    known = ", ".join(plan_input.asset_ids) or "none"
    raise BadInputError(f"{one.name!r} names no asset of this plan; there are {known}")


def _fact(fact: Any, name: str, one: Change) -> Any:
    """Return an asset with a number of its facts changed; prices as they are read, per kWh."""
    hints = get_type_hints(type(fact))
    numbers = [f.name for f in fields(fact) if _is_number(hints[f.name])]
    if name not in numbers:
        raise BadInputError(f"{one.name!r}: {fact.id} has no number {name!r}; {', '.join(numbers)}")
    before = getattr(fact, name)
    if before is None and one.kind != "set":
        raise BadInputError(f"{one.name!r}: {fact.id} has no {name} yet: set it, such as {name}=5")
    scale = _SCALE.get(hints[name], 1.0)
    after = float(one.of((0.0 if before is None else before) / scale)) * scale
    if not math.isfinite(after):
        raise BadInputError(f"{one.name!r} becomes {after}, must be a number")
    whole = hints[name] in (int, Price, Amount)
    return replace(fact, **{name: round(after) if whole else after})


def _is_number(hint: Any) -> bool:
    if is_dataclass(hint) or hint in (bool, str):
        return False
    return hint in (int, float, Price, Amount) or hint == float | None
