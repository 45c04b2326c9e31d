"""What an event would cost: the plan with it beside the plan without it, before anybody accepts.

Both are plans as a cycle makes them, checked in AC, from the same forecast and the same state. So
their difference is the event alone: in currency, in what devices do during the event, and in what
cannot be kept.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from dispatch.plan import NEW_PLAN, Plan, PlanInput
from grid import interval
from grid.errors import BadInputError
from grid.operation import event_delivery, events, survival
from grid.operation.bounds import bounds
from grid.operation.event_limits import Shortfall, limited, promised, shortfalls
from grid.operation.plan_inputs import plan_input
from grid.operation.planning import kept_plan, last_good_plan
from grid.operation.room import Room
from grid.quantities import NANO, WH_PER_KWH
from grid.site import Site
from grid.store import Store, Transaction, control, views
from grid.store import events as stored
from grid.store import overrides as held_devices
from grid.store.events import WAITING, Event
from grid.store.overrides import OverrideState

CHANGED_KWH = 0.05
"""Energy of a device during the event that counts as another set-point."""

WEIGHED_MOST = 4
"""Events that a cycle weighs, those to be answered first before the others."""


@dataclass(frozen=True, eq=False)
class Weighed:
    """A plan with an event and one without it.

    Attributes
    ----------
    at_s : int
        First step of both.
    event : Event
    without, kept : Plan
    short : tuple of Shortfall
        What cannot be kept.
    """

    at_s: int
    event: Event
    without: Plan
    kept: Plan
    short: tuple[Shortfall, ...]

    @property
    def facts(self) -> dict[str, Any]:
        """As stored and shown: costs and what they may be off by, in currency; what devices give
        and take during the event, kWh; the flow of each step without and with it."""
        event, step_s = self.event, self.without.interval_s
        starts = self.without.schedule["interval"].values.astype("datetime64[s]").astype(np.int64)
        inside = (starts >= event.start_s) & (starts < event.end_s)
        way, hours = f"{event.kind.way}_kw", step_s / 3600.0
        plans = (self.without, self.kept)
        flows = [one.schedule[way].values for one in plans]
        sums = [_moved_kwh(one.schedule, inside, hours) for one in plans]
        spared = hours * float(np.maximum(flows[0] - flows[1], 0.0)[inside].sum())
        dark = [
            hours * float((s["shed_kw"].sum("asset") + s["unserved_kw"]).sum())
            for s in (one.schedule for one in plans)
        ]
        return {
            "at": interval.label(self.at_s),
            "steps": int(inside.sum()),
            "of_steps": (event.end_s - event.start_s) // step_s,
            "sources": [one.source for one in plans],
            "costs": [None if np.isnan(one.objective) else one.objective for one in plans],
            "within": sum(_gap(one) for one in plans),
            "reward": spared * event.reward * WH_PER_KWH / NANO,
            "spared_kwh": spared,
            "unserved_kwh": dark,
            "short": [[interval.label(s.at_s), s.limit_kw, s.needed_kw] for s in self.short],
            "changes": [
                [asset, sums[0][asset], sums[1][asset]]
                for asset in sums[0]
                if max(map(_apart, sums[0][asset], sums[1][asset])) > CHANGED_KWH
            ],
            "starts": starts.tolist(),
            "flows_kw": [np.round(flow, 4).tolist() for flow in flows],
        }


def weigh(room: Room, at_s: int, event: Event) -> Weighed:
    """Return the plans of the cycle at `at_s`, which has a forecast, with and without an event."""
    with room.store.read() as tx:
        given, ahead = plan_input(room, tx, at_s)
        others = [one for one in promised(tx, at_s) if one.id != event.id]
        active = [
            one
            for one in held_devices.in_states(tx, (OverrideState.ACTIVE,))
            if one.start_s <= at_s < one.end_s
        ]
        kept_to = bounds(room, tx, given, active)
        last, watched = last_good_plan(room, tx, at_s)
        load = survival.critical_kw(room, tx, ahead)

    def planned(held: list[Event]) -> Plan:
        wanted: PlanInput = survival.asked(room, limited(given, ahead, held), load)
        return kept_plan(room, kept_to, wanted, ahead, last, watched)[0][0]

    without, kept = planned(others), planned([*others, event])
    return Weighed(at_s, event, without, kept, tuple(shortfalls([event], kept.schedule)))


def weigh_now(room: Room, number: int) -> dict[str, Any]:
    """Weigh an event in the newest cycle that has a plan, and keep it; return what is kept.

    Raises
    ------
    BadInputError
        When there is no plan yet, or nothing to weigh.
    StoreError
        When there is no such event.
    """
    with room.store.read() as tx:
        event = stored.get_event(tx, number)
        at_s = views.latest_plan(tx, control.clock_s(tx))
    if not (event.waiting or event.held):
        raise BadInputError(f"event {number}: it is {event.state}, nothing is left to weigh")
    if at_s is None:
        raise BadInputError(f"event {number}: no plan was made yet to weigh it with")
    facts = weigh(room, at_s, event).facts
    with room.store.write() as tx:
        keep(tx, number, facts)
    return facts


def keep(tx: Transaction, number: int, facts: dict[str, Any]) -> None:
    """Store what an event was weighed to be."""
    stored.put_weighed(tx, number, json.dumps(facts))


def beside(directory: Path, site: Site, store: Store) -> Room:
    """Return a room that plans beside the control room: it has no field and sends nothing."""
    no_field: Any = None
    with store.read() as tx:
        first_s = int(control.get_meta(tx, "first_cycle_s") or 0)
    return Room(directory, site, store, no_field, first_s)


def follow(room: Room, at_s: int) -> None:
    """Stage ``events``: let them begin, end and expire, measure, and weigh what waits."""
    with room.store.read() as tx:
        waiting = [one for one in stored.in_states(tx, WAITING) if one.answer_by_s > at_s]
    waiting = sorted(waiting, key=lambda one: (one.answer_by_s, one.id))[:WEIGHED_MOST]
    weighed = {one.id: weigh(room, at_s, one).facts for one in waiting}
    with room.store.write() as tx:
        for number, facts in weighed.items():
            keep(tx, number, facts)
        told = events.pass_time(tx, room.site, at_s)
        told += event_delivery.measure_due(tx, room.site, at_s)
        control.put_findings(tx, at_s, told)
        control.mark_done(tx, at_s, "events")
    room.log(at_s, "events", weighed=len(weighed), findings=len(told))


def good(facts: dict[str, Any]) -> bool:
    """Return whether both plans are plans, and the event is kept as far as they reach."""
    return facts["sources"] == [NEW_PLAN, NEW_PLAN] and not facts["short"]


def _gap(plan: Plan) -> float:
    """Return how far the cost of a plan may be from the best, currency."""
    found = abs(plan.gap * plan.objective)
    return 0.0 if np.isnan(found) else float(found)


def _moved_kwh(schedule: xr.Dataset, inside: Any, hours: float) -> dict[str, list[float]]:
    """Return by device what it gives and takes in some steps, kWh."""
    given = schedule["discharge_kw"] + schedule["produce_kw"] + schedule["shed_kw"]
    both = [one.values[:, inside].sum(axis=1) for one in (given, schedule["charge_kw"])]
    names = [str(name) for name in schedule["asset"].values]
    return {
        name: [round(hours * float(way[row]), 3) for way in both] for row, name in enumerate(names)
    }


def _apart(before: float, after: float) -> float:
    return abs(before - after)
