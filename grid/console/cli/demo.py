"""``khazri demo``: the demo microgrid, from a fresh folder to a live console."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path

from grid.console.cli.options import as_json, day, port, seconds, seed


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--dir", type=Path, default=Path("khazri-demo"), help="folder of the demo")
    parser.add_argument("--port", type=port, default=8040, help="port of the console")
    parser.add_argument(
        "--seed", type=seed, default=1, help="what the secrets and registers follow"
    )
    parser.add_argument("--day", type=day, help="day to play, YYYY-MM-DD")
    parser.add_argument("--once", action="store_true", help="play the day, sum it up and stop")
    parser.add_argument(
        "--pace", type=seconds(0, 86_400), default=15.0, help="seconds an interval, live"
    )
    as_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Play the demo."""
    from grid.operation import demo, opening
    from grid.operation.demo_site import DEFAULT_DAY

    played = options.day or DEFAULT_DAY

    def progress(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    options.dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if options.once:
        facts = demo.once(options.dir, day=played, seed=options.seed, progress=progress)
        print(json.dumps(facts) if options.json else _table(facts))
        return 0
    from grid.console.cli.run import live

    demo.prepare(options.dir, day=played, seed=options.seed)
    logging.basicConfig(
        filename=options.dir / "khazri.log", level=logging.INFO, format="%(asctime)s %(message)s"
    )
    with opening.opened(options.dir) as room:
        return live(
            room,
            port=options.port,
            pace_s=options.pace,
            progress=progress,
            at_once=demo.CYCLES_A_DAY + 1,
        )


def _table(facts: dict[str, object]) -> str:
    width = max(len(name) for name in facts)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in facts.items())
