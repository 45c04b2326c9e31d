r"""Battery: stores energy with losses, and wears with what it gives back.

Energy carries over from step to step; charging and discharging lose on the way:

.. math:: e_{b,t} = e_{b,t-1} + h\,\eta^c_b\,c_{b,t} - \frac{h}{\eta^d_b}\,d_{b,t}
          \qquad \underline e_b \le e_{b,t} \le \overline e_b

Power stays within the rating in both directions:

.. math:: 0 \le c_{b,t} \le P_b \qquad 0 \le d_{b,t} \le P_b

It does not charge and discharge at once. Losses make that unattractive on their own unless
the price is negative, so the either-or is added only at the steps `pairs` where a solution
without it did both:

.. math:: c_{b,t} \le P_b\,m_{b,t} \qquad d_{b,t} \le P_b\,(1 - m_{b,t}) \qquad m_{b,t} \in \{0,1\}

Each kWh discharged costs its wear; each kWh that can still be delivered after the last step
is worth `end_value_per_kwh`:

.. math:: h \sum_t w_b\,d_{b,t} - v\,\eta^d_b\,(e_{b,n-1} - e_{b,-1})
"""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from dispatch.assets.terms import (
    EARLY_PER_KWH,
    ORDER_PER_KWH,
    THROUGHPUT_PER_KWH,
    AssetKind,
    Attribute,
    Pairs,
    Terms,
)
from dispatch.plan import PlanInput, per_kwh
from grid.site import Battery

ATTRIBUTES = (
    Attribute("power_kw", "float", "kW", "Rating P in both directions."),
    Attribute("energy_kwh", "float", "kWh", "Capacity, the upper bound of e."),
    Attribute("min_energy_kwh", "float", "kWh", "Lower bound of e."),
    Attribute("charge_efficiency", "float", "1", "Stored per absorbed energy."),
    Attribute("discharge_efficiency", "float", "1", "Given per taken-out energy."),
    Attribute("wear", "int", "nano-currency/Wh", "Charged per energy discharged."),
    Attribute("forming", "bool", "", "Makes the voltage while islanded; keeps the reserve."),
    Attribute("battery_energy_kwh", "array (battery,)", "kWh", "Stored before the first step."),
    Attribute("end_energy_min_kwh", "array (battery,)", "kWh", "Least stored after the last step."),
    Attribute("end_value_per_kwh", "float", "currency/kWh", "Worth of what is left to deliver."),
)


def add(model: Any, plan_input: PlanInput, pairs: Pairs) -> Terms:
    """Add charge, discharge and energy of every battery; return their terms."""
    batteries: dict[str, Battery] = {battery.id: battery for battery in plan_input.battery}
    rank: dict[str, int] = {battery.id: i for i, battery in enumerate(plan_input.battery)}
    now = plan_input.battery_energy_kwh
    last, h = plan_input.n - 1, plan_input.hours
    model.BATTERY = pyo.Set(initialize=list(batteries))

    def power(_: Any, b: str, t: int) -> tuple[float, float]:
        return (0.0, batteries[b].power_kw)

    def store(_: Any, b: str, t: int) -> tuple[float, float]:
        low = batteries[b].min_energy_kwh
        if t == last and plan_input.end_energy_min_kwh is not None and not model.elastic:
            low = max(low, float(plan_input.end_energy_min_kwh[rank[b]]))
        return (low, batteries[b].energy_kwh)

    def dynamics(m: Any, b: str, t: int) -> Any:
        battery = batteries[b]
        before = m.energy[b, t - 1] if t else float(now[rank[b]])
        gain = h * battery.charge_efficiency * m.charge[b, t]
        return (
            m.energy[b, t] == before + gain - h / battery.discharge_efficiency * m.discharge[b, t]
        )

    model.charge = pyo.Var(model.BATTERY, model.STEP, bounds=power)
    model.discharge = pyo.Var(model.BATTERY, model.STEP, bounds=power)
    model.energy = pyo.Var(model.BATTERY, model.STEP, bounds=store)
    model.dynamics = pyo.Constraint(model.BATTERY, model.STEP, rule=dynamics)

    either = sorted(pair for pair in pairs if pair[0] in batteries)
    if either:
        model.EITHER = pyo.Set(dimen=2, initialize=either)
        model.charging = pyo.Var(model.EITHER, domain=pyo.Binary)
        model.only_charge = pyo.Constraint(
            model.EITHER,
            rule=lambda m, b, t: m.charge[b, t] <= batteries[b].power_kw * m.charging[b, t],
        )
        model.only_discharge = pyo.Constraint(
            model.EITHER,
            rule=lambda m, b, t: (
                m.discharge[b, t] <= batteries[b].power_kw * (1 - m.charging[b, t])
            ),
        )
    return _terms(model, plan_input)


def _terms(model: Any, plan_input: PlanInput) -> Terms:
    terms = Terms()
    last, h = plan_input.n - 1, plan_input.hours
    for rank, battery in enumerate(plan_input.battery):
        b, wear = battery.id, per_kwh(battery.wear)
        for t in range(plan_input.n):
            charge, discharge = model.charge[b, t], model.discharge[b, t]
            terms.injection[b, t] = [(-1.0, charge), (1.0, discharge)]
            terms.cost.append((h * (EARLY_PER_KWH * t + ORDER_PER_KWH * rank), charge))
            late = THROUGHPUT_PER_KWH + EARLY_PER_KWH * (last - t)
            terms.cost.append((h * (wear + late), discharge))
        worth = plan_input.end_value_per_kwh * battery.discharge_efficiency
        terms.cost.append((-worth, model.energy[b, last]))
        terms.constant += worth * float(plan_input.battery_energy_kwh[rank])
    return terms


KIND = AssetKind("battery", ATTRIBUTES, add)
