"""The cases of :mod:`tests.dispatch.pypsa_cases` as inputs of our plan."""

from __future__ import annotations

from typing import Any

import numpy as np

from dispatch.plan import PlanInput
from grid.site import (
    Amount,
    Battery,
    Genset,
    GridConnection,
    GridPrice,
    Price,
    Shedding,
    Solar,
    Wind,
)


def price(per_kwh: float) -> Price:
    return Price(round(per_kwh * 1e6))


def amount(currency: float) -> Amount:
    return Amount(round(currency * 1e9))


def _genset(name: str, facts: dict[str, Any]) -> Genset:
    ramps = {
        "ramp_up": "ramp_up_kw_per_hour",
        "ramp_down": "ramp_down_kw_per_hour",
        "ramp_start": "start_kw",
        "ramp_stop": "stop_kw",
    }
    return Genset(
        name,
        "u-1",
        facts["power"],
        facts.get("least", 0.0),
        price(facts["cost"]),
        amount(facts.get("no_load", 0.0)),
        amount(facts.get("start", 0.0)),
        min_up_intervals=max(1, facts.get("up", 1)),
        min_down_intervals=max(1, facts.get("down", 1)),
        stop=amount(facts.get("stop", 0.0)),
        co2_g_per_kwh=1e3 * facts.get("emission", 0.0),
        **{ours: float(facts[theirs]) for theirs, ours in ramps.items() if theirs in facts},
    )


def _battery(name: str, facts: dict[str, Any]) -> Battery:
    return Battery(
        name,
        "u-1",
        facts["power"],
        facts["energy"],
        charge_efficiency=facts["charge"],
        discharge_efficiency=facts["discharge"],
        wear=price(facts.get("cost", 0.0)),
        standing_loss_percent_per_day=100.0 * (1.0 - (1.0 - facts.get("loss", 0.0)) ** 24),
    )


def to_input(case: dict[str, Any]) -> PlanInput:
    """Return a case as the input of a plan.

    A plant without weather is a genset that is always on; `ramp` ones move from what they like.
    """
    n = len(case["demand"])
    units, plants = dict(case.get("units", {})), case.get("plants", {})
    always = {name: one for name, one in plants.items() if "available" not in one}
    units |= {name: {**one, "before": 99} for name, one in always.items()}
    weather = {name: one for name, one in plants.items() if "available" in one}
    sun = {name: one for name, one in weather.items() if name == "sun"}
    wind = {name: one for name, one in weather.items() if name != "sun"}
    stores, grid = case.get("stores", {}), case.get("grid")
    known = grid or {"import": 0.0, "export": 0.0, "buy": [0.0] * n, "sell": [0.0] * n}
    away = known.get("away", [])
    shed = case.get("shed")
    free = any("ramp_up" in one for one in always.values())
    # there nothing of what was stored before is lost in the first hour
    initial = np.array([one["initial"] / (1.0 - one.get("loss", 0.0)) for one in stores.values()])
    kept = np.array([bool(one.get("cyclic")) for one in stores.values()], dtype=bool)

    def available(some: dict[str, Any]) -> Any:
        rows = [one["power"] * np.array(one["available"], dtype=float) for one in some.values()]
        return np.array(rows).reshape(len(some), n)

    return PlanInput(
        start_s=0,
        interval_s=3600,
        battery=tuple(_battery(name, one) for name, one in stores.items()),
        solar=tuple(
            Solar(name, "u-1", one["power"], operating=price(one.get("cost", 0.0)))
            for name, one in sun.items()
        ),
        wind=tuple(
            Wind(name, "u-1", one["power"], operating=price(one.get("cost", 0.0)))
            for name, one in wind.items()
        ),
        genset=tuple(_genset(name, one) for name, one in units.items()),
        shedding=() if shed is None else (Shedding("shed", ("u-1",), price(shed["cost"])),),
        grid=GridConnection(
            "grid",
            known["import"],
            known["export"],
            (GridPrice("00:00", Price(0), Price(0)),),
            co2_g_per_kwh=1e3 * known.get("emission", 0.0),
        ),
        demand_kw=np.array(case["demand"], dtype=float),
        solar_available_kw=available(sun),
        wind_available_kw=available(wind),
        sheddable_kw=np.full((0 if shed is None else 1, n), 0.0 if shed is None else shed["power"]),
        buy_price=np.array(known["buy"], dtype=float),
        sell_price=np.array(known["sell"], dtype=float),
        end_value_per_kwh=0.0,
        grid_available=np.array([grid is not None and t not in away for t in range(n)]),
        battery_energy_kwh=initial,
        genset_on=np.array([one["before"] > 0 for one in units.values()], dtype=bool),
        genset_intervals_in_state=np.array(
            [abs(one["before"]) for one in units.values()], dtype=np.int64
        ),
        reserve_kw=np.zeros(n),
        end_energy_min_kwh=np.where(kept, initial, 0.0),
        genset_output_kw=None
        if free
        else np.array(
            [
                float(one.get("output_before", one["least"])) if one["before"] > 0 else 0.0
                for one in units.values()
            ]
        ),
        co2_price_per_kg=case.get("emission_price", 0.0),
        co2_cap_kg=case.get("emission_cap"),
    )
