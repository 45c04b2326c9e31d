"""What a day came to: counts, extremes, and its cost beside a rule's and perfect foresight's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from dispatch.evaluate import day_cost, foresight, simulate_rule
from dispatch.plan import LinearCut, PlanInput
from grid.operation import feasibility, plan_inputs
from grid.operation.forecasting import gross
from grid.operation.room import Room
from grid.site import Charger, Flexible, Protocol
from grid.store import Transaction, control, datasets, field, log, market, series

_RULE_ROUNDS = 8


def summarise(room: Room, start_s: int, end_s: int) -> dict[str, Any]:
    """Return the figures of the settled intervals in ``[start_s, end_s)``.

    `cost_realised`, `cost_rule` and `cost_foresight` are of the same metered
    day and asset models, currency, with what the batteries hold at the end
    valued at `end_value_per_kwh`.
    """
    with room.store.read() as tx:
        starts = datasets.instants(tx, "actual", start_s, end_s)
        actual = [datasets.require_dataset(tx, "actual", s) for s in starts]
        plans = control.plans(tx, start_s, end_s)
        settled = market.settlements(tx, start_s, end_s)
        traded = sum(row["volume_wh"] for row in market.clearings(tx, start_s, end_s))
        day, seen = measured_day(room, tx, start_s, end_s)
        done = realised(room, tx, day)
        facts = {
            "intervals_settled": len({row["start_s"] for row in settled}),
            "corrections": sum(row["version"] > 1 for row in settled),
            "vm_pu_min": min(float(one["vm_pu_min"]) for one in actual),
            "vm_pu_max": max(float(one["vm_pu_max"]) for one in actual),
            "cuts": sum(row["cuts"] for row in plans),
            "plans_with_binding_cuts": sum(bool(row["detail"]["binding"]) for row in plans),
            "plan_status": _worst([row["status"] for row in plans], "optimal"),
            "plan_source": _worst([row["source"] for row in plans], "new plan"),
            "traded_wh": traded,
            "postings_sum": market.postings_sum(tx),
            "ledger_entries": log.size(tx),
            "findings": len(control.findings(tx, limit=100_000)),
        }
    protocols = [meter.protocol for meter in room.site.meter]
    cost = day_cost(day, done)
    rule = day_cost(day, rule_schedule(room, day, seen))
    best = foresight(
        day, feasible=lambda schedule: feasibility.broken_as_metered(room, seen, schedule)
    )
    on = done["on"].values[day.rows("genset")]
    return {
        "meters": len(protocols),
        "reads_by_protocol": {str(name): protocols.count(name) * len(starts) for name in Protocol},
        **facts,
        "genset_starts": int(np.clip(np.diff(on.astype(int), axis=1, prepend=0), 0, 1).sum()),
        "shed_kwh": float(done["shed_kw"].values.sum()) * day.hours,
        "cost_realised": round(cost.total, 4),
        "cost_rule": round(rule.total, 4),
        "cost_foresight": round(day_cost(day, best.schedule).total, 4),
        "end_value_per_kwh": day.end_value_per_kwh,
    }


def _worst(values: list[str], good: str) -> str:
    return next((value for value in values if value != good), good)


def measured_day(
    room: Room, tx: Transaction, start_s: int, end_s: int
) -> tuple[PlanInput, xr.Dataset]:
    """Return a day as it was, as the input of a plan, and its loads as a forecast's means.

    What vehicles and flexible loads took is load: what they want was not known before.
    """
    truth = gross(room, tx, start_s, end_s)
    seen = xr.Dataset(
        {"mean_kw": truth["power_kw"].fillna(0.0), "mean_kvar": truth["reactive_kvar"].fillna(0.0)}
    )
    starts = range(start_s, end_s, room.site.interval_s)
    states = [datasets.require_dataset(tx, "network", s) for s in starts]
    losses = np.array([float(state["losses_kw"]) for state in states])
    given = plan_inputs.planned_from(room, tx, start_s, seen)
    given = replace(given, charger=(), flexible=())
    _add_moved(room, tx, seen, start_s, end_s)
    load = seen["mean_kw"].values[: len(room.points)].sum(axis=0)
    shed = _withheld(room, tx, start_s, end_s)
    demand_kw = load + losses + shed.sum(axis=0)
    return replace(given, demand_kw=demand_kw, grid=room.site.grid), seen


def _add_moved(room: Room, tx: Transaction, seen: xr.Dataset, start_s: int, end_s: int) -> None:
    """Add what they took less what they gave to the loads they stand at, in place."""
    moved: tuple[Charger | Flexible, ...] = (*room.site.charger, *room.site.flexible)
    names = [str(one.id) for one in moved]
    if not names:
        return
    did = series.get_intervals(tx, names, start_s, end_s, time_zone=room.site.time_zone)
    kilo = 3.6 / room.site.interval_s
    net = np.maximum(did["import_wh"].values, 0) - np.maximum(did["export_wh"].values, 0)
    for one, row in zip(moved, net * kilo, strict=True):
        seen["mean_kw"].values[room.row[one.usage_point]] += row


def _withheld(room: Room, tx: Transaction, start_s: int, end_s: int) -> np.ndarray:
    n = (end_s - start_s) // room.site.interval_s
    if not room.site.shedding:
        return np.zeros((0, n))
    rows: list[list[float]] = []
    for one in room.site.shedding:
        rows.append([])
        for at_s in range(start_s + room.site.interval_s, end_s + 1, room.site.interval_s):
            state = field.device_states(tx, at_s).get(str(one.id))
            rows[-1].append(0.0 if state is None else state["throttled_w"] / 1000)
    return np.array(rows)


def realised(room: Room, tx: Transaction, day: PlanInput) -> xr.Dataset:
    """Return what the devices did, as a schedule."""
    from dispatch.plan import empty_schedule

    end_s = day.start_s + day.n * day.interval_s
    schedule = empty_schedule(day)
    names = list(day.asset_ids)
    zone = room.site.time_zone
    did = series.get_intervals(tx, names, day.start_s, end_s, time_zone=zone)
    kilo = 3.6 / day.interval_s
    taken = np.maximum(did["import_wh"].values, 0) * kilo
    given = np.maximum(did["export_wh"].values, 0) * kilo
    storage = day.rows("battery")
    schedule["charge_kw"].values[storage] = taken[storage]
    schedule["discharge_kw"].values[storage] = given[storage]
    for kind in ("solar", "wind", "genset"):
        rows = day.rows(kind)
        schedule["produce_kw"].values[rows] = given[rows]
    schedule["shed_kw"].values[day.rows("shedding")] = _withheld(room, tx, day.start_s, end_s)
    last: dict[str, Mapping[Any, Any]] = {}
    for step in range(day.n):
        states = field.device_states(tx, day.start_s + (step + 1) * day.interval_s)
        for number, name in enumerate(names):
            state = dict(states[name].items()) if name in states else last.get(name)
            if state is None:
                continue
            last[name] = state
            schedule["on"].values[number, step] = state["running"]
            if state["energy_wh"] is not None:
                schedule["energy_kwh"].values[number, step] = state["energy_wh"] / 1000
        actual = datasets.require_dataset(tx, "actual", day.start_s + step * day.interval_s)
        schedule["import_kw"].values[step] = float(actual["import_kw"])
        schedule["export_kw"].values[step] = float(actual["export_kw"])
    return schedule


def rule_schedule(room: Room, day: PlanInput, seen: xr.Dataset) -> xr.Dataset:
    """Return what self-consumption by rule would have done within the network's limits."""
    made: tuple[LinearCut, ...] = ()
    schedule = simulate_rule(day)
    for _ in range(_RULE_ROUNDS):
        more = feasibility.broken_as_metered(room, seen, schedule)
        if not more:
            break
        made += more
        schedule = simulate_rule(replace(day, cuts=made))
    return schedule
