r"""Battery: stores energy with losses, and wears with what it gives back.

Energy carries over from step to step; charging and discharging lose on the way:

.. math:: e_{b,t} = (1 - \lambda_b)\,e_{b,t-1} + h\,\eta^c_b\,c_{b,t} - \frac{h}{\eta^d_b}\,d_{b,t}
          \qquad \underline e_b \le e_{b,t} \le \overline e_b

with the share :math:`\lambda_b` lost in a step. A target that is asked for after a step raises
:math:`\underline e_b` there.

Power stays within the rating in both directions:

.. math:: 0 \le c_{b,t} \le P_b \qquad 0 \le d_{b,t} \le P_b

Above :math:`E^c_b` it takes less, down to :math:`P^c_b` when full; below :math:`E^d_b` it gives
less, down to :math:`P^d_b` when empty, by what is stored when the step begins:

.. math:: c_{b,t} \le P_b - \frac{P_b - P^c_b}{\overline e_b - E^c_b} (e_{b,t-1} - E^c_b) \qquad
          d_{b,t} \le P_b - \frac{P_b - P^d_b}{E^d_b - \underline e_b} (E^d_b - e_{b,t-1})

It does not charge and discharge at once. Losses make that unattractive on their own unless
the price is negative, so the either-or is added only at the steps `pairs` where a solution
without it did both:

.. math:: c_{b,t} \le P_b\,m_{b,t} \qquad d_{b,t} \le P_b\,(1 - m_{b,t}) \qquad m_{b,t} \in \{0,1\}

Each kWh discharged costs its wear; each kWh that can still be delivered after the last step
is worth `end_value_per_kwh`:

.. math:: h \sum_t w_b\,d_{b,t} - v\,\eta^d_b\,(e_{b,n-1} - e_{b,-1})
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyomo.environ as pyo

from dispatch.assets.terms import (
    EARLY_PER_KWH,
    ORDER_PER_KWH,
    THROUGHPUT_PER_KWH,
    AssetKind,
    Attribute,
    Blocks,
    Flows,
    Sides,
    block,
    by_asset,
)
from dispatch.plan import Floats, PlanInput, per_kwh
from grid.site import Battery

ATTRIBUTES = (
    Attribute("power_kw", "float", "kW", "Rating P in both directions."),
    Attribute("energy_kwh", "float", "kWh", "Capacity, the upper bound of e."),
    Attribute("min_energy_kwh", "float", "kWh", "Lower bound of e."),
    Attribute("charge_efficiency", "float", "1", "Stored per absorbed energy."),
    Attribute("discharge_efficiency", "float", "1", "Given per taken-out energy."),
    Attribute("wear", "int", "nano-currency/Wh", "Charged per energy discharged."),
    Attribute("standing_loss_percent_per_day", "float", "%", "Lost of what is stored."),
    Attribute("taper_energy_kwh", "float", "kWh", "From here on it takes less, E^c."),
    Attribute("taper_power_kw", "float", "kW", "What it takes when full, P^c."),
    Attribute("fade_energy_kwh", "float", "kWh", "Below this it gives less, E^d."),
    Attribute("fade_power_kw", "float", "kW", "What it gives when empty, P^d."),
    Attribute("energy_target_kwh", "array (battery, step)", "kWh", "Least stored after a step."),
    Attribute("forming", "bool", "", "Makes the voltage while islanded; keeps the reserve."),
    Attribute("battery_energy_kwh", "array (battery,)", "kWh", "Stored before the first step."),
    Attribute("end_energy_min_kwh", "array (battery,)", "kWh", "Least stored after the last step."),
    Attribute("end_value_per_kwh", "float", "currency/kWh", "Worth of what is left to deliver."),
)


def _blocks(plan_input: PlanInput) -> Blocks:
    batteries, n, h = plan_input.battery, plan_input.n, plan_input.hours
    shape, step = (len(batteries), n), np.arange(n)
    power = by_asset([b.power_kw for b in batteries])
    rank = by_asset([float(i) for i in range(len(batteries))])
    wear = by_asset([per_kwh(b.wear) for b in batteries])
    low = np.tile(by_asset([b.min_energy_kwh for b in batteries]), n)
    if plan_input.energy_target_kwh is not None:
        low = np.maximum(low, plan_input.energy_target_kwh)
    if plan_input.end_energy_min_kwh is not None:
        low[:, -1] = np.maximum(low[:, -1], plan_input.end_energy_min_kwh)
    left = np.zeros(shape)
    left[:, -1] = -_worth(plan_input)
    late = THROUGHPUT_PER_KWH + EARLY_PER_KWH * (n - 1 - step)
    return {
        "charge": block(shape, high=power, cost=h * (EARLY_PER_KWH * step + ORDER_PER_KWH * rank)),
        "discharge": block(shape, high=power, cost=h * (wear + late)),
        "energy": block(
            shape, low=low, high=by_asset([b.energy_kwh for b in batteries]), cost=left
        ),
    }


def _worth(plan_input: PlanInput) -> Floats:
    kept = np.array([b.discharge_efficiency for b in plan_input.battery])
    worth: Floats = plan_input.end_value_per_kwh * kept
    return worth


def _bends(plan_input: PlanInput, way: str) -> bool:
    return any(getattr(b, f"{way}_energy_kwh") is not None for b in plan_input.battery)


def _sides(plan_input: PlanInput) -> Sides:
    batteries, stored = plan_input.battery, plan_input.battery_energy_kwh
    shape = (len(batteries), plan_input.n)
    kept = np.array([b.kept_share(plan_input.hours) for b in batteries])
    before = np.zeros(shape)
    before[:, 0] = kept * stored
    made = {"dynamics": before}
    for way in ("taper", "fade"):
        if _bends(plan_input, way):
            slope, offset = np.array([b.bend(way) for b in batteries]).T
            made[way] = np.tile(offset[:, None], plan_input.n)
            made[way][:, 0] -= slope * stored
    return made


def _rows(model: Any, plan_input: PlanInput, side: Mapping[str, Floats]) -> None:
    h = plan_input.hours
    facts: dict[str, tuple[int, Battery]] = {b.id: (i, b) for i, b in enumerate(plan_input.battery)}

    def dynamics(m: Any, b: str, t: int) -> Any:
        row, battery = facts[b]
        gained = h * battery.charge_efficiency * m.charge[b, t]
        lost = h / battery.discharge_efficiency * m.discharge[b, t]
        before = battery.kept_share(h) * m.energy[b, t - 1] if t else 0.0
        return m.energy[b, t] - before - gained + lost == float(side["dynamics"][row, t])

    model.dynamics = pyo.Constraint(list(facts), model.STEP, rule=dynamics)
    for way, power in (("taper", "charge"), ("fade", "discharge")):
        if not _bends(plan_input, way):
            continue

        def bent(m: Any, b: str, t: int, way: str = way, power: str = power) -> Any:
            row, battery = facts[b]
            before = battery.bend(way)[0] * m.energy[b, t - 1] if t else 0.0
            return getattr(m, power)[b, t] + before <= float(side[way][row, t])

        model.add_component(way, pyo.Constraint(list(facts), model.STEP, rule=bent))


def _flows(plan_input: PlanInput) -> Flows:
    return {b.id: ((-1.0, "charge"), (1.0, "discharge")) for b in plan_input.battery}


KIND = AssetKind(
    "battery",
    ATTRIBUTES,
    _blocks,
    _flows,
    _sides,
    _rows,
    memory=lambda plan_input: 1,
    constant=lambda plan_input: float(_worth(plan_input) @ plan_input.battery_energy_kwh),
)
