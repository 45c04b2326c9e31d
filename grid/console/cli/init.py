"""``khazri init DIR``: a new site folder with a commented site file."""

from __future__ import annotations

import argparse
from pathlib import Path

from grid.console.cli.options import answer, as_json
from grid.errors import BadInputError
from grid.interval import parse_date


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("dir", type=Path, metavar="DIR")
    parser.add_argument("--day", help="first day, YYYY-MM-DD; the demo's by default")
    as_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write ``DIR/SITE.toml``; a file that is there is never overwritten."""
    from grid.operation.demo_site import DEFAULT_DAY, demo_site

    path = options.dir / "SITE.toml"
    if path.exists():
        raise BadInputError(f"{path} is there already")
    day = parse_date(options.day) if options.day else DEFAULT_DAY
    text = demo_site(day=day)
    options.dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    answer(
        options,
        {"site": str(path)},
        f"wrote {path}: edit it, then 'khazri check {path}' and 'khazri run {path}'",
    )
    return 0
