"""Orders whose meter never answers again: given up, so that others may follow.

An order that was given up may have acted. Of a new key both stay: a reading that is refused
under the key in use is tried under the other one, and the one that answers is kept.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from grid import interval
from grid.errors import BadInputError, Finding, Severity
from grid.operation import meter_keys
from grid.operation.meter_orders import check_reason, record_step, same_person
from grid.site import Site
from grid.store import Transaction, control, meter_orders
from grid.store.meter_orders import MeterOrder, OrderKind, OrderState
from meters.reading import Ciphering, MeterAddress

AFTER_S = 3600
"""Site time for which an order is asked after before anybody may give it up."""

REFUSALS = ("meter.security", "meter.replay", "meter.access")
"""How a meter with another key fails: what it sent does not verify, or it lets nobody in."""


def give_up(
    tx: Transaction, site: Site, number: int, by: str, reason: str, through: str = "console"
) -> MeterOrder:
    """End an order of which nobody will learn what the meter did; return it.

    Its alarm is acknowledged with the reason.

    Raises
    ------
    StoreError
        When there is no such order.
    BadInputError
        When it is not at the meter, not for long enough, the same person asked for it, or
        the reason says nothing.
    """
    order = meter_orders.get_order(tx, number)
    now_s = control.clock_s(tx)
    if why := cannot_give_up(order, by, now_s):
        raise BadInputError(f"order {number}: {why}")
    check_reason(f"order {number}", reason)
    who, said = by.strip(), reason.strip()
    gone = meter_orders.move(
        tx, number, order.state, OrderState.GIVEN_UP, ended_s=now_s,
        outcome=f"given up by {who}: {said}",
    )  # fmt: skip
    if gone.kind is OrderKind.KEY_REPLACEMENT:
        meter_keys.set_aside(tx, gone.meter)
    control.acknowledge_all(tx, "order.unknown", gone.meter, who, now_s, said)
    record_step(tx, site, gone, "meter_order.give_up", who, reason=said, through=through)
    return gone


def cannot_give_up(order: MeterOrder, by: str, now_s: int) -> str:
    """Return why a person cannot give an order up at `now_s`; nothing when they can."""
    if order.state is not OrderState.EXECUTING or order.executing_s is None:
        return f"it is {order.state}, only what went to its meter is given up"
    if now_s < (from_s := order.executing_s + AFTER_S):
        return f"its meter is asked until {interval.label(from_s)}, now {interval.label(now_s)}"
    if same_person(order.asked_by, by):
        return f"{order.asked_by} asked for it; it takes a second person"
    return ""


def under_candidates(
    addresses: Iterable[MeterAddress],
    candidates: Mapping[str, Ciphering],
    answered: Collection[str],
    findings: Iterable[Finding],
) -> list[MeterAddress]:
    """Return how to ask again those meters that refused us and may have another key.

    Parameters
    ----------
    answered : collection of str
        Meters that gave a reading.
    findings : iterable of Finding
        Of the reading.
    """
    refused = {one.subject for one in findings if one.code in REFUSALS} - set(answered)
    return [
        replace(one, ciphering=candidates[one.meter])
        for one in addresses
        if one.meter in candidates and one.meter in refused
    ]


def settle_keys(
    tx: Transaction, in_use: Iterable[str], replaced: Iterable[str], at_s: int
) -> list[Finding]:
    """Keep of two keys the one that a meter answered under, and tell which.

    Parameters
    ----------
    in_use, replaced : iterable of str
        Meters that answered under the key in use, and under the other one.
    """
    when = interval.label(at_s)
    waiting = meter_keys.candidates(tx)
    findings = []
    for meters, is_kept, told in (
        (replaced, True, "the new key of an order that was given up, which is in use now"),
        (in_use, False, "its old key: the order that was given up did not replace it"),
    ):
        for meter in sorted(waiting.keys() & set(meters)):
            meter_keys.settle_candidate(tx, meter, is_kept=is_kept)
            text = f"{meter} {when} answers under {told}"
            findings.append(Finding("order.key", meter, when, Severity.WARNING, text))
    return findings


def without_refusals(findings: Iterable[Finding], meters: Collection[str]) -> list[Finding]:
    """Return findings but for the refusals of meters that answered under their other key."""
    return [one for one in findings if one.subject not in meters or one.code not in REFUSALS]


def with_keys(
    addresses: Sequence[MeterAddress], others: Iterable[MeterAddress]
) -> list[MeterAddress]:
    """Return addresses, those of meters in `others` in place of the ones before."""
    found = {one.meter: one for one in others}
    return [found.get(one.meter, one) for one in addresses]
