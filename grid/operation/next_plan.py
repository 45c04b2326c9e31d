"""What the next plan would be, from what is stored; nothing is sent and nothing is kept.

It is made as the stage ``plan`` makes it, AC and cuts included, so that the plan of a cycle that
has run comes out again. A changed input changes the forecast with it: AC sees the same load.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from dispatch.plan import Plan, PlanInput
from grid import interval
from grid.errors import BadInputError, Finding
from grid.operation.bounds import bounds
from grid.operation.forecasting import ahead_of
from grid.operation.plan_inputs import planned_from
from grid.operation.planning import ACTIVE, asked_of, kept_plan, last_good_plan
from grid.operation.room import Room
from grid.store import control, datasets
from grid.store import overrides as stored


@dataclass(frozen=True, eq=False)
class NextPlan:
    """A plan that was not sent.

    Attributes
    ----------
    plan : Plan
    plan_input : PlanInput
        With the losses and the cuts of its last round.
    in_force : Plan or None
        The plan before, which it stays near to.
    ahead : xarray.Dataset
        The forecast it is for.
    rounds : int
        Of plan, AC and cuts.
    watched : frozenset of int
        Buses near their limit.
    findings : tuple of Finding
        Why it is a fallback; which wishes it does not follow.
    """

    plan: Plan
    plan_input: PlanInput
    in_force: Plan | None
    ahead: xr.Dataset
    rounds: int
    watched: frozenset[int]
    findings: tuple[Finding, ...]


def next_plan(
    room: Room, at_s: int | None = None, change: Callable[[PlanInput], PlanInput] | None = None
) -> NextPlan:
    """Return the plan from `at_s`, by default that of the next cycle.

    Parameters
    ----------
    room : Room
    at_s : int, optional
        Start of an interval that has begun by the site's clock, seconds UTC.
    change : callable, optional
        From the input of the plan to another one: what if.

    Raises
    ------
    BadInputError
        When no cycle is at `at_s`, or the changed input is none.
    """
    with room.store.read() as tx:
        clock_s = int(control.get_meta(tx, "clock_s") or room.first_cycle_s)
        at_s = clock_s if at_s is None else at_s
        _refuse(room, at_s, clock_s)
        ahead = datasets.get_dataset(tx, "forecast", at_s)
        if ahead is None:
            ahead = ahead_of(room, tx, at_s)
        if "mean_kw" not in ahead:
            raise BadInputError(f"plan {interval.label(at_s)}: the stored forecast has no means")
        given = planned_from(room, tx, at_s, ahead)
        if change is not None:
            before, given = given, change(given)
            ahead = changed_ahead(ahead, before, given)
        given, _, _ = asked_of(room, tx, given, ahead)
        last, watched = last_good_plan(room, tx, at_s)
        active = [one for one in stored.in_states(tx, (ACTIVE,)) if one.start_s <= at_s < one.end_s]
        kept_to = bounds(room, tx, given, active)
    found, kept_to, suspended = kept_plan(room, kept_to, given, ahead, last, watched)
    plan, used, rounds, near, trouble = found
    return NextPlan(plan, used, last, ahead, rounds, near, (*trouble, *suspended))


def _refuse(room: Room, at_s: int, clock_s: int) -> None:
    when = interval.label(at_s)
    if at_s % room.site.interval_s:
        raise BadInputError(f"plan {when}: no interval of {room.site.interval_s} s begins then")
    if not room.first_cycle_s <= at_s <= clock_s:
        first, last = interval.label(room.first_cycle_s), interval.label(clock_s)
        raise BadInputError(f"plan {when}: must be within {first}, the first, and {last}, the next")


def changed_ahead(ahead: xr.Dataset, before: PlanInput, after: PlanInput) -> xr.Dataset:
    """Return a forecast in which loads and plants change as the input of its plan did.

    Parameters
    ----------
    ahead : xarray.Dataset
        ``mean_kw mean_kvar`` (series, interval), ``total_kw total_mean_kw`` of each group.
    """
    made = ahead.copy(deep=True)
    groups = {
        "load": (before.demand_kw, after.demand_kw),
        "solar": (before.solar_available_kw.sum(axis=0), after.solar_available_kw.sum(axis=0)),
        "wind": (before.wind_available_kw.sum(axis=0), after.wind_available_kw.sum(axis=0)),
    }
    names = [str(one) for one in made["series"].values]
    rows = {"load": [n for n in names if n.startswith("load:")]}
    rows["solar"] = [str(plant.id) for plant in after.solar]
    rows["wind"] = [str(plant.id) for plant in after.wind]
    for group, (was, now) in groups.items():
        share = np.divide(now, was, out=np.ones(after.n), where=np.asarray(was) > 0.0)
        if (share == 1.0).all():
            continue
        for name in ("mean_kw", "mean_kvar"):
            made[name].loc[{"series": rows[group]}] *= share
        for name in ("total_kw", "total_mean_kw"):
            if group in made["group"].values:
                made[name].loc[{"group": group}] *= share
    return made
