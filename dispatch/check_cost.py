"""What the solver minimised must be what the plan costs.

A wrong price or a forgotten term in the model makes a plan that keeps every limit and is
dear all the same. So the objective that the solver reports is held against the cost of the
finished schedule (:func:`dispatch.cost.day_cost`), from which no model is made.
"""

from __future__ import annotations

from dataclasses import astuple

import xarray as xr

from dispatch.asked import penalty as asked_penalty
from dispatch.check import reserve_missing, survival_missing
from dispatch.cost import RESERVE_PENALTY_PER_KWH, DayCost
from dispatch.plan import PlanInput
from dispatch.survival import SURVIVAL_PENALTY_PER_KWH

STEP_TIE_PER_KWH = 1e-7
"""Most that a tie-break may weigh, currency/kWh, for each step and each rank of a battery."""

DISCHARGE_TIE_PER_KWH = 1e-5
"""Most that it may weigh on a discharge beside that, currency/kWh."""

FLOW_TIE_PER_KWH = 1e-6
"""Most that it may weigh on import, and take off for solar and wind, currency/kWh."""

ROUNDING = 1e-6
"""Share of each item, and kW of reserve, by which solver tolerance and rounding may be off."""


def tie_bound(plan_input: PlanInput, schedule: xr.Dataset) -> tuple[float, float]:
    r"""Return by how much the tie-breaks may take the objective below and above the cost.

    Each tie-break weighs a flow by a constant times at most the :math:`n - 1` steps and
    :math:`B - 1` ranks that it counts, so with the energies of the schedule

    .. math:: -\epsilon\,E_{\text{solar, wind}} \le \text{objective} - \text{cost} \le
              \tau\,(n - 1 + B - 1)\,E_{\text{charged, boiled}}
              + (\delta + \tau\,(n - 1))\,E_{\text{discharged}} + \epsilon\,E_{\text{imported}}

    with :math:`\tau, \delta, \epsilon` = `STEP_TIE_PER_KWH`, `DISCHARGE_TIE_PER_KWH`,
    `FLOW_TIE_PER_KWH`. They are stated here and not read from the model, so that a tie-break
    that grows into a price is found.
    """

    def energy(name: str) -> float:
        return plan_input.hours * float(schedule[name].values.sum())

    plants = slice(plan_input.rows("solar").start, plan_input.rows("wind").stop)
    produced = plan_input.hours * float(schedule["produce_kw"].values[plants].sum())
    steps, ranks = plan_input.n - 1, max(0, len(plan_input.battery) - 1)
    charge = STEP_TIE_PER_KWH * (steps + ranks) * energy("charge_kw")
    if plan_input.heat:
        charge += STEP_TIE_PER_KWH * steps * energy("boiler_kw")
    discharge = (DISCHARGE_TIE_PER_KWH + STEP_TIE_PER_KWH * steps) * energy("discharge_kw")
    return FLOW_TIE_PER_KWH * produced, charge + discharge + FLOW_TIE_PER_KWH * energy("import_kw")


def check_cost(
    plan_input: PlanInput, schedule: xr.Dataset, cost: DayCost, objective: float
) -> list[str]:
    """Return what is wrong with the cost that the solver found; nothing when sound.

    Parameters
    ----------
    cost : DayCost
        Of `schedule` (:func:`dispatch.cost.day_cost`).
    objective : float
        What the solver minimised, currency: that cost, the penalty of the reserve that is
        missing, up and down, that of what exceeds the limits somebody asks for, and the
        tie-breaks (:func:`tie_bound`).
    """
    up, down = reserve_missing(plan_input, schedule)
    penalty = plan_input.hours * RESERVE_PENALTY_PER_KWH
    expected = cost.total + penalty * float(up.sum() + down.sum())
    expected += SURVIVAL_PENALTY_PER_KWH * float(survival_missing(plan_input, schedule).sum())
    asked = asked_penalty(plan_input, schedule)
    expected += asked
    islanded = int((~plan_input.grid_available).sum())
    rounding = ROUNDING * (1.0 + sum(map(abs, astuple(cost))) + penalty * islanded + asked)
    below, above = tie_bound(plan_input, schedule)
    low, high = expected - below - rounding, expected + above + rounding
    if low <= objective <= high:
        return []
    return [f"cost the solver minimised is {objective:.9g}, must be within {low:.9g} to {high:.9g}"]
