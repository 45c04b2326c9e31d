"""A street with batteries: its plan is made, and agents offer by it, in every cycle."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import xarray as xr

from dispatch.plan import NEW_PLAN, PlanInput, per_kwh
from dispatch.solve import solve
from grid import interval
from grid.operation import agreements, billing, market, offering, record, settling
from grid.store import control, datasets
from tests.operation.month_site import STEP_S, Month, begin
from tests.operation.replay_site import SHORT
from tests.operation.test_month import BAKU

BATTERIES = "".join(
    f"""
[[battery]]
id = "BAT-{n}"
usage_point = "UP-{n}"
power_kw = 1.0
energy_kwh = 2.0
min_energy_kwh = 0.2
initial_energy_kwh = 1.0
wear = "0.006"
"""
    for n in (1, 2)
)
"""UP-1 has a roof, UP-2 has none."""
LAST_DAY = date(2026, 6, 30)
START_S, _ = interval.day_bounds(LAST_DAY, "Asia/Baku")
BEFORE, COUNT = 4, 62
AHEAD = 32
PRICES = "".join(
    f'[[grid.price]]\nfrom_time = "{at}"\nbuy = "{buy}"\nsell = "{sell}"\n'
    for at, buy, sell in (
        ("00:00", "0.075", "0.030"),
        ("09:00", "0.140", "0.120"),
        ("11:00", "0.060", "0.030"),
    )
)
"""First a kWh in a battery is worth more than others' surplus, in the end less than retail."""


def text() -> str:
    """Return the street's site file, with two batteries."""
    made = BAKU.replace("2026-06-24", "2026-06-30") + BATTERIES
    for old, new in SHORT:
        made = made.replace(old, new)
    made = made.replace("guaranteed = true\n", "")
    head, rest = made.index("[[grid.price]]"), made.index("[[tariff]]")
    return made[:head] + PRICES + made[rest:]


class Planned(Month):
    """A street whose plan is made, and whose agents offer by it, in every cycle."""

    def cycle(self, at_s: int) -> None:
        with self.room.store.write() as tx:
            control.put_meta(tx, "clock_s", str(at_s))
        if at_s in self.at:
            self.at.pop(at_s)(self)
        self._read(at_s)
        market.seal(self.room, at_s)
        market.clear(self.room, at_s)
        self.plan(at_s)
        offering.offer(self.room, at_s)
        settling.settle_intervals(self.room, at_s)
        billing.bill(self.room, at_s)
        with self.room.store.write() as tx:
            record.checkpoint(tx, self.room.signer.sign, at_s)

    def plan(self, at_s: int, source: str = NEW_PLAN) -> None:
        """Store a forecast that knows the truth, and the optimum by it."""
        first = (at_s - self.room.first_cycle_s) // STEP_S
        net = (self.truth[:, :, 0] - self.truth[:, :, 1]) * 3600 / STEP_S / 1000
        net = np.pad(net, ((0, 0), (0, AHEAD)), mode="edge")[:, first : first + AHEAD]
        names = [f"load:{point.id}" for point in self.site.usage_point]
        forecast = xr.Dataset({"mean_kw": (("series", "interval"), net)}, {"series": names})
        site, zeros = self.site, np.zeros(AHEAD)
        prices = [market.prices_at(self.room, at_s + n * STEP_S) for n in range(AHEAD)]
        demand = net.sum(axis=0)
        given = PlanInput(
            start_s=at_s, interval_s=STEP_S, battery=site.battery, solar=(), wind=(), genset=(),
            shedding=(), grid=site.grid, demand_kw=demand - demand.min(),
            solar_available_kw=np.zeros((0, AHEAD)), wind_available_kw=np.zeros((0, AHEAD)),
            sheddable_kw=np.zeros((0, AHEAD)),
            buy_price=np.array([per_kwh(buy) for buy, _ in prices]),
            sell_price=np.array([per_kwh(sell) for _, sell in prices]),
            end_value_per_kwh=0.055, grid_available=np.ones(AHEAD, bool),
            battery_energy_kwh=np.array([one.initial_energy_kwh for one in site.battery]),
            genset_on=np.zeros(0, bool), genset_intervals_in_state=np.zeros(0, np.int64),
            reserve_kw=zeros,
        )  # fmt: skip
        with self.room.store.write() as tx:
            datasets.put_dataset(tx, "forecast", at_s, forecast)
            datasets.put_dataset(tx, "plan", at_s, solve(given).schedule)
            facts = {"status": "optimal", "source": source, "objective": 0.0, "gap": 0.0}
            control.put_plan(tx, at_s, {**facts, "rounds": 1, "cuts": 0}, {})


def begun(folder: Path, count: int) -> Planned:
    """Return a street an hour before its last day, with `count` intervals drawn."""
    street = Planned(**vars(begin(folder, text(), START_S - BEFORE * STEP_S, count, seed=5)))
    with street.room.store.write() as tx:
        control.put_secrets(tx, {"draw": b"0" * 32})
    return street


def consent(street: Month, point: str, day: date, *, battery: bool) -> None:
    """Let the battery of a usage point trade from a day on, or no longer."""
    with street.room.store.write() as tx:
        agreements.change_terms(
            tx, street.site, usage_point=point, day=day, by="member", battery=battery
        )
