"""``khazri run SITE.toml``: the control room and the console of a site."""

from __future__ import annotations

import argparse
import math
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from grid.errors import BadInputError, Finding, GridError, Severity
from grid.operation.room import Room
from grid.site_file import SITE_FILE

_RETRY_S, _RETRY_MOST_S = 1.0, 60.0
_LOOK_S, _CLOCK_S = 1.0, 30.0
_ANSWERS_S = 30.0

Progress = Callable[[str], None]


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("site", type=Path, metavar="SITE.toml")
    parser.add_argument("--port", type=int, default=8040, help="port of the console")
    parser.add_argument("--pace", type=float, default=15.0, help="seconds an interval (simulated)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run until interrupted."""
    from grid.operation import commission, opening

    def progress(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    if commission.ensure(options.site, now_s=int(time.time())):
        progress(f"{options.site}: a new site; its secrets were drawn and its ledger begun")
    with opening.opened(options.site.parent) as room:
        return live(room, port=options.port, pace_s=options.pace, progress=progress)


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise BadInputError(f"port {port} is taken: choose another with --port") from error


def _console(room: Room, port: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "grid.console", str(room.directory), str(port)],
        stdin=subprocess.DEVNULL,
    )


def _wait_for(port: int) -> None:
    """Wait until the console answers, for a while: people go where they are told to at once."""
    until = time.monotonic() + _ANSWERS_S
    while time.monotonic() < until:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)


def _sensors(room: Room) -> subprocess.Popen[bytes]:
    """Listen to the site's sensors, in a process that ends with this one."""
    site = str(room.directory / SITE_FILE)
    return subprocess.Popen(
        [sys.executable, "-m", "grid.console.cli", "meter", "listen", site, "--until-eof"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )


class _Driven:
    """Time of a simulated field: an interval each `pace_s`, the first `behind` without pause."""

    def __init__(self, room: Room, pace_s: float, behind: int, progress: Progress) -> None:
        self._room, self._pace_s, self._behind, self._progress = room, pace_s, behind, progress
        self._began = time.monotonic() - pace_s
        if behind <= 0:
            self._say_live()

    def wait_s(self) -> float:
        """Return how long until the next cycle; it begins when that is nothing."""
        now = time.monotonic()
        left_s = 0.0 if self._behind > 0 else self._began + self._pace_s - now
        if left_s <= 0.0:
            self._began = now
        return max(0.0, left_s)

    def ran(self) -> None:
        """Count a cycle that went well."""
        self._behind -= 1
        if self._behind == 0:
            self._say_live()
        elif self._behind > 0 and self._behind % 8 == 0:
            self._progress(f"{_settled(self._room)}; {self._behind} intervals to go")

    def _say_live(self) -> None:
        self._progress(f"live: an interval every {self._pace_s:g} s; Ctrl-C stops")


class _Real:
    """Time of real devices: a cycle as soon as an interval is over."""

    def __init__(self, room: Room, progress: Progress) -> None:
        self._room, self._progress = room, progress
        progress("live: a cycle after each interval; Ctrl-C stops")

    def wait_s(self) -> float:
        """Return how long until the next cycle."""
        from grid.operation import cycle

        now_s = self._room.link.now_s()
        return max(0.0, cycle.due(self._room, now_s) + cycle.BEHIND_S - now_s)

    def ran(self) -> None:
        """Tell of a cycle that went well."""
        self._progress(_settled(self._room))


def _settled(room: Room) -> str:
    from grid import interval
    from grid.operation import cycle

    return (
        f"{interval.local_time(cycle.clock(room), room.site.time_zone)} settled, planned and sent"
    )


def _failed(room: Room, error: GridError, pause_s: float, progress: Progress) -> None:
    """Say that a cycle failed where people look, and bring the field back when it has died."""
    from grid import interval
    from grid.operation import cycle
    from grid.store import control

    progress(f"cycle failed: {error}; again in {pause_s:g} s")
    try:
        at_s = cycle.clock(room)
        when = interval.label(at_s)
        message = f"cycle {when} failed: {error}; it is tried again until it passes"
        with room.store.write() as tx:
            finding = Finding("cycle.failed", "cycle", when, Severity.ALARM, message)
            control.put_findings(tx, at_s, [finding])
        room.revive_field()
    except GridError as second:
        progress(f"and: {second}")


class _Beside:
    """The processes beside the control room, each started again when it ends."""

    def __init__(self, room: Room, port: int, progress: Progress) -> None:
        self._progress = progress
        self._starts: dict[str, Callable[[], subprocess.Popen[bytes]]] = {
            "the console": partial(_console, room, port)
        }
        if room.site.sensor:
            self._starts["what listens to the sensors"] = partial(_sensors, room)
        self._running = {name: start() for name, start in self._starts.items()}

    def rest(self, wait_s: float) -> None:
        """Wait, and look after them."""
        until = time.monotonic() + wait_s
        while True:
            for name, process in self._running.items():
                if process.poll() is not None:
                    self._progress(f"{name} ended; it is started again")
                    self._running[name] = self._starts[name]()
            if (left_s := until - time.monotonic()) <= 0:
                return
            time.sleep(min(left_s, _LOOK_S))

    def end(self) -> None:
        """Stop them, the console last."""
        from grid.operation.opening import end

        for process in reversed(self._running.values()):
            end(process)


def live(room: Room, *, port: int, pace_s: float, progress: Progress, at_once: int = 0) -> int:
    """Serve the console and run cycles until interrupted.

    Parameters
    ----------
    pace_s : float
        Seconds from one cycle to the next at a simulated field, after the site's first
        `at_once`. Real devices have their own time.
    """
    from grid.console.first_users import first_users
    from grid.operation import commission, cycle

    _require_free(port)
    room.watchdog_s = room.site.control.watchdog_s
    credentials = first_users(room.store, room.site)
    beside = _Beside(room, port, progress)
    try:
        _wait_for(port)
        progress(f"console: http://127.0.0.1:{port}/")
        for line in credentials:
            progress(f"  {line}")
        behind = (room.first_cycle_s - cycle.clock(room)) // room.site.interval_s + at_once
        is_driven = commission.simulated(room.site)
        turn = _Driven(room, pace_s, behind, progress) if is_driven else _Real(room, progress)
        retry_s = _RETRY_S
        while room.store.refusal is None:
            beside.rest(0.0)
            while (left_s := turn.wait_s()) > 0.0:
                # No longer at once: the clock may be set meanwhile.
                beside.rest(min(left_s, _CLOCK_S))
            try:
                cycle.run(room, cycle.clock(room))
                turn.ran()
                retry_s = _RETRY_S
            except GridError as error:
                _failed(room, error, retry_s, progress)
                beside.rest(retry_s)
                retry_s = min(2 * retry_s, _RETRY_MOST_S)
        # Devices are not asked either: their orders may be another control room's by now.
        progress(f"no cycle is run any more: {room.store.refusal}. The console is read on")
        beside.rest(math.inf)
    except KeyboardInterrupt:
        pass  # the way it ends
    finally:
        beside.end()
    return 0
