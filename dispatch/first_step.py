"""The first step of a plan as its explanations see it: flows, prices and what binds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from dispatch.asked import asked_most_kw
from dispatch.plan import Floats, PlanInput, Value, per_kwh
from dispatch.reasons import bus_of
from grid.site import Battery

SMALL = 1e-4
"""kW, kWh or currency per kWh below which something counts as nothing in words."""


@dataclass(frozen=True, eq=False)
class Duals:
    """Shadow prices of a plan, currency: `price` per kWh in each step; `stored` per kWh in each
    battery after each step; `cut` per kW of each cut's scaled limit, >= 0."""

    price: Floats
    stored: Floats
    cut: Floats


class First:
    """The first step of a plan, as the explanations see it.

    Attributes
    ----------
    input : PlanInput
    schedule : xarray.Dataset
    duals : Duals
    price : float
        Of a kWh in the step, currency.
    islanded : bool
    columns : dict of str to ndarray
        Of the schedule, (asset,) or a number.
    row : dict of str to int
    outage : int
        First step of the next outage; 0 where there is none.
    outage_at : str
    """

    def __init__(self, plan_input: PlanInput, schedule: xr.Dataset, duals: Duals) -> None:
        self.input = plan_input
        self.duals = duals
        self.price = float(duals.price[0])
        self.islanded = not bool(plan_input.grid_available[0])
        self.row = {asset: i for i, asset in enumerate(plan_input.asset_ids)}
        self.columns = {
            name: schedule[name].values[..., 0]
            for name in schedule.data_vars
            if "interval" in schedule[name].dims
        }
        self.schedule = schedule
        dark = np.flatnonzero(~plan_input.grid_available)
        self.outage = int(dark[0]) if dark.size and not self.islanded else 0
        self.outage_at = plan_input.label(self.outage) if self.outage else ""

    def of(self, asset: str, name: str) -> float:
        """Return a flow of an asset in the step, kW, or its stored energy after it, kWh."""
        return float(self.columns[name][self.row[asset]])

    def community(self, name: str) -> float:
        """Return a flow of the whole community in the step, kW."""
        return float(self.columns[name])

    def binding(self, asset: str) -> dict[str, Value]:
        """Return the binding cut of the first step that weighs most on `asset`."""
        best, found = 0.0, ""
        for cut, dual in zip(self.input.cuts, self.duals.cut, strict=True):
            weight = abs(cut.coefficient.get(asset, 0.0)) * float(dual)
            if cut.step == 0 and weight > best:
                best, found = weight, cut.name
        return {"cut": found, "bus": bus_of(found)} if found else {}

    def holds_for_outage(self, battery: Battery, row: int) -> bool:
        """Return whether stored energy is kept until the next outage and used in it."""
        if not self.outage:
            return False
        stored = self.schedule["energy_kwh"].values[row, : self.outage]
        used = self.schedule["discharge_kw"].values[row, self.outage :]
        used = used[~self.input.grid_available[self.outage :]]
        return bool(stored.min() > battery.min_energy_kwh + SMALL and used.max() > SMALL)

    def displaces(self, battery: Battery, row: int) -> float:
        """Return what a kWh charged now saves when it is given back, currency.

        The next discharges of the battery replace import at its price, or add to export at
        its price; without any, what is left at the end has its stated worth.
        """
        given = self.schedule["discharge_kw"].values[row]
        kept = battery.charge_efficiency * battery.discharge_efficiency
        empty = np.flatnonzero(
            self.schedule["energy_kwh"].values[row, 1:] < battery.min_energy_kwh + SMALL
        )
        until = int(empty[0]) + 2 if empty.size else self.input.n
        power = given[:until]
        if float(power.sum()) <= SMALL:
            return kept * self.input.end_value_per_kwh
        sells = self.schedule["export_kw"].values[:until] > SMALL
        price = np.where(sells, self.input.sell_price[:until], self.input.buy_price[:until])
        return kept * (float(power @ price) / float(power.sum()) - per_kwh(battery.wear))

    def most(self, way: str) -> float:
        """Return the most import or export that there may be, kW."""
        return float(asked_most_kw(self.input, way)[0])

    @property
    def import_full(self) -> bool:
        """Whether import is at its limit, or at what somebody asks for."""
        return not self.islanded and self.community("import_kw") > self.most("import") - SMALL

    @property
    def export_full(self) -> bool:
        """Whether export is at its limit, or at what somebody asks for."""
        return not self.islanded and self.community("export_kw") > self.most("export") - SMALL
