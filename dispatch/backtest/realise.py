"""What a step really becomes: set-points meet the load and the weather that were not foreseen.

The grid makes up the difference, while islanded the forming batteries; beyond their limits, in
this order: less charging or discharging, more or less from gensets that run, the other way of
the batteries, withheld sun and wind or shed load; what is still missing is not served.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr

from dispatch.plan import Floats, PlanInput, empty_schedule
from dispatch.rule_step import SMALL_KW, share


def realised(actual: PlanInput, wanted: xr.Dataset) -> xr.Dataset:
    """Return the schedule of one step as it became.

    Parameters
    ----------
    actual : PlanInput
        One step: load and weather as they were, the state before.
    wanted : xarray.Dataset
        A schedule whose first step is sent.
    """
    first = {str(name): wanted[name].values[..., 0] for name in wanted.data_vars}
    battery, genset = actual.rows("battery"), actual.rows("genset")
    take, give = _limits(actual)
    charge = np.minimum(first["charge_kw"][battery], take)
    discharge = np.minimum(first["discharge_kw"][battery], give)
    on = _allowed(actual, first["on"][genset])
    most = np.where(on, [g.power_kw for g in actual.genset], 0.0)
    least = np.where(on, [g.min_power_kw for g in actual.genset], 0.0)
    output = np.clip(first["produce_kw"][genset], least, most)
    plants = slice(actual.rows("solar").start, actual.rows("wind").stop)
    available = np.concatenate(
        [actual.solar_available_kw[:, 0], actual.wind_available_kw[:, 0]]
    ).astype(np.float64)
    limit = first["limit_kw"][plants]
    produced = np.minimum(available, np.where(np.isnan(limit), np.inf, limit))
    sheddable = actual.sheddable_kw[:, 0]
    shed = np.minimum(first["shed_kw"][actual.rows("shedding")], sheddable)

    open_ = bool(actual.grid_available[0])
    drawn_most = actual.grid.import_limit_kw if open_ else 0.0
    fed_most = actual.grid.export_limit_kw if open_ else 0.0
    net = float(actual.demand_kw[0]) - float(shed.sum() + produced.sum() + output.sum())
    net += float(charge.sum() - discharge.sum())
    drawn, fed = min(max(net, 0.0), drawn_most), min(max(-net, 0.0), fed_most)
    missing = net - drawn + fed
    unserved = 0.0
    if missing > SMALL_KW:
        missing = _give(missing, charge, -1.0)
        missing = _give(missing, output, 1.0, most)
        # a battery that still charges has nothing to give
        missing = _give(missing, discharge, 1.0, np.where(charge > 0.0, 0.0, give))
        missing = _give(missing, shed, 1.0, sheddable)
        unserved = max(0.0, missing)
    elif missing < -SMALL_KW:
        surplus = _give(-missing, discharge, -1.0)
        surplus = _give(surplus, charge, 1.0, np.where(discharge > 0.0, 0.0, take))
        surplus = _give(surplus, output, -1.0, least)
        surplus = _give(surplus, produced, -1.0)
        # what must run has no outlet: it goes below its least load
        _give(surplus, output, -1.0)
    return _schedule(
        actual, charge, discharge, on, output, available, produced, shed, drawn, fed, unserved
    )


def _give(amount: float, flows: Floats, way: float, until: Floats | None = None) -> float:
    """Move `flows` up or down towards their ends, in place; return what is left of `amount`."""
    ends = np.zeros_like(flows) if until is None else until
    room = np.clip(way * (ends - flows), 0.0, None)
    moved = share(amount, room)
    flows += way * moved
    return amount - float(moved.sum())


def _limits(actual: PlanInput) -> tuple[Floats, Floats]:
    """Return what each battery can take and give in the step, kW."""
    stored = zip(actual.battery, actual.battery_energy_kwh.tolist(), strict=True)
    found = [battery.headroom_kw(energy, actual.hours) for battery, energy in stored]
    take, give = np.array(found, dtype=np.float64).reshape(-1, 2).T
    return take, give


def _allowed(actual: PlanInput, wanted: Floats) -> npt.NDArray[np.bool_]:
    """Return which gensets run: as wanted where their minimum times let them."""
    on = np.array(wanted, dtype=np.bool_)
    for i, genset in enumerate(actual.genset):
        was = bool(actual.genset_on[i])
        least = genset.min_up_intervals if was else genset.min_down_intervals
        if int(actual.genset_intervals_in_state[i]) < least:
            on[i] = was
    return on


def _schedule(
    actual: PlanInput, charge: Floats, discharge: Floats, on: npt.NDArray[np.bool_], output: Floats,
    available: Floats, produced: Floats, shed: Floats, drawn: float, fed: float, unserved: float,
) -> xr.Dataset:  # fmt: skip
    done = empty_schedule(actual)
    battery, genset = actual.rows("battery"), actual.rows("genset")
    plants = slice(actual.rows("solar").start, actual.rows("wind").stop)
    done["charge_kw"].values[battery, 0] = charge
    done["discharge_kw"].values[battery, 0] = discharge
    stored, flows = actual.battery_energy_kwh.tolist(), zip(charge, discharge, strict=True)
    done["energy_kwh"].values[battery, 0] = [
        one.after_kwh(before, float(taken), float(given), actual.hours)
        for one, before, (taken, given) in zip(actual.battery, stored, flows, strict=True)
    ]
    done["on"].values[genset, 0] = on
    done["produce_kw"].values[genset, 0] = output
    done["produce_kw"].values[plants, 0] = produced
    done["curtail_kw"].values[plants, 0] = available - produced
    held = available - produced > SMALL_KW
    done["limit_kw"].values[plants, 0] = np.where(held, produced, np.nan)
    shedding = actual.rows("shedding")
    done["shed_kw"].values[shedding, 0] = shed
    served = actual.sheddable_kw[:, 0] - shed
    done["limit_kw"].values[shedding, 0] = np.where(shed > SMALL_KW, served, np.nan)
    done["import_kw"].values[0], done["export_kw"].values[0] = drawn, fed
    done["unserved_kw"].values[0] = unserved
    return done
