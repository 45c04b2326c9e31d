"""Two plans of the same steps side by side: what they cost, and where their set-points differ."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from dispatch.cost import day_cost
from dispatch.plan import Floats, Plan, PlanInput
from grid.errors import BadInputError

MOVED_KW = 1e-3
"""From here on a set-point has changed: what a device can be told is a whole W."""

COLUMNS = ("charge_kw", "discharge_kw", "produce_kw", "shed_kw")


@dataclass(frozen=True, slots=True)
class Moved:
    """A set-point that differs, kW given and kW taken; of a shedding group what is shed is given.

    Attributes
    ----------
    asset : str
    step : int
    at : str
        Label of the step.
    before_given_kw, before_taken_kw, after_given_kw, after_taken_kw : float
    """

    asset: str
    step: int
    at: str
    before_given_kw: float
    before_taken_kw: float
    after_given_kw: float
    after_taken_kw: float


@dataclass(frozen=True)
class Comparison:
    """What another plan costs more, and what it does otherwise.

    Attributes
    ----------
    cost : float
        Of the second less that of the first, currency; each at the prices of its own input.
    items : dict of str to float
        The same by item of :class:`dispatch.cost.DayCost`.
    moved : tuple of Moved
        By asset, then by step.
    """

    cost: float
    items: dict[str, float]
    moved: tuple[Moved, ...]


def given_taken(plan: Plan) -> tuple[Floats, Floats]:
    """Return what each asset gives and takes in each step, kW, both (asset, step)."""
    charge, discharge, produce, shed = (plan.schedule[name].values for name in COLUMNS)
    return discharge + produce + shed, charge


def compared(before: tuple[PlanInput, Plan], after: tuple[PlanInput, Plan]) -> Comparison:
    """Return how the second plan differs from the first.

    Raises
    ------
    BadInputError
        When they are not of the same assets and steps.
    """
    (first, one), (second, other) = before, after
    if (first.asset_ids, first.n, first.start_s) != (second.asset_ids, second.n, second.start_s):
        raise BadInputError("two plans are compared that are not of the same assets and steps")
    costs = [asdict(day_cost(*pair)) for pair in ((first, one.schedule), (second, other.schedule))]
    items = {name: costs[1][name] - costs[0][name] for name in costs[0]}
    (gave, took), (gives, takes) = given_taken(one), given_taken(other)
    moved = np.maximum(np.abs(gives - gave), np.abs(takes - took)) > MOVED_KW
    return Comparison(
        sum(items.values()),
        items,
        tuple(
            Moved(
                str(first.asset_ids[row]), step, first.label(step),
                float(gave[row, step]), float(took[row, step]),
                float(gives[row, step]), float(takes[row, step]),
            )
            for row, step in np.argwhere(moved).tolist()
        ),
    )  # fmt: skip
