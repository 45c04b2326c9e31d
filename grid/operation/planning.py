"""Stage ``plan``: an AC-feasible schedule, and its first step as the devices can hold it."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import xarray as xr

from dispatch.check import check_input
from dispatch.fallback import fallback
from dispatch.plan import (
    LAST_GOOD_PLAN,
    NEW_PLAN,
    SAFE_RULE,
    InfeasiblePlan,
    LinearCut,
    Plan,
    PlanInput,
)
from grid import interval
from grid.errors import BadInputError, Finding, Severity, SolverError
from grid.operation import (
    charging_plan,
    event_limits,
    flexible_plan,
    overrides,
    plan_certificates,
    record,
    survival,
)
from grid.operation.bounds import Bounds, bounds
from grid.operation.plan_inputs import plan_input, stale
from grid.operation.record import Personal
from grid.operation.room import Room
from grid.operation.setpoints import held, setpoints
from grid.store import Transaction, control, datasets
from grid.store import overrides as stored
from grid.store.events import Event
from grid.store.overrides import OverrideState
from meters.device import Setpoint
from trading.ledger.entry import Kind

ACTIVE = OverrideState.ACTIVE

WITHHELD_KW = 0.1
"""Load that is not served for what somebody wants of a device: more is too much."""

Found: TypeAlias = tuple[Plan, PlanInput, int, frozenset[int], list[Finding]]

Floats = npt.NDArray[np.float64]

ROUNDS = 8

PLAN_SCHEMA = 2
"""From 2 on a plan's entry tells its topology and its opening the hash of what it claims."""

_FIRST_LOSSES = 0.02


def plan(room: Room, at_s: int) -> None:
    """Plan from `at_s`, check in AC, cut, plan again; store the plan and its set-points."""
    from grid.operation import nodal_prices

    with room.store.read() as tx:
        given, ahead = plan_input(room, tx, at_s)
        given, promised, load = asked_of(room, tx, given, ahead)
        last, watched = last_good_plan(room, tx, at_s)
        active = [one for one in stored.in_states(tx, (ACTIVE,)) if one.start_s <= at_s < one.end_s]
        kept_to = bounds(room, tx, given, active)
    found, kept_to, suspended = kept_plan(room, kept_to, given, ahead, last, watched)
    chosen, used, rounds, near, trouble = found
    schedule, short = survival.told(room, given, load, chosen.schedule)
    unkept = event_limits.findings(event_limits.shortfalls(promised, schedule))
    trouble += [*suspended, *short, *unkept]
    cuts = len(used.cuts)
    wishes = held(room, kept_to.kept(setpoints(room, chosen, used)))
    claimed = plan_certificates.claim_of(room, ahead, chosen)
    by_bus = nodal_prices.nodal_prices(room, ahead, chosen)
    with room.store.write() as tx:
        trouble += stale(room, tx, at_s)
        trouble += charging_plan.missing(room, tx, at_s, used, chosen.schedule)
        trouble += flexible_plan.missing(room, tx, at_s, used, chosen.schedule)
        active = overrides.pass_time(tx, room.site, at_s)
        trouble += overrides.ending(active, at_s, room.site.interval_s)
        datasets.put_dataset(tx, "plan", at_s, schedule)
        if by_bus is not None:
            datasets.put_dataset(tx, nodal_prices.KIND, at_s, nodal_prices.kept(by_bus))
        detail = {
            "reasons": [asdict(reason) for reason in kept_to.explained(chosen.reasons)],
            "binding": [list(one) for one in chosen.binding_cuts],
            "input_sha256": input_hash(used, last),
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
        if claimed is not None:
            plan_certificates.put(tx, at_s, claimed)
        control.put_setpoints(tx, at_s, wishes, "intended")
        control.put_findings(tx, at_s, trouble)
        payload = {
            "claim_sha256": None if claimed is None else claimed.sha256,
            "input_sha256": detail["input_sha256"],
            "setpoints": [_payload(wish) for wish in wishes],
        }
        who = record.community(room.site)
        public = {"cuts": cuts, "source": chosen.source, "status": chosen.status}
        public["topology_sha256"] = room.model.topology_hash.hex()
        told = [Personal(who, "plan", "plan", payload)]
        record.append(tx, Kind.PLAN, at_s, at_s, public, told, schema=PLAN_SCHEMA)
        control.mark_done(tx, at_s, "plan")
    room.log(at_s, "plan", status=chosen.status, source=chosen.source, cuts=cuts, rounds=rounds)


def asked_of(
    room: Room, tx: Transaction, given: PlanInput, ahead: xr.Dataset
) -> tuple[PlanInput, list[Event], Floats]:
    """Return the input of a plan with what is asked of it: events that are promised, and hours
    that critical load is to last; with them the events, and the critical load, kW (step,)."""
    promised = event_limits.promised(tx, given.start_s)
    given = event_limits.limited(given, ahead, promised)
    load = survival.critical_kw(room, tx, ahead)
    return survival.asked(room, given, load), promised, load


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


def kept_plan(
    room: Room,
    kept_to: Bounds,
    given: PlanInput,
    ahead: xr.Dataset,
    last: Plan | None,
    watched: frozenset[int],
) -> tuple[Found, Bounds, list[Finding]]:
    """Return the plan that keeps to what people want of devices, or else the one without it.

    Their wishes do not take supply from customers, and do not put a rule in the place of a plan.

    Returns
    -------
    what :func:`_feasible_plan` found, what it keeps to, findings about wishes not followed
    """
    found = _feasible_plan(room, kept_to.on(given), ahead, last, watched)
    dark_kw = _withheld_kw(found[0])
    if not kept_to.wished or (found[0].source != SAFE_RULE and dark_kw < WITHHELD_KW):
        return found, kept_to, []
    hard = kept_to.without_wishes()
    other = _feasible_plan(room, hard.on(given), ahead, last, watched)
    why = found[4][0].message if found[4] else "there is no plan"
    if found[0].source != SAFE_RULE:
        if other[0].source == SAFE_RULE or _withheld_kw(other[0]) > dark_kw - WITHHELD_KW:
            return found, kept_to, []
        why = f"{dark_kw:.1f} kW of load would not be served"
    return other, hard, kept_to.suspended(given.start_s, why)


def _withheld_kw(chosen: Plan) -> float:
    """Return what the first step of a plan does not serve, kW."""
    step = chosen.schedule.isel(interval=0)
    return float(step["shed_kw"].sum() + step["unserved_kw"])


def _feasible_plan(
    room: Room,
    given: PlanInput,
    ahead: xr.Dataset,
    last: Plan | None,
    watched: frozenset[int] = frozenset(),
) -> Found:
    """Return a plan that holds in AC; the fallback when there is none.

    Cuts start from where the last plan brings the network, and among schedules that cost next to
    nothing more than the cheapest the nearest to the last plan is taken. Both are made anew from
    the stored plan and the stored forecast, so a resumed cycle makes the same ones.

    Returns
    -------
    plan, its input, its rounds, the buses that the next plan is to watch, findings
    """
    from grid.operation.feasibility import (
        check_forecast,
        cuts_after,
        safe_share,
        shifted,
        verdict,
    )

    operation = room.site.operation
    gap, nodes = operation.solver_gap, operation.solver_nodes
    deadline_s = operation.solver_deadline_s
    wanted, number = given, 0
    reason = f"the network still breaks limits after {ROUNDS} rounds of cuts"
    try:
        check_forecast(ahead)
        check_input(given)
        losses = given.demand_kw * _FIRST_LOSSES
        cuts: dict[tuple[int, str], LinearCut] = {}
        if last is not None:
            before = verdict(room, ahead, shifted(last, given.start_s), watched)
            cuts, losses = cuts_after(room, before), before.losses_kw
        for number in range(1, ROUNDS + 1):
            demand_kw = given.demand_kw + losses
            wanted = replace(given, cuts=given.cuts + tuple(cuts.values()), demand_kw=demand_kw)
            try:
                made = room.solver.solve(
                    wanted, gap=gap, nodes=nodes, deadline_s=deadline_s, in_force=last
                )
            except InfeasiblePlan:
                if number > 1 or not cuts:
                    raise
                cuts = {}
                continue
            now = verdict(room, ahead, made.schedule, watched)
            if not now.broken:
                return made, wanted, number, now.near, []
            # The newest tangent takes the place of an older one.
            cuts |= cuts_after(room, now)
            watched = now.watched
            losses = now.losses_kw if number == 1 else losses
    except (SolverError, BadInputError) as error:
        reason = str(error)
    when = interval.label(given.start_s)
    share = safe_share(room)
    chosen = fallback(last, given.start_s, wanted, why=reason, safe_share=share)
    limits = _broken_now(room, ahead, chosen)
    if limits and chosen.source == LAST_GOOD_PLAN:
        reason = f"{reason}; the last good plan {limits}"
        chosen = fallback(None, given.start_s, wanted, why=reason, safe_share=share)
        limits = _broken_now(room, ahead, chosen)
    why_rule = "" if chosen.source == LAST_GOOD_PLAN else chosen.reasons[-1].params["why"]
    found = [("plan.fallback", f"plan {when} is the {chosen.source}: {why_rule or reason}")]
    if limits:
        found.append(("plan.network", f"plan {when}: the {chosen.source} {limits}"))
    alarms = [Finding(code, "plan", when, Severity.ALARM, text) for code, text in found]
    return chosen, wanted, number, watched, alarms


def _broken_now(room: Room, ahead: xr.Dataset, chosen: Plan) -> str:
    """Return which limits the first step of a plan breaks in AC; nothing when it holds."""
    from grid.operation.feasibility import verdict

    step = chosen.schedule.isel(interval=slice(0, 1))
    try:
        limits = verdict(room, ahead.isel(interval=slice(0, 1)), step).broken
    except (SolverError, BadInputError) as error:
        return f"could not be checked in AC: {error}"
    return "breaks " + ", ".join(limits) if limits else ""


def _payload(wish: Setpoint) -> dict[str, object]:
    return asdict(wish)


def input_hash(given: PlanInput, last: Plan | None = None) -> str:
    """Return a SHA-256 over every number that a plan is made from, hexadecimal.

    Parameters
    ----------
    last : Plan, optional
        The plan in force, which the new one stays near to.
    """
    digest = hashlib.sha256()
    for name in given.__dataclass_fields__:
        value = getattr(given, name)
        if isinstance(value, np.ndarray):
            digest.update(name.encode() + np.ascontiguousarray(value).tobytes())
        else:
            digest.update(f"{name}={value!r}".encode())
    if last is not None:
        digest.update(f"in force {last.start_s}".encode())
        for name in sorted(map(str, last.schedule.data_vars)):
            values = np.ascontiguousarray(last.schedule[name].values)
            digest.update(name.encode() + values.tobytes())
    return digest.hexdigest()
