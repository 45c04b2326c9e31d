"""Stages ``plan`` and ``send``: an AC-feasible schedule, and its first step to the devices."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from dispatch.check import check_input
from dispatch.fallback import fallback
from dispatch.plan import (
    LAST_GOOD_PLAN,
    NEW_PLAN,
    InfeasiblePlan,
    LinearCut,
    Plan,
    PlanInput,
    per_kwh,
)
from grid import interval
from grid.errors import BadInputError, Finding, Severity, SolverError
from grid.operation import record
from grid.operation.field.serve import device_kind, rating_w
from grid.operation.market import prices_at
from grid.operation.record import Personal
from grid.operation.room import Room
from grid.site import Asset, Battery, Genset
from grid.store import Transaction, control, datasets, field
from meters.device import DeviceAddress, Setpoint
from trading.ledger.entry import Kind

Floats = npt.NDArray[np.float64]

ROUNDS = 8

HEAD_SHARE = 0.99
"""Share of the connection's limits that plans use: losses are known only after the flow."""

STALE_S = 4 * 3600
"""For how long a device that is silent counts as it was when it last answered."""
_FIRST_LOSSES = 0.02


def plan(room: Room, at_s: int) -> None:
    """Plan from `at_s`, check in AC, cut, plan again; store the plan and its set-points."""
    with room.store.read() as tx:
        given, ahead = plan_input(room, tx, at_s)
        last, watched = last_good_plan(room, tx, at_s)
    chosen, used, rounds, near, trouble = _feasible_plan(room, given, ahead, last, watched)
    cuts = len(used.cuts)
    wishes = setpoints(room, chosen)
    with room.store.write() as tx:
        trouble += _stale(room, tx, at_s)
        datasets.put_dataset(tx, "plan", at_s, chosen.schedule)
        detail = {
            "reasons": [asdict(reason) for reason in chosen.reasons],
            "binding": [list(one) for one in chosen.binding_cuts],
            "input_sha256": input_hash(used),
            "watched": sorted(near),
        }
        facts = {
            "status": chosen.status,
            "source": chosen.source,
            "objective": None if np.isnan(chosen.objective) else chosen.objective,
            "gap": None if np.isnan(chosen.gap) else chosen.gap,
            "rounds": rounds,
            "cuts": cuts,
        }
        control.put_plan(tx, at_s, facts, detail)
        control.put_setpoints(tx, at_s, wishes, "intended")
        control.put_findings(tx, at_s, trouble)
        payload = {
            "input_sha256": detail["input_sha256"],
            "setpoints": [_payload(wish) for wish in wishes],
        }
        who = record.community(room.site)
        public = {"cuts": cuts, "source": chosen.source, "status": chosen.status}
        record.append(tx, Kind.PLAN, at_s, at_s, public, [Personal(who, "plan", "plan", payload)])
        control.mark_done(tx, at_s, "plan")
    room.log(at_s, "plan", status=chosen.status, source=chosen.source, cuts=cuts, rounds=rounds)


def last_good_plan(room: Room, tx: Transaction, at_s: int) -> tuple[Plan | None, frozenset[int]]:
    """Return the newest solved plan that still covers `at_s`, and the buses it had to watch."""
    horizon_s = room.site.operation.horizon_intervals * room.site.interval_s
    solved = [row for row in control.plans(tx, at_s - horizon_s, at_s) if row["source"] == NEW_PLAN]
    if not solved:
        return None, frozenset()
    row = solved[-1]
    schedule = datasets.require_dataset(tx, "plan", row["cycle_s"])
    interval_s = room.site.interval_s
    plan = Plan(
        row["status"], NEW_PLAN, row["cycle_s"], interval_s, row["objective"], row["gap"], schedule
    )
    return plan, frozenset(row["detail"].get("watched", ()))


def plan_input(room: Room, tx: Transaction, at_s: int) -> tuple[PlanInput, xr.Dataset]:
    """Return what the plan from `at_s` depends on, and the forecast it came from."""
    ahead = datasets.require_dataset(tx, "forecast", at_s)
    return planned_from(room, tx, at_s, ahead), ahead


def planned_from(room: Room, tx: Transaction, at_s: int, ahead: xr.Dataset) -> PlanInput:
    """Return the input of a plan from the state at `at_s` and the means of `ahead`."""
    site = room.site
    n = ahead.sizes["interval"]
    starts = at_s + site.interval_s * np.arange(n)
    mean = ahead["mean_kw"]
    prices = np.array([prices_at(room, int(s)) for s in starts]).reshape(n, 2)
    states = field.last_device_states(tx, at_s, since_s=at_s - STALE_S)
    loads = mean.sel(series=[f"load:{name}" for name in room.points]).values
    total = loads.sum(axis=0)
    return PlanInput(
        start_s=at_s,
        interval_s=site.interval_s,
        battery=site.battery,
        solar=site.solar,
        wind=site.wind,
        genset=site.genset,
        shedding=site.shedding,
        grid=replace(
            site.grid,
            import_limit_kw=HEAD_SHARE * site.grid.import_limit_kw,
            export_limit_kw=HEAD_SHARE * site.grid.export_limit_kw,
        ),
        demand_kw=total,
        solar_available_kw=_rows(mean, site.solar, n),
        wind_available_kw=_rows(mean, site.wind, n),
        sheddable_kw=np.array(
            [loads[[room.row[p] for p in one.usage_points]].sum(axis=0) for one in site.shedding]
        ).reshape(-1, n),
        buy_price=np.array([per_kwh(int(price)) for price in prices[:, 0]]),
        sell_price=np.array([per_kwh(int(price)) for price in prices[:, 1]]),
        end_value_per_kwh=end_value(room),
        grid_available=room.grid_available(starts),
        battery_energy_kwh=np.array([_stored(states, battery) for battery in site.battery]),
        genset_on=np.array(
            [g.id in states and bool(states[g.id]["running"]) for g in site.genset], np.bool_
        ),
        genset_intervals_in_state=np.array(
            [_in_state(room, tx, g, at_s) for g in site.genset], np.int64
        ),
        reserve_kw=total * site.operation.critical_reserve_percent / 100.0,
    )


def end_value(room: Room) -> float:
    """Return the stated worth of a kWh left in a battery: what filling it again costs at best."""
    return min(per_kwh(step.buy) for step in room.site.grid.price)


def _rows(mean: xr.DataArray, plants: tuple[Asset, ...], n: int) -> Floats:
    rows = []
    for plant in plants:
        rating_kw = getattr(plant, "power_kw", np.inf)
        rows.append(np.minimum(mean.sel(series=plant.id).values, rating_kw))
    return np.array(rows).reshape(-1, n)


def _stored(states: Mapping[str, Any], battery: Battery) -> float:
    energy_wh = states[battery.id]["energy_wh"] if battery.id in states else None
    if energy_wh is None:
        return float("nan")
    low = battery.min_energy_kwh
    return float(min(max(energy_wh / 1000, low), battery.energy_kwh))


def _stale(room: Room, tx: Transaction, at_s: int) -> list[Finding]:
    """Return a finding for each store and genset whose state of now is not known."""
    now = field.device_states(tx, at_s)
    last = field.last_device_states(tx, at_s, since_s=at_s - STALE_S)
    findings = []
    watched: tuple[Battery | Genset, ...] = (*room.site.battery, *room.site.genset)
    for asset in watched:
        if asset.id in now:
            continue
        since = interval.label(last[asset.id]["at_s"]) if asset.id in last else None
        what = f"is taken as it was at {since}" if since else "has not answered for hours"
        findings.append(
            Finding(
                "device.stale",
                str(asset.id),
                interval.label(at_s),
                Severity.WARNING if since else Severity.ALARM,
                f"{asset.id} {interval.label(at_s)} does not say its state: it {what}; "
                "look at its connection",
            )
        )
    return findings


def _in_state(room: Room, tx: Transaction, genset: Genset, at_s: int) -> int:
    """Return for how many intervals a genset has been on, or off, up to `at_s`."""
    most = max(genset.min_up_intervals, genset.min_down_intervals)
    rows = field.device_history(tx, at_s - most * room.site.interval_s, at_s)
    runs = [bool(row["running"]) for row in rows if row["asset"] == genset.id]
    if not runs:
        return most
    count = 0
    while count < len(runs) and runs[-1 - count] == runs[-1]:
        count += 1
    return most if count == len(runs) else count


def _feasible_plan(
    room: Room,
    given: PlanInput,
    ahead: xr.Dataset,
    last: Plan | None,
    watched: frozenset[int] = frozenset(),
) -> tuple[Plan, PlanInput, int, frozenset[int], list[Finding]]:
    """Return a plan that holds in AC; the fallback when there is none.

    Cuts start from where the last plan brings the network. They are made anew from the stored
    plan and the stored forecast, so a resumed cycle makes the same ones.

    Returns
    -------
    plan, its input, its rounds, the buses that the next plan is to watch, findings
    """
    from grid.operation.feasibility import shifted, verdict

    operation = room.site.operation
    gap, nodes = operation.solver_gap, operation.solver_nodes
    deadline_s = operation.solver_deadline_s
    wanted, number = given, 0
    reason = f"the network still breaks limits after {ROUNDS} rounds of cuts"
    try:
        check_input(given)
        losses = given.demand_kw * _FIRST_LOSSES
        cuts: dict[tuple[int, str], LinearCut] = {}
        if last is not None:
            before = verdict(room, ahead, shifted(last, given.start_s), watched)
            cuts, losses = _by_place(before.cuts), before.losses_kw
        for number in range(1, ROUNDS + 1):
            demand_kw = given.demand_kw + losses
            wanted = replace(given, cuts=given.cuts + tuple(cuts.values()), demand_kw=demand_kw)
            try:
                made = room.solver.solve(wanted, gap=gap, nodes=nodes, deadline_s=deadline_s)
            except InfeasiblePlan:
                if number > 1 or not cuts:
                    raise
                cuts = {}
                continue
            now = verdict(room, ahead, made.schedule, watched)
            if not now.broken:
                return made, wanted, number, now.near, []
            # The newest tangent takes the place of an older one.
            cuts |= _by_place(now.cuts)
            watched = now.watched
            losses = now.losses_kw if number == 1 else losses
    except (SolverError, BadInputError) as error:
        reason = str(error)
    when = interval.label(given.start_s)
    chosen = fallback(last, given.start_s, wanted, why=reason)
    limits = _broken_now(room, ahead, chosen)
    if limits and chosen.source == LAST_GOOD_PLAN:
        reason = f"{reason}; the last good plan {limits}"
        chosen = fallback(None, given.start_s, wanted, why=reason)
        limits = _broken_now(room, ahead, chosen)
    found = [("plan.fallback", f"plan {when} is the {chosen.source}: {reason}")]
    if limits:
        found.append(("plan.network", f"plan {when}: the {chosen.source} {limits}"))
    alarms = [Finding(code, "plan", when, Severity.ALARM, text) for code, text in found]
    return chosen, wanted, number, watched, alarms


def _by_place(cuts: Iterable[LinearCut]) -> dict[tuple[int, str], LinearCut]:
    return {(cut.step, cut.name): cut for cut in cuts}


def _broken_now(room: Room, ahead: xr.Dataset, chosen: Plan) -> str:
    """Return which limits the first step of a plan breaks in AC; nothing when it holds."""
    from grid.operation.feasibility import verdict

    step = chosen.schedule.isel(interval=slice(0, 1))
    try:
        limits = verdict(room, ahead.isel(interval=slice(0, 1)), step).broken
    except (SolverError, BadInputError) as error:
        return f"could not be checked in AC: {error}"
    return "breaks " + ", ".join(limits) if limits else ""


def setpoints(room: Room, chosen: Plan) -> list[Setpoint]:
    """Return the first step of a plan as the devices can hold it, whole W."""
    from meters.modbus.sunspec import quantise

    step = {name: column.values for name, column in chosen.schedule.isel(interval=0).items()}
    wishes = []
    for number, asset in enumerate(room.site.assets):
        rating = rating_w(room.site, asset)
        row = {name: values[number] for name, values in step.items() if values.ndim}
        kind = device_kind(asset)
        limit_kw = float(row["limit_kw"])
        wish = Setpoint(
            asset=str(asset.id),
            kind=kind,
            charge_w=round(1000 * float(row["charge_kw"])),
            discharge_w=round(1000 * float(row["discharge_kw"] + row["produce_kw"]))
            if kind != "limit"
            else 0,
            limit_w=(rating if np.isnan(limit_kw) else min(round(1000 * limit_kw), rating))
            if kind == "limit"
            else 0,
            running=bool(row["on"]) if isinstance(asset, Genset) else True,
        )
        wishes.append(quantise(wish, rating))
    return wishes


def _payload(wish: Setpoint) -> dict[str, object]:
    return asdict(wish)


def input_hash(given: PlanInput) -> str:
    """Return a SHA-256 over every number of a plan's input, hexadecimal."""
    digest = hashlib.sha256()
    for name in given.__dataclass_fields__:
        value = getattr(given, name)
        if isinstance(value, np.ndarray):
            digest.update(name.encode() + np.ascontiguousarray(value).tobytes())
        else:
            digest.update(f"{name}={value!r}".encode())
    return digest.hexdigest()


def send(room: Room, at_s: int) -> None:
    """Send the set-points of the interval from `at_s` and keep what the devices then held."""
    from meters.modbus.sunspec import send_setpoints

    with room.store.read() as tx:
        rows = control.setpoints(tx, at_s)
    names = tuple(Setpoint.__dataclass_fields__)
    wishes = [Setpoint(**{name: row[name] for name in names}) for row in rows]
    addresses = [DeviceAddress(wish.asset, room.link.devices[wish.asset]) for wish in wishes]
    timeout_s = room.site.operation.read_timeout_s
    held, findings = asyncio.run(send_setpoints(addresses, wishes, timeout_s=timeout_s))
    when = interval.label(at_s)
    findings = [replace(finding, interval=when) for finding in findings]
    wanted = {wish.asset: wish for wish in wishes}
    confirmed = [one for one in held if one == wanted[one.asset]]
    failed = sorted(set(wanted) - {one.asset for one in confirmed})
    with room.store.write() as tx:
        control.put_setpoints(tx, at_s, confirmed, "confirmed")
        control.put_setpoints(tx, at_s, [wanted[name] for name in failed], "failed")
        control.put_findings(tx, at_s, findings)
        payload = json.loads(json.dumps([_payload(one) for one in confirmed]))
        facts = {"confirmed": len(confirmed), "failed": len(failed)}
        who = record.community(room.site)
        record.append(
            tx, Kind.SETPOINTS, at_s, at_s, facts, [Personal(who, "setpoints", "held", payload)]
        )
        control.mark_done(tx, at_s, "send")
    room.log(at_s, "send", confirmed=len(confirmed), failed=len(failed))
