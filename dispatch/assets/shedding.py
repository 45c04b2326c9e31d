r"""Shedding: load that is not served, as the last resort and never the critical part.

.. math:: 0 \le x_{s,t} \le L_{s,t} \qquad \text{cost}\; h\,\pi_s\,x_{s,t}

:math:`L` holds only what the group may lose; critical usage points are not in it, so no
price can make the plan shed them.
"""

from __future__ import annotations

from dispatch.assets.terms import AssetKind, Attribute, Blocks, Flows, block, by_asset
from dispatch.plan import PlanInput, per_kwh

ATTRIBUTES = (
    Attribute("penalty", "int", "nano-currency/Wh", "Per energy not served, π."),
    Attribute("sheddable_kw", "array (shedding, step)", "kW", "What may be withheld, L."),
)


def _blocks(plan_input: PlanInput) -> Blocks:
    limit = plan_input.sheddable_kw
    penalty = by_asset([per_kwh(group.penalty) for group in plan_input.shedding])
    return {"shed": block(limit.shape, high=limit, cost=plan_input.hours * penalty)}


def _flows(plan_input: PlanInput) -> Flows:
    return {group.id: ((1.0, "shed"),) for group in plan_input.shedding}


KIND = AssetKind("shedding", ATTRIBUTES, _blocks, _flows)
