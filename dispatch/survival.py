r"""Energy that must be stored so that critical load outlives the loss of the public network.

After step :math:`t` the critical load :math:`c` of the next :math:`N` steps is to be served by the
forming batteries alone. A load that they share by power is served exactly when, for each set
:math:`S` of batteries at their full power, the others hold what then remains (Gale's condition for
a transport problem, Pacific J. Math. 7, 1957):

.. math:: \sum_{b \notin S} \eta^d_b\,(e_{b,t} - \underline e_b) + \sigma_t \ge
          h \sum_{k=t+1}^{t+N} \max\Big(0,\; c_k - \sum_{b \in S} P_b\Big)

Where it cannot be reached it is short by :math:`\sigma_t`, at `SURVIVAL_PENALTY_PER_KWH`. Nothing
is asked for after a step in which the network is away: what was kept for an outage is for it.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from dispatch.plan import Floats, PlanInput
from grid.errors import BadInputError
from grid.site import Battery
from grid.site_devices import MOST_FORMING

SURVIVAL_PENALTY_PER_KWH = 50.0
"""Currency per missing kWh: above what energy costs, below the reserve of an island."""


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
        ahead_kwh = plan_input.hours * (whole[first + steps] - whole[first])
        found[name] = np.where(plan_input.grid_available, ahead_kwh, 0.0)
    return found


def lasting_h(
    batteries: tuple[Battery, ...], energy_kwh: Floats, ahead_kw: Floats, hours: float
) -> float:
    """Return for how long batteries alone serve a load, hours; its whole length at most.

    A load above what they give together is not served at all: an island that is overloaded is
    dark. Standing losses are not counted.

    Parameters
    ----------
    batteries : tuple of Battery
    energy_kwh : ndarray, shape (battery,)
        What each holds at first.
    ahead_kw : ndarray, shape (step,)
        The load from then on.
    hours : float
        Length of a step.
    """
    ready = [
        max(0.0, float(energy) - battery.min_energy_kwh) * battery.discharge_efficiency
        for battery, energy in zip(batteries, energy_kwh, strict=True)
    ]
    too_much = np.flatnonzero(ahead_kw > sum(battery.power_kw for battery in batteries) + 1e-9)
    lasts = hours * float(too_much[0] if too_much.size else len(ahead_kw))
    numbers = range(len(batteries))
    for at_full in (set(some) for size in numbers for some in combinations(numbers, size)):
        rest_kw = np.clip(ahead_kw - sum(batteries[i].power_kw for i in at_full), 0.0, None)
        held_kwh = sum(ready[i] for i in numbers if i not in at_full)
        used_kwh = hours * np.concatenate([[0.0], np.cumsum(rest_kw)])
        step = int(np.searchsorted(used_kwh, held_kwh + 1e-9, side="right")) - 1
        if step < len(ahead_kw):
            part = max(0.0, held_kwh - float(used_kwh[step])) / float(rest_kw[step])
            lasts = min(lasts, hours * step + part)
    return lasts


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
