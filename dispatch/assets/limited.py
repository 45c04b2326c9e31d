r"""A plant that produces what nature offers, or less when told so.

.. math:: 0 \le p_{a,t} \le A_{a,t} \qquad \text{cost}\; h\,\epsilon\,(A_{a,t} - p_{a,t})

with :math:`\epsilon` = `CURTAIL_PER_KWH`, too small to be a price: it keeps a plan from
withholding what could be given away.
"""

from __future__ import annotations

import numpy as np

from dispatch.assets.terms import CURTAIL_PER_KWH, Block, block
from dispatch.plan import Floats


def limited(available_kw: Floats, hours: float) -> Block:
    """Return the output of plants that can give `available_kw`, (plant, step)."""
    # dawn gives 1e-16 kW, which is no bound for a solver
    offered = np.round(available_kw, 9)
    return block(offered.shape, high=offered, cost=-hours * CURTAIL_PER_KWH)
