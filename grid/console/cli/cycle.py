"""``khazri cycle SITE.toml``: run operating cycles and stop."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from grid.console.cli.options import answer, as_json
from grid.errors import BadInputError
from grid.interval import label, parse


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("site", type=Path, metavar="SITE.toml")
    parser.add_argument("--at", help="cycle to run, ISO 8601; the next one by default")
    parser.add_argument("--count", type=int, default=1, help="number of cycles")
    parser.add_argument("--store", default="", help="URL of another store than the embedded one")
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

    room = cycle.open_room(options.site.parent, store_url=options.store)
    try:
        for _ in range(options.count):
            at_s = parse(options.at) if options.at else cycle.clock(room)
            if at_s > cycle.clock(room):
                raise BadInputError(
                    f"cycle {label(at_s)} comes after {label(cycle.clock(room))}, which is next"
                )
            cycle.run(room, at_s)
        done = cycle.clock(room)
    finally:
        room.solver.close()
        room.store.close()
    answer(options, {"next": label(done)}, f"next cycle: {label(done)}")
    return 0
