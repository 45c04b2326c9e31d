"""What is done about meters beside the plain reading of a cycle: rounds, clocks, statistics.

In the hours that ``[reading]`` names, meters with gaps in a past day are asked for them in
rounds; clocks that are off are told of, and set where the site allows that. What a cycle did
is kept with its reads, in the same transaction.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from grid import interval
from grid.errors import Finding, Severity
from grid.operation.room import Room
from grid.site import Protocol
from grid.store import Transaction, reading
from grid.store import field as reads_of
from meters import clocks
from meters.clocks import ClockLimits, ClockSet, Verdict
from meters.reading import MISSING, MeterAddress, MeterRead, ProfileRead
from meters.rounds import Pace, Rounds
from meters.statistics import Record

_NOTEWORTHY_S = 2
"""An offset is kept when it differs by so much from the one that was kept last."""


@dataclass
class Beside:
    """What a cycle did beside its plain reading.

    Attributes
    ----------
    profiles : list of ProfileRead
    clocks : list of ClockRow
    findings : list of Finding
    record : Record
        How asking went, in the plain reading too.
    """

    profiles: list[ProfileRead] = field(default_factory=list)
    clocks: list[reading.ClockRow] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    record: Record = field(default_factory=Record)

    def keep(self, tx: Transaction, at_s: int) -> None:
        """Store it, but for the findings."""
        reads_of.put_profiles(tx, self.profiles, cycle_s=at_s)
        reading.put_clocks(tx, self.clocks)
        reading.add_statistics(tx, self.record, cycle_s=at_s)


def after_reading(
    room: Room,
    at_s: int,
    addresses: Sequence[MeterAddress],
    reads: Sequence[MeterRead],
    record: Record,
) -> Beside:
    """Ask for gaps when it is time for that, and look after the clocks.

    Parameters
    ----------
    addresses : sequence of MeterAddress
        Of every meter of the site.
    reads : sequence of MeterRead
        What the plain reading of this cycle gave, which is not stored yet.
    record : Record
        What that counted; added to.
    """
    beside = Beside(record=record)
    dlms = {meter.id for meter in room.site.meter if meter.protocol is Protocol.DLMS}
    by_meter = {one.meter: one for one in addresses if one.meter in dlms}
    if room.site.reading.is_open(at_s, room.site.time_zone):
        with room.store.read() as tx:
            missing = gaps(room, tx, at_s)
        for read in reads:
            if read.meter in missing:
                missing[read.meter] -= {row.at_s for row in (read.now, *read.load_profile)}
        asyncio.run(_ask(room, at_s, by_meter, missing, beside))
    _look_after_clocks(room, at_s, by_meter, reads, beside)
    return beside


def gaps(room: Room, tx: Transaction, at_s: int) -> dict[str, set[int]]:
    """Return the instants of past days at which a DLMS meter's registers are not known.

    From the first cycle of the site on, `back_days` days back; the civil day of `at_s` is not
    over yet, and every cycle reads it.
    """
    zone, step_s = room.site.time_zone, room.site.interval_s
    today = interval.local_day(at_s, zone)
    end_s, _ = interval.day_bounds(today, zone)
    first = today - dt.timedelta(days=room.site.reading.back_days)
    start_s = max(room.first_cycle_s, interval.day_bounds(first, zone)[0])
    meters = [str(one.id) for one in room.site.meter if one.protocol is Protocol.DLMS]
    if start_s >= end_s or not meters:
        return {}
    known = reads_of.boundaries(tx, meters, start_s, (end_s - start_s) // step_s, step_s)
    starts = known["boundary"].values.astype("datetime64[s]").astype("int64")
    unknown = known["import_wh"].values == MISSING
    return {
        meter: set(starts[row].tolist())
        for meter, row in zip(meters, unknown, strict=True)
        if row.any()
    }


async def _ask(
    room: Room,
    at_s: int,
    addresses: dict[str, MeterAddress],
    missing: dict[str, set[int]],
    beside: Beside,
) -> None:
    from meters.collecting import Limits, collect, gateways_of
    from meters.reader import ALARMS, failed

    wanted = {meter: addresses[meter] for meter in missing}
    told = room.site.reading
    rounds = Rounds(
        missing,
        gateways_of(wanted),
        Pace(
            retry_s=60 * told.retry_minutes,
            longest_retry_s=60 * told.longest_retry_minutes,
            connections=told.connections,
            per_gateway=told.per_gateway,
        ),
        step_s=room.site.interval_s,
        seed=at_s,
    )
    said: set[tuple[str, str]] = set()

    def took(read: ProfileRead, findings: list[Finding]) -> None:
        beside.profiles.append(read)
        if read.failure is not None:
            one = failed(read.meter, read.failure, at_s)
            findings = [*findings, *([one] if one.code in ALARMS else [])]
        for finding in findings:
            if (finding.code, finding.subject) not in said:
                said.add((finding.code, finding.subject))
                beside.findings.append(finding)

    clock = _clock(at_s)
    await collect(
        wanted,
        rounds,
        clock=clock,
        until_s=at_s + told.round_s,
        took=took,
        limits=Limits(told.answer_timeout_s, told.session_timeout_s),
        meter_clock=room.link.now_s,
        cache=room.static_answers,
        counters=room.counters,
        record=beside.record,
    )
    beside.profiles.sort(key=lambda read: (read.meter, read.answered, read.raw_sha256))
    if not told.is_open(at_s + room.site.interval_s, room.site.time_zone):
        beside.findings += [_gave_up(meter, at_s) for meter in sorted(rounds.incomplete)]


def _gave_up(meter: str, at_s: int) -> Finding:
    at = interval.label(at_s)
    message = f"{meter} {at} profiles of past days have gaps: asked again at the next reading"
    return Finding("meter.gap", meter, at, Severity.WARNING, message)


def _clock(at_s: int) -> Callable[[], float]:
    """Return a clock that is at `at_s` now and runs as the loop does."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    return lambda: at_s + loop.time() - began_s


def _look_after_clocks(
    room: Room,
    at_s: int,
    addresses: dict[str, MeterAddress],
    reads: Sequence[MeterRead],
    beside: Beside,
) -> None:
    """Keep how far clocks are off, tell of those beyond the limits, set those that may be set."""
    seen = {one.meter: one.clock_offset_s for one in beside.profiles}
    seen |= {one.meter: one.clock_offset_s for one in reads}
    offsets = {meter: offset for meter, offset in seen.items() if offset is not None}
    if not offsets:
        return
    told = room.site.reading
    limits = ClockLimits(told.clock_warn_s, told.clock_correct_s, told.clock_max_s)
    with room.store.read() as tx:
        last = reading.last_clocks(tx, at_s)
        tried = reading.clocks_set(tx, at_s - clocks.ONCE_S, at_s)
    set_s = {row.meter: row.at_s for row in tried}
    to_set: list[MeterAddress] = []
    for meter, offset_s in sorted(offsets.items()):
        verdict = limits.judge(offset_s, at_s, set_s.get(meter))
        before = last.get(meter)
        if verdict is Verdict.SET:
            to_set.append(addresses[meter])
            continue
        is_news = before is None or abs(offset_s - before.offset_s) >= _NOTEWORTHY_S
        if is_news:
            beside.clocks.append(reading.ClockRow(meter, at_s, offset_s))
        if verdict is not Verdict.FINE and is_news:
            beside.findings.append(clocks.told(meter, at_s, offset_s, verdict, limits))
    if not to_set:
        return
    for done in asyncio.run(_set(room, to_set)):
        beside.findings.append(clocks.outcome(done, at_s, limits))
        now_s = done.after_s if done.after_s is not None else offsets[done.meter]
        beside.clocks.append(reading.ClockRow(done.meter, at_s, now_s, done.shift_s))


async def _set(room: Room, addresses: Sequence[MeterAddress]) -> list[ClockSet]:
    from meters.dlms.clock_setting import set_clocks

    return await set_clocks(
        addresses,
        clock=room.link.now_s,
        timeout_s=room.site.reading.session_timeout_s,
        counters=room.counters,
    )
