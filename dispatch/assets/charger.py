r"""Charger: a charge point for electric vehicles, which come with some energy and leave by a time.

While a vehicle is there (:math:`v_{c,t} = 1`) it charges, and gives back where the charger can:

.. math:: 0 \le c_{c,t} \le P_c\,v_{c,t} \qquad 0 \le d_{c,t} \le P^d_c\,v_{c,t} \qquad
          0 \le e_{c,t} \le \overline e_c\,v_{c,t}

What it brings, :math:`a`, comes with it, and what it holds, :math:`g`, goes with it in the first
step that it is away:

.. math:: e_{c,t} = e_{c,t-1} + h\,\eta^c\,c_{c,t} - \frac{h}{\eta^d}\,d_{c,t} + a_{c,t} - g_{c,t}

A target that power and time do not reach is missed by as little as can be, and said:

.. math:: e_{c,t} + m_{c,t} \ge T_{c,t} \qquad
          \text{cost}\; \pi_c \sum_t m_{c,t} + h \sum_t w_c\,d_{c,t}

It does not charge and discharge at once (:mod:`dispatch.extras`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyomo.environ as pyo

from dispatch.assets.terms import (
    EARLY_PER_KWH,
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

ATTRIBUTES = (
    Attribute("power_kw", "float", "kW", "Most it gives to a vehicle, P."),
    Attribute("discharge_kw", "float", "kW", "Most it takes from one, P^d; 0 without V2G."),
    Attribute("energy_kwh", "float", "kWh", "Capacity of the largest vehicle."),
    Attribute("charge_efficiency", "float", "1", "Stored per absorbed energy."),
    Attribute("discharge_efficiency", "float", "1", "Given per taken-out energy."),
    Attribute("wear", "int", "nano-currency/Wh", "Charged per energy discharged, w."),
    Attribute("missed", "int", "nano-currency/Wh", "Per energy that a target lacks, π."),
    Attribute("ev_connected", "array (charger, step)", "bool", "Whether a vehicle is there, v."),
    Attribute("ev_arrival_kwh", "array (charger, step)", "kWh", "What one brings in, a."),
    Attribute("ev_target_kwh", "array (charger, step)", "kWh", "Wanted after a step, T."),
    Attribute("ev_energy_kwh", "array (charger,)", "kWh", "Held before the first step."),
)


def _blocks(plan_input: PlanInput) -> Blocks:
    chargers, n, h = plan_input.charger, plan_input.n, plan_input.hours
    if not chargers:
        return {}
    shape, step = (len(chargers), n), np.arange(n)
    there = np.asarray(plan_input.ev_connected, dtype=np.float64)
    target = np.asarray(plan_input.ev_target_kwh, dtype=np.float64)
    capacity = by_asset([c.energy_kwh for c in chargers])
    held = np.asarray(plan_input.ev_energy_kwh) > 0.0
    before = np.concatenate([held[:, None], there[:, :-1]], axis=1)
    wear = by_asset([per_kwh(c.wear) for c in chargers])
    late = THROUGHPUT_PER_KWH + EARLY_PER_KWH * (n - 1 - step)
    return {
        "ev_charge": block(
            shape,
            high=by_asset([c.power_kw for c in chargers]) * there,
            cost=h * EARLY_PER_KWH * step,
        ),
        "ev_discharge": block(
            shape, high=by_asset([c.discharge_kw for c in chargers]) * there, cost=h * (wear + late)
        ),
        "ev_energy": block(shape, high=capacity * there),
        "ev_gone": block(shape, high=capacity * np.clip(before - there, 0.0, None)),
        "ev_missed": block(
            shape, high=target, cost=by_asset([per_kwh(c.missed) for c in chargers])
        ),
    }


def _sides(plan_input: PlanInput) -> Sides:
    if not plan_input.charger:
        return {}
    brought = np.array(plan_input.ev_arrival_kwh, dtype=np.float64)
    brought[:, 0] += np.asarray(plan_input.ev_energy_kwh)
    return {"ev_dynamics": brought, "ev_deadline": np.asarray(plan_input.ev_target_kwh)}


def _rows(model: Any, plan_input: PlanInput, side: Mapping[str, Floats]) -> None:
    h = plan_input.hours
    facts = {str(c.id): (i, c) for i, c in enumerate(plan_input.charger)}
    if not facts:
        return

    def dynamics(m: Any, c: str, t: int) -> Any:
        row, charger = facts[c]
        gained = h * charger.charge_efficiency * m.ev_charge[c, t]
        lost = h / charger.discharge_efficiency * m.ev_discharge[c, t]
        kept = m.ev_energy[c, t] - (m.ev_energy[c, t - 1] if t else 0.0)
        return kept - gained + lost + m.ev_gone[c, t] == float(side["ev_dynamics"][row, t])

    def deadline(m: Any, c: str, t: int) -> Any:
        return m.ev_energy[c, t] + m.ev_missed[c, t] >= float(side["ev_deadline"][facts[c][0], t])

    model.ev_dynamics = pyo.Constraint(list(facts), model.STEP, rule=dynamics)
    model.ev_deadline = pyo.Constraint(list(facts), model.STEP, rule=deadline)


def _flows(plan_input: PlanInput) -> Flows:
    return {c.id: ((-1.0, "ev_charge"), (1.0, "ev_discharge")) for c in plan_input.charger}


KIND = AssetKind("charger", ATTRIBUTES, _blocks, _flows, _sides, _rows, lambda given: 1)
