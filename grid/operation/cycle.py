"""The operating cycle: its stages in order, each committed once, resumable at any point."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from grid import interval
from grid.errors import BadInputError, Finding, Severity, StoreError
from grid.operation import (
    billing,
    event_weighing,
    forecasting,
    loss_cases,
    market,
    meter_exchanges,
    meter_order_execution,
    metering,
    offering,
    planning,
    record,
    sending,
    settling,
    terms_entries,
    witnessing,
)
from grid.operation.commission import open_store
from grid.operation.field.link import FieldLink, Link
from grid.operation.field.real import Clock, RealField
from grid.operation.room import Room
from grid.operation.signer import BehindError, adopt
from grid.operation.watchdog import watched
from grid.operation.witnessing import policy_of
from grid.site import Site
from grid.site_file import parse
from grid.store import Store, control

Stage = Callable[[Room, int], None]

LOCK_FILE = "control-room.lock"

BEHIND_S = 5
"""Real meters are read so long after an interval's end: their clocks may be behind by some."""

LATE_S = 60
"""Registers that are read later than this after an interval's end are not those of its end."""


def checkpoint(room: Room, at_s: int) -> None:
    """Sign the ledger as the cycle leaves it, and move the site's clock on."""
    with room.store.write() as tx:
        head = record.checkpoint(tx, room.signer.sign, at_s)
        control.put_meta(tx, "clock_s", str(at_s + room.site.interval_s))
        control.mark_done(tx, at_s, "checkpoint")
    room.log(at_s, "checkpoint", size=head.size, root=head.root.hex()[:16])
    witnessing.gather(room, at_s)


STAGES: dict[str, Stage] = {
    "read": metering.read,
    "validate": metering.validate_intervals,
    "forecast": forecasting.forecast,
    "seal": market.seal,
    "clear": market.clear,
    "plan": planning.plan,
    "send": sending.send,
    "orders": meter_order_execution.execute,
    "offer": offering.offer,
    "settle": settling.settle_intervals,
    "bill": billing.bill,
    "events": event_weighing.follow,
    "look": loss_cases.look_daily,
    "checkpoint": checkpoint,
}


def facts(directory: Path, store: Store) -> tuple[Site, int]:
    """Return the site that a store was made for, and its first cycle, seconds UTC.

    Raises
    ------
    StoreError
        When the folder was never commissioned.
    """
    with store.read() as tx:
        text = control.get_meta(tx, "site_toml")
        first = control.get_meta(tx, "first_cycle_s")
    if text is None or first is None:
        raise StoreError(
            f"{directory}: no site here; 'khazri run {directory / 'SITE.toml'}' makes one"
        )
    return parse(text), int(first)


def field_of(directory: Path, site: Site, clock: Clock) -> Link:
    """Return the way to the devices of a site: real ones, or the field that runs in its folder.

    Raises
    ------
    PeerError
        When the field is simulated and none runs.
    """
    return RealField(site, clock) if site.field.kind == "real" else FieldLink(directory)


def open_room(directory: Path, *, store_url: str = "", clock: Clock = time.time) -> Room:
    """Return the control room of a commissioned site folder whose field answers.

    Raises
    ------
    StoreError
        When the folder was never commissioned.
    PeerError
        When the field is simulated and none runs.
    """
    store = open_store(directory, store_url)
    site, first_s = facts(directory, store)
    adopt(directory, store)
    policy = policy_of(directory, site.ledger.policy)
    return Room(directory, site, store, field_of(directory, site, clock), first_s, policy=policy)


@contextmanager
def sole(directory: Path, lock_file: str = LOCK_FILE, *, does: str = "runs") -> Iterator[None]:
    """Hold a site folder: one control room at a time runs its cycles.

    Raises
    ------
    BadInputError
        Naming the process that runs it.
    """
    with (directory / lock_file).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            who = lock.read().strip() or "another"
            message = f"{directory}: process {who} {does} this site; stop it first"
            raise BadInputError(message) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def clock(room: Room) -> int:
    """Return the cycle that is to run next, seconds UTC."""
    with room.store.read() as tx:
        return int(control.get_meta(tx, "clock_s") or room.first_cycle_s)


def due(room: Room, now_s: float) -> int:
    """Return the cycle that is to run next at real devices, seconds UTC; give up those missed.

    A cycle that has read its meters may be finished until the next one is due; one that has not
    is missed as soon as it is too late for that. What meters and counters kept of the intervals
    in between is read by the cycles after it. A clock that is behind the cycles that were run is an
    alarm.
    """
    at_s, step_s = clock(room), room.site.interval_s
    with room.store.read() as tx:
        until_s = step_s if "read" in control.done(tx, at_s) else LATE_S
    first = interval.label(at_s)
    if now_s < at_s - step_s:
        message = (
            f"it is {interval.label(int(now_s))}, and the next cycle is that of {first}: was the "
            "clock set back? Nothing is run until then"
        )
        with room.store.write() as tx:
            finding = Finding("cycle.clock", "cycle", first, Severity.ALARM, message)
            control.put_findings(tx, at_s, [finding])
    if now_s < at_s + until_s:
        return at_s
    next_s = int(now_s - LATE_S) // step_s * step_s + step_s
    last = interval.label(next_s - step_s)
    which = f"cycle {first} was" if first == last else f"cycles {first} to {last} were"
    message = (
        f"{which} missed: nothing was planned, sent or traded then; what was used meanwhile is "
        "read from what meters kept, or estimated"
    )
    finding = Finding("cycle.missed", "cycle", first, Severity.ALARM, message)
    with room.store.write() as tx:
        control.put_findings(tx, at_s, [finding])
        control.put_meta(tx, "clock_s", str(next_s))
        meter_exchanges.validate_from(tx, at_s - step_s)
    room.log(at_s, "missed", next=interval.label(next_s))
    return next_s


def run(room: Room, at_s: int) -> None:
    """Run the stages of one cycle that have not committed yet.

    The field's time is moved to `at_s` first: the cycle before has committed,
    so nothing of the interval in between can be asked for again.

    Raises
    ------
    BehindError
        When more of the ledger was signed or witnessed than the store holds: nothing is run.
    """
    with room.store.read() as tx:
        done = control.done(tx, at_s)
    if len(done) == len(STAGES):
        return
    try:
        witnessing.admit(room, at_s)
        with room.store.write() as tx:
            terms_entries.tell_again(tx, room.site, at_s)
        room.link.advance(at_s)
        for name, stage in STAGES.items():
            if name not in done:
                room.log(at_s, name, state="begins")
                with watched(room.watchdog_s):
                    stage(room, at_s)
    except BehindError as error:
        witnessing.hold(room, at_s, error)
        raise
