"""``khazri run SITE.toml``: the control room and the console of a site."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from grid.operation.room import Room


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("site", type=Path, metavar="SITE.toml")
    parser.add_argument("--port", type=int, default=8040, help="port of the console")
    parser.add_argument("--pace", type=float, default=15.0, help="seconds an interval (simulated)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run until interrupted."""
    from grid.operation import demo

    def progress(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    with demo.opened(options.site.parent) as room:
        return live(room, port=options.port, pace_s=options.pace, progress=progress)


def live(room: Room, *, port: int, pace_s: float, progress: Callable[[str], None]) -> int:
    """Serve the console, catch up to the end of the first day, then run at `pace_s`."""
    from grid.console.first_users import first_users
    from grid.operation import cycle, demo

    credentials = first_users(room.store, room.site)
    console = subprocess.Popen(
        [sys.executable, "-m", "grid.console", str(room.directory), str(port)],
        stdin=subprocess.DEVNULL,
    )
    try:
        progress(f"console: http://127.0.0.1:{port}/")
        for line in credentials:
            progress(f"  {line}")
        behind = (room.first_cycle_s - cycle.clock(room)) // room.site.interval_s
        behind += demo.CYCLES_A_DAY + 1
        if behind > 0:
            demo.play(room, behind, progress)
        progress(f"live: an interval every {pace_s:g} s; Ctrl-C stops")
        while console.poll() is None:
            began = time.monotonic()
            cycle.run(room, cycle.clock(room))
            time.sleep(max(0.0, pace_s - (time.monotonic() - began)))
        return 1
    except KeyboardInterrupt:
        return 0
    finally:
        console.terminate()
        console.wait(10)
