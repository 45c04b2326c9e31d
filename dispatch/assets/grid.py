r"""Grid: the connection to the public network at the feeder head.

.. math:: 0 \le i_t \le I\,a_t \qquad 0 \le x_t \le X\,a_t \qquad a_t = 0 \text{ while islanded}

.. math:: \text{cost}\; h \sum_t (b_t\,i_t - q_t\,x_t)

One meter nets what passes it, so the community never imports and exports at once. Where
selling pays more than buying costs, an optimum would; there (`pairs`) the either-or is added,
with :math:`I` and :math:`X` no larger than what could flow at all:

.. math:: i_t \le I\,m_t \qquad x_t \le X\,(1 - m_t) \qquad m_t \in \{0,1\}
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyomo.environ as pyo

from dispatch.assets.terms import IMPORT_PER_KWH, AssetKind, Attribute, Pairs, Terms
from dispatch.plan import Floats, PlanInput

ATTRIBUTES = (
    Attribute("import_limit_kw", "float", "kW", "Most that may be drawn, I."),
    Attribute("export_limit_kw", "float", "kW", "Most that may be fed in, X."),
    Attribute("buy_price", "array (step,)", "currency/kWh", "Paid per energy drawn, b."),
    Attribute("sell_price", "array (step,)", "currency/kWh", "Received per energy fed in, q."),
    Attribute("grid_available", "array (step,)", "bool", "False while islanded, a."),
)


def add(model: Any, plan_input: PlanInput, pairs: Pairs) -> Terms:
    """Add import and export of the community; return their terms."""
    grid, h = plan_input.grid, plan_input.hours
    available = plan_input.grid_available
    drawn = grid.import_limit_kw
    fed = grid.export_limit_kw
    model.import_kw = pyo.Var(model.STEP, bounds=lambda m, t: (0.0, drawn if available[t] else 0.0))
    model.export_kw = pyo.Var(model.STEP, bounds=lambda m, t: (0.0, fed if available[t] else 0.0))
    either = sorted(t for asset, t in pairs if asset == grid.id)
    if either:
        most_drawn, most_fed = _most(plan_input)
        model.NETTED = pyo.Set(initialize=either)
        model.importing = pyo.Var(model.NETTED, domain=pyo.Binary)
        model.only_import = pyo.Constraint(
            model.NETTED, rule=lambda m, t: m.import_kw[t] <= float(most_drawn[t]) * m.importing[t]
        )
        model.only_export = pyo.Constraint(
            model.NETTED,
            rule=lambda m, t: m.export_kw[t] <= float(most_fed[t]) * (1 - m.importing[t]),
        )
    terms = Terms()
    for t in range(plan_input.n):
        terms.injection[grid.id, t] = [(1.0, model.import_kw[t]), (-1.0, model.export_kw[t])]
        buy = float(plan_input.buy_price[t]) + IMPORT_PER_KWH
        terms.cost.append((h * buy, model.import_kw[t]))
        terms.cost.append((-h * float(plan_input.sell_price[t]), model.export_kw[t]))
    return terms


def _most(plan_input: PlanInput) -> tuple[Floats, Floats]:
    """Return what could be drawn and fed in each step at the very most, kW.

    The tighter these are, the less a solver has to branch.
    """
    stores = sum(battery.power_kw for battery in plan_input.battery)
    gensets = sum(genset.power_kw for genset in plan_input.genset)
    plants = plan_input.solar_available_kw.sum(axis=0) + plan_input.wind_available_kw.sum(axis=0)
    drawn = np.minimum(plan_input.grid.import_limit_kw, plan_input.demand_kw + stores)
    fed = np.minimum(plan_input.grid.export_limit_kw, plants + stores + gensets)
    return drawn, fed


KIND = AssetKind("grid", ATTRIBUTES, add)
