"""``khazri init DIR``: a new site folder with a commented site file."""

from __future__ import annotations

import argparse
import time
from datetime import timedelta
from pathlib import Path

from grid.console.cli.options import answer, as_json, day
from grid.errors import BadInputError
from grid.interval import local_day
from grid.site_file import SITE_FILE


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("dir", type=Path, metavar="DIR")
    parser.add_argument("--day", type=day, help="of the announced outage, YYYY-MM-DD; tomorrow")
    as_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write ``DIR/SITE.toml``; a file that is there is never overwritten."""
    from grid.operation.demo_site import TIME_ZONE, demo_site

    path = options.dir / SITE_FILE
    if path.exists():
        raise BadInputError(f"{path} is there already")
    tomorrow = local_day(int(time.time()), TIME_ZONE) + timedelta(days=1)
    text = demo_site(day=options.day or tomorrow)
    options.dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    answer(
        options,
        {"site": str(path)},
        f"wrote {path}: edit it, then 'khazri check {path}' and 'khazri run {path}'",
    )
    return 0
