"""``khazri check SITE.toml``."""

from __future__ import annotations

import argparse
from pathlib import Path

from grid.console.cli.options import answer, as_json
from grid.site_file import SiteFileError, read


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("site", type=Path, metavar="SITE.toml")
    as_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Check a site file; exit 1 with every error when it is wrong."""
    try:
        site = read(options.site)
    except SiteFileError as error:
        answer(options, {"ok": False, "errors": list(error.errors)}, str(error))
        return 1
    facts = {
        "ok": True,
        "usage_points": len(site.usage_point),
        "meters": len(site.meter),
        "assets": len(site.assets),
    }
    counts = f"{len(site.usage_point)} usage points, {len(site.meter)} meters"
    answer(options, facts, f"{options.site}: {counts}, {len(site.assets)} devices: good")
    return 0
