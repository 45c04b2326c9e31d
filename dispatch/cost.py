"""What a schedule costs, by item: the one function by which all controllers are judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import xarray as xr

from dispatch.plan import Floats, PlanInput, currency, per_kwh
from grid.site import Genset, Solar, Wind

UNSERVED_PER_KWH = 1000.0
"""Currency: load that no controller meant to drop, dearer than all that could have saved it."""

RESERVE_PENALTY_PER_KWH = 100.0
"""Currency per kW of missing headroom and hour: above any shedding penalty in use, because
the reserve protects the load that is never shed. A plan avoids it; no day is charged for it."""


@dataclass(frozen=True, slots=True)
class DayCost:
    """Cost of a schedule by item, currency; income is negative.

    Attributes
    ----------
    grid_buy, grid_sell : float
        Energy drawn, and energy fed in (negative at a positive price).
    fuel, no_load, starts : float
        Of the gensets; starts with stops.
    co2 : float
        Emissions of gensets and of import, at `co2_price_per_kg`.
    peak : float
        Demand charge of what the highest import rose by.
    wear : float
        Of the batteries, by energy discharged.
    shedding : float
        Energy not served, at each group's penalty.
    unserved : float
        Load lost beyond shedding, at `UNSERVED_PER_KWH`.
    end_energy : float
        Deliverable energy taken out of the batteries over the day, at `end_value_per_kwh`.
    missed : float
        What targets of vehicles, corridors of flexible loads and needs of heat lack.
    operating : float
        Of solar and wind, by energy produced.
    boiler : float
        Heat of boilers.
    """

    grid_buy: float
    grid_sell: float
    fuel: float
    no_load: float
    starts: float
    co2: float
    peak: float
    wear: float
    shedding: float
    unserved: float
    end_energy: float
    missed: float = 0.0
    operating: float = 0.0
    boiler: float = 0.0

    @property
    def total(self) -> float:
        """Sum of the items."""
        return float(sum(getattr(self, item.name) for item in fields(self)))


def day_cost(day: PlanInput, schedule: xr.Dataset) -> DayCost:
    """Return what `schedule` costs at the prices of `day`.

    Parameters
    ----------
    day : PlanInput
        Prices, facts and the state before the first step.
    schedule : xarray.Dataset
        As in :class:`dispatch.plan.Plan`: planned, simulated or as metered. Of a metered day
        are used ``import_kw export_kw unserved_kw discharge_kw produce_kw shed_kw on`` and the
        last ``energy_kwh``.
    """
    h = day.hours

    def of(kind: str, name: str) -> Floats:
        rows: Floats = schedule[name].values[day.rows(kind)]
        return rows

    output, running = of("genset", "produce_kw"), of("genset", "on").astype(np.float64)
    bought = schedule["import_kw"].values
    highest = max(day.peak_kw, float(bought.max(initial=0.0)))
    discharged, shed = of("battery", "discharge_kw"), of("shedding", "shed_kw")
    taken = day.battery_energy_kwh - of("battery", "energy_kwh")[:, -1]
    deliverable = np.array([battery.discharge_efficiency for battery in day.battery])
    return DayCost(
        grid_buy=h * float(day.buy_price @ bought),
        grid_sell=-h * float(day.sell_price @ schedule["export_kw"].values),
        fuel=h * sum(_fuel(g, output[i]) for i, g in enumerate(day.genset)),
        no_load=h
        * sum(
            currency(g.no_load_per_hour) * float(running[i].sum()) for i, g in enumerate(day.genset)
        ),
        starts=sum(_switched(day, i, running[i] > 0.5) for i in range(len(day.genset))),
        co2=h
        * (day.co2_price_per_kg / 1e3)
        * (
            day.grid.co2_g_per_kwh * float(bought.sum())
            + sum(g.co2_g_per_kwh * float(output[i].sum()) for i, g in enumerate(day.genset))
        ),
        peak=currency(day.grid.demand_charge) * (highest - day.peak_kw),
        wear=h
        * (
            sum(per_kwh(b.wear) * float(discharged[i].sum()) for i, b in enumerate(day.battery))
            + sum(
                per_kwh(c.wear) * float(of("charger", "discharge_kw")[i].sum())
                for i, c in enumerate(day.charger)
            )
        ),
        shedding=h
        * sum(per_kwh(s.penalty) * float(shed[i].sum()) for i, s in enumerate(day.shedding)),
        unserved=h * UNSERVED_PER_KWH * float(schedule["unserved_kw"].values.sum()),
        end_energy=day.end_value_per_kwh * float(deliverable @ taken),
        missed=sum(
            per_kwh(one.missed) * float(lacking.sum())
            for kind in ("charger", "flexible", "heat")
            if getattr(day, kind)
            for one, lacking in zip(getattr(day, kind), of(kind, "missed_kwh"), strict=True)
        ),
        operating=h
        * (
            _operating(day.solar, of("solar", "produce_kw"))
            + _operating(day.wind, of("wind", "produce_kw"))
        ),
        boiler=h
        * sum(
            per_kwh(tank.boiler) * float(of("heat", "boiler_kw")[i].sum())
            for i, tank in enumerate(day.heat)
        ),
    )


def _operating(plants: Sequence[Solar | Wind], produced: Floats) -> float:
    each = zip(plants, produced, strict=True)
    return sum(per_kwh(plant.operating) * float(given.sum()) for plant, given in each)


def _fuel(genset: Genset, output: Floats) -> float:
    """Return what an hour at each output costs in fuel, summed, currency."""
    edges = [0.0, *(one.from_kw for one in genset.fuel_segment), np.inf]
    prices = [per_kwh(price) for price in (genset.fuel, *(s.fuel for s in genset.fuel_segment))]
    return sum(
        price * float(np.clip(output - low, 0.0, high - low).sum())
        for price, low, high in zip(prices, edges[:-1], edges[1:], strict=True)
    )


def _switched(day: PlanInput, row: int, on: npt.NDArray[np.bool_]) -> float:
    """Return what the starts and stops of a genset cost, currency."""
    genset, was = day.genset[row], bool(day.genset_on[row])
    stood = 0 if was else int(day.genset_intervals_in_state[row])
    spent = 0.0
    for now in on.tolist():
        if now and not was:
            known = [
                genset.start,
                *(c.start for c in genset.cold_start if stood >= c.after_intervals),
            ]
            spent += currency(known[-1])
        elif was and not now:
            spent += currency(genset.stop)
        stood = 0 if now else stood + 1
        was = now
    return spent
