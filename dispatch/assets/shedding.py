r"""Shedding: load that is not served, as the last resort and never the critical part.

.. math:: 0 \le x_{s,t} \le L_{s,t} \qquad \text{cost}\; h\,\pi_s\,x_{s,t}

:math:`L` holds only what the group may lose; critical usage points are not in it, so no
price can make the plan shed them.
"""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo

from dispatch.assets.terms import AssetKind, Attribute, Pairs, Terms
from dispatch.plan import PlanInput, per_kwh

ATTRIBUTES = (
    Attribute("penalty", "int", "nano-currency/Wh", "Per energy not served, π."),
    Attribute("sheddable_kw", "array (shedding, step)", "kW", "What may be withheld, L."),
)


def add(model: Any, plan_input: PlanInput, pairs: Pairs) -> Terms:
    """Add the withheld power of every shedding group; return their terms."""
    row = {group.id: i for i, group in enumerate(plan_input.shedding)}
    model.SHEDDING = pyo.Set(initialize=list(row))
    model.shed = pyo.Var(
        model.SHEDDING,
        model.STEP,
        bounds=lambda m, s, t: (0.0, float(plan_input.sheddable_kw[row[s], t])),
    )
    terms = Terms()
    for group in plan_input.shedding:
        for t in range(plan_input.n):
            terms.injection[group.id, t] = [(1.0, model.shed[group.id, t])]
            price = plan_input.hours * per_kwh(group.penalty)
            terms.cost.append((price, model.shed[group.id, t]))
    return terms


KIND = AssetKind("shedding", ATTRIBUTES, add)
