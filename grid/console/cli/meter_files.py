"""``khazri meter import`` and ``khazri meter export``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from grid.console.cli.options import UsageError, answer, as_json, checked, directory, instant
from grid.errors import BadInputError

_TAKEN = ("auto", "history", "nem12", "espi", "csv")
_GIVEN = ("auto", "history", "espi", "netcdf", "parquet")
_PROGRESS_S = 2.0
_SHOWN = 20


def declare_import(verbs: Any) -> None:
    """Declare the options of ``import``."""
    take = verbs.add_parser("import", help="take a file of intervals into the store")
    take.add_argument("file", type=Path, metavar="FILE")
    take.add_argument("--format", choices=_TAKEN, default="auto", help="by its first line")
    take.add_argument("--map", type=Path, metavar="MAP.toml", help="what a CSV file's columns mean")
    take.add_argument(
        "--points", type=_pair, action="append", default=[], metavar="WORD=USAGE_POINT",
        help="the usage point that the file means by a word (an NMI); may be repeated",
    )  # fmt: skip
    take.add_argument("--dry-run", action="store_true", help="tell what would be done")
    take.add_argument(
        "--partial", action="store_true", help="take what is good beside refused lines"
    )
    take.add_argument(
        "--spread", action="store_true",
        help="share readings of more than an hour (NEM13) out over their quarter-hours",
    )  # fmt: skip
    directory(take)
    as_json(take)
    take.set_defaults(run=run_import)


def declare_export(verbs: Any) -> None:
    """Declare the options of ``export``."""
    give = verbs.add_parser("export", help="write stored intervals to a file")
    give.add_argument("file", type=Path, metavar="FILE")
    give.add_argument("--format", choices=_GIVEN, default="auto", help="by the file's name")
    give.add_argument(
        "--point", action="append", default=[], metavar="USAGE_POINT", help="all when not given"
    )
    give.add_argument("--from", dest="start", type=instant, help="first instant")
    give.add_argument("--to", dest="end", type=instant, help="the instant before which it ends")
    directory(give)
    as_json(give)
    give.set_defaults(run=run_export)


@checked
def _pair(text: str) -> tuple[str, str]:
    word, sign, usage_point = text.partition("=")
    if not (word and sign and usage_point):
        raise BadInputError(f"{text[:60]!r} must be WORD=USAGE_POINT")
    return word, usage_point


def _progress(name: str) -> Callable[[int, int], None]:
    """Return what tells every two seconds how far a file is read."""
    last = time.monotonic()

    def tell(done: int, size: int) -> None:
        nonlocal last
        if time.monotonic() - last >= _PROGRESS_S:
            last = time.monotonic()
            print(f"{name}: {100 * done // max(size, 1)} % read", file=sys.stderr, flush=True)

    return tell


def run_import(options: argparse.Namespace) -> int:
    """Take a file; nothing is stored when a line is refused, unless ``--partial``."""
    from grid import site_file
    from grid.operation import commission, history, importing
    from meters.formats.column_map import load_map
    from meters.formats.detect import detect

    column_map = load_map(options.map) if options.map else None
    file_format = options.format
    if file_format == "auto":
        file_format = detect(options.file, mapped=column_map is not None)
    store = commission.open_store(options.dir)
    site = site_file.read(options.dir / site_file.SITE_FILE)
    try:
        if file_format == "history":
            if options.dry_run or options.partial or options.points:
                raise UsageError("--dry-run, --partial and --points are not for a history file")
            count = history.import_history(store, site, options.file)
            answer(options, {"intervals": count}, f"{count} intervals taken from {options.file}")
            return 0
        request = importing.Request(
            options.file, file_format, dict(options.points), column_map,
            accept_partial=options.partial, spread=options.spread, dry_run=options.dry_run,
        )  # fmt: skip
        done = importing.import_file(store, site, request, _progress(options.file.name))
    finally:
        store.close()
    for finding in done.findings[:_SHOWN]:
        print(finding.message, file=sys.stderr)
    facts = {**done.facts(), "dry_run": options.dry_run}
    verb = "would be" if options.dry_run else "were"
    text = (
        f"{done.name}: {done.usage_points} usage points, {done.days} days, {done.readings} "
        f"readings; {done.filled} quarter-hours {verb} filled, {done.changed} overwritten, "
        f"{done.kept} kept as more certain; {done.refused} lines refused"
    )
    answer(options, facts, text)
    return 0


def run_export(options: argparse.Namespace) -> int:
    """Write a file of what is stored."""
    from grid import site_file
    from grid.operation import commission, exporting

    if (options.start is None) != (options.end is None):
        raise UsageError("--from and --to go together")
    bounds_s = None if options.start is None else (options.start, options.end)
    if bounds_s and (bounds_s[0] % 900 or bounds_s[1] % 900 or bounds_s[0] >= bounds_s[1]):
        raise UsageError("--from must be before --to, both on a quarter-hour")
    store = commission.open_store(options.dir)
    site = site_file.read(options.dir / site_file.SITE_FILE)
    try:
        count = exporting.export_file(
            store, site, options.file, file_format=options.format, usage_points=options.point,
            bounds_s=bounds_s, now_s=int(time.time()),
        )  # fmt: skip
    finally:
        store.close()
    answer(options, {"intervals": count}, f"{count} intervals written to {options.file}")
    return 0
