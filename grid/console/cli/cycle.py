"""``khazri cycle SITE.toml``: run operating cycles and stop."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from grid.console.cli.options import UsageError, answer, as_json, database, instant, whole
from grid.errors import BadInputError
from grid.interval import label

if TYPE_CHECKING:
    from grid.operation.room import Room


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("site", type=Path, metavar="SITE.toml")
    parser.add_argument("--at", type=instant, help="first cycle, ISO 8601; the next by default")
    parser.add_argument("--count", type=whole(1, 10**6), default=1, help="number of cycles")
    parser.add_argument("--store", type=database, help="URL of another store than the embedded one")
    as_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run cycles against the field that is up."""
    from grid.operation import cycle

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    with cycle.sole(options.site.parent):
        return _run(options)


def _run(options: argparse.Namespace) -> int:
    from grid.operation import cycle

    room = cycle.open_room(options.site.parent, store_url=options.store or "")
    room.watchdog_s = room.site.control.watchdog_s
    try:
        with room.store.sole():
            at_s = cycle.clock(room) if options.at is None else options.at
            _refuse(room, at_s, cycle.clock(room))
            for number in range(options.count):
                cycle.run(room, at_s + number * room.site.interval_s)
        done = cycle.clock(room)
    finally:
        room.signer.close()
        room.solver.close()
        room.store.close()
    answer(options, {"next": label(done)}, f"next cycle: {label(done)}")
    return 0


def _refuse(room: Room, at_s: int, next_s: int) -> None:
    """Refuse a cycle that never was or is not due, before anything is read for it."""
    if at_s % room.site.interval_s:
        raise UsageError(
            f"cycle {label(at_s)}: no interval of {room.site.interval_s} s begins then"
        )
    if at_s < room.first_cycle_s:
        first = label(room.first_cycle_s)
        raise BadInputError(f"cycle {label(at_s)} comes before {first}, the first")
    if at_s > next_s:
        raise BadInputError(f"cycle {label(at_s)} comes after {label(next_s)}, which is next")
