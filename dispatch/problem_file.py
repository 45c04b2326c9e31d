"""A planning problem in a file: the assets as in a site file, the series as lists of numbers.

``start = "2026-10-21T00:00Z"``, ``interval_s = 3600``, ``demand_kw = [..]`` and the other series of
:class:`dispatch.plan.PlanInput` by their names; ``[grid]``, ``[[battery]]`` and the other assets
with the keys that their attribute tables name. What is not given is nothing: no sun, no price, a
genset that has long stood.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from dispatch.check import check_input
from dispatch.plan import KINDS, SERIES, PlanInput
from grid import interval
from grid.errors import BadInputError
from grid.site import Battery, Genset, GridConnection, Shedding, Solar, Wind
from grid.site_devices import Charger, Flexible, Heat
from grid.site_file import read_text, tables

_TYPES: dict[str, type] = {
    "battery": Battery,
    "solar": Solar,
    "wind": Wind,
    "genset": Genset,
    "shedding": Shedding,
    "charger": Charger,
    "flexible": Flexible,
    "heat": Heat,
    "grid": GridConnection,
}
_SOMEWHERE = {"usage_point": "SITE"}
_ASSUMED: dict[str, dict[str, Any]] = {
    **{kind: _SOMEWHERE for kind in KINDS if kind not in ("shedding", "heat")},
    "shedding": {"usage_points": ["SITE"]},
    "grid": {"id": "GRID", "price": [{"from_time": "00:00", "buy": "0", "sell": "0"}]},
}
_ZERO = ("buy_price", "sell_price", "reserve_kw")
_BY_ASSET = {
    "solar_available_kw": "solar",
    "wind_available_kw": "wind",
    "sheddable_kw": "shedding",
}
_BOOLEAN = ("grid_available", "genset_on", "ev_connected")
_WHOLE = ("genset_intervals_in_state", "survive_steps")
_NO_GRID = "[grid]\nimport_limit_kw = 0.0\nexport_limit_kw = 0.0"
_LONG = 96
"""Intervals for which a genset of which nothing is said has stood."""


def read(path: Path) -> PlanInput:
    """Return the problem of a file.

    Raises
    ------
    BadInputError
        When it cannot be read or is wrong, naming line or field, value and limit.
    """
    return parse(read_text(path), path.name)


def parse(text: str, name: str = "problem.toml") -> PlanInput:
    """Return the problem that a text in TOML states; as :func:`read`."""
    facts, rest = tables(text, name, _TYPES, _ASSUMED)
    if len(facts["grid"]) > 1:
        raise BadInputError(f"{name}: [grid] stands {len(facts['grid'])} times, may stand once")
    known = {one.name for one in fields(PlanInput)} - _TYPES.keys() - {"cuts", "start_s"} | {
        "start"
    }
    for key in rest:
        if key not in known:
            raise BadInputError(f"{name}: unknown key {key!r}; known: {', '.join(sorted(known))}")
    for key in ("start", "interval_s", "demand_kw"):
        if key not in rest:
            raise BadInputError(f"{name}: {key!r} is missing")
    start_s = interval.parse(str(rest.pop("start")))
    given = {key: _value(name, key, value) for key, value in rest.items()}
    if np.ndim(given["demand_kw"]) != 1:
        raise BadInputError(f"{name}: demand_kw must be one list of numbers")
    n = len(given["demand_kw"])
    values = _assumed(facts, n) | given
    grid = facts.pop("grid")
    if not grid:
        values["grid_available"] = np.zeros(n, dtype=np.bool_)
        grid = tables(_NO_GRID, name, _TYPES, _ASSUMED)[0]["grid"]
    everything: dict[str, Any] = {**facts, **values}
    plan_input = PlanInput(start_s=start_s, grid=grid[0], **everything)
    check_input(plan_input)
    return plan_input


def _value(name: str, key: str, value: object) -> Any:
    """Return a number, or an array where the field is one."""
    if isinstance(value, list):
        try:
            array = np.array(value)
        except ValueError as error:
            raise BadInputError(f"{name}: {key} has rows of unlike length") from error
        if array.dtype == np.bool_ and key in _BOOLEAN:
            return array
        if array.dtype.kind not in "if" or key in _BOOLEAN:
            wanted = "true or false" if key in _BOOLEAN else "numbers"
            raise BadInputError(f"{name}: {key} must hold {wanted} alone")
        return array if key in _WHOLE else array.astype(np.float64)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or key in SERIES:
        raise BadInputError(f"{name}: {key} is {value!r}, must be a list or a number")
    return value


def _assumed(facts: dict[str, tuple[Any, ...]], n: int) -> dict[str, Any]:
    gensets = len(facts["genset"])
    return {
        **{key: np.zeros(n) for key in _ZERO},
        **{key: np.zeros((len(facts[kind]), n)) for key, kind in _BY_ASSET.items()},
        "end_value_per_kwh": 0.0,
        "grid_available": np.ones(n, dtype=np.bool_),
        "battery_energy_kwh": np.array([b.initial_energy_kwh for b in facts["battery"]]),
        "genset_on": np.zeros(gensets, dtype=np.bool_),
        "genset_intervals_in_state": np.full(gensets, _LONG),
    }
