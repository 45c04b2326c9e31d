"""Opening the control room of a site folder: alone, with its field, its solver and its store."""

from __future__ import annotations

import gc
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from grid.operation import commission, cycle, last_gasps
from grid.operation.field import link
from grid.operation.field.real import Clock
from grid.operation.room import Room
from grid.operation.signer import adopt
from grid.operation.terms_entries import tell_again
from grid.operation.witnessing import policy_of


@contextmanager
def opened(directory: Path, *, store_url: str = "", clock: Clock = time.time) -> Iterator[Room]:
    """Yield the control room of a site folder; its simulated field runs as long.

    Parameters
    ----------
    clock : callable
        Gives the time at real devices, seconds UTC.

    Raises
    ------
    BadInputError
        When another process runs the site.
    StoreError
        When the folder was never commissioned.
    PeerError
        When the simulated field does not start.
    """
    with (
        cycle.sole(directory),
        closing(commission.open_store(directory, store_url)) as store,
        store.sole(),
    ):
        site, first_s = cycle.facts(directory, store)
        adopt(directory, store)
        with store.write() as tx:
            tell_again(tx, site)
        with _field(directory, first_s, is_simulated=commission.simulated(site)) as revive:
            policy = policy_of(directory, site.ledger.policy)
            devices = cycle.field_of(directory, site, clock)
            room = Room(directory, site, store, devices, first_s, policy=policy)

            def again() -> None:
                revive()
                room.link = cycle.field_of(directory, site, clock)
                last_gasps.tell_field(room)

            room.revive_field = again
            try:
                room.solver.start()
                # What is loaded stays: a collection over it would hold up a round of readings.
                gc.freeze()
                with last_gasps.listening(room):
                    yield room
            finally:
                gc.unfreeze()
                room.signer.close()
                room.solver.close()


@contextmanager
def _field(directory: Path, first_s: int, *, is_simulated: bool) -> Iterator[Callable[[], None]]:
    """Run a field process where the field is simulated; yield what starts a dead one again."""
    if not is_simulated:
        yield lambda: None
        return
    running = [link.start(directory, start_s=first_s)]

    def revive() -> None:
        if running[-1].poll() is not None:
            running.append(link.start(directory, start_s=first_s))

    try:
        yield revive
    finally:
        end(running[-1])


def end(process: subprocess.Popen[bytes]) -> None:
    """Let a process end, and make it when it does not."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
