"""A small site under control: a battery, a plant, a turbine, a genset, loads; no field needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from dispatch.plan import PlanInput
from grid import interval
from grid.operation import commission
from grid.operation.room import Room
from grid.store import Store, control

AT_S = interval.parse("2026-05-27T14:00+04:00")
ANNA, BORIS = "anna@example.org", "boris@example.org"

TOML = """
id = "hamlet"
name = "Hamlet"
time_zone = "Asia/Baku"
currency = "AZN"
interval_s = 900
[network]
source = "simbench:1-LV-rural2--2-sw"
[field]
kind = "simulated"
[operation]
[market]
mechanism = "uniform_price"
profile = "sandbox"
feed_in = "0.05"
shortfall = "0.15"
surplus = "0.04"
grid_fee = "0.01"
battery_use_fee = "0.02"
[control]
two_person_kw = 45
[[control.ramp]]
asset = "DG-1"
kw_per_min = 0.5
[[control.ramp]]
asset = "BAT-2"
kw_per_min = 0.2
[grid]
id = "GRID"
import_limit_kw = 200
export_limit_kw = 200
[[grid.price]]
from_time = "00:00"
buy = "0.08"
sell = "0.04"
[[tariff]]
id = "home"
name = "Home"
fixed_fee = "1.00"
[[tariff.block]]
up_to_kwh = 0
price = "0.10"
[[party]]
id = "community"
name = "Community"
kind = "community"
[[meter]]
id = "M-HEAD"
protocol = "modbus"
profile = "sdm630"
role = "feeder_head"
[[usage_point]]
id = "UP-1"
bus = 25
party = "community"
kind = "community"
tariff = "home"
connection_kw = 100
[[meter]]
id = "M-1"
protocol = "modbus"
profile = "sdm630"
usage_point = "UP-1"
[[battery]]
id = "BAT-1"
usage_point = "UP-1"
power_kw = 30
energy_kwh = 60
forming = true
[[battery]]
id = "BAT-2"
usage_point = "UP-1"
power_kw = 10
energy_kwh = 20
[[solar]]
id = "PV-1"
usage_point = "UP-1"
power_kw = 40
[[wind]]
id = "WIND-1"
profile = "WP4"
usage_point = "UP-1"
power_kw = 20
[[genset]]
id = "DG-1"
usage_point = "UP-1"
power_kw = 40
min_power_kw = 5
min_up_intervals = 4
min_down_intervals = 4
fuel = "0.35"
no_load_per_hour = "1.2"
start = "3.0"
[[shedding]]
id = "SHED-1"
usage_points = ["UP-1"]
penalty = "5.0"
"""


@contextmanager
def room_of(folder: Path, text: str = TOML) -> Iterator[Room]:
    """Yield a control room without a field, at :data:`AT_S`."""
    site = commission.commission(folder, text, at_s=AT_S, seed=1)
    store = Store.at(folder)
    with store.write() as tx:
        control.put_meta(tx, "clock_s", str(AT_S))
    none: Any = None
    yield Room(folder, site, store, none, AT_S, memory={"safe share": 0.5})
    store.close()


def asked(room: Room, n: int = 8, **changes: Any) -> PlanInput:
    """Return what a plan is made from when the batteries are half full and the sun shines."""
    site, ones = room.site, np.ones(n)
    facts: dict[str, Any] = {
        "start_s": AT_S,
        "interval_s": 900,
        "battery": site.battery,
        "solar": site.solar,
        "wind": site.wind,
        "genset": site.genset,
        "shedding": site.shedding,
        "grid": site.grid,
        "demand_kw": 50.0 * ones,
        "solar_available_kw": 30.0 * ones[None, :],
        "wind_available_kw": 5.0 * ones[None, :],
        "sheddable_kw": 20.0 * ones[None, :],
        "buy_price": 0.08 * ones,
        "sell_price": 0.04 * ones,
        "end_value_per_kwh": 0.05,
        "grid_available": np.ones(n, np.bool_),
        "battery_energy_kwh": np.array([30.0, 10.0]),
        "genset_on": np.array([False]),
        "genset_intervals_in_state": np.array([1]),
        "reserve_kw": 0.0 * ones,
    }
    return PlanInput(**{**facts, **changes})
