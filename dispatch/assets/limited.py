r"""A plant that produces what nature offers, or less when told so.

.. math:: 0 \le p_{a,t} \le A_{a,t} \qquad \text{cost}\; h\,(o_a\,p_{a,t} - \epsilon\,p_{a,t})

with :math:`\epsilon` = `CURTAIL_PER_KWH`, too small to be a price: it keeps a plan from
withholding what could be given away.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dispatch.assets.terms import CURTAIL_PER_KWH, Block, block, by_asset
from dispatch.plan import Floats, per_kwh
from grid.site import Solar, Wind


def limited(plants: Sequence[Solar | Wind], available_kw: Floats, hours: float) -> Block:
    """Return the output of plants that can give `available_kw`, (plant, step)."""
    # dawn gives 1e-16 kW, which is no bound for a solver
    offered = np.round(available_kw, 9)
    cost = by_asset([per_kwh(plant.operating) - CURTAIL_PER_KWH for plant in plants])
    return block(offered.shape, high=offered, cost=hours * cost)
