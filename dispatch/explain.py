"""Why a plan does what it does, as codes with parameters, and in English.

The prices compared are the plan's own: the marginal price of a kWh now, and the worth of a
stored kWh, both duals of the plan with its on/off decisions held. The console translates
`code` and `params`; :data:`dispatch.reasons.TEXT` is the English and the list of all codes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr

from dispatch.asked import asked_most_kw, short_reasons
from dispatch.assets.genset import forced_steps
from dispatch.check import survival_missing
from dispatch.plan import Floats, PlanInput, Reason, Value, currency, per_kwh
from dispatch.reasons import TEXT, bus_of, reason
from grid.site import Battery, Genset, Shedding, Solar, Wind
from grid.site_devices import Charger, Flexible, Heat

__all__ = ["SMALL", "TEXT", "Duals", "bus_of", "explain", "reason"]

SMALL = 1e-4
"""kW, kWh or currency per kWh below which something counts as nothing in words."""


@dataclass(frozen=True, eq=False)
class Duals:
    """Shadow prices of a plan, currency: `price` per kWh in each step; `stored` per kWh in each
    battery after the first step; `cut` per kW of each cut's scaled limit, >= 0."""

    price: Floats
    stored: Floats
    cut: Floats


class _First:
    """The first step of a plan, as the explanations see it."""

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
        return float(self.columns[name][self.row[asset]])

    def community(self, name: str) -> float:
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
        return not self.islanded and self.community("import_kw") > self.most("import") - SMALL

    @property
    def export_full(self) -> bool:
        return not self.islanded and self.community("export_kw") > self.most("export") - SMALL


def explain(plan_input: PlanInput, schedule: xr.Dataset, duals: Duals) -> tuple[Reason, ...]:
    """Return a reason for each asset's first step, for the grid's, and for the plan.

    Parameters
    ----------
    plan_input : PlanInput
    schedule : xarray.Dataset
        As in :class:`dispatch.plan.Plan`.
    duals : Duals
    """
    first = _First(plan_input, schedule, duals)
    reasons = [
        *(_battery(first, asset, i) for i, asset in enumerate(plan_input.battery)),
        *(_limited(first, asset) for asset in plan_input.solar),
        *(_limited(first, asset) for asset in plan_input.wind),
        *(_genset(first, asset, i) for i, asset in enumerate(plan_input.genset)),
        *(_shedding(first, asset) for asset in plan_input.shedding),
        *(_vehicle(first, asset, i) for i, asset in enumerate(plan_input.charger)),
        *(_flexible(first, asset) for asset in plan_input.flexible),
        *(_heat(first, tank) for tank in plan_input.heat),
        _grid(first),
        *_missed(first),
        *short_reasons(plan_input, schedule, SMALL),
    ]
    short = schedule["reserve_short_kw"].values
    if float(short.max()) > SMALL:
        t = int(np.flatnonzero(short > SMALL)[0])
        reasons.append(
            reason(
                "plan",
                "reserve.short",
                short_kw=float(short.max()),
                at=plan_input.label(t),
                reserve_kw=float(plan_input.reserve_kw[t]),
            )
        )
    missing = survival_missing(plan_input, schedule)
    if float(missing.max()) > SMALL:
        t = int(missing.argmax())
        reasons.append(
            reason(
                "plan",
                "survival.short",
                hours=plan_input.survive_steps * plan_input.hours,
                at=plan_input.label(t + 1),
                short_kwh=float(missing[t]),
            )
        )
    return tuple(reasons)


def _battery(first: _First, battery: Battery, row: int) -> Reason:
    b, price = battery.id, first.price
    stored = float(first.duals.stored[row])
    earns = battery.charge_efficiency * stored
    keeps = stored / battery.discharge_efficiency + per_kwh(battery.wear)
    charge, discharge = first.of(b, "charge_kw"), first.of(b, "discharge_kw")
    energy = first.of(b, "energy_kwh")
    for_outage = first.holds_for_outage(battery, row)
    if charge > SMALL:
        if first.islanded:
            return reason(b, "charge.islanded", power_kw=charge)
        if for_outage:
            return reason(b, "charge.before_outage", power_kw=charge, outage_at=first.outage_at)
        withheld = float(first.columns["curtail_kw"].sum())
        surplus = first.community("export_kw") > SMALL or withheld > SMALL
        code = "charge.surplus" if surplus else "charge.cheap_now"
        worth = first.displaces(battery, row)
        return reason(b, code, power_kw=charge, price_now=price, value_later=worth)
    if discharge > SMALL:
        if first.islanded:
            return reason(b, "discharge.islanded", power_kw=discharge)
        if first.import_full:
            limit = first.most("import")
            return reason(b, "discharge.import_limit", power_kw=discharge, limit_kw=limit)
        return reason(
            b, "discharge.dear_now", power_kw=discharge, price_now=price, value_later=keeps
        )
    if price > keeps and (cut := first.binding(b)):
        return reason(b, "idle.voltage", **cut)
    if energy > battery.energy_kwh - SMALL and price < earns:
        return reason(b, "idle.full", energy_kwh=energy)
    if energy < battery.min_energy_kwh + SMALL and price > keeps:
        return reason(b, "idle.empty", energy_kwh=energy)
    if first.islanded and battery.forming and first.input.reserve_kw[0] > 0.0:
        return reason(b, "idle.reserve", reserve_kw=float(first.input.reserve_kw[0]))
    if for_outage:
        return reason(b, "idle.before_outage", energy_kwh=energy, outage_at=first.outage_at)
    return reason(b, "idle.spread", price_now=price, charge_worth=earns, keep_worth=keeps)


def _limited(first: _First, plant: Solar | Wind) -> Reason:
    p = plant.id
    given, withheld = first.of(p, "produce_kw"), first.of(p, "curtail_kw")
    if withheld <= SMALL:
        if given <= SMALL:
            return reason(p, "produce.none")
        return reason(p, "produce.all", power_kw=given)
    if cut := first.binding(p):
        return reason(p, "curtail.voltage", curtail_kw=withheld, **cut)
    if first.islanded:
        return reason(p, "curtail.islanded", curtail_kw=withheld)
    sells = float(first.input.sell_price[0])
    if sells < 0.0:
        return reason(p, "curtail.negative_price", curtail_kw=withheld, price_now=sells)
    if first.export_full:
        limit = first.most("export")
        return reason(p, "curtail.export_limit", curtail_kw=withheld, limit_kw=limit)
    return reason(p, "curtail.surplus", curtail_kw=withheld)


def _genset(first: _First, genset: Genset, row: int) -> Reason:
    g = genset.id
    running = bool(first.columns["on"][first.row[g]])
    steps = forced_steps(first.input, row)
    output = first.of(g, "produce_kw")
    at_kw = output if running and output > SMALL else genset.power_kw
    cost = per_kwh(genset.fuel) + currency(genset.no_load_per_hour) / at_kw
    if steps:
        return reason(g, "genset.min_up" if running else "genset.min_down", steps=steps)
    if not running:
        return reason(g, "genset.dear", cost=cost, price_now=first.price)
    if first.islanded:
        return reason(g, "genset.islanded", power_kw=output)
    return reason(g, "genset.cheaper", power_kw=output, cost=cost, price_now=first.price)


def _shedding(first: _First, group: Shedding) -> Reason:
    s = group.id
    shed = first.of(s, "shed_kw")
    if shed <= SMALL:
        return reason(s, "serve.all")
    if cut := first.binding(s):
        return reason(s, "shed.voltage", power_kw=shed, **cut)
    if first.islanded:
        return reason(s, "shed.islanded", power_kw=shed)
    if first.import_full:
        limit = first.most("import")
        return reason(s, "shed.import_limit", power_kw=shed, limit_kw=limit)
    return reason(s, "shed.short", power_kw=shed, price_now=first.price)


def _vehicle(first: _First, charger: Charger, row: int) -> Reason:
    c = charger.id
    charge, discharge = first.of(c, "charge_kw"), first.of(c, "discharge_kw")
    if charge > SMALL:
        return reason(c, "vehicle.charges", power_kw=charge, price_now=first.price)
    if discharge > SMALL:
        return reason(c, "vehicle.gives", power_kw=discharge, price_now=first.price)
    there = first.input.ev_connected is not None and bool(first.input.ev_connected[row, 0])
    return reason(c, "vehicle.waits" if there else "vehicle.none")


def _flexible(first: _First, load: Flexible) -> Reason:
    taken = first.of(load.id, "charge_kw")
    if taken > SMALL:
        return reason(load.id, "flexible.takes", power_kw=taken, price_now=first.price)
    return reason(load.id, "flexible.waits")


def _heat(first: _First, tank: Heat) -> Reason:
    boiler, held = first.of(tank.id, "boiler_kw"), first.of(tank.id, "energy_kwh")
    if boiler > SMALL:
        return reason(tank.id, "heat.boiler", power_kw=boiler, energy_kwh=held)
    return reason(tank.id, "heat.tank", energy_kwh=held)


def _missed(first: _First) -> Iterator[Reason]:
    """Yield each target and corridor that power and time do not reach, at its worst."""
    if "missed_kwh" not in first.schedule:
        return
    missed = first.schedule["missed_kwh"].values
    movable: tuple[Charger | Flexible | Heat, ...] = (
        *first.input.charger, *first.input.flexible, *first.input.heat,
    )  # fmt: skip
    for asset in movable:
        row = missed[first.row[asset.id]]
        if float(row.max(initial=0.0)) <= SMALL:
            continue
        if not isinstance(asset, Charger):
            t = int(row.argmax())
            at, short = first.input.label(t), float(row[t])
            code = "flexible.misses" if isinstance(asset, Flexible) else "heat.misses"
            yield reason(asset.id, code, short_kwh=short, at=at)
            continue
        targets = first.input.ev_target_kwh
        assert targets is not None
        own = targets[first.input.charger.index(asset)]
        for t in np.flatnonzero(row > SMALL).tolist():
            yield reason(
                asset.id,
                "vehicle.misses",
                target_kwh=float(own[t]),
                at=first.input.label(t + 1),
                short_kwh=float(row[t]),
            )


def _grid(first: _First) -> Reason:
    g = first.input.grid.id
    if first.islanded:
        return reason(g, "grid.outage")
    drawn, fed = first.community("import_kw"), first.community("export_kw")
    if drawn > SMALL:
        if first.import_full:
            return reason(g, "grid.import_limit", power_kw=drawn)
        price = float(first.input.buy_price[0])
        return reason(g, "grid.import", power_kw=drawn, price_now=price)
    if fed > SMALL:
        if first.export_full:
            return reason(g, "grid.export_limit", power_kw=fed)
        price = float(first.input.sell_price[0])
        return reason(g, "grid.export", power_kw=fed, price_now=price)
    return reason(g, "grid.none")
