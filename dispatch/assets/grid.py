r"""Grid: the connection to the public network at the feeder head.

.. math:: 0 \le i_t \le I\,a_t \qquad 0 \le x_t \le X\,a_t \qquad a_t = 0 \text{ while islanded}

.. math:: \text{cost}\; h \sum_t (b_t\,i_t - q_t\,x_t)

One meter nets what passes it, so the community never imports and exports at once. Where
selling pays more than buying costs, an optimum would; there (`pairs`) the either-or is added,
with :math:`I` and :math:`X` no larger than what could flow at all:

.. math:: i_t \le I\,m_t \qquad x_t \le X\,(1 - m_t) \qquad m_t \in \{0,1\}
"""

from __future__ import annotations

import numpy as np

from dispatch.assets.terms import IMPORT_PER_KWH, AssetKind, Attribute, Blocks, Flows, block
from dispatch.plan import Floats, PlanInput

ATTRIBUTES = (
    Attribute("import_limit_kw", "float", "kW", "Most that may be drawn, I."),
    Attribute("export_limit_kw", "float", "kW", "Most that may be fed in, X."),
    Attribute("buy_price", "array (step,)", "currency/kWh", "Paid per energy drawn, b."),
    Attribute("sell_price", "array (step,)", "currency/kWh", "Received per energy fed in, q."),
    Attribute("grid_available", "array (step,)", "bool", "False while islanded, a."),
)


def _blocks(plan_input: PlanInput) -> Blocks:
    grid, h, n = plan_input.grid, plan_input.hours, plan_input.n
    open_ = np.asarray(plan_input.grid_available, dtype=np.float64)
    return {
        "import_kw": block(
            (n,),
            high=grid.import_limit_kw * open_,
            cost=h * (plan_input.buy_price + IMPORT_PER_KWH),
        ),
        "export_kw": block(
            (n,), high=grid.export_limit_kw * open_, cost=-h * plan_input.sell_price
        ),
    }


def _flows(plan_input: PlanInput) -> Flows:
    return {plan_input.grid.id: ((1.0, "import_kw"), (-1.0, "export_kw"))}


def most(plan_input: PlanInput) -> tuple[Floats, Floats]:
    """Return what could be drawn and fed in each step at the very most, kW.

    The tighter these are, the less a solver has to branch.
    """
    stores = sum(battery.power_kw for battery in plan_input.battery)
    gensets = sum(genset.power_kw for genset in plan_input.genset)
    plants = plan_input.solar_available_kw.sum(axis=0) + plan_input.wind_available_kw.sum(axis=0)
    drawn = np.minimum(plan_input.grid.import_limit_kw, plan_input.demand_kw + stores)
    fed = np.minimum(plan_input.grid.export_limit_kw, plants + stores + gensets)
    return drawn, fed


KIND = AssetKind("grid", ATTRIBUTES, _blocks, _flows)
