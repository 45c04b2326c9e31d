r"""Energy that must be stored so that critical load outlives the loss of the public network.

After step :math:`t` the critical load :math:`c` of the next :math:`N` steps is to be served by the
forming batteries alone. A load that they share by power is served exactly when, for each set
:math:`S` of batteries at their full power, the others hold what then remains (Gale's condition for
a transport problem, Pacific J. Math. 7, 1957):

.. math:: \sum_{b \notin S} \eta^d_b\,(e_{b,t} - \underline e_b) + \sigma_t \ge
          h \sum_{k=t+1}^{t+N} \max\Big(0,\; c_k - \sum_{b \in S} P_b\Big)

Where it cannot be reached it is short by :math:`\sigma_t`, at `SURVIVAL_PENALTY_PER_KWH`.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from dispatch.plan import Floats, PlanInput
from grid.errors import BadInputError
from grid.site import Battery

SURVIVAL_PENALTY_PER_KWH = 50.0
"""Currency per missing kWh: above what energy costs, below the reserve of an island."""

MOST_FORMING = 4


def survives(plan_input: PlanInput) -> bool:
    """Return whether critical load is to outlive an outage."""
    return plan_input.critical_kw is not None and plan_input.survive_steps > 0


def others(plan_input: PlanInput) -> dict[str, tuple[Battery, ...]]:
    """Return by the name of each row the batteries that hold what remains."""
    forming = [battery for battery in plan_input.battery if battery.forming]
    found = {}
    for size in range(len(forming)):
        for left_out in combinations(range(len(forming)), size):
            kept = tuple(b for i, b in enumerate(forming) if i not in left_out)
            found["survive_" + "_".join(map(str, left_out))] = kept
    return found


def needs(plan_input: PlanInput) -> dict[str, Floats]:
    """Return by the name of each row what its batteries must deliver after each step, kWh."""
    critical = np.asarray(plan_input.critical_kw, dtype=np.float64)
    n, steps = plan_input.n, plan_input.survive_steps
    ahead = np.append(critical, np.full(steps, critical[-1]))
    forming = [battery for battery in plan_input.battery if battery.forming]
    found = {}
    for name, kept in others(plan_input).items():
        at_full = sum(b.power_kw for b in forming if b not in kept)
        rest = np.clip(ahead - at_full, 0.0, None)
        whole = np.concatenate([[0.0], np.cumsum(rest)])
        first = np.arange(1, n + 1)
        found[name] = plan_input.hours * (whole[first + steps] - whole[first])
    return found


def check_survival(plan_input: PlanInput) -> None:
    """Refuse critical load that no stored energy could serve.

    Raises
    ------
    BadInputError
        Naming the step in which it is above the power of the forming batteries.
    """
    if not survives(plan_input):
        return
    forming = [battery for battery in plan_input.battery if battery.forming]
    if not 1 <= len(forming) <= MOST_FORMING:
        raise BadInputError(
            f"critical_kw is given with {len(forming)} forming batteries, "
            f"must be within 1 to {MOST_FORMING}"
        )
    critical = np.asarray(plan_input.critical_kw)
    power, t = sum(b.power_kw for b in forming), int(critical.argmax())
    if float(critical[t]) > power:
        raise BadInputError(
            f"critical_kw {plan_input.label(t)} is {critical[t]:g}, must be at most {power:g}, "
            "the power of the forming batteries"
        )
