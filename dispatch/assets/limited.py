r"""A plant that produces what nature offers, or less when told so.

.. math:: 0 \le p_{a,t} \le A_{a,t} \qquad \text{cost}\; h\,\epsilon\,(A_{a,t} - p_{a,t})

with :math:`\epsilon` = `CURTAIL_PER_KWH`, too small to be a price: it keeps a plan from
withholding what could be given away.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyomo.environ as pyo

from dispatch.assets.terms import CURTAIL_PER_KWH, Terms
from dispatch.plan import Floats, PlanInput


def add_limited(
    model: Any, plan_input: PlanInput, name: str, ids: Sequence[str], available_kw: Floats
) -> Terms:
    """Add the output of plants `ids` as variable `name`, at most `available_kw` (plant, step)."""
    row = {asset: i for i, asset in enumerate(ids)}
    variable = pyo.Var(
        pyo.Set(initialize=list(ids)),
        model.STEP,
        # dawn gives 1e-16 kW, which is no bound for a solver
        bounds=lambda m, a, t: (0.0, round(float(available_kw[row[a], t]), 9)),
    )
    model.add_component(name, variable)
    terms = Terms()
    epsilon = plan_input.hours * CURTAIL_PER_KWH
    for asset in ids:
        for t in range(plan_input.n):
            terms.injection[asset, t] = [(1.0, variable[asset, t])]
            terms.cost.append((-epsilon, variable[asset, t]))
    return terms
