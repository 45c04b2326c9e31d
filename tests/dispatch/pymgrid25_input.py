"""A window of a pymgrid microgrid as our planner's input, to the same cost.

What differs is said in other words. The battery's limit of giving is lower than that of taking: a
cut in each step. Its wear is on what is stored, both ways: what comes out went in, but for what
the store holds more or less at the end, so twice the wear lies on the discharge and the end's
worth is corrected. Emissions of the grid change by the hour and stand in the price. Load that is
not served is shed; what nobody takes is curtailed.
"""

from __future__ import annotations

import numpy as np

from dispatch.plan import LinearCut, PlanInput
from grid.site import Battery, Genset, GridConnection, GridPrice, Price, Shedding, Solar
from tests.dispatch.pymgrid25 import PymgridMicrogrid

START_S = 1_767_225_600
GRAM_PER_KG = 1000.0
LONG = 8760


def _price(per_kwh: float) -> Price:
    return Price(round(per_kwh * 1e6))


def wear_per_kwh(microgrid: PymgridMicrogrid) -> float:
    """Return the wear of a kWh stored or taken out of the store, currency."""
    return microgrid.battery.charge_cost / microgrid.battery.efficiency


def window(
    microgrid: PymgridMicrogrid,
    first: int,
    n: int,
    *,
    stored_kwh: float | None = None,
    genset_on: bool | None = None,
    end_value_per_kwh: float = 0.0,
) -> PlanInput:
    """Return hours `first` to `first + n` with the state before them.

    `end_value_per_kwh` is the worth of a kWh that can still be given after the window.
    """
    battery, grid, genset = microgrid.battery, microgrid.grid, microgrid.genset
    hours = slice(first, first + n)
    load, sun = microgrid.load_kw[hours], microgrid.sun_kw[hours]
    wear = wear_per_kwh(microgrid)
    limit = {"battery": 1.0}
    if grid is None:
        buy, sell, there = np.zeros(n), np.zeros(n), np.zeros(n, dtype=bool)
    else:
        emission = grid.emission_price * grid.emission_kg_per_kwh[hours]
        buy, sell, there = grid.buy[hours] + emission, grid.sell[hours], grid.available[hours]
    return PlanInput(
        start_s=START_S + 3600 * first,
        interval_s=3600,
        battery=(
            Battery(
                "battery",
                "u-1",
                battery.charge_kw,
                battery.energy_kwh,
                charge_efficiency=battery.efficiency,
                discharge_efficiency=battery.efficiency,
                min_energy_kwh=battery.min_energy_kwh,
                wear=_price(2.0 * wear / battery.efficiency),
            ),
        ),
        solar=(Solar("sun", "u-1", max(1e-3, float(microgrid.sun_kw.max()))),),
        wind=(),
        genset=() if genset is None else (_genset(microgrid),),
        shedding=(Shedding("lost", ("u-1",), _price(microgrid.lost_cost)),),
        grid=GridConnection(
            "grid",
            0.0 if grid is None else grid.import_kw,
            0.0 if grid is None else grid.export_kw,
            (GridPrice("00:00", Price(0), Price(0)),),
        ),
        demand_kw=load,
        solar_available_kw=sun[np.newaxis, :],
        wind_available_kw=np.zeros((0, n)),
        sheddable_kw=load[np.newaxis, :],
        buy_price=buy,
        sell_price=sell,
        end_value_per_kwh=end_value_per_kwh - wear / battery.efficiency,
        grid_available=there,
        battery_energy_kwh=np.array([battery.initial_kwh if stored_kwh is None else stored_kwh]),
        genset_on=np.array(
            [] if genset is None else [genset.on if genset_on is None else genset_on], dtype=bool
        ),
        genset_intervals_in_state=np.array([] if genset is None else [LONG], dtype=np.int64),
        reserve_kw=np.zeros(n),
        cuts=tuple(LinearCut(t, "discharge", limit, battery.discharge_kw) for t in range(n)),
        co2_price_per_kg=0.0 if genset is None else genset.emission_price,
    )


def _genset(microgrid: PymgridMicrogrid) -> Genset:
    genset = microgrid.genset
    assert genset is not None
    return Genset(
        "genset",
        "u-1",
        genset.max_kw,
        genset.min_kw,
        fuel=_price(genset.cost),
        no_load_per_hour=0,
        start=0,
        co2_g_per_kwh=genset.emission_kg_per_kwh * GRAM_PER_KG,
    )
