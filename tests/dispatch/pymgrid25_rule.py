"""pymgrid's rule-based controller, from what its documentation says, on plain data.

Sources serve what the sun leaves of the load in the order of their marginal cost in the first
hour; surplus goes into the battery and then the grid in the same order. What is left over is lost
or excess.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tests.dispatch.pymgrid25 import PymgridMicrogrid

STEPS = 8759
"""The package plays every hour but the last."""

ENOUGH_KW = 1e-4


@dataclass(frozen=True)
class Played:
    """A year's cost and energies in kWh."""

    cost: float
    import_kwh: float
    export_kwh: float
    genset_kwh: float
    lost_kwh: float
    excess_kwh: float


def play(microgrid: PymgridMicrogrid, *, running: bool = False, steps: int = STEPS) -> Played:
    """Return what the rule costs.

    The package's own list leaves a genset with a minimum load off all year; with `running` it is
    on all year and gives at least its minimum.
    """
    battery, grid, genset = microgrid.battery, microgrid.grid, microgrid.genset
    order = [("battery", battery.discharge_cost * battery.efficiency)]
    if grid is not None:
        emission = grid.emission_price * grid.emission_kg_per_kwh
        buy = grid.buy + emission
        order.append(("grid", float(buy[0])))
    if genset is not None:
        fuel = genset.cost + genset.emission_price * genset.emission_kg_per_kwh
        order.append(("genset", fuel))
    order.sort(key=lambda part: part[1])

    stored, cost = battery.initial_kwh, 0.0
    total = dict.fromkeys(("bought", "sold", "burnt", "lost", "excess"), 0.0)
    for t in range(steps):
        left = float(microgrid.load_kw[t] - microgrid.sun_kw[t])
        given = 0.0
        for name, _ in order:
            need = 0.0 if abs(left) <= ENOUGH_KW else left
            if name == "battery":
                power = _battery(microgrid, stored, need)
                stored -= power / battery.efficiency if power > 0 else power * battery.efficiency
                price = battery.discharge_cost if power > 0 else battery.charge_cost
                cost += abs(power) * price
            elif name == "grid":
                there = float(grid.available[t])
                power = min(max(need, -grid.export_kw * there), grid.import_kw * there)
                cost += power * (buy[t] if power > 0 else grid.sell[t])
                total["bought"] += max(power, 0.0)
                total["sold"] += max(-power, 0.0)
            else:
                power = min(max(need, genset.min_kw), genset.max_kw) if running else 0.0
                cost += power * fuel
                total["burnt"] += power
            left -= power
            given += power
        short = float(microgrid.load_kw[t]) - given
        total["lost"] += max(0.0, short - float(microgrid.sun_kw[t]))
        total["excess"] += max(0.0, -short)
    cost += microgrid.lost_cost * total["lost"] + microgrid.excess_cost * total["excess"]
    return Played(float(cost), *total.values())


def _battery(microgrid: PymgridMicrogrid, stored: float, need: float) -> float:
    """Return what the battery gives, or takes as a negative number."""
    battery = microgrid.battery
    if need > 0.0:
        held = (stored - battery.min_energy_kwh) * battery.efficiency
        return min(need, battery.discharge_kw, held)
    room = (battery.energy_kwh - stored) / battery.efficiency
    return -min(-need, battery.charge_kw, room)


def least_cost(microgrid: PymgridMicrogrid, steps: int = STEPS, *, first: int = 0) -> float:
    """Return a bound on what any controller can reach that knows these hours in advance.

    A linear programme: the genset's minimum load is let go, and power may pass both ways at once.
    """
    import scipy.sparse as sp
    from scipy.optimize import linprog

    battery, grid, genset = microgrid.battery, microgrid.grid, microgrid.genset
    n, hours = steps, slice(first, first + steps)
    load, sun = microgrid.load_kw[hours], microgrid.sun_kw[hours]
    columns = [
        (np.zeros(n), sun, 1.0),
        (np.full(n, battery.discharge_cost), np.full(n, battery.discharge_kw), 1.0),
        (np.full(n, battery.charge_cost), np.full(n, battery.charge_kw), -1.0),
        (np.full(n, microgrid.lost_cost), np.full(n, np.inf), 1.0),
        (np.full(n, microgrid.excess_cost), np.full(n, np.inf), -1.0),
    ]
    if grid is not None:
        there = grid.available[hours].astype(float)
        buy = grid.buy[hours] + grid.emission_price * grid.emission_kg_per_kwh[hours]
        columns.append((buy, grid.import_kw * there, 1.0))
        columns.append((-grid.sell[hours], grid.export_kw * there, -1.0))
    if genset is not None:
        fuel = genset.cost + genset.emission_price * genset.emission_kg_per_kwh
        columns.append((np.full(n, fuel), np.full(n, genset.max_kw), 1.0))
    flows = len(columns)
    balance = sp.hstack([sign * sp.eye(n) for *_, sign in columns] + [sp.csr_matrix((n, n))])
    change = sp.eye(n) - sp.eye(n, k=-1)
    parts = [sp.csr_matrix((n, n)) for _ in range(flows)] + [change]
    parts[1] = sp.eye(n) / battery.efficiency
    parts[2] = -sp.eye(n) * battery.efficiency
    before = np.zeros(n)
    before[0] = battery.initial_kwh
    bounds = [(0.0, high) for _, most, _ in columns for high in most]
    bounds += [(battery.min_energy_kwh, battery.energy_kwh)] * n
    cost = np.concatenate([price for price, *_ in columns] + [np.zeros(n)])
    rows = sp.vstack([balance, sp.hstack(parts)]).tocsr()
    found = linprog(cost, A_eq=rows, b_eq=np.concatenate([load, before]), bounds=bounds)
    assert found.status == 0, found.message
    return float(found.fun)
