r"""Who is withheld: what costs the same wherever it is withheld is shared by rule.

A plan says how much sun and wind is withheld in each step; among plants that cost the same to run
and mean the same to every cut of the step the solver's choice is arbitrary. Those of the lowest
`curtailment_order` are withheld first, and those of one order pro rata to what they could give:

.. math:: k_{a,t} = A_{a,t} \frac{\min(K_t, \sum_b A_{b,t})}{\sum_b A_{b,t}}
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import xarray as xr

from dispatch.plan import Floats, PlanInput
from grid.site_devices import Plant

ENOUGH_KW = 1e-6
"""Less than this is not withheld."""
_DIGITS = 9


def share_out(plan_input: PlanInput, schedule: xr.Dataset) -> None:
    """Share what a schedule withholds by rule, in place; no cost and no cut changes.

    Parameters
    ----------
    plan_input : PlanInput
    schedule : xarray.Dataset
        As in :class:`dispatch.plan.Plan`.
    """
    plants: list[Plant] = [*plan_input.solar, *plan_input.wind]
    rows = slice(plan_input.rows("solar").start, plan_input.rows("wind").stop)
    withheld = schedule["curtail_kw"].values[rows]
    steps = np.flatnonzero((withheld > ENOUGH_KW).any(axis=0))
    if len(plants) < 2 or not steps.size:
        return
    available = np.concatenate(
        [plan_input.solar_available_kw, plan_input.wind_available_kw]
    ).astype(np.float64)
    shared = withheld.copy()
    for t in steps.tolist():
        weights = [cut.coefficient for cut in plan_input.cuts if cut.step == t]
        alike: defaultdict[tuple[object, ...], list[int]] = defaultdict(list)
        for number, plant in enumerate(plants):
            effect = tuple(weight.get(plant.id, 0.0) for weight in weights)
            alike[plant.operating, effect].append(number)
        for members in alike.values():
            among = np.array(members)
            order = np.array([plants[number].curtailment_order for number in members])
            shared[among, t] = _shared(withheld[among, t].sum(), available[among, t], order)
    shared = np.round(shared, _DIGITS)
    produced = np.round(available - shared, _DIGITS)
    limited = shared > ENOUGH_KW
    touched = np.abs(shared - withheld) > ENOUGH_KW
    for name, values in (
        ("curtail_kw", shared),
        ("produce_kw", produced),
        ("limit_kw", np.where(limited, produced, np.nan)),
    ):
        kept = schedule[name].values[rows]
        kept[touched] = values[touched]


def _shared(total: float, available: Floats, order: np.ndarray) -> Floats:
    """Return what each is withheld of `total`, kW."""
    result = np.zeros_like(available)
    for rank in np.unique(order):
        among = order == rank
        whole = float(available[among].sum())
        taken = min(total, whole)
        if whole > 0.0:
            result[among] = available[among] * (taken / whole)
        total -= taken
    return result
