"""Stages ``read`` and ``validate``: from the wire to intervals and the network's state."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date
from functools import partial

import numpy as np
import xarray as xr

from grid import interval
from grid.errors import Finding
from grid.operation import (
    charging,
    following,
    given_up_orders,
    last_gasps,
    meter_exchanges,
    meter_keys,
    meter_order_execution,
    outage_facts,
    outages,
    reading_rounds,
    resettlement,
)
from grid.operation.commission import AVAILABLE, simulated
from grid.operation.day_judgement import judge_days, limits_wh
from grid.operation.devices import cannot_follow, plausible
from grid.operation.network_estimates import network_estimates
from grid.operation.network_states import network_states
from grid.operation.room import Room
from grid.operation.validation_facts import devices_there, thresholds, window_facts
from grid.site import Protocol
from grid.store import Transaction, control, edits, field, series
from meters.device import DeviceAddress, DeviceState
from meters.reading import CHANNELS, MISSING, MeterAddress, MeterRead
from meters.statistics import Record
from meters.vee import Quality, validate
from meters.vee.editing import supersede
from meters.vee.like_days import BACK_DAYS, laid_out, like_day

WINDOW = 96
_LATE_TIMEOUT_S = 1.0


def read(room: Room, at_s: int) -> None:
    """Read every meter and device as of `at_s` and keep what they said."""
    from meters.modbus.sunspec import read_devices
    from meters.reader import read_meters

    # A meter whose key may have changed is read under the one it has.
    meter_order_execution.resume(room, at_s)
    with room.store.read() as tx:
        addresses = _addresses(room, tx, at_s)
        last = field.last_reads(tx, at_s)
        candidates = meter_keys.candidates(tx)
    # A meter that was silent before is asked again, but at a simulated field nobody waits long.
    before_s = at_s - room.site.interval_s
    late = [one for one in addresses if last.get(one.meter, before_s) < before_s]
    prompt = [one for one in addresses if one not in late]
    devices = [DeviceAddress(asset.id, room.link.devices[asset.id]) for asset in room.site.assets]

    record = Record()
    ask = partial(
        read_meters,
        counters=room.counters,
        patience=room.patience,
        unchanging=room.static_answers,
        record=record,
        clock=room.link.now_s,
    )

    async def both() -> tuple[list[Finding], list[MeterRead], list[DeviceState]]:
        timeout_s = room.site.operation.read_timeout_s
        late_s = min(timeout_s, _LATE_TIMEOUT_S) if simulated(room.site) else timeout_s
        (reads, silent), (tried, mute), (states, deaf) = await asyncio.gather(
            ask(prompt, at_s=at_s, timeout_s=timeout_s),
            ask(late, at_s=at_s, timeout_s=late_s),
            read_devices(devices, at_s=at_s, timeout_s=timeout_s),
        )
        return [*silent, *mute, *deaf], [*reads, *tried], list(states)

    findings, reads, states = asyncio.run(both())
    known = {one.meter for one in reads}
    again = given_up_orders.under_candidates(addresses, candidates, known, findings)
    replaced: set[str] = set()
    if again:
        timeout_s = room.site.operation.read_timeout_s
        found, _ = asyncio.run(ask(again, at_s=at_s, timeout_s=timeout_s))
        replaced = {one.meter for one in found}
        reads += found
        findings = given_up_orders.without_refusals(findings, replaced)
        addresses = given_up_orders.with_keys(
            addresses, [one for one in again if one.meter in replaced]
        )
    beside = reading_rounds.after_reading(room, at_s, addresses, reads, record)
    findings += beside.findings
    heard = room.door.waiting() if room.door else []
    with room.store.write() as tx:
        field.put_reads(tx, reads, cycle_s=at_s)
        beside.keep(tx, at_s)
        profiles = [row.at_s for one in reads for row in one.load_profile]
        profiles += [row.at_s for one in beside.profiles for row in one.rows]
        if profiles and min(profiles) < at_s - WINDOW * room.site.interval_s:
            meter_exchanges.validate_from(tx, min(profiles) - room.site.interval_s)
        findings += given_up_orders.settle_keys(tx, known, replaced, at_s)
        states, doubted = plausible(room, tx, states, at_s)
        findings += doubted
        last_gasps.keep(room, tx, at_s, heard)
        findings = outages.watch(room, tx, at_s, reads, findings, last)
        field.put_device_states(tx, states, at_s=at_s)
        findings += following.unfollowed(room, tx, at_s) + charging.pass_time(room, tx, at_s)
        control.put_findings(tx, at_s, findings)
        control.mark_done(tx, at_s, "read")
    if room.door:
        room.door.forget(len(heard))
    room.log(at_s, "read", meters=len(reads), devices=len(states), findings=len(findings))


def _addresses(room: Room, tx: Transaction, at_s: int) -> list[MeterAddress]:
    """Return how to reach each meter; one with a gap is asked for its load profile too."""
    passwords = control.secrets(tx, meter_keys.PASSWORD_SECRET)
    keys = meter_keys.all_ciphering(tx)
    last = field.last_reads(tx, at_s)
    addresses = []
    for meter in room.site.meter:
        known_s = last.get(meter.id, at_s)
        # What a real meter captured at the end of an interval, not what it counts a moment later.
        first_s = known_s + room.site.interval_s if known_s < at_s else at_s
        has_rows = meter.protocol is Protocol.DLMS and (first_s < at_s or not simulated(room.site))
        addresses.append(
            MeterAddress(
                meter=meter.id,
                url=room.link.meters[meter.id],
                profile=meter.profile,
                auth=meter.auth,
                secret=passwords[meter.id] if meter.auth == "lls" else b"",
                ciphering=keys.get(meter.id),
                since_s=first_s if has_rows else None,
                until_s=at_s if has_rows else None,
            )
        )
    return addresses


def validate_intervals(room: Room, at_s: int) -> None:
    """Turn registers into intervals, and complete intervals into network states."""
    start_s = max(room.first_cycle_s, at_s - WINDOW * room.site.interval_s)
    count = (at_s - start_s) // room.site.interval_s
    with room.store.write() as tx:
        findings: list[Finding] = []
        if count:
            start_s = max(room.first_cycle_s, meter_exchanges.take_again(tx, start_s))
            count = (at_s - start_s) // room.site.interval_s
            checked, findings = _checked(room, tx, at_s, start_s, count)
            assets = _asset_series(room, tx, at_s)
            head_before = _head_known(room, tx, start_s, at_s)
            changed = series.put_intervals(tx, checked, time_zone=room.site.time_zone, cycle_s=at_s)
            series.put_intervals(tx, assets, time_zone=room.site.time_zone, cycle_s=at_s)
            late = set(assets["interval"].values.astype(np.int64)[:-1].tolist())
            head_since = _head_known(room, tx, start_s, at_s) - head_before
            late |= head_since - {at_s - room.site.interval_s}
            late |= {when for _, when in changed}
            resettlement.mark_changed(tx, late)
            findings += judge_days(room, tx, at_s, {when for _, when in changed})
            # What people set and files told since the last cycle moved the network, too.
            since = resettlement.changed(tx)
            findings += network_states(room, tx, at_s, start_s, since)
            findings += network_estimates(room, tx, at_s, start_s, since)
            findings = outage_facts.unexplained(tx, room.site, findings)
        control.put_findings(tx, at_s, findings)
        control.mark_done(tx, at_s, "validate")
    room.log(at_s, "validate", intervals=count, findings=len(findings))


def _head_known(room: Room, tx: Transaction, start_s: int, end_s: int) -> set[int]:
    """Return the intervals in which something is known of the feeder head."""
    zone = room.site.time_zone
    quality = series.get_quality(tx, [room.head], start_s, end_s, time_zone=zone)[0]
    step_s = room.site.interval_s
    return {start_s + step_s * int(n) for n in np.flatnonzero(quality != Quality.MISSING)}


def _checked(
    room: Room, tx: Transaction, at_s: int, start_s: int, count: int
) -> tuple[xr.Dataset, list[Finding]]:
    meters = room.site.meter
    end_s = start_s + count * room.site.interval_s
    there = devices_there(room, tx, start_s, end_s)
    registers = field.boundaries(
        tx,
        [meter.id for meter in meters],
        start_s,
        count,
        room.site.interval_s,
        stays=meter_exchanges.devices(there[1]),
    )
    registers = meter_exchanges.converted(registers, there[1])
    names = room.site.measured
    estimate_before_s = at_s - room.site.operation.estimate_after_intervals * room.site.interval_s
    reference = _reference(room, tx, names, start_s, count).assign_coords(
        meter=[meter.id for meter in meters]
    )
    checked, findings = validate(
        registers,
        reference,
        limit_wh=limits_wh(room),
        register_digits=np.array([meter.register_digits for meter in meters], np.int64),
        estimate_before_s=estimate_before_s,
        facts=window_facts(room, tx, registers, reference, estimate_before_s, there),
        thresholds=thresholds(room.site),
    )
    fresh = checked.assign_coords(meter=names)
    stored = series.get_intervals(
        tx, names, start_s, end_s, time_zone=room.site.time_zone, decided=True
    ).rename(usage_point="meter")
    kept, _ = supersede(stored, fresh, edits.within(tx, names, start_s, end_s))
    return kept.rename(meter="usage_point"), findings


def _reference(
    room: Room, tx: Transaction, names: Sequence[str], start_s: int, count: int
) -> xr.Dataset:
    """Return what each interval is like on days of the class of its own."""
    zone, step_s = room.site.time_zone, room.site.interval_s
    # A day of 23 hours lies within a window of 24 with parts of both days beside it.
    days = {interval.local_day(start_s + step_s * n, zone) for n in range(count)}
    return laid_out(
        {day.toordinal(): _like_day(room, tx, names, day) for day in sorted(days)},
        start_s,
        count,
        interval_s=step_s,
        time_zone=zone,
    )


def _like_day(room: Room, tx: Transaction, names: Sequence[str], day: date) -> xr.Dataset:
    """Return what a civil day is like, by time of day, kept until two more days have come."""
    zone, step_s = room.site.time_zone, room.site.interval_s
    low, _ = interval.day_bounds(day, zone)
    first = low - BACK_DAYS * interval.DAY_S
    # Readings that came late are looked at again: in memory is nothing that a restart changes.
    key = f"like-days {day} {series.last_change(tx, first, low)}"
    if key not in room.memory:
        past = series.get_intervals(tx, names, first, low, time_zone=zone)
        for old in [k for k in room.memory if k.startswith("like-days")][:-1]:
            del room.memory[old]
        room.memory[key] = like_day(
            past.rename(usage_point="meter"),
            day,
            interval_s=step_s,
            time_zone=zone,
            holidays=room.site.vee.holiday,
        )
    found: xr.Dataset = room.memory[key]
    return found


def _asset_series(room: Room, tx: Transaction, at_s: int) -> xr.Dataset:
    """Return what each device did since it last answered, and what each plant could have done.

    A device that was silent has counted on: what its counters rose by is spread evenly over the
    intervals since, with the quality that says so.
    """
    step_s = room.site.interval_s
    before = field.last_device_states(tx, at_s - step_s, since_s=at_s - WINDOW * step_s)
    now = field.device_states(tx, at_s)
    assets = [asset.id for asset in room.site.assets if asset.id in before and asset.id in now]
    gap = {name: (at_s - before[name]["at_s"]) // step_s for name in assets}
    count = max(gap.values(), default=1)
    names = [name for asset in assets for name in (asset, f"{asset}{AVAILABLE}")]
    channels = {name: np.full((len(names), count), MISSING, np.int64) for name in CHANNELS}
    quality = np.full((len(names), count), Quality.MISSING, np.uint16)
    kind = {str(asset.id): asset for asset in room.site.assets}
    for row, asset in enumerate(assets):
        slots = slice(count - gap[asset], count)
        # A device that was replaced in between does not say what it did.
        if not cannot_follow(room.site, kind[asset], before[asset], now[asset]):
            for channel, counter in (("import_wh", "charged_wh"), ("export_wh", "discharged_wh")):
                total = now[asset][counter] - before[asset][counter]
                shares = total * np.arange(gap[asset] + 1) // gap[asset]
                channels[channel][2 * row, slots] = np.diff(shares)
            quality[2 * row, slots] = Quality.VALID if gap[asset] == 1 else Quality.SCALED
        if now[asset]["available_w"] >= 0:
            possible = round(now[asset]["available_w"] * step_s / 3600)
            done = channels["export_wh"][2 * row, -1]
            channels["import_wh"][2 * row + 1, -1] = 0
            channels["export_wh"][2 * row + 1, -1] = max(possible, done)
            quality[2 * row + 1, -1] = Quality.VALID
    for channel in ("import_varh", "export_varh"):
        channels[channel] = np.where(quality == Quality.MISSING, MISSING, 0)
    dims = ("usage_point", "interval")
    return xr.Dataset(
        {**{name: (dims, values) for name, values in channels.items()}, "quality": (dims, quality)},
        coords={
            "usage_point": names,
            "interval": interval.starts(at_s - count * step_s, count, step_s),
        },
    )
