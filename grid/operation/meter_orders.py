"""Orders of meters: two people, a reason, an end, a limit an hour, and what is never ordered.

Somebody asks, somebody else approves, and the control room carries it out in its next cycle
(:mod:`grid.operation.meter_order_execution`). Every step is an action on the ledger. What
stands behind a usage point is looked at when it is asked, when it is approved and once more
before anything goes to the meter.
"""

from __future__ import annotations

from dataclasses import dataclass

from grid import interval
from grid.errors import BadInputError, Finding, Severity
from grid.operation import medical_loads, meter_keys
from grid.operation.record import record_action
from grid.site import Meter, MeterRole, Protocol, Site
from grid.store import Transaction, control, meter_orders
from grid.store.meter_orders import MeterOrder, OrderKind, OrderState

REASON_MAX = 500
CONTROL_ROOM = "control room"
"""Who ends an order that no person ended."""

LIMITED = (OrderKind.DISCONNECT, OrderKind.KEY_REPLACEMENT)
"""Kinds that have a limit an hour, each its own; to give people their supply back has none."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asks of a meter.

    Attributes
    ----------
    kind : OrderKind
    meter : str
    reason : str
        Goes with the order for good.
    by : str
        The person's e-mail address.
    island_source : bool
        They know that what forms or feeds an island stands behind it.
    through : str
        Where they said so.
    """

    kind: OrderKind
    meter: str
    reason: str
    by: str
    island_source: bool = False
    through: str = "console"

    def __post_init__(self) -> None:
        check_reason(f"order for {self.meter}", self.reason)
        if not self.by.strip():
            raise BadInputError(f"order for {self.meter}: needs to know who asks")


def check_reason(where: str, reason: str) -> None:
    """Refuse a reason that says nothing, or cannot be shown.

    Raises
    ------
    BadInputError
        When it has not 1 to :data:`REASON_MAX` printable characters.
    """
    text = reason.strip()
    if not 0 < len(text) <= REASON_MAX or not text.isprintable():
        raise BadInputError(f"{where}: needs a reason of 1 to {REASON_MAX} printable characters")


def ask(tx: Transaction, site: Site, wanted: Asked) -> MeterOrder:
    """Keep what somebody asks of a meter, until another person approves it.

    What is never ordered is kept too, as refused: that somebody asked for it is worth knowing.

    Raises
    ------
    BadInputError
        When there is no such meter, it cannot do that, it would take away what feeds an island
        and nobody said so, or an order for it is open.
    """
    meter = _meter(site, wanted)
    for other in meter_orders.in_states(tx, meter_orders.OPEN):
        if other.meter == wanted.meter:
            raise BadInputError(
                f"{wanted.meter}: order {other.id} to {other.kind} it is {other.state}; "
                "one order at a time"
            )
    _can(tx, meter, wanted.kind)
    never = interlock(tx, site, wanted.kind, wanted.meter)
    sources = island_sources(site, meter) if wanted.kind is OrderKind.DISCONNECT else []
    if sources and not wanted.island_source and not never:
        raise BadInputError(
            f"{wanted.meter}: {', '.join(sources)} behind it feeds the island; say so to ask for it"
        )
    now_s = control.clock_s(tx)
    number = meter_orders.put_order(
        tx,
        kind=wanted.kind,
        meter=wanted.meter,
        reason=wanted.reason.strip(),
        island_source=wanted.island_source,
        asked_by=wanted.by.strip(),
        asked_s=now_s,
        expires_s=now_s + round(3600 * site.orders.expiry_hours),
    )
    order = meter_orders.get_order(tx, number)
    record_step(
        tx, site, order, "meter_order.ask", wanted.by, reason=order.reason, through=wanted.through
    )
    return _refused(tx, site, order, never, now_s) if never else order


def approve(
    tx: Transaction, site: Site, number: int, by: str, through: str = "console"
) -> MeterOrder:
    """Let another person than the one who asked agree; return the order as it is then.

    Returns
    -------
    MeterOrder
        Approved; refused when the interlock holds by now, or expired.

    Raises
    ------
    StoreError
        When there is no such order.
    BadInputError
        When the same person asked for it, or it is not waiting for this.
    """
    order = meter_orders.get_order(tx, number)
    if why := cannot_approve(order, by):
        raise BadInputError(f"order {number}: {why}")
    now_s = control.clock_s(tx)
    if now_s >= order.expires_s:
        return expire(tx, site, order, now_s)
    if never := interlock(tx, site, order.kind, order.meter):
        return _refused(tx, site, order, never, now_s)
    approved = meter_orders.move(
        tx,
        number,
        OrderState.ASKED,
        OrderState.APPROVED,
        approved_by=by.strip(),
        approved_s=now_s,
    )
    record_step(tx, site, approved, "meter_order.approve", by, through=through)
    return approved


def cannot_approve(order: MeterOrder, by: str) -> str:
    """Return why a person cannot approve an order; nothing when they can."""
    if order.state is not OrderState.ASKED:
        return f"it is {order.state}, only what is asked can be approved"
    if same_person(order.asked_by, by):
        return f"{order.asked_by} asked for it; it takes a second person"
    return ""


def same_person(one: str, other: str) -> bool:
    """Return whether two names are of one person, however they were written."""
    return one.strip().casefold() == other.strip().casefold()


def cancel(
    tx: Transaction, site: Site, number: int, by: str, through: str = "console"
) -> MeterOrder:
    """Take an order back before it goes to the meter.

    Raises
    ------
    StoreError
        When there is no such order.
    BadInputError
        When it went to the meter, or ended.
    """
    order = meter_orders.get_order(tx, number)
    if order.state not in (OrderState.ASKED, OrderState.APPROVED):
        raise BadInputError(f"order {number}: it is {order.state} and cannot be taken back")
    now_s = control.clock_s(tx)
    gone = meter_orders.move(
        tx,
        number,
        order.state,
        OrderState.CANCELLED,
        ended_s=now_s,
        outcome=f"taken back by {by.strip()}",
    )
    meter_keys.drop_pending(tx, gone.meter)
    record_step(tx, site, gone, "meter_order.cancel", by, through=through)
    return gone


def interlock(tx: Transaction, site: Site, kind: OrderKind, meter: str) -> str:
    """Return why a meter is never ordered to do this, naming it; nothing when it may be."""
    if kind is not OrderKind.DISCONNECT:
        return ""
    found = next((one for one in site.meter if one.id == meter), None)
    if found is None:
        return f"{meter}: no such meter in the site"
    if found.role is MeterRole.FEEDER_HEAD:
        return f"{meter} is at the feeder head: disconnecting it would take everybody's supply"
    if found.usage_point in medical_loads.medical(tx, site):
        return f"{meter}: {found.usage_point} has medical loads and is never disconnected"
    return ""


def island_sources(site: Site, meter: Meter) -> list[str]:
    """Return what stands behind a meter and forms or feeds an island."""
    point = meter.usage_point
    forming = [str(one.id) for one in site.battery if one.forming and one.usage_point == point]
    return forming + [str(one.id) for one in site.genset if one.usage_point == point]


def end(
    tx: Transaction, site: Site, order: MeterOrder, state: OrderState, outcome: str, at_s: int
) -> tuple[MeterOrder, list[Finding]]:
    """End an order as the control room saw it; return it and what is to be told of it."""
    ended = meter_orders.move(tx, order.id, order.state, state, ended_s=at_s, outcome=outcome)
    record_step(tx, site, ended, "meter_order.end", CONTROL_ROOM)
    if state is OrderState.DONE:
        return ended, []
    severity = Severity.WARNING if state is OrderState.EXPIRED else Severity.ALARM
    return ended, [told(ended, f"order.{state}", severity, outcome, at_s)]


def told(order: MeterOrder, code: str, severity: Severity, what: str, at_s: int) -> Finding:
    """Return a finding about an order, labelled with the interval at `at_s`."""
    when = interval.label(at_s)
    text = f"{order.meter} {when} order {order.id} to {order.kind}: {what}"
    return Finding(code, order.meter, when, severity, text)


def expire(tx: Transaction, site: Site, order: MeterOrder, at_s: int) -> MeterOrder:
    """End an order whose time is over, and tell it."""
    outcome = f"not carried out by {interval.label(order.expires_s)}, when it expired"
    ended, findings = end(tx, site, order, OrderState.EXPIRED, outcome, at_s)
    control.put_findings(tx, at_s, findings)
    meter_keys.drop_pending(tx, ended.meter)
    return ended


def refuse(tx: Transaction, site: Site, order: MeterOrder, at_s: int) -> MeterOrder | None:
    """End an order that an interlock holds back by now; ``None`` when none does."""
    never = interlock(tx, site, order.kind, order.meter)
    return _refused(tx, site, order, never, at_s) if never else None


def _refused(tx: Transaction, site: Site, order: MeterOrder, never: str, at_s: int) -> MeterOrder:
    ended, findings = end(tx, site, order, OrderState.REFUSED, never, at_s)
    control.put_findings(tx, at_s, findings)
    return ended


def _meter(site: Site, wanted: Asked) -> Meter:
    found = next((one for one in site.meter if one.id == wanted.meter), None)
    if found is None:
        raise BadInputError(f"{wanted.meter[:64]}: no such meter in the site")
    return found


def _can(tx: Transaction, meter: Meter, kind: OrderKind) -> None:
    """Refuse what the meter has no way to do."""
    if meter.protocol is not Protocol.DLMS:
        raise BadInputError(
            f"{meter.id}: takes no orders over {meter.protocol}, only over {Protocol.DLMS}"
        )
    if kind is OrderKind.KEY_REPLACEMENT:
        if meter.auth != "hls-gmac":
            raise BadInputError(f"{meter.id}: has auth {meter.auth!r} and no key to replace")
        if meter_keys.master_key(tx, meter.id) is None:
            raise BadInputError(f"{meter.id}: no master key of it is stored to wrap a new key with")
        if meter.id in meter_keys.candidates(tx):
            raise BadInputError(
                f"{meter.id}: may have the key of an order that was given up; it must be read first"
            )


def record_step(
    tx: Transaction, site: Site, order: MeterOrder, kind: str, user: str, **more: str
) -> None:
    """Write a step of an order to the ledger, in this transaction."""
    # Why an interlock held is the business of who works here, not of the ledger.
    detail = {"kind": str(order.kind), "order": order.id, "state": str(order.state), **more}
    record_action(
        tx,
        site,
        at_s=control.clock_s(tx),
        user=user.strip(),
        kind=kind,
        subject=order.meter,
        detail=detail,
    )
