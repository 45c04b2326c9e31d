"""Communities to plan: a tiny one that every test shapes, and one of the demo's size."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dispatch.plan import LinearCut, PlanInput
from grid.site import Battery, Genset, GridConnection, GridPrice, Price, Shedding, Solar, Wind

START_S = 1_792_540_800


def per_kwh(price: float) -> int:
    return round(price * 1e6)


def money(amount: float) -> int:
    return round(amount * 1e9)


def grid(import_kw: float = 100.0, export_kw: float = 0.0) -> GridConnection:
    return GridConnection(
        "grid-1", import_kw, export_kw, (GridPrice("00:00", Price(84), Price(50)),)
    )


def battery(name: str = "bat-1", power: float = 5.0, energy: float = 10.0, **facts: Any) -> Battery:
    facts = {"charge_efficiency": 0.9, "discharge_efficiency": 0.9, **facts}
    return Battery(name, "u-1", power, energy, **facts)


def genset(name: str = "gen-1", power: float = 20.0, least: float = 5.0, **facts: Any) -> Genset:
    costs = {
        "fuel": per_kwh(facts.pop("fuel", 0.3)),
        "no_load_per_hour": money(facts.pop("no_load", 0.5)),
        "start": money(facts.pop("start", 0.4)),
    }
    return Genset(name, "u-1", power, least, **costs, **facts)


def community(n: int, *, hours: float = 1.0, **fields: Any) -> PlanInput:
    """Return `n` steps of a community with nothing but a grid, and with `fields` instead."""
    facts = {"battery": (), "solar": (), "wind": (), "genset": (), "shedding": (), **fields}
    b, g = len(facts["battery"]), len(facts["genset"])
    base = {
        "start_s": START_S,
        "interval_s": round(3600 * hours),
        "grid": grid(),
        "demand_kw": np.zeros(n),
        "solar_available_kw": np.zeros((len(facts["solar"]), n)),
        "wind_available_kw": np.zeros((len(facts["wind"]), n)),
        "sheddable_kw": np.zeros((len(facts["shedding"]), n)),
        "buy_price": np.full(n, 0.1),
        "sell_price": np.zeros(n),
        "end_value_per_kwh": 0.0,
        "grid_available": np.ones(n, dtype=bool),
        "battery_energy_kwh": np.zeros(b),
        "genset_on": np.zeros(g, dtype=bool),
        "genset_intervals_in_state": np.full(g, 96),
        "reserve_kw": np.zeros(n),
    }
    values = {**base, **facts}
    floats = ("demand_kw", "buy_price", "sell_price", "battery_energy_kwh", "sheddable_kw")
    for name in (*floats, "solar_available_kw", "wind_available_kw", "reserve_kw"):
        values[name] = np.asarray(values[name], dtype=np.float64)
    values["grid_available"] = np.asarray(values["grid_available"], dtype=bool)
    values["genset_on"] = np.asarray(values["genset_on"], dtype=bool)
    values["genset_intervals_in_state"] = np.asarray(values["genset_intervals_in_state"])
    return PlanInput(**values)


def demo_day(outage: range = range(0), cuts: int = 0, seed: int = 0, **fields: Any) -> PlanInput:
    """Return a day of 96 quarter-hours with 9 batteries, 11 plants, a turbine and a genset."""
    n, t = 96, np.arange(96)
    rng = np.random.default_rng(seed)
    losses = {"charge_efficiency": 0.95, "discharge_efficiency": 0.95}
    batteries = (
        battery("bat-c", 40.0, 100.0, min_energy_kwh=5.0, wear=12_000, forming=True, **losses),
        *(
            battery(f"bat-{i}", 3.3, 6.5, min_energy_kwh=0.3, wear=20_000, **losses)
            for i in range(8)
        ),
    )
    plants = tuple(Solar(f"pv-{i}", "u-1", 5.0 + i) for i in range(11))
    rating = np.array([plant.power_kw for plant in plants])
    demand = 45.0 + 20.0 * np.sin((t - 60) / 96 * 2 * np.pi) + rng.normal(0.0, 3.0, n)
    sun = np.clip(np.sin((t - 24) / 48 * np.pi), 0.0, None) * (0.7 + 0.3 * rng.random(n))
    price = np.where((t >= 32) & (t < 92), 0.12, 0.06)
    price[(t > 72) & (t < 84)] = 0.18
    available = np.ones(n, dtype=bool)
    available[list(outage)] = False
    ids = [asset.id for asset in (*batteries, *plants)]
    rows = tuple(
        LinearCut(
            int(rng.integers(30, 66)),
            f"vm_pu bus {k} <= 1.05",
            {
                asset: float(weight)
                for asset, weight in zip(ids, rng.random(20) * 1e-3, strict=True)
            },
            0.025,
        )
        for k in range(cuts)
    )
    day = community(
        n,
        hours=0.25,
        grid=grid(150.0, 100.0),
        battery=batteries,
        solar=plants,
        wind=(Wind("wind-1", "u-1", 30.0),),
        genset=(
            genset(
                power=60.0,
                least=15.0,
                fuel=0.38,
                no_load=2.0,
                start=3.0,
                min_up_intervals=4,
                min_down_intervals=4,
            ),
        ),
        shedding=(Shedding("shed-1", ("u-1",), Price(per_kwh(2.0))),),
        demand_kw=demand,
        solar_available_kw=rating[:, np.newaxis] * sun,
        wind_available_kw=np.clip(rng.normal(10.0, 6.0, (1, n)), 0.0, 30.0),
        sheddable_kw=0.4 * demand[np.newaxis, :],
        buy_price=price,
        sell_price=np.full(n, 0.05),
        end_value_per_kwh=0.08,
        grid_available=available,
        battery_energy_kwh=np.array([50.0] + [3.0] * 8),
        reserve_kw=np.full(n, 8.0),
        cuts=rows,
    )
    return replace(day, **fields)


@pytest.fixture(name="community", scope="session")
def community_fixture() -> Callable[..., PlanInput]:
    return community


@pytest.fixture(name="demo_day", scope="session")
def demo_day_fixture() -> Callable[..., PlanInput]:
    return demo_day


@pytest.fixture(name="make", scope="session")
def make_fixture() -> Any:
    """The facts a test asks for by name: ``make.battery(...)``."""

    class Make:
        battery = staticmethod(battery)
        genset = staticmethod(genset)
        grid = staticmethod(grid)

    return Make
