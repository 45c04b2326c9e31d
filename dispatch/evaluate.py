"""What a day cost: metered, by the rule, and with perfect foresight, by one function.

All three are judged on the same day: the input `day` holds the demand, the availability and
the prices that really were. A battery's end energy is settled against its start at one
stated price, so that a controller is not paid for emptying its stores.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import xarray as xr

from dispatch.cost import DayCost, day_cost
from dispatch.plan import LinearCut, Plan, PlanInput
from dispatch.rule import self_consumption
from dispatch.solve import solve
from grid.errors import SolverError

__all__ = ["DayCost", "day_cost", "foresight", "simulate_rule"]

CUT_ROUNDS = 8


def simulate_rule(day: PlanInput) -> xr.Dataset:
    """Return the schedule that self-consumption by rule would have run on `day`."""
    return self_consumption(day)


def foresight(
    day: PlanInput,
    *,
    gap: float = 1e-3,
    nodes: int = 2000,
    feasible: Callable[[xr.Dataset], tuple[LinearCut, ...]] | None = None,
) -> Plan:
    """Return the cheapest schedule of a day that is known in full.

    Parameters
    ----------
    feasible : callable, optional
        Checks a schedule in AC and returns the cuts it broke (none: it holds); the day is then
        solved again with them.

    Raises
    ------
    InfeasiblePlan
        When the day had no feasible schedule.
    SolverError
        When the network still breaks limits after `CUT_ROUNDS` rounds.
    """
    for _ in range(CUT_ROUNDS):
        plan = solve(day, gap=gap, nodes=nodes)
        broken = feasible(plan.schedule) if feasible is not None else ()
        if not broken:
            return plan
        day = replace(day, cuts=(*day.cuts, *broken))
    raise SolverError(f"the network still breaks limits after {CUT_ROUNDS} rounds of cuts")
