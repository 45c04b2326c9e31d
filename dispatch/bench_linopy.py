"""The day of :mod:`dispatch.bench_direct` stated in linopy: a layer that states by arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from dispatch.plan import PlanInput, per_kwh


def stated(day: PlanInput) -> Any:
    """Return the HiGHS solver to which linopy has passed the day's problem.

    Parameters
    ----------
    day : PlanInput
        Without gensets, reserve and cuts.
    """
    import linopy

    model: Any = linopy.Model()
    time = pd.RangeIndex(day.n, name="t")
    stores = pd.RangeIndex(len(day.battery), name="b")
    plants = pd.RangeIndex(len(day.solar) + len(day.wind) + len(day.shedding), name="p")
    ahead = pd.RangeIndex(day.n - 1, name="t1")

    def facts(name: str) -> Any:
        return np.array([[getattr(battery, name)] for battery in day.battery], dtype=np.float64)

    def flow(name: str, high: Any) -> Any:
        most = np.broadcast_to(high, (len(stores), day.n))
        return model.add_variables(lower=0.0, upper=most, coords=[stores, time], name=name)

    charge, discharge = flow("charge", facts("power_kw")), flow("discharge", facts("power_kw"))
    least = np.broadcast_to(facts("min_energy_kwh"), (len(stores), day.n))
    energy = model.add_variables(
        lower=least,
        upper=np.broadcast_to(facts("energy_kwh"), least.shape),
        coords=[stores, time],
        name="energy",
    )
    available = [day.solar_available_kw, day.wind_available_kw, day.sheddable_kw]
    given = model.add_variables(
        lower=0.0, upper=np.concatenate(available), coords=[plants, time], name="given"
    )
    there = day.grid_available.astype(np.float64)
    drawn = model.add_variables(
        lower=0.0, upper=day.grid.import_limit_kw * there, coords=[time], name="drawn"
    )
    fed = model.add_variables(
        lower=0.0, upper=day.grid.export_limit_kw * there, coords=[time], name="fed"
    )
    balance = given.sum("p") + discharge.sum("b") - charge.sum("b") + drawn - fed
    model.add_constraints(balance == day.demand_kw, name="balance")
    gain = day.hours * facts("charge_efficiency")[:, 0]
    loss = day.hours / facts("discharge_efficiency")[:, 0]
    moved = energy - charge * _by(stores, gain) + discharge * _by(stores, loss)
    later, before = (
        energy_part.rename(t="t1").assign_coords(t1=ahead)
        for energy_part in (moved.isel(t=slice(1, None)), (1.0 * energy).isel(t=slice(None, -1)))
    )
    model.add_constraints(later - before == 0.0, name="dynamics")
    first = moved.isel(t=0, drop=True)
    model.add_constraints(first == _by(stores, day.battery_energy_kwh), name="first")
    wear = day.hours * np.array([per_kwh(battery.wear) for battery in day.battery])
    penalty = np.zeros(len(plants))
    penalty[len(day.solar) + len(day.wind) :] = [
        day.hours * per_kwh(s.penalty) for s in day.shedding
    ]
    worth = -day.end_value_per_kwh * facts("discharge_efficiency")[:, 0]
    last = (1.0 * energy).isel(t=-1, drop=True) * _by(stores, worth)
    cost = (discharge * _by(stores, wear)).sum() + (given * _by(plants, penalty)).sum() + last.sum()
    cost += (drawn * _by(time, day.hours * day.buy_price)).sum()
    cost -= (fed * _by(time, day.hours * day.sell_price)).sum()
    model.add_objective(cost)
    return linopy.io.to_highspy(model, set_names=False)


def _by(index: pd.RangeIndex, values: Any) -> Any:
    import xarray as xr

    return xr.DataArray(np.asarray(values, dtype=np.float64), coords=[index])
