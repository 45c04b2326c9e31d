"""Hand-made instances in the benchmark's format, and parts of published ones."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any


def unit(**facts: Any) -> dict[str, Any]:
    """Return a generator of 10 to 100 MW that has stood for nine hours, with `facts` instead."""
    return {
        "must_run": 0,
        "power_output_minimum": 10.0,
        "power_output_maximum": 100.0,
        "ramp_up_limit": 90.0,
        "ramp_down_limit": 90.0,
        "ramp_startup_limit": 100.0,
        "ramp_shutdown_limit": 100.0,
        "time_up_minimum": 1,
        "time_down_minimum": 1,
        "power_output_t0": 0.0,
        "unit_on_t0": 0,
        "time_up_t0": 0,
        "time_down_t0": 9,
        "startup": [{"lag": 1, "cost": 0.0}],
        "piecewise_production": [{"mw": 10.0, "cost": 100.0}, {"mw": 100.0, "cost": 1000.0}],
        **facts,
    }


def running(mw: float, hours: int = 9, **facts: Any) -> dict[str, Any]:
    """Return a generator that has run for `hours` and gave `mw` in the last of them."""
    before = {"power_output_t0": mw, "unit_on_t0": 1, "time_up_t0": hours, "time_down_t0": 0}
    return unit(**before, **facts)


def instance(demand: list[float], **facts: Any) -> dict[str, Any]:
    """Return an instance of `demand` with `facts`, without reserve and renewables."""
    return {
        "time_periods": len(demand),
        "demand": demand,
        "reserves": [0.0] * len(demand),
        "thermal_generators": {},
        "renewable_generators": {},
        **facts,
    }


def cut(path: Path, hours: int) -> dict[str, Any]:
    """Return the first hours of a published instance."""
    raw: dict[str, Any] = copy.deepcopy(json.loads(path.read_text()))
    raw["time_periods"] = hours
    for series in ("demand", "reserves"):
        raw[series] = raw[series][:hours]
    for plant in raw["renewable_generators"].values():
        for edge in ("power_output_minimum", "power_output_maximum"):
            plant[edge] = plant[edge][:hours]
    return raw
