"""Stage ``settle``: what each complete interval is worth, corrected when readings change."""

from __future__ import annotations

import json

import numpy as np

from grid import interval
from grid.errors import Finding, Severity
from grid.operation import record
from grid.operation.market import shares
from grid.operation.resettlement import take_changed
from grid.operation.room import Room
from grid.operation.settlement_entries import (
    decode_settlement,
    encode_settlement,
    record_settlement,
)
from grid.operation.settlement_inputs import head_is_metered, settlement_input
from grid.operation.witnessing import unwitnessed_s
from grid.store import Transaction, control, datasets, series
from grid.store import market as store
from meters.vee import Quality
from trading.late import settle_late
from trading.ledger.entry import Kind
from trading.settlement import resettle, settle
from trading.settlement_facts import Settlement, SettlementInput
from trading.sharing import Shared, share, summary


def settle_intervals(room: Room, at_s: int) -> None:
    """Settle what is complete, correct what changed, make final what is past its deadline."""
    site = room.site
    final_before = at_s - site.operation.final_after_intervals * site.interval_s
    first_s = max(room.first_cycle_s, final_before)
    passed_s = max(room.first_cycle_s, final_before - site.interval_s)
    settled = corrected = 0
    with room.store.write() as tx:
        told_s = record.told_from_s(tx)
        first_s, passed_s = max(first_s, told_s), max(passed_s, told_s)
        changed = set(take_changed(tx))
        states = set(datasets.instants(tx, "network", first_s, at_s))
        known = {row["start_s"] for row in store.settlements(tx, passed_s, at_s)}
        for start_s in range(first_s, at_s, site.interval_s):
            if start_s not in states:
                continue
            if start_s not in known:
                if _waits_for_devices(room, tx, at_s, start_s):
                    continue
                _settle(room, tx, at_s, start_s, None)
                settled += 1
            elif start_s in changed:
                _settle(room, tx, at_s, start_s, newest(tx, start_s))
                corrected += 1
        late = _settle_late(room, tx, at_s, {start_s for start_s in changed if start_s < first_s})
        # What no witness has seen yet could still be told otherwise.
        final = store.finalise(tx, min(final_before, unwitnessed_s(tx)))
        for start_s, version in final:
            body = {"state": "final", "version": version - 1}
            record.append(tx, Kind.SETTLEMENT, start_s, at_s, body)
        control.put_findings(tx, at_s, _unsettled(room, tx, known, passed_s, final_before))
        control.mark_done(tx, at_s, "settle")
    room.log(at_s, "settle", settled=settled, corrected=corrected, late=len(late), final=len(final))


def _settle_late(room: Room, tx: Transaction, at_s: int, starts: set[int]) -> list[int]:
    """Correct final intervals against the pool; tell of those that nothing is settled for."""
    limit_s = at_s - room.site.settlement.late_until_days * interval.DAY_S
    limit_s = max(limit_s, room.first_cycle_s, record.told_from_s(tx))
    done, missed = [], []
    for start_s in sorted(starts):
        old = newest(tx, start_s) if start_s >= limit_s else None
        if old is None:
            missed.append(start_s)
            continue
        _settle(room, tx, at_s, start_s, old, late=True)
        done.append(start_s)
    control.put_findings(tx, at_s, _too_late(room, missed))
    return done


def _waits_for_devices(room: Room, tx: Transaction, at_s: int, start_s: int) -> bool:
    """Return whether devices and the feeder head may still say in time what they did."""
    site = room.site
    if at_s - start_s > site.operation.estimate_after_intervals * site.interval_s:
        return False
    names = [room.head, *(str(asset.id) for asset in site.assets)]
    end_s = start_s + site.interval_s
    did = series.get_intervals(tx, names, start_s, end_s, time_zone=site.time_zone)
    return bool((did["quality"].values == Quality.MISSING).any())


def _too_late(room: Room, starts: list[int]) -> list[Finding]:
    """Return the intervals whose readings changed when nothing can be settled for them any more."""
    days = room.site.settlement.late_until_days
    return [
        Finding(
            "settlement.late_reading",
            "settlement",
            interval.label(start_s),
            Severity.WARNING,
            f"settlement {interval.label(start_s)} is more than {days} days ago, was never made "
            "or is in a log that has ended: readings that changed since are kept and not settled",
        )
        for start_s in starts
        if start_s >= room.first_cycle_s
    ]


def newest(tx: Transaction, start_s: int) -> Settlement | None:
    """Return an interval's newest settlement; none when there is none that can be corrected."""
    found = store.newest_settlement(tx, start_s)
    # Before there were agreements a settlement did not say what it took of the month.
    if found is None or "late" not in found[2]:
        return None
    return decode_settlement(found[2])


def _settle(
    room: Room,
    tx: Transaction,
    at_s: int,
    start_s: int,
    old: Settlement | None,
    *,
    late: bool = False,
) -> None:
    month = interval.month_label(start_s, room.site.time_zone)
    given, readings = settlement_input(room, tx, start_s, store.month_accounts(tx, month))
    if not late and shares(room.site, start_s):
        shared = share(given)
        given = shared.given
        if old is None:
            _publish_shared(room, tx, at_s, start_s, shared)
    if old is None:
        done = settle(given)
    else:
        done = settle_late(old, given) if late else resettle(old, given)
    store.put_month_accounts(
        tx,
        month,
        {(one.agreement, str(one.tariff)): one.account for one in done.usage_points},
    )
    store.put_settlement(
        tx,
        start_s=start_s,
        version=done.version,
        cycle_s=at_s,
        state="late" if late else "provisional",
        residual_wh=done.residual_wh,
        content=encode_settlement(done),
        postings=done.postings,
        month=interval.month_label(at_s, room.site.time_zone) if late else month,
    )
    record_settlement(room, tx, at_s, start_s, given, done, readings)
    control.put_findings(tx, at_s, _residual(room, given, done))
    control.put_findings(tx, at_s, _head_modelled(room, tx, start_s))


def _publish_shared(room: Room, tx: Transaction, at_s: int, start_s: int, shared: Shared) -> None:
    """Keep and tell what was shared in an interval, when it is first settled."""
    told = summary(shared, room.site.market.minimum_group)
    clearing = shared.clearing
    facts = {
        "mechanism": clearing.mechanism,
        "price": clearing.price,
        "price_low": clearing.price_low,
        "price_high": clearing.price_high,
        "volume_wh": clearing.volume_wh,
        "summary": json.dumps(told),
    }
    store.put_clearing(tx, start_s, facts, [])
    record.append(tx, Kind.CLEARING, start_s, at_s, told)


def _head_modelled(room: Room, tx: Transaction, start_s: int) -> list[Finding]:
    """Return a finding when the model stands in for the feeder-head meter."""
    if head_is_metered(room, tx, start_s):
        return []
    when = interval.label(start_s)
    message = (
        f"{room.head} {when} was not read: the community is settled with what the network model "
        "says of the feeder head, and again when the meter tells"
    )
    return [Finding("settlement.head_modelled", room.head, when, Severity.WARNING, message)]


def _unsettled(
    room: Room, tx: Transaction, known: set[int], first_s: int, final_before: int
) -> list[Finding]:
    """Return a finding for each interval that passes its deadline without a settlement."""
    step_s, zone = room.site.interval_s, room.site.time_zone
    findings = []
    for start_s in range(first_s, final_before, step_s):
        if start_s in known:
            continue
        quality = series.get_quality(tx, room.points, start_s, start_s + step_s, time_zone=zone)
        missing = [room.points[row] for row in np.flatnonzero(quality[:, 0] == Quality.MISSING)]
        when = interval.label(start_s)
        message = (
            f"settlement {when} was never made and its deadline has passed: nothing is known of "
            f"{', '.join(missing[:8]) or 'a device'}{' and others' if missing[8:] else ''}; "
            "import the readings or replace the meter"
        )
        findings.append(
            Finding("settlement.unsettled", "settlement", when, Severity.ALARM, message)
        )
    return findings


def _residual(room: Room, given: SettlementInput, done: Settlement) -> list[Finding]:
    """Return a finding when the meters and the losses do not add up to the feeder head."""
    flows = sum(point.import_wh + point.export_wh for point in given.usage_points)
    limit_wh = flows // 1000 + len(room.site.meter)
    if abs(done.residual_wh) <= limit_wh:
        return []
    when = interval.label(given.start_s)
    message = (
        f"feeder {when}: the usage points and the losses differ from the feeder head by "
        f"{done.residual_wh} Wh, more than {limit_wh} Wh: a meter is wrong or energy is not metered"
    )
    return [Finding("settlement.residual", "feeder", when, Severity.ALARM, message)]
