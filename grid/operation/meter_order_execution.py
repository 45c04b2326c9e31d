"""Carrying orders out: committed before the wire, read back after it, never done twice.

An order is `executing` in the store before anything goes to its meter. Whatever happens then,
an order found so is only read back: what the meter says decides how it ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from grid import interval
from grid.errors import Finding, Severity
from grid.operation import meter_keys, meter_orders
from grid.operation.meter_visits import Ending, Job, Visit, visit
from grid.operation.room import Room
from grid.site import Meter
from grid.store import Transaction, control
from grid.store import meter_orders as stored
from grid.store.meter_orders import MeterOrder, OrderKind, OrderState
from meters.reading import MeterAddress

HOUR_S = 3600
TIMES = 3
"""An order takes more questions than a reading: so many of its time limits."""


def resume(room: Room, at_s: int) -> None:
    """Find out what became of the orders that went to a meter and were never heard of again."""
    _settle(room, at_s, lambda order: True)


def execute(room: Room, at_s: int) -> None:
    """Carry out what is approved, as many as the hour allows, and commit the stage."""
    # Of this very stage, before it was interrupted; the others were asked when it was read.
    _settle(room, at_s, lambda order: order.executing_s == at_s)
    with room.store.read() as tx:
        waiting = stored.in_states(tx, (OrderState.ASKED, OrderState.APPROVED))
    jobs: list[Job] = []
    if waiting:
        with room.store.write() as tx:
            jobs = _release(room, tx, at_s)
    visits = asyncio.run(_visit_all(room, jobs))
    with room.store.write() as tx:
        _end_all(room, tx, at_s, jobs, visits)
        control.mark_done(tx, at_s, "orders")
    if waiting:
        room.log(at_s, "orders", open=len(waiting), carried_out=len(jobs))


def _settle(room: Room, at_s: int, wanted: Callable[[MeterOrder], bool]) -> None:
    with room.store.read() as tx:
        left = [one for one in stored.in_states(tx, (OrderState.EXECUTING,)) if wanted(one)]
        jobs = [_job(room, tx, order, only_look=True) for order in left]
    if jobs:
        visits = asyncio.run(_visit_all(room, jobs))
        with room.store.write() as tx:
            _end_all(room, tx, at_s, jobs, visits)


def _release(room: Room, tx: Transaction, at_s: int) -> list[Job]:
    """Mark what may go to a meter now as executing; end what expired or must not go."""
    site, jobs, held = room.site, [], 0
    used = {kind: stored.executed_since(tx, kind, at_s - HOUR_S) for kind in meter_orders.LIMITED}
    for order in stored.in_states(tx, (OrderState.ASKED, OrderState.APPROVED)):
        if at_s >= order.expires_s:
            meter_orders.expire(tx, site, order, at_s)
        elif order.state is not OrderState.APPROVED or meter_orders.refuse(tx, site, order, at_s):
            continue
        elif used.get(order.kind, 0) >= site.orders.per_hour and order.kind in used:
            held += 1
        else:
            if order.kind in used:
                used[order.kind] += 1
            if order.kind is OrderKind.KEY_REPLACEMENT:
                meter_keys.make_pending(tx, order.meter)
            going = stored.move(
                tx, order.id, order.state, OrderState.EXECUTING, executing_s=at_s, outcome=""
            )
            jobs.append(_job(room, tx, going, only_look=False))
    if held:
        when = interval.label(at_s)
        text = f"orders {when} {held} wait: {site.orders.per_hour} an hour is the limit"
        control.put_findings(
            tx, at_s, [Finding("order.limit", "orders", when, Severity.WARNING, text)]
        )
    return jobs


def _job(room: Room, tx: Transaction, order: MeterOrder, *, only_look: bool) -> Job:
    meter = next(one for one in room.site.meter if one.id == order.meter)
    is_key = order.kind is OrderKind.KEY_REPLACEMENT
    return Job(
        order,
        _address(room, tx, meter),
        only_look,
        meter_keys.pending(tx, meter.id) if is_key else None,
        (meter_keys.master_key(tx, meter.id) or b"") if is_key else b"",
    )


def _address(room: Room, tx: Transaction, meter: Meter) -> MeterAddress:
    return MeterAddress(
        meter=meter.id,
        url=room.link.meters[meter.id],
        profile=meter.profile,
        auth=meter.auth,
        secret=meter_keys.password(tx, meter.id) if meter.auth == "lls" else b"",
        ciphering=meter_keys.ciphering(tx, meter.id),
    )


async def _visit_all(room: Room, jobs: Sequence[Job]) -> list[Visit]:
    once_s = room.site.operation.read_timeout_s
    return list(
        await asyncio.gather(
            *(visit(job, once_s * (1 if job.only_look else TIMES), room.counters) for job in jobs)
        )
    )


def _end_all(
    room: Room, tx: Transaction, at_s: int, jobs: Sequence[Job], visits: Sequence[Visit]
) -> None:
    findings: list[Finding] = []
    for job, (ending, text) in zip(jobs, visits, strict=True):
        findings += _end(room, tx, at_s, job.order, ending, text)
    control.put_findings(tx, at_s, findings)


def _end(
    room: Room, tx: Transaction, at_s: int, order: MeterOrder, ending: Ending, text: str
) -> list[Finding]:
    if stored.get_order(tx, order.id).state is not OrderState.EXECUTING:
        # Given up while its meter was asked: which key it has the next reading finds out.
        return []
    is_key = order.kind is OrderKind.KEY_REPLACEMENT
    if ending is Ending.UNTOUCHED:
        stored.move(
            tx, order.id, order.state, OrderState.APPROVED, executing_s=None,
            outcome=f"not carried out yet: {text}",
        )  # fmt: skip
        return []
    if ending is Ending.UNKNOWN and (is_key or at_s < order.expires_s):
        outcome = f"what the meter did is not known yet: {text}"
        stored.move(tx, order.id, order.state, order.state, outcome=outcome)
        # Once for each time that it went out, however often the meter stays silent after it.
        since_s = order.executing_s or at_s
        return [meter_orders.told(order, "order.unknown", Severity.ALARM, outcome, since_s)]
    if is_key and ending is Ending.DONE:
        meter_keys.keep_pending(tx, order.meter)
    elif is_key:
        meter_keys.drop_pending(tx, order.meter)
    state = OrderState.DONE if ending is Ending.DONE else OrderState.FAILED
    return meter_orders.end(tx, room.site, order, state, text, at_s)[1]
