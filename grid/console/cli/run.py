"""``khazri run SITE.toml``: the control room and the console of a site."""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from grid.errors import BadInputError, Finding, GridError, Severity
from grid.operation.room import Room
from grid.site_file import SITE_FILE

_RETRY_S, _RETRY_MOST_S = 1.0, 60.0


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("site", type=Path, metavar="SITE.toml")
    parser.add_argument("--port", type=int, default=8040, help="port of the console")
    parser.add_argument("--pace", type=float, default=15.0, help="seconds an interval (simulated)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run until interrupted."""
    from grid.operation import commission, demo

    def progress(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    if commission.ensure(options.site, now_s=int(time.time())):
        progress(f"{options.site}: a new site; its secrets were drawn and its ledger begun")
    with demo.opened(options.site.parent) as room:
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


def _sensors(room: Room) -> subprocess.Popen[bytes] | None:
    """Listen to the site's sensors, when it has any, in a process that ends with this one."""
    if not room.site.sensor:
        return None
    site = str(room.directory / SITE_FILE)
    return subprocess.Popen(
        [sys.executable, "-m", "grid.console.cli", "meter", "listen", site, "--until-eof"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _behind(room: Room, behind: int) -> str:
    from grid import interval
    from grid.operation import cycle

    now = interval.local_time(cycle.clock(room), room.site.time_zone)
    return f"{now} settled, planned and sent; {behind} intervals to go"


def _live(pace_s: float) -> str:
    return f"live: an interval every {pace_s:g} s; Ctrl-C stops"


def _failed(room: Room, error: GridError, pause_s: float, progress: Callable[[str], None]) -> None:
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


def live(
    room: Room, *, port: int, pace_s: float, progress: Callable[[str], None], at_once: int = 0
) -> int:
    """Serve the console and run a cycle each `pace_s`, the site's first `at_once` without pause."""
    from grid.console.first_users import first_users
    from grid.operation import cycle

    _require_free(port)
    credentials = first_users(room.store, room.site)
    console = _console(room, port)
    sensors = _sensors(room)
    try:
        progress(f"console: http://127.0.0.1:{port}/")
        for line in credentials:
            progress(f"  {line}")
        behind = (room.first_cycle_s - cycle.clock(room)) // room.site.interval_s + at_once
        if behind <= 0:
            progress(_live(pace_s))
        wait_s = _RETRY_S
        while True:
            began = time.monotonic()
            try:
                cycle.run(room, cycle.clock(room))
                wait_s = _RETRY_S
                behind -= 1
                pause_s = 0.0 if behind > 0 else max(0.0, pace_s - (time.monotonic() - began))
                if behind > 0 and behind % 8 == 0:
                    progress(_behind(room, behind))
                elif behind == 0:
                    progress(_live(pace_s))
            except GridError as error:
                pause_s, wait_s = wait_s, min(2 * wait_s, _RETRY_MOST_S)
                _failed(room, error, pause_s, progress)
            if console.poll() is not None:
                progress("the console ended; it is started again")
                console = _console(room, port)
            if sensors is not None and sensors.poll() is not None:
                progress("what listens to the sensors ended; it is started again")
                sensors = _sensors(room)
            time.sleep(pause_s)
    except KeyboardInterrupt:
        return 0
    finally:
        if sensors is not None:
            _end(sensors)
        console.terminate()
        console.wait(10)
