r"""Flexible load: use that may move in time, within a corridor.

What it takes fills a store of its own, from which a known need is drawn: warmth of a house with a
heat pump, water in a pumped tank, the progress of a batch. The store stays in its corridor, which
is the comfort band, the levels of the tank, or, for use that is due by a time, nothing before and
all of it after:

.. math:: s_{f,t} = (1 - \lambda_f)\,s_{f,t-1} + h\,\gamma_f\,x_{f,t} - h\,q_{f,t} \qquad
          L_{f,t} - m_{f,t} \le s_{f,t} \le U_{f,t}

.. math:: 0 \le x_{f,t} \le P_f \qquad \text{cost}\; \pi_f \sum_t m_{f,t}

What cannot be reached is missed by as little as can be, and said. A light or a pump that only may
be interrupted is a shedding group (:mod:`dispatch.assets.shedding`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyomo.environ as pyo

from dispatch.assets.terms import (
    EARLY_PER_KWH,
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
    Attribute("power_kw", "float", "kW", "Most it takes, P."),
    Attribute("gain", "float", "1", "Stored per energy taken, γ: a heat pump's COP."),
    Attribute("standing_loss_percent_per_hour", "float", "%", "Lost of what is stored."),
    Attribute("missed", "int", "nano-currency/Wh", "Per kWh below the corridor and step, π."),
    Attribute("flexible_need_kw", "array (flexible, step)", "kW", "Drawn from the store, q."),
    Attribute("flexible_low_kwh", "array (flexible, step)", "kWh", "Least stored, L."),
    Attribute("flexible_high_kwh", "array (flexible, step)", "kWh", "Most stored, U."),
    Attribute("flexible_energy_kwh", "array (flexible,)", "kWh", "Stored before the first step."),
)


def _blocks(plan_input: PlanInput) -> Blocks:
    loads, n, h = plan_input.flexible, plan_input.n, plan_input.hours
    if not loads:
        return {}
    shape = (len(loads), n)
    return {
        "flexible": block(
            shape, high=by_asset([f.power_kw for f in loads]), cost=h * EARLY_PER_KWH * np.arange(n)
        ),
        "flexible_energy": block(
            shape, low=-np.inf, high=np.asarray(plan_input.flexible_high_kwh, dtype=np.float64)
        ),
        "flexible_missed": block(shape, cost=by_asset([per_kwh(f.missed) for f in loads])),
    }


def _sides(plan_input: PlanInput) -> Sides:
    loads = plan_input.flexible
    if not loads:
        return {}
    stored = -plan_input.hours * np.array(plan_input.flexible_need_kw, dtype=np.float64)
    kept = np.array([f.kept_share(plan_input.hours) for f in loads])
    stored[:, 0] += kept * plan_input.flexible_energy_kwh
    return {"flexible_dynamics": stored, "corridor": np.asarray(plan_input.flexible_low_kwh)}


def _rows(model: Any, plan_input: PlanInput, side: Mapping[str, Floats]) -> None:
    h = plan_input.hours
    facts = {str(f.id): (i, f) for i, f in enumerate(plan_input.flexible)}
    if not facts:
        return

    def dynamics(m: Any, f: str, t: int) -> Any:
        row, load = facts[f]
        before = load.kept_share(h) * m.flexible_energy[f, t - 1] if t else 0.0
        taken = h * load.gain * m.flexible[f, t]
        return m.flexible_energy[f, t] - before - taken == float(side["flexible_dynamics"][row, t])

    def corridor(m: Any, f: str, t: int) -> Any:
        low = float(side["corridor"][facts[f][0], t])
        return m.flexible_energy[f, t] + m.flexible_missed[f, t] >= low

    model.flexible_dynamics = pyo.Constraint(list(facts), model.STEP, rule=dynamics)
    model.corridor = pyo.Constraint(list(facts), model.STEP, rule=corridor)


def _flows(plan_input: PlanInput) -> Flows:
    return {f.id: ((-1.0, "flexible"),) for f in plan_input.flexible}


KIND = AssetKind("flexible", ATTRIBUTES, _blocks, _flows, _sides, _rows, lambda given: 1)
