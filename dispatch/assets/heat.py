r"""Heat: a tank that the waste heat of a genset fills, and a boiler beside it.

Each kWh that its genset produces brings :math:`\rho` kWh of heat, wanted or not; the boiler gives
:math:`b` at its own price. The tank loses a share of what it holds, what no tank can take is cooled
away (:math:`d`), and what nothing can give is missed (:math:`m`), as little as can be, and said:

.. math:: e_{k,t} = (1 - \lambda_k)\,e_{k,t-1}
          + h\,(\rho_k\,p_{g(k),t} + b_{k,t} - d_{k,t} - q_{k,t}) + m_{k,t}

.. math:: 0 \le e_{k,t} \le \overline e_k \qquad 0 \le b_{k,t} \le B_k \qquad d, m \ge 0
          \qquad \text{cost}\; \sum_t (h\,\beta_k\,b_{k,t} + \pi_k\,m_{k,t})

The heat that a tank spares the boiler is what makes a genset worth running beside a cheap grid.
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
    Sides,
    block,
    by_asset,
)
from dispatch.plan import Floats, PlanInput, per_kwh

ATTRIBUTES = (
    Attribute("genset", "str", "", "Whose waste heat it takes, g."),
    Attribute("heat_per_kwh", "float", "1", "Heat per energy that the genset produces, ρ."),
    Attribute("energy_kwh", "float", "kWh", "Heat that the tank holds."),
    Attribute("boiler_kw", "float", "kW", "Most heat of the boiler, B."),
    Attribute("boiler", "int", "nano-currency/Wh", "Per heat of the boiler, β."),
    Attribute("missed", "int", "nano-currency/Wh", "Per heat that is not there, π."),
    Attribute("standing_loss_percent_per_hour", "float", "%", "Lost of what the tank holds, λ."),
    Attribute("heat_need_kw", "array (heat, step)", "kW", "Heat drawn from it, q."),
    Attribute("heat_energy_kwh", "array (heat,)", "kWh", "Held before the first step."),
)


def _blocks(plan_input: PlanInput) -> Blocks:
    tanks, n, h = plan_input.heat, plan_input.n, plan_input.hours
    if not tanks:
        return {}
    shape = (len(tanks), n)
    price = by_asset([per_kwh(tank.boiler) for tank in tanks])
    return {
        "heat_boiler": block(
            shape,
            high=by_asset([tank.boiler_kw for tank in tanks]),
            cost=h * (price + EARLY_PER_KWH * np.arange(n)),
        ),
        "heat_cooled": block(shape),
        "heat_stored": block(shape, high=by_asset([tank.energy_kwh for tank in tanks])),
        "heat_missed": block(shape, cost=by_asset([per_kwh(tank.missed) for tank in tanks])),
    }


def _sides(plan_input: PlanInput) -> Sides:
    tanks = plan_input.heat
    if not tanks:
        return {}
    stored = -plan_input.hours * np.array(plan_input.heat_need_kw, dtype=np.float64)
    kept = np.array([tank.kept_share(plan_input.hours) for tank in tanks])
    stored[:, 0] += kept * plan_input.heat_energy_kwh
    return {"heat_dynamics": stored}


def _rows(model: Any, plan_input: PlanInput, side: Mapping[str, Floats]) -> None:
    h = plan_input.hours
    facts = {str(tank.id): (i, tank) for i, tank in enumerate(plan_input.heat)}
    if not facts:
        return

    def dynamics(m: Any, k: str, t: int) -> Any:
        row, tank = facts[k]
        before = tank.kept_share(h) * m.heat_stored[k, t - 1] if t else 0.0
        waste = h * tank.heat_per_kwh * m.output[tank.genset, t]
        brought = waste + h * m.heat_boiler[k, t] - h * m.heat_cooled[k, t] + m.heat_missed[k, t]
        return m.heat_stored[k, t] - before - brought == float(side["heat_dynamics"][row, t])

    model.heat_dynamics = pyo.Constraint(list(facts), model.STEP, rule=dynamics)


KIND = AssetKind("heat", ATTRIBUTES, _blocks, lambda given: {}, _sides, _rows, lambda given: 1)
