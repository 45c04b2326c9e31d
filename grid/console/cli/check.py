"""``khazri check SITE.toml``."""

from __future__ import annotations

import argparse
from pathlib import Path

from grid.console.cli.options import answer, as_json
from grid.site_file import SiteFileError, read_text


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("site", type=Path, metavar="SITE.toml")
    as_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Check that a site can run; exit 1 with every error when it cannot."""
    from grid.operation.check import check

    try:
        site = check(read_text(options.site), name=options.site.name, base_dir=options.site.parent)
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
